"""Whether a database can serve: every state, every failure, and what a probe costs."""

import asyncio
import logging
import os
import socket
import sqlite3
import threading
from contextlib import closing, contextmanager

import pytest
from databases import MODELS, REVISIONS, execute, runtime
from projects import revision_text
from sqlalchemy import event, make_url

from sqlhelpers import DatabaseManager, Readiness, Runtime
from sqlhelpers.exceptions import PoolerNotSet, UnknownBind
from sqlhelpers.managers import readiness
from sqlhelpers.runtime.readiness import summary

pytestmark = pytest.mark.usefixtures("shop")

APPS = {"shop": {"package": "shop"}, "depot": {"package": "depot", "version_table": "Where is Depot?"}}
DEPOT = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
SHELF = 'op.create_table("shelf", sa.Column("id", sa.Integer, primary_key=True))'
PATIENT = 60  # seconds, for answers that are not about time


@pytest.fixture
def shop(project):
    """The project, with the app ``shop``, which has three revisions."""
    project.write_app("shop", MODELS, REVISIONS)
    return project


@pytest.fixture
def depot(shop):
    """The project, with a second app beside ``shop``."""
    shop.write_app("depot", DEPOT, {"d1.py": revision_text("d1", SHELF)})
    return shop


@pytest.fixture(params=["sync", "async"])
def asked(request):
    """Return a function that asks all databases of a runtime, with the managers of either kind."""

    def ask(made, timeout=PATIENT):
        if request.param == "sync":
            return made.readiness(timeout)
        return asyncio.run(disposing(made, timeout))

    async def disposing(made, seconds):
        try:
            return await made.async_readiness(seconds)
        finally:
            await made.dispose_async()

    ask.kind = request.param
    return ask


@contextmanager
def silent_server():
    """Listen where nobody answers, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def words(found):
    """Return what was found, as a probe would say it."""
    return [(each.is_ready, each.detail) for each in found]


def test_a_database_that_is_not_set_up_is_not_ready(url, asked):
    """An empty one has no version table, which is no error; nothing is made."""
    with runtime(url) as made:
        found = [*asked(made), *asked(made)]

    assert words(found) == [(False, "not set up")] * 2
    assert found[0].bind == "default"


def test_a_database_that_is_up_to_date_is_ready(url, asked):
    """At the newest revision it can serve."""
    with runtime(url) as made:
        made.run_sync()

        assert words(asked(made)) == [(True, "up to date")]


def test_a_database_that_is_behind_is_not_ready(url, asked):
    """The code would ask for columns that are not there yet."""
    with runtime(url) as made:
        made.manager().upgrade("r2")

        assert words(asked(made)) == [(False, "behind")]


def test_a_database_that_is_ahead_is_ready(url, asked):
    """The old pods of a rolling deployment serve on when the newer image has migrated."""
    with runtime(url) as made:
        made.run_sync()
        execute(url, "UPDATE alembic_version_shop SET version_num = 'r4'")

        assert words(asked(made)) == [(True, "ahead")]


def test_a_position_that_is_empty_is_not_ready(url, asked):
    """A version table without a row is that of a database that is not set up."""
    with runtime(url) as made:
        made.run_sync()
        execute(url, "DELETE FROM alembic_version_shop")

        assert words(asked(made)) == [(False, "not set up")]


@pytest.mark.usefixtures("depot")
def test_the_worst_of_several_apps_counts(url, asked):
    """One app that is behind makes the database not ready, also beside one that is ahead."""
    with runtime(url, apps=APPS) as made:
        made.run_sync()
        before = asked(made)
        execute(url, "UPDATE alembic_version_shop SET version_num = 'r2'")
        quoted = '"Where is Depot?"' if not url.startswith("mariadb") else "`Where is Depot?`"
        execute(url, f"UPDATE {quoted} SET version_num = 'd2'")
        after = asked(made)

    assert words([*before, *after]) == [(True, "up to date"), (False, "behind")]


def test_two_heads_in_a_database_and_in_the_code_are_equal(shop, url, asked):
    """Positions and heads are plural: a database at both heads of a history is up to date, at one it is behind."""
    shop.write("shop/migrations/versions/x3.py", revision_text("x3", down_revision="r2"))
    with runtime(url) as made:
        execute(url, "CREATE TABLE alembic_version_shop (version_num VARCHAR(32))")
        execute(url, "INSERT INTO alembic_version_shop VALUES ('r3')")
        before = asked(made)
        execute(url, "INSERT INTO alembic_version_shop VALUES ('x3')")

        assert words([*before, *asked(made)]) == [(False, "behind"), (True, "up to date")]


@pytest.mark.usefixtures("depot")
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_probe_costs_one_select(url, kind, monkeypatch):
    """However many apps there are: one SELECT, nothing else, and no revision file is read again."""
    statements, reads = [], []
    with runtime(url, apps=APPS) as made:
        await asyncio.to_thread(made.run_sync)
        async with made.async_manager() as twin:
            manager = made.manager() if kind == "sync" else twin
            engine = manager.engine if kind == "sync" else manager.engine.sync_engine
            read = readiness.Expected.of
            monkeypatch.setattr(readiness.Expected, "of", lambda histories: reads.append(1) or read(histories))
            event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

            for _ in range(3):
                asked = manager.get_readiness()
                found = asked if kind == "sync" else await asked
                assert found == Readiness("default", is_ready=True, detail="up to date")

    statements = [statement for statement in statements if statement.strip() != "BEGIN"]  # SQLite's, no round trip
    assert len(statements) == 3
    assert len(set(statements)) == 1
    assert statements[0].startswith("SELECT")
    assert statements[0].count("UNION ALL") == 1
    assert len(reads) == 1


def test_a_revision_file_that_comes_or_changes_is_seen(shop, sqlite_url, asked):
    """What a probe remembers is forgotten when the folder changes."""
    with runtime(sqlite_url) as made:
        made.run_sync()
        before = asked(made)
        file = shop.write("shop/migrations/versions/r4.py", revision_text("r4", down_revision="r3"))
        after = asked(made)
        file.unlink()
        gone = asked(made)

    assert words([*before, *after, *gone]) == [(True, "up to date"), (False, "behind"), (True, "up to date")]


def test_a_schema_for_the_position_is_respected(postgres_url, asked):
    """The version table is looked for where the app says that it is, and its name is quoted."""
    place = {"version_table": "select", "version_table_schema": "Meta"}
    with runtime(postgres_url, apps={"shop": {"package": "shop", **place}}) as made:
        absent = asked(made)
        execute(postgres_url, 'CREATE SCHEMA "Meta"')
        empty = asked(made)
        made.run_sync()
        execute(postgres_url, 'CREATE TABLE "select" (version_num text)')  # not this one

        assert words([*absent, *empty, *asked(made)]) == [(False, "not set up")] * 2 + [(True, "up to date")]


def test_apps_without_migrations_need_no_position(project, url, asked):
    """Nothing is compared, and the database is asked whether it is there."""
    project.write_app("shop", MODELS)
    with runtime(url, apps={"shop": {"package": "shop", "migrations": False}}) as made:
        assert words(asked(made)) == [(True, "up to date")]


def test_a_probe_makes_no_file(tmp_path, asked):
    """A file of SQLite that is not there is not there afterwards, nor is one beside it."""
    (tmp_path / "empty").mkdir()
    with runtime(f"sqlite:///{tmp_path}/empty/x.db") as made:
        assert words(asked(made)) == [(False, "not set up")]

    assert os.listdir(tmp_path / "empty") == []  # noqa: PTH208


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb", "sqlite"])
def test_a_database_that_is_not_there_is_unreachable(tmp_path, dialect, asked, caplog):
    """Whatever the driver makes of it; the answer has no host and no secret, the log has the reason."""
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        url = f"sqlite:///{tmp_path}/no/x.db" if dialect == "sqlite" else f"{dialect}://u:hunter22@127.0.0.1:{port}/x"
        with runtime(url) as made:
            found = asked(made, None)

    assert words(found) == [(False, "unreachable")]
    assert "not ready, unreachable: database 'default'" in caplog.text
    assert "hunter22" not in f"{found}{caplog.text}"


def test_a_wrong_password_is_unreachable(postgres_url, asked):
    """Who is not let in cannot reach the database either."""
    wrong = make_url(postgres_url).set(password="wrong").render_as_string(hide_password=False)
    with runtime(wrong) as made:
        assert words(asked(made)) == [(False, "unreachable")]


async def test_a_server_that_goes_and_comes_back(sqlite_url, tmp_path):
    """A probe finds the database again without a new manager."""
    with runtime(sqlite_url) as made:
        await asyncio.to_thread(made.run_sync)
        async with made.async_manager() as manager:
            file = tmp_path / "test.db"
            file.rename(tmp_path / "away.db")
            gone = await manager.get_readiness()
            (tmp_path / "away.db").rename(file)
            back = await manager.get_readiness()

    assert words([gone, back]) == [(False, "not set up"), (True, "up to date")]


def test_an_exhausted_pool_is_not_ready(sqlite_url):
    """A probe that gets no connection says so, and raises nothing."""
    database = {"sqlalchemy": {"url": sqlite_url, "pool_size": 1, "pool_timeout": 0.05}}
    with runtime({"default": database}) as made:
        made.run_sync()
        with made.manager().engine.connect():
            found = made.manager().get_readiness(PATIENT)
        free = made.manager().get_readiness(PATIENT)

    assert words([found, free]) == [(False, "pool exhausted"), (True, "up to date")]


async def test_an_exhausted_async_pool_is_not_ready(sqlite_url):
    """The twin does the same."""
    database = {"sqlalchemy": {"url": sqlite_url, "pool_size": 1, "pool_timeout": 0.05}}
    with runtime({"default": database}) as made:
        await asyncio.to_thread(made.run_sync)
        async with made.async_manager() as manager:
            async with manager.engine.connect():
                found = await manager.get_readiness(PATIENT)
            free = await manager.get_readiness(PATIENT)

    assert words([found, free]) == [(False, "pool exhausted"), (True, "up to date")]


def test_a_file_that_another_process_has_locked_is_not_ready(tmp_path, asked):
    """SQLite cannot read what somebody has locked for himself, without WAL."""
    file = tmp_path / "test.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE x (y)")
        database = {"sqlalchemy": {"url": f"sqlite:///{file}"}, "command_timeout": 0.05}
        with runtime({"default": database}) as made:
            other.isolation_level = None
            other.execute("BEGIN EXCLUSIVE")

            assert words(asked(made)) == [(False, "locked")]


def test_a_query_that_is_refused_is_not_ready(postgres_url, postgres_server, asked, caplog):
    """A role that may not read the position is told apart from a server that is away."""
    with runtime(postgres_url) as made:
        made.run_sync()
        name = make_url(postgres_url).database
        postgres_server.execute("ALTER TABLE alembic_version_shop OWNER TO CURRENT_USER", name)

        assert words(asked(made)) == [(False, "failed")]
        assert "permission denied" in caplog.text


def test_a_revision_file_that_cannot_be_read_is_not_ready(shop, sqlite_url, asked, caplog):
    """The log names the file, the answer does not."""
    with runtime(sqlite_url) as made:
        made.run_sync()
        shop.write("shop/migrations/versions/r4.py", "revision = ")
        found = asked(made)
        (shop.folder / "shop/migrations/versions/r4.py").unlink()

        assert words([*found, *asked(made)]) == [(False, "misconfigured"), (True, "up to date")]
        assert "r4.py" in caplog.text


def test_a_folder_that_has_gone_is_misconfigured(shop, sqlite_url, asked):
    """Without its revision files nobody can tell what the code expects."""
    with runtime(sqlite_url) as made:
        made.run_sync()
        asked(made)
        (shop.folder / "shop/migrations").rename(shop.folder / "elsewhere")

        assert words(asked(made)) == [(False, "misconfigured")]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ConnectionResetError("x"), "unreachable"),
        (PoolerNotSet("x"), "failed"),
        (UnknownBind("x", ()), "misconfigured"),
    ],
)
def test_other_failures(sqlite_url, error, detail):
    """What a socket raises, and what sqlhelpers makes of a driver's error, have their words too."""
    with runtime(sqlite_url) as made:
        assert words([readiness.Probe(made.database()).failed(error)]) == [(False, detail)]


def test_an_error_of_ours_is_raised(sqlite_url, asked, monkeypatch):
    """What is no failure of a database is not hidden behind an answer, also if it comes from a thread."""

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(readiness, "read_readiness", broken)
    with runtime(sqlite_url) as made, pytest.raises(ZeroDivisionError):
        asked(made)


def test_a_server_that_does_not_answer_times_out(asked, caplog):
    """A probe ends in its time, and not in that of the database; the log says what to look at."""
    with silent_server() as port, runtime(f"postgresql://u:p@127.0.0.1:{port}/x") as made:
        assert words(asked(made, 0.1)) == [(False, "timed out")]
    assert "the server is silent, or all connections of the pool are in use" in caplog.text


def test_probes_of_a_silent_server_wait_together():
    """Sync probes leave one thread behind for a database, not one for each."""
    before = threading.enumerate()  # those of earlier tests may not have ended yet
    with silent_server() as port, runtime(f"postgresql://u:p@127.0.0.1:{port}/x") as made:
        found = [made.readiness(0.05) for _ in range(5)]
        threads = [each for each in threading.enumerate() if each not in before]

    assert [words(each) for each in found] == [[(False, "timed out")]] * 5
    assert [each.name for each in threads] == ["sqlhelpers-probe"]
    threads[0].join(30)  # the server has gone: it ends


def test_all_binds_are_asked(tmp_path, asked):
    """One that is down does not hide the others."""
    with silent_server() as port:
        down = f"postgresql://u:p@127.0.0.1:{port}/x"
        with runtime({"default": f"sqlite:///{tmp_path}/x.db", "one": down, "two": down}) as made:
            made.manager().sync()
            found = asked(made, 3)  # enough for the first, and more than the others need to say nothing

    assert [(each.bind, each.detail) for each in found] == [
        ("default", "up to date"),
        ("one", "timed out"),
        ("two", "timed out"),
    ]
    assert summary(found[:1]) == (200, {"default": {"is_ready": True, "detail": "up to date"}})
    assert summary(found)[0] == 503


def test_no_database_at_all_is_misconfigured(asked, caplog):
    """A service that has been given no database is not ready, and its log says which setting it lacks."""
    with runtime({}, apps={}) as made:
        found = asked(made)

    assert [(each.bind, each.is_ready, each.detail) for each in found] == [("default", False, "misconfigured")]
    assert "set DATABASE_URL" in caplog.text


def test_settings_that_are_wrong_are_misconfigured(asked, caplog, monkeypatch, tmp_path):
    """So is one whose settings cannot be read: a probe reads them first, and must answer all the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.sqlhelpers]\nlock_timeouts = 1\n")
    with Runtime() as made:
        found = asked(made)

    assert words(found) == [(False, "misconfigured")]
    assert "lock_timeouts" in caplog.text


def test_a_manager_without_a_runtime_can_be_asked(shop, sqlite_url, caplog):
    """Its migrations folder is the one that it was given."""
    caplog.set_level(logging.DEBUG, "sqlhelpers")
    with DatabaseManager(sqlite_url, shop.folder / "shop" / "migrations") as manager:
        before = manager.get_readiness(PATIENT)
        manager.upgrade()

        assert words([before, manager.get_readiness(PATIENT)]) == [(False, "not set up"), (True, "up to date")]
    assert caplog.text.count("not ready") == 0
