"""SQLite: no child row is lost, no update is lost, and writers wait for each other, within bounds."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy.exc
from callers import PATIENCE, Caller, within
from databases import execute, rows, snapshot, tables
from processes import finish_all, until
from shops import REBUILD, TELLS_WHEN_IT_WAITS, WAITING, position, ran
from sqlalchemy import text

from sqlhelpers import SyncResult
from sqlhelpers.exceptions import LockTimeout

CHILDREN = 1000
WRITERS = 8
TIMES = 25
both_kinds = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture
def behind(shop, sqlite_url):
    """A shop whose database is at r3, with one author and a thousand books."""
    shop.url = sqlite_url
    shop.use(sqlite_url)
    shop.upgrade("r3")
    books = ", ".join(f"({number}, 1, 'book {number}')" for number in range(CHILDREN))
    execute(sqlite_url, "INSERT INTO author VALUES (1, 'Austen')", f"INSERT INTO book VALUES {books}")
    return shop


@pytest.fixture
def caller(behind, kind):
    """Calls the manager of a kind."""
    made = Caller(behind.runtime(), is_async=kind == "async")
    yield made
    made.close()


@both_kinds
def test_a_batch_rebuild_keeps_every_child_row(behind, caller):
    """The parent table is dropped and made anew; ON DELETE CASCADE takes nothing along."""
    behind.revision("r4", REBUILD)

    assert caller.call("sync") is SyncResult.UPGRADED
    assert rows(behind.url, "SELECT count(*) FROM book") == [(CHILDREN,)]
    assert rows(behind.url, "PRAGMA foreign_key_check") == []


@both_kinds
def test_a_batch_rebuild_on_the_way_down_keeps_every_child_row(behind, caller):
    """The same holds for a downgrade."""
    behind.revision("r4", REBUILD)
    caller.call("sync")
    file = behind.project.folder / "shop/migrations/versions/r4.py"
    body = "\n".join(f"    {line}" for line in REBUILD.replace("sa.String(60)", "sa.String(50)").splitlines())
    file.write_text(file.read_text().replace("def downgrade():\n    pass", f"def downgrade():\n{body}"))

    caller.call("downgrade", "r3")

    assert position(behind.url) == ["r3"]
    assert rows(behind.url, "SELECT count(*) FROM book") == [(CHILDREN,)]


@both_kinds
def test_orphans_that_a_revision_makes_are_refused(behind, caller):
    """Foreign keys are checked before the commit: the error counts the rows, and all is as before."""
    behind.revision("r4", 'op.execute("DELETE FROM author")')
    before = snapshot(behind.url)

    with pytest.raises(sqlalchemy.exc.IntegrityError, match=f"{CHILDREN} in book without author"):
        caller.call("sync")

    assert snapshot(behind.url) == before


@both_kinds
def test_orphans_from_before_do_not_stop_a_run(behind, caller):
    """What was broken already is not the fault of the revisions that come."""
    with closing(sqlite3.connect(behind.url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("INSERT INTO book VALUES (5000, 77, 'nobody wrote it')")
    behind.revision("r4", REBUILD)

    assert caller.call("sync") is SyncResult.UPGRADED


@both_kinds
def test_foreign_keys_hold_again_after_a_run(behind, caller):
    """They are off in the run alone: the sessions of the same manager refuse orphans."""
    behind.revision("r4", REBUILD)
    caller.call("sync")

    with pytest.raises(sqlalchemy.exc.IntegrityError, match="FOREIGN KEY"):
        caller.in_session("INSERT INTO book VALUES (6000, 77, 'nobody')")


@both_kinds
def test_foreign_keys_hold_again_after_a_failed_run(behind, caller):
    """An error in a revision does not leave them off."""
    behind.revision("r4", REBUILD + "\n1 / 0")
    with pytest.raises(Exception, match="r4"):
        caller.call("sync")

    with pytest.raises(sqlalchemy.exc.IntegrityError, match="FOREIGN KEY"):
        caller.in_session("INSERT INTO book VALUES (6000, 77, 'nobody')")


@pytest.fixture
def counter(shop, sqlite_url):
    """A database with a counter."""
    shop.url = sqlite_url
    shop.use(sqlite_url)
    execute(sqlite_url, "CREATE TABLE counter (id integer PRIMARY KEY, n integer)", "INSERT INTO counter VALUES (1, 0)")
    return shop


def test_threads_lose_no_update(counter):
    """Eight threads read and write what they have read, in sessions: each waits for the one before it to commit."""

    def count(_):
        for _ in range(TIMES):
            with runtime.manager().session() as session:
                found = session.scalar(text("SELECT n FROM counter"))
                session.execute(text("UPDATE counter SET n = :n"), {"n": found + 1})

    with counter.runtime() as runtime, ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(count, range(WRITERS)))

    assert rows(counter.url, "SELECT n FROM counter") == [(WRITERS * TIMES,)]


async def test_tasks_lose_no_update(counter):
    """Eight tasks do the same."""

    async def count():
        for _ in range(TIMES):
            async with runtime.async_manager().session() as session:
                found = await session.scalar(text("SELECT n FROM counter"))
                await asyncio.sleep(0)
                await session.execute(text("UPDATE counter SET n = :n"), {"n": found + 1})

    async with counter.runtime() as runtime:
        await asyncio.gather(*(count() for _ in range(WRITERS)))

    assert rows(counter.url, "SELECT n FROM counter") == [(WRITERS * TIMES,)]


def test_processes_lose_no_update(counter):
    """Three processes do the same, one of them with the async manager."""
    children = [counter.children.python(COUNTS, kind, str(TIMES)) for kind in ("sync", "sync", "async")]

    assert [each.status for each in finish_all(children)] == [0] * 3
    assert rows(counter.url, "SELECT n FROM counter") == [(3 * TIMES,)]


#: Reads and writes a counter, with a manager of the kind that is the first argument.
COUNTS = """
import asyncio, sys
from sqlalchemy import text
from sqlhelpers import Runtime

READ, WRITE = text("SELECT n FROM counter"), text("UPDATE counter SET n = :n")


def sync(times):
    with Runtime() as runtime:
        for _ in range(times):
            with runtime.manager().session() as session:
                session.execute(WRITE, {"n": session.scalar(READ) + 1})


async def with_await(times):
    async with Runtime() as runtime:
        for _ in range(times):
            async with runtime.async_manager().session() as session:
                await session.execute(WRITE, {"n": await session.scalar(READ) + 1})


asyncio.run(with_await(int(sys.argv[2]))) if sys.argv[1] == "async" else sync(int(sys.argv[2]))
"""


@both_kinds
def test_a_session_waits_for_another_writer_within_bounds(counter, kind):
    """It fails within ``command_timeout`` while another process writes, and works when that has ended."""
    counter.use(counter.url, command_timeout=1)
    caller = Caller(counter.runtime(), is_async=kind == "async")
    with closing(sqlite3.connect(counter.url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with within(1), pytest.raises(sqlalchemy.exc.OperationalError, match="locked"):
            caller.in_session("UPDATE counter SET n = 5")
        writer.execute("COMMIT")

    caller.in_session("UPDATE counter SET n = 6")
    assert rows(counter.url, "SELECT n FROM counter") == [(6,)]
    caller.close()


@both_kinds
def test_a_run_waits_for_another_writer_within_bounds(behind, kind):
    """A process that writes without a lock of ours holds a run up for ``lock_timeout`` at most: status 4 by name."""
    behind.use(behind.url, lock_timeout=1)
    behind.revision("r4")
    caller = Caller(behind.runtime(), is_async=kind == "async")
    with closing(sqlite3.connect(behind.url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with within(1), pytest.raises(LockTimeout, match="lock_timeout"):
            caller.call("sync")
        writer.execute("ROLLBACK")

    assert caller.call("sync") is SyncResult.UPGRADED
    caller.close()


def test_a_session_waits_for_a_run(behind):
    """It is not refused while a revision is under way: it writes when the run has committed."""
    behind.revision("r4", WAITING)
    holder = behind.start_at("r4")

    def write():
        with runtime.manager().session() as session:
            session.execute(text("INSERT INTO author (id, name) VALUES (9, 'late')"))

    with behind.runtime() as runtime, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        with pytest.raises(TimeoutError):
            writing.result(0.3)
        behind.let_go("r4")
        writing.result(30)

    assert holder.finish().status == 0
    assert rows(behind.url, "SELECT name, r4 FROM author WHERE id = 9") == [("late", None)]


def test_a_signal_while_a_reader_is_in_the_way_of_the_commit(behind):
    """In a file that is not in WAL mode a commit waits for readers: SIGTERM is heard, and nothing is committed."""
    rows(behind.url, "PRAGMA journal_mode = delete")
    behind.revision("r4", "op.add_column('author', sa.Column('r4', sa.Integer))")
    before = snapshot(behind.url)

    with closing(sqlite3.connect(behind.url.removeprefix("sqlite:///"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM author").fetchall()
        child = behind.children.python(TELLS_WHEN_IT_WAITS, "run-sync")
        until((behind.project.folder / "is-waiting").exists, "it waits for the reader")
        child.send(signal.SIGTERM)
        finished = child.finish(2 + PATIENCE)

    assert finished.status == 143, finished
    assert snapshot(behind.url) == before


@both_kinds
def test_a_foreign_key_of_others_that_points_to_no_key(behind, caller):
    """SQLite takes such tables while foreign keys are off, which is its habit: they do not stop a run."""
    with closing(sqlite3.connect(behind.url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("CREATE TABLE legacy (id integer PRIMARY KEY, code text)")
        connection.execute("CREATE TABLE uses (id integer PRIMARY KEY, code text REFERENCES legacy (code))")
        connection.execute("INSERT INTO uses VALUES (1, 'x')")

    assert caller.call("sync") is SyncResult.ALREADY_UP_TO_DATE
    behind.revision("r4", REBUILD)
    assert caller.call("sync") is SyncResult.UPGRADED


def test_readers_are_not_held_up_by_a_run(behind):
    """In a file that is in WAL mode, what was committed can be read while a revision is under way."""
    behind.revision("r4", WAITING)
    behind.start_at("r4")

    with within(0):
        assert rows(behind.url, "SELECT count(*) FROM book") == [(CHILDREN,)]


@both_kinds
def test_a_database_in_memory_is_one_database(shop, kind):
    """Tables, position and rows are in the same one, whatever was asked for in between."""
    shop.use("sqlite://", bootstrap="models")
    caller = Caller(shop.runtime(), is_async=kind == "async")

    assert caller.call("sync") is SyncResult.CREATED
    assert caller.in_session("INSERT INTO author VALUES (1, 'Austen')", "SELECT count(*) FROM author") == 1
    assert caller.call("sync") is SyncResult.ALREADY_UP_TO_DATE
    assert caller.call("get_current_revision") == "r3"
    assert caller.in_session("SELECT name FROM author") == "Austen"
    caller.close()


def test_two_processes_that_create_one_new_file(shop, sqlite_url):
    """Neither fails, with a driver of either kind, though both find that there is no file."""
    shop.use(sqlite_url, bootstrap="models")
    barrier = shop.project.folder / "go-create"
    code = SYNCS_WHEN_TOLD
    children = [shop.children.python(code, kind) for kind in ("sync", "async")]
    until(lambda: len(list(shop.project.folder.glob("ready-*"))) == len(children), "both are ready")
    barrier.touch()

    results = [each.stdout.split() for each in finish_all(children)]

    assert sorted(results) == [["ALREADY_UP_TO_DATE"], ["CREATED"]]
    assert rows(sqlite_url, "PRAGMA journal_mode") == [("wal",)]


#: Syncs when the test says so, with a manager of the kind that is the first argument.
SYNCS_WHEN_TOLD = """
import asyncio, os, pathlib, sys, time
from sqlhelpers import Runtime

runtime = Runtime()
manager = runtime.async_manager() if sys.argv[1] == "async" else runtime.manager()
pathlib.Path(f"ready-{os.getpid()}").touch()
deadline = time.monotonic() + 60
while not pathlib.Path("go-create").exists() and time.monotonic() < deadline:
    time.sleep(0.001)


async def with_await():
    async with runtime:
        return await manager.sync()


print((asyncio.run(with_await()) if sys.argv[1] == "async" else manager.sync()).name)
"""


@both_kinds
def test_a_disk_that_is_full(behind, kind):
    """The run fails with what SQLite says, all of it is undone, and with more room the next one succeeds."""
    pages = rows(behind.url, "PRAGMA page_count")[0][0]
    body = "\n".join(f"op.create_table('t{number}', sa.Column('id', sa.Integer))" for number in range(20))
    behind.revision("r4", body)
    before = snapshot(behind.url)
    behind.use(behind.url, sqlite_pragmas={"max_page_count": pages + 5})
    caller = Caller(behind.runtime(), is_async=kind == "async")

    with pytest.raises(Exception, match=r"r4.*full"):
        caller.call("sync")
    caller.close()

    assert snapshot(behind.url) == before
    behind.use(behind.url)
    behind.upgrade("heads")
    assert "t19" in tables(behind.url)


def test_a_file_that_is_no_database(shop, tmp_path, command):
    """It is an error with one line, and the file is left as it is."""
    file = tmp_path / "letter.db"
    file.write_bytes(b"Dear reader, this is not a database. " * 100)
    before = file.read_bytes()
    shop.use(f"sqlite:///{file}")

    done = command("run-sync")

    assert done.status == 1
    assert "not a database" in done.errors[0]
    assert file.read_bytes() == before


def test_threads_share_a_database_in_memory(shop):
    """Eight threads that sync and read one after another find one database."""
    shop.use("sqlite://", bootstrap="models")
    mutex = threading.Lock()

    def use(_):
        with mutex, runtime.manager().session() as session:
            return session.scalar(text("SELECT count(*) FROM author"))

    with shop.runtime() as runtime, ThreadPoolExecutor(WRITERS) as pool:
        runtime.manager().sync()
        counts = list(pool.map(use, range(WRITERS)))

    assert counts == [0] * WRITERS


def test_a_rebuild_in_a_run_of_several_revisions(behind):
    """Rows that a revision adds before another one rebuilds their parent are kept as well."""
    behind.revision("r4", "op.execute(\"INSERT INTO book VALUES (7000, 1, 'new')\")")
    behind.revision("r5", REBUILD)
    behind.revision("r6", REBUILD.replace('"author"', '"book"').replace("name", "title"))

    behind.upgrade("heads")

    assert rows(behind.url, "SELECT count(*) FROM book") == [(CHILDREN + 1,)]
    assert ran(behind.url) == ["r1", "r2", "r3", "r4", "r5", "r6"]
