"""The adapter for asyncio, on SQLite and PostgreSQL, in loops of the test and in processes of their own."""

import asyncio
import signal
import threading
from collections.abc import Callable

import pytest
from databases import execute, rows
from processes import until
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from sqlhelpers import Adapter, Runtime, Settings
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import ConfigurationError, UnknownBind
from sqlhelpers_asyncio import (
    AsyncioAdapter,
    attach,
    current_runtime,
    loops,
    manager,
    run,
    running,
    session,
    with_session,
)

pytestmark = pytest.mark.usefixtures("nothing_configured", "nothing_left_open")
INSERT = text("INSERT INTO notes (id) VALUES (:id)")
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY)"
REVISION = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request) -> str:
    """The URL of a database that has a table, of each dialect in turn."""
    made = request.getfixturevalue(f"{request.param}_url")
    execute(made, TABLE)
    return made


@pytest.fixture
def make_runtime(sqlite_url) -> Callable[..., Runtime]:
    """Return a function that makes a runtime of a SQLite file, and more databases, without apps."""

    def make(url: str = sqlite_url, **more: str) -> Runtime:
        return Runtime(Settings(databases={"default": url, **more}), plugin_manager=PluginManager())

    return make


@pytest.fixture
def runtime(make_runtime, sqlite_url) -> Runtime:
    execute(sqlite_url, TABLE)
    return make_runtime()


def ids(url: str) -> list[int]:
    """Return what is in the table, over a connection of our own."""
    return [each for (each,) in rows(url, "SELECT id FROM notes ORDER BY id")]


async def add(number: int) -> None:
    """Add a row in a session of its own."""
    async with session() as opened:
        await opened.execute(INSERT, {"id": number})


def closed_connections(runtime: Runtime) -> list[object]:
    """Return a list that gets an item for each connection that the engine of the running loop closes."""
    closed: list[object] = []
    event.listen(runtime.async_manager().engine.sync_engine, "close", lambda connection, _: closed.append(connection))
    return closed


# Running


def test_run_returns_the_result(runtime, sqlite_url):
    """What main returns, with its arguments; the session is committed, and the connection closed."""
    closed = []

    async def main(number: int, double: int) -> int:
        closed.append(closed_connections(runtime))
        await add(number)
        return 2 * double

    assert run(main, 1, 21, runtime=runtime) == 42
    assert ids(sqlite_url) == [1]
    assert len(closed[0]) == 1


def test_run_raises_what_main_raises(runtime, sqlite_url):
    """The session is rolled back, and the connection closed."""

    async def main() -> None:
        async with session() as opened:
            await opened.execute(INSERT, {"id": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main, runtime=runtime)

    assert ids(sqlite_url) == []


def test_three_runs_in_a_row(url, make_runtime):
    """With one runtime, and in one process."""
    runtime = make_runtime(url)
    for number in (1, 2, 3):
        run(add, number, runtime=runtime)

    assert ids(url) == [1, 2, 3]


def test_run_makes_a_runtime(monkeypatch, runtime, sqlite_url):  # noqa: ARG001
    """From the settings, when they are needed."""
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("SQLHELPERS_DISABLE_PLUGINS", "countries,bookshop")

    run(add, 1)

    assert ids(sqlite_url) == [1]


@pytest.mark.parametrize("entered", ["run", "running"])
def test_sync_at_the_start(tmp_path, sqlite_url, entered):
    """With ``sync`` every database is as expected before anything else happens."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_notes.py").write_text(REVISION)
    config = {
        "sqlalchemy": {"url": sqlite_url},
        "alembic": {"migrations_path": versions.parent},
    }
    runtime = Runtime(Settings(databases={"default": config}), plugin_manager=PluginManager())

    async def main() -> None:
        async with running(runtime, sync=True):
            await add(1)

    if entered == "run":
        run(add, 1, runtime=runtime, sync=True)
    else:
        asyncio.run(main())

    assert ids(sqlite_url) == [1]


def test_run_has_a_debug_mode(runtime):
    """As ``asyncio.run`` has it."""

    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert run(main, runtime=runtime, debug=True) is True
    assert run(main, runtime=runtime, debug=False) is False


async def test_run_within_a_loop(runtime):
    """Is an error that says what to do there."""
    with pytest.raises(ConfigurationError, match="an event loop runs in this thread already"):
        run(add, 1, runtime=runtime)


def test_tasks_that_main_leaves_behind(runtime, sqlite_url):
    """Are cancelled and rolled back before the connections are closed: none is left open."""
    closed = []

    async def forgotten(written: asyncio.Event) -> None:
        async with session() as opened:
            await opened.execute(INSERT, {"id": 2})
            closed.append(closed_connections(runtime))
            written.set()
            await asyncio.sleep(60)

    async def main() -> None:
        written = asyncio.Event()
        main.task = asyncio.create_task(forgotten(written))
        await written.wait()

    run(main, runtime=runtime)

    assert main.task.cancelled()
    assert len(closed[0]) == 1
    assert ids(sqlite_url) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_cancels_main(runtime, sqlite_url, number, status):
    """Its session is rolled back, and the handlers of signals are as before."""
    seen = []

    async def main() -> None:
        try:
            async with session() as opened:
                await opened.execute(INSERT, {"id": 1})
                signal.raise_signal(number)
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        run(main, runtime=runtime)

    assert ended.value.code == status
    assert seen == ["cancelled"]
    assert signal.getsignal(number) == before
    assert ids(sqlite_url) == []


def test_main_may_end_in_its_own_way(runtime):
    """One that catches the cancellation returns its result, as with ``asyncio.run``."""

    async def main() -> str:
        signal.raise_signal(signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "done"

    assert run(main, runtime=runtime) == "done"


def test_a_signal_after_the_end_of_main(runtime):
    """Is not lost: the process ends once everything is closed."""

    async def late() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            signal.raise_signal(signal.SIGTERM)

    async def main() -> None:
        main.task = asyncio.create_task(late())
        await asyncio.sleep(0)

    with pytest.raises(SystemExit) as ended:
        run(main, runtime=runtime)

    assert ended.value.code == 143


def test_a_main_that_cancels_itself(runtime):
    """Is told of as by ``asyncio.run``."""

    async def main() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(main, runtime=runtime)


def test_more_signals_do_not_disturb_the_roll_back(runtime, sqlite_url):
    """The clean-up that the first signal has begun ends."""
    seen = []

    async def main() -> None:
        async with session() as opened:
            await opened.execute(INSERT, {"id": 1})
            try:
                signal.raise_signal(signal.SIGTERM)
                await asyncio.sleep(60)
            finally:
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.raise_signal(number)
                    await asyncio.sleep(0.01)
                seen.append("cleaned up")

    with pytest.raises(SystemExit) as ended:
        run(main, runtime=runtime)

    assert ended.value.code == 143
    assert seen == ["cleaned up"]
    assert ids(sqlite_url) == []


def test_a_blocked_loop_is_interrupted_by_another_signal(runtime, monkeypatch, sqlite_url):
    """Not by the first, and not by one that comes along with it; what was written is rolled back."""
    monkeypatch.setattr(loops, "BLOCKED", 60)
    sent = []

    async def main() -> None:
        async with session() as opened:
            await opened.execute(INSERT, {"id": 1})
            for place in ("first", "along with it"):  # nothing is awaited
                sent.append(place)
                signal.raise_signal(signal.SIGTERM)
            monkeypatch.setattr(loops, "BLOCKED", -1)
            sent.append("another")
            signal.raise_signal(signal.SIGTERM)
            sent.append("not interrupted")

    with pytest.raises(SystemExit) as ended:
        run(main, runtime=runtime)

    assert ended.value.code == 143
    assert sent == ["first", "along with it", "another"]
    assert ids(sqlite_url) == []


def test_what_does_not_end_is_given_up(runtime, monkeypatch):
    """A main that will not be cancelled has so many seconds, and what it leaves has as many again."""
    monkeypatch.setattr(loops, "GRACE", 0.1)
    ends = []

    async def main() -> None:
        signal.raise_signal(signal.SIGTERM)
        while not ends:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    with pytest.raises(SystemExit) as ended:
        run(main, runtime=runtime)
    ends.append("given up")

    assert ended.value.code == 143


def test_run_in_a_thread(runtime, sqlite_url):
    """Where no signal arrives, and no handler can be set."""
    thread = threading.Thread(target=run, args=(add, 1), kwargs={"runtime": runtime})
    thread.start()
    thread.join()

    assert ids(sqlite_url) == [1]


# A loop of one's own


async def test_running(runtime, sqlite_url):
    """The block has the runtime; its connections are closed at the end, and then there is none."""
    async with running(runtime) as given:
        closed = closed_connections(runtime)
        await add(1)
        assert current_runtime() is given is runtime
        assert closed == []

    assert len(closed) == 1
    assert ids(sqlite_url) == [1]
    with pytest.raises(ConfigurationError, match=r"sqlhelpers_asyncio\.run\(main\).*sqlhelpers_asyncio\.running"):
        session()


async def test_one_runtime_for_a_loop(runtime, make_runtime):
    """A second one is an error, and leaves the first one where it is."""
    async with running(runtime):
        with pytest.raises(ConfigurationError, match="has a runtime already"):
            async with running(make_runtime()):
                pass
        assert current_runtime() is runtime


def test_no_loop_runs():
    """Is the same error as a loop without a runtime."""
    with pytest.raises(ConfigurationError, match="no event loop with a runtime"):
        current_runtime()


def test_a_task_that_is_cancelled_while_its_connection_is_given_back(runtime, sqlite_url, caplog):
    """The row is committed, the connection is closed, and the pool has nothing to say about it."""
    closed = []

    async def main() -> None:
        closed.append(closed_connections(runtime))
        event.listen(runtime.async_manager().engine.sync_engine, "reset", lambda *_: main_task.cancel())
        main_task = asyncio.current_task()
        await add(1)

    with pytest.raises(asyncio.CancelledError):
        run(main, runtime=runtime)

    assert ids(sqlite_url) == [1]
    assert len(closed[0]) == 1
    assert caplog.text == ""


def test_two_loops_in_two_threads(tmp_path, make_runtime):
    """Each has its own runtime, at the same time."""
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two")]
    barrier = threading.Barrier(2)

    async def main(number: int, runtime: Runtime) -> None:
        async with running(runtime):
            await asyncio.to_thread(barrier.wait)
            await add(number)
            assert current_runtime() is runtime
            await asyncio.to_thread(barrier.wait)

    def in_thread(number: int, url: str) -> None:
        asyncio.run(main(number, make_runtime(url)))

    for url in urls:
        execute(url, TABLE)
    threads = [threading.Thread(target=in_thread, args=each) for each in enumerate(urls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [ids(url) for url in urls] == [[0], [1]]


@pytest.mark.parametrize("target", ["running loop", "runner", "loop"])
def test_attach(runtime, sqlite_url, target):
    """The loop has the runtime, whose connections are closed when it shuts down."""
    closed = []
    runtime.plugins.discover(enabled_apps=())

    async def main() -> None:
        if target == "running loop":
            assert runtime.attach(asyncio.get_running_loop()) is runtime
        closed.append(closed_connections(runtime))
        await add(1)
        assert closed == [[]]

    with asyncio.Runner() as runner:
        if target == "runner":
            assert runtime.attach(runner) is runtime
        elif target == "loop":
            assert attach(runner.get_loop(), runtime) is runtime
        runner.run(main())

    assert len(closed[0]) == 1
    assert ids(sqlite_url) == [1]


def test_attach_in_uvloop(runtime, sqlite_url):
    """Its loops are those of asyncio, for all that matters here."""
    uvloop = pytest.importorskip("uvloop")
    runtime.plugins.discover(enabled_apps=())

    async def main() -> None:
        runtime.attach(asyncio.get_running_loop())
        main.closed = closed_connections(runtime)
        await add(1)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

    assert len(main.closed) == 1
    assert ids(sqlite_url) == [1]


def test_adapter_satisfies_the_protocol(runtime):
    """The adapter is what the core expects of one; without a runtime it makes one."""
    found = runtime.plugins
    found.discover(enabled_apps=())

    adapter = found.adapter("asyncio")

    assert isinstance(adapter, Adapter)
    assert adapter == AsyncioAdapter()
    with asyncio.Runner() as runner:
        assert isinstance(adapter.attach(runner), Runtime)


# Sessions


async def test_each_task_has_its_own_session(url, make_runtime):
    """Twenty in a task group, of which none sees the session of another."""
    seen = set()

    @with_session
    async def add_one(opened: AsyncSession, number: int) -> None:
        await opened.execute(INSERT, {"id": number})
        seen.add(id(opened))
        kept.append(opened)

    kept: list[AsyncSession] = []
    async with running(make_runtime(url)), asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(add_one(number))

    assert ids(url) == list(range(20))
    assert len(seen) == 20


async def test_a_task_that_fails(url, make_runtime):
    """Rolls back alone what it has written; those that had ended are committed, the others are cancelled."""
    done = asyncio.Event()

    @with_session
    async def add_and(opened: AsyncSession, number: int, then: Callable[[], object]) -> None:
        await opened.execute(INSERT, {"id": number})
        await opened.flush()
        await then()

    async def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            await group.create_task(add_and(1, lambda: asyncio.sleep(0)))
            if url.startswith("postgres"):  # SQLite has one writer at a time
                group.create_task(add_and(2, lambda: asyncio.sleep(60)))
                await asyncio.sleep(0)
            group.create_task(add_and(3, fail))

    async with running(make_runtime(url)):
        with pytest.raises(ExceptionGroup) as caught:
            await main()
        done.set()

    assert caught.group_contains(ZeroDivisionError)
    assert ids(url) == [1]


async def test_a_task_that_is_cancelled(url, make_runtime):
    """Rolls back, and gives its connection back."""
    written = asyncio.Event()

    async def write() -> None:
        async with session() as opened:
            await opened.execute(INSERT, {"id": 1})
            written.set()
            await asyncio.sleep(60)

    async with running(make_runtime(url)) as runtime:
        task = asyncio.create_task(write())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await add(2)
        checked_out = runtime.async_manager().engine.pool.checkedout()

    assert checked_out == 0
    assert ids(url) == [2]


@pytest.mark.parametrize("kind", ["plain", "called", "by position", "by name"])
async def test_the_bind_can_be_named(tmp_path, runtime, make_runtime, kind, sqlite_url):  # noqa: ARG001
    """In each of the ways to write a decorator, and for sessions and managers."""
    other = f"sqlite:///{tmp_path}/reports.db"
    execute(other, TABLE)
    decorator = {
        "plain": with_session,
        "called": with_session(),
        "by position": with_session("reports"),
        "by name": with_session(bind="reports"),
    }[kind]

    @decorator
    async def add_one(opened: AsyncSession, number: int) -> str:
        """Add one."""
        await opened.execute(INSERT, {"id": number})
        return "added"

    async with running(make_runtime(reports=other)) as given:
        assert await add_one(1) == "added"
        async with session("reports") as opened:
            await opened.execute(INSERT, {"id": 9})
        assert manager("reports") is given.async_manager("reports")

    first = ids(sqlite_url), ids(other)
    assert first == (([1], [9]) if kind in ("plain", "called") else ([], [1, 9]))
    assert add_one.__doc__ == "Add one."


async def test_an_unknown_bind(runtime):
    """Is an error that names it."""
    async with running(runtime):
        with pytest.raises(UnknownBind, match="'archive'"):
            session("archive")


def test_with_session_is_for_async_functions():
    """Others get an error when they are decorated."""
    with pytest.raises(ConfigurationError, match="async def"):
        with_session(lambda opened: opened)


# Processes


PROGRAM = """
import asyncio, pathlib, sys, warnings

warnings.simplefilter("error")
import sqlhelpers_asyncio
from sqlalchemy import text


@sqlhelpers_asyncio.with_session
async def work(session, number):
    await session.execute(text("INSERT INTO notes VALUES (:id)"), {"id": number})
    pathlib.Path(f"written-{number}").touch()
    try:
        await session.execute(text(sys.argv[2])) if len(sys.argv) > 2 else await asyncio.sleep(60)
    finally:
        pathlib.Path(f"ending-{number}").touch()
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)


async def main(tasks):
    async with asyncio.TaskGroup() as group:
        for number in range(tasks):
            group.create_task(work(number))


sqlhelpers_asyncio.run(main, int(sys.argv[1]))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("how_many", [1, 2])
def test_a_signal_ends_a_process(url, children, tmp_path, number, status, how_many):
    """In the middle of transactions: nothing is committed, no connection stays, nothing is printed."""
    tasks = 5 if url.startswith("postgres") else 1
    variables = {"DATABASE_URL": url, "SQLHELPERS_DISABLE_PLUGINS": "countries,bookshop"}

    child = children.python(PROGRAM, str(tasks), env=variables)
    until(lambda: len([*tmp_path.glob("written-*")]) == tasks or not child.is_running, "all tasks have written")
    for _ in range(how_many):
        child.send(number)
        until(lambda: len([*tmp_path.glob("ending-*")]) == tasks or not child.is_running, "all tasks are cancelled")
    (tmp_path / "go").touch()
    done = child.finish()

    assert (done.status, done.output) == (status, "")
    assert ids(url) == []
    assert_nobody_is_connected(url)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_during_a_statement(postgres_url, children, tmp_path, number, status):
    """The server is told to stop it."""
    execute(postgres_url, TABLE)
    (tmp_path / "go").touch()
    variables = {"DATABASE_URL": postgres_url, "SQLHELPERS_DISABLE_PLUGINS": "countries,bookshop"}
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(61)%' AND pid <> pg_backend_pid()"

    child = children.python(PROGRAM, "1", "SELECT pg_sleep(61)", env=variables)
    until(lambda: rows(postgres_url, sleeping) or not child.is_running, "the statement runs")
    child.send(number)
    done = child.finish()

    assert (done.status, done.output) == (status, "")
    assert ids(postgres_url) == []
    assert_nobody_is_connected(postgres_url)


def assert_nobody_is_connected(url: str) -> None:
    """Check that the database has no connection but ours, or that the file can be written."""
    if url.startswith("postgres"):
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        until(lambda: not rows(url, others), "its connections are gone")
    else:
        execute(url, "INSERT INTO notes VALUES (99)")
