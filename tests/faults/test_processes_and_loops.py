"""Forks, threads, event loops and cancelled tasks: no answer is another's, and nothing stays checked out."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import anyio
import pytest
from callers import DRIVERS, with_driver, within
from databases import execute, rows
from processes import until
from shops import WAITING, position, ran
from sqlalchemy import event, text

from sqlhelpers import SyncResult

ASYNC = [name for name, (_, is_async, _) in DRIVERS.items() if is_async]
FORKED = ["psycopg", "pymysql", "pysqlite"]
EIGHT = 8


def url_for(request, driver):
    """Return the URL of an empty database for a driver, with that driver."""
    return with_driver(request.getfixturevalue(f"{DRIVERS[driver][2]}_url"), driver)


@pytest.fixture(params=FORKED)
def forked(request, shop):
    """A shop with a database, for each sync driver."""
    shop.url = url_for(request, request.param)
    shop.use(shop.url)
    shop.upgrade("r3")
    return shop


@pytest.fixture(params=ASYNC)
def awaited(request, shop, nothing_left_open):  # noqa: ARG001
    """A shop with a database that has a table ``t``, for each async driver."""
    plain = request.getfixturevalue(f"{DRIVERS[request.param][2]}_url")
    execute(plain, "CREATE TABLE t (id integer)")
    shop.url = plain
    shop.use(with_driver(plain, request.param), lock_timeout=5, sqlalchemy={"pool_size": 2, "pool_timeout": 5})
    return shop


def test_an_engine_that_was_used_before_a_fork(forked):
    """Parent and four children ask 600 questions at once through one manager: none gets the answer of another."""
    done = forked.children.python(FORKS).finish()

    assert done.status == 0, done
    assert done.stdout.split() == ["600", "right,", "0", "wrong"]


#: Uses a connection, forks four children, and lets all five processes ask 120 questions each.
FORKS = """
import os, sys
from sqlalchemy import text
from sqlhelpers import Runtime

runtime = Runtime()
manager = runtime.manager()


def ask(process):
    right = 0
    for number in range(120):
        with manager.session() as session:
            mine = process * 1000 + number
            right += session.scalar(text(f"SELECT {mine}")) == mine
    return right


ask(9)
children = []
for process in range(4):
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            os.write(write, str(ask(process)).encode())
        finally:
            os._exit(0)
    os.close(write)
    children.append(read)
right = ask(4) + sum(int(os.read(read, 10) or 0) for read in children)
for _ in children:
    os.wait()
right_afterwards = ask(5) == 120
runtime.dispose()
print(f"{right} right, {600 - right} wrong")
sys.exit(0 if right_afterwards else 1)
"""


@pytest.mark.parametrize("forked", ["psycopg", "pymysql"], indirect=True)  # SQLite itself cannot be used then
def test_a_fork_while_a_thread_runs(forked):
    """A child of a process in which another thread migrates can run as well: it inherits no lock that nobody frees."""
    forked.revision("r4", WAITING)

    child = forked.children.python(FORKS_IN_A_RUN)
    until((forked.project.folder / "child-runs").exists, "the child has been forked")
    forked.let_go("r4")
    done = child.finish()

    assert done.status == 0, done
    assert sorted(done.stdout.split()) == ["child:r4", "parent:UPGRADED"]


#: Lets a thread sync, forks when that is in the middle of a revision, and upgrades in the child, which takes the lock
#: also where nothing is to be done.
FORKS_IN_A_RUN = """
import os, pathlib, sys, threading, time, warnings
from sqlhelpers import Runtime

warnings.simplefilter("ignore", DeprecationWarning)  # forking beside a thread is the point
runtime, results = Runtime(), []
thread = threading.Thread(target=lambda: results.append(runtime.manager().sync().name))
thread.start()
deadline = time.monotonic() + 30
while not pathlib.Path("at-r4").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
child = os.fork()
if child == 0:
    pathlib.Path("child-runs").touch()
    try:
        with Runtime() as another:
            os.write(1, f"child:{another.manager().upgrade()[0].after[0]}\\n".encode())
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\\n".encode())
        os._exit(1)
thread.join()
_, status = os.waitpid(child, 0)
runtime.dispose()
print(f"parent:{results[0]}")
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("forked", ["psycopg", "pymysql"], indirect=True)
def test_a_fork_within_a_session(forked):
    """A child that leaves the session's block by an exception rolls nothing back: what the parent commits is kept."""
    done = forked.children.python(FORKS_IN_A_SESSION).finish()

    assert done.status == 0, done
    assert done.stdout.split() == ["kept", "kept", "as", "well"]


#: Forks within a session that has written; the child leaves the block by an exception, and the parent by its end.
FORKS_IN_A_SESSION = """
import os
from sqlalchemy import text
from sqlhelpers import Runtime

runtime, child = Runtime(), None
try:
    with runtime.manager().session() as session:
        session.execute(text("INSERT INTO author (id, name) VALUES (1, 'kept')"))
        child = os.fork()
        if child == 0:
            raise RuntimeError
        os.waitpid(child, 0)
        session.execute(text("INSERT INTO author (id, name) VALUES (2, 'kept as well')"))
finally:
    if child == 0:
        os._exit(0)
with runtime.manager().session() as session:
    print(*session.scalars(text("SELECT name FROM author ORDER BY id")))
runtime.dispose()
"""


@pytest.mark.parametrize("forked", ["psycopg", "pymysql"], indirect=True)
def test_a_fork_does_not_keep_the_lock_of_a_killed_parent(forked, command):
    """A child that was forked during a run has nothing of its lock: ``kill -9`` of the parent frees it."""
    forked.revision("r4", WAITING)
    parent = forked.children.python(LEAVES_A_CHILD)
    pid = forked.project.folder / "child"
    until(lambda: (pid.exists() and pid.read_text()) or not parent.is_running, "the child has been forked")
    assert pid.exists(), parent.printed

    try:
        parent.kill()
        forked.let_go("r4")
        with within(3):
            done = command("run-sync")
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)

    assert done.status == (3 if forked.url.startswith("mariadb") else 0), done


#: Lets a thread sync, forks when that is in the middle of a revision, and leaves the child alone for a minute.
LEAVES_A_CHILD = """
import os, pathlib, threading, time, warnings
from sqlhelpers import Runtime

warnings.simplefilter("ignore", DeprecationWarning)  # forking beside a thread is the point
runtime = Runtime()
threading.Thread(target=lambda: runtime.manager().sync(), daemon=True).start()
deadline = time.monotonic() + 30
while not pathlib.Path("at-r4").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
child = os.fork()
if child:
    pathlib.Path("child").write_text(str(child))
time.sleep(60)
os._exit(0)
"""


def test_threads_that_come_at_once_share_one_engine(shop, url):
    """Eight threads whose first use of a manager is at the same time get the same one, and its pool is the only one."""
    shop.use(url)

    def first_use(_):
        barrier.wait(10)
        return runtime.manager().engine, runtime.async_manager()

    for _ in range(5):
        barrier = Barrier(EIGHT)
        with shop.runtime() as runtime, ThreadPoolExecutor(EIGHT) as pool:
            engines = set(pool.map(first_use, range(EIGHT)))
        assert len(engines) == 1


def test_three_event_loops_one_after_another(awaited):
    """``asyncio.run`` three times with one manager: each gets right answers, and what a loop left is dropped."""
    done = awaited.children.python(THREE_LOOPS).finish()

    assert done.status == 0, done
    assert done.stdout.split() == ["1", "2", "3"]
    assert done.stderr == ""


#: Uses one manager in three event loops, of which only the last disposes of its engine.
THREE_LOOPS = """
import asyncio
from sqlalchemy import text
from sqlhelpers import Runtime

runtime = Runtime()


async def use(number, dispose=False):
    async with runtime.async_manager().session() as session:
        await session.execute(text(f"INSERT INTO t VALUES ({number})"))
    async with runtime.async_manager().session() as session:
        print(await session.scalar(text("SELECT count(*) FROM t")))
    if dispose:
        await runtime.dispose_async()


for number in (1, 2, 3):
    asyncio.run(use(number, dispose=number == 3))
"""


def test_event_loops_in_two_threads_at_once(awaited):
    """Two loops share a manager: each has connections of its own, and no answer is the other's."""
    manager = awaited.runtime().async_manager()

    async def use(number):
        answers = []
        for turn in range(20):
            async with manager.session() as session:
                answers.append(await session.scalar(text(f"SELECT {number * 100 + turn}")))
        await manager.dispose()
        return answers

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda number: asyncio.run(use(number)), (1, 2)))

    assert found == [[100 + turn for turn in range(20)], [200 + turn for turn in range(20)]]


def slow(url):
    """Return a statement that takes half a minute."""
    if url.startswith("sqlite"):
        # a recursive query: SQLite has nothing that sleeps
        return "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 300000000) SELECT count(*) FROM c"
    return "SELECT SLEEP(30)" if url.startswith("mariadb") else "SELECT pg_sleep(30)"


async def test_a_task_that_is_cancelled_in_a_statement(awaited):
    """It is over at once, nothing of it is committed, no connection is out, and the pool works, twice its size."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        for _ in range(4):
            with within(0):
                await cancelled_in(manager, awaited.url)

        assert manager.engine.pool.checkedout() == 0
        async with manager.session() as session:
            assert await session.scalar(text("SELECT count(*) FROM t")) == 0


async def cancelled_in(manager, url):
    """Cancel a task that has written, and is in a slow statement."""
    begun = asyncio.Event()

    async def work():
        async with manager.session() as session:
            await session.execute(text("INSERT INTO t VALUES (1)"))
            begun.set()
            await session.execute(text(slow(url)))

    task = asyncio.create_task(work())
    await begun.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_anyio_scope_that_is_cancelled(awaited):
    """It is cancelled again at every await: the session is rolled back and its connection is back all the same."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        for _ in range(4):
            with anyio.CancelScope() as scope:
                async with manager.session() as session:
                    await session.execute(text("INSERT INTO t VALUES (1)"))
                    asyncio.get_running_loop().call_later(0.2, scope.cancel)
                    await session.execute(text(slow(awaited.url)))
            assert scope.cancelled_caught

        with anyio.fail_after(10):
            async with manager.session() as session:
                found = await session.scalar(text("SELECT count(*) FROM t"))
        assert found == 0
        assert manager.engine.pool.checkedout() == 0


async def test_a_task_that_is_cancelled_in_its_own_code(awaited):
    """Between two statements it is the same: rolled back, and the connection is back."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        for _ in range(4):
            with anyio.CancelScope() as scope:
                async with manager.session() as session:
                    await session.execute(text("INSERT INTO t VALUES (1)"))
                    asyncio.get_running_loop().call_later(0.05, scope.cancel)
                    await asyncio.sleep(30)

        async with manager.session() as session:
            assert await session.scalar(text("SELECT count(*) FROM t")) == 0
        assert manager.engine.pool.checkedout() == 0


async def test_a_task_that_is_cancelled_while_it_waits_for_a_connection(awaited):
    """The pool forgets it: when the connections are back, others get them."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        async with manager.engine.connect(), manager.engine.connect():
            with anyio.move_on_after(0.1) as scope:
                async with manager.engine.connect():
                    pass
        assert scope.cancelled_caught

        async with manager.engine.connect() as one, manager.engine.connect() as two:
            assert [await each.scalar(text("SELECT 1")) for each in (one, two)] == [1, 1]


async def test_a_run_that_is_cancelled_in_a_revision(awaited):
    """It is rolled back where it can be, the lock is free, and nothing is checked out."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        await manager.upgrade("r3")
        awaited.revision("r4", SLOW)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(manager.sync)
                await asyncio.to_thread(until, (awaited.project.folder / "is-busy").exists, "the revision runs")
                scope.cancel()
        assert scope.cancelled_caught
        awaited.revision("r4", "pass")
        checked_out = manager.engine.pool.checkedout()

        if awaited.url.startswith("mariadb"):
            assert position(awaited.url) == ["r3"]
            await manager.migrations.repair(applied=True)
        else:
            assert ran(awaited.url) == ["r1", "r2", "r3"]
            with anyio.fail_after(10):
                assert await manager.sync() is SyncResult.UPGRADED
    assert checked_out == 0
    assert position(awaited.url) == ["r4"]


#: Tells that it is here, and is busy in the database for long.
SLOW = """import pathlib
op.add_column("author", sa.Column("{revision}", sa.Integer))
pathlib.Path("is-busy").touch()
name = op.get_bind().dialect.name
statements = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 300000000) SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(30)",
}
for _ in range(60):
    op.execute(statements.get(name, "SELECT SLEEP(30)"))"""


async def test_a_run_that_is_cancelled_while_it_waits_for_the_lock(awaited):
    """It stops waiting, leaves nothing behind, and the holder is not disturbed."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        await manager.upgrade("r3")
        awaited.revision("r4", WAITING)
        holder = await asyncio.to_thread(awaited.start_at, "r4")
        with anyio.move_on_after(0.5) as scope:
            await manager.sync()
        assert scope.cancelled_caught
        awaited.let_go("r4")
        finished = await asyncio.to_thread(holder.finish)

        assert finished.status == 0
        assert manager.engine.pool.checkedout() == 0
        assert await manager.sync() is SyncResult.ALREADY_UP_TO_DATE
    assert rows(awaited.url, "SELECT r4 FROM author") == []


on_a_server = pytest.mark.parametrize("awaited", [each for each in ASYNC if each != "aiosqlite"], indirect=True)


# SQLAlchemy does not close a connection whose first questions are cancelled; the garbage collector does, and says so
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@on_a_server
async def test_a_run_that_is_cancelled_after_any_time(awaited):
    """Whether it was connecting, asking for the lock or at work: the next run of the process finds no lock."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        await manager.upgrade("r3")
        for milliseconds in range(0, 85, 5):
            with anyio.move_on_after(milliseconds / 1000):
                await manager.sync()
            assert await manager.sync() is SyncResult.ALREADY_UP_TO_DATE, milliseconds
            gc.collect()
        assert manager.engine.pool.checkedout() == 0


@on_a_server
async def test_a_run_that_is_cancelled_in_any_of_its_statements(awaited):
    """Each of them in turn, those for the lock included: the next run of the process finds no lock."""
    async with awaited.runtime() as runtime:
        manager = runtime.async_manager()
        await manager.upgrade("r3")
        cancelled = [await cancelled_at(manager, number) for number in range(1, 40)]

        assert cancelled[0]
        assert not cancelled[-1], "a run has more statements than were tried"
        assert manager.engine.pool.checkedout() == 0


async def cancelled_at(manager, number):
    """Cancel a run when it executes its statement of a number, sync once more, and tell whether there was one."""
    left = iter(range(number - 1, -1, -1))

    def count(*_):
        if next(left, -1) == 0:
            asyncio.get_running_loop().call_soon(task.cancel)

    event.listen(manager.engine.sync_engine, "before_cursor_execute", count)
    task = asyncio.create_task(manager.sync())
    await asyncio.wait([task])
    event.remove(manager.engine.sync_engine, "before_cursor_execute", count)
    assert await manager.sync() is SyncResult.ALREADY_UP_TO_DATE, number
    return task.cancelled()
