"""Isolation: what code under test sees of its transactions, and what is left of them."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from databases import app_tables, execute
from databases import rows as committed
from filelock import FileLock
from kits import DEFERRED, base_name, developers_database, kit_on, models, test_in, write_shop
from sqlalchemy import create_engine, func, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from sqlhelpers import DatabaseManager, Runtime, Settings, get_or_create, update_or_create
from sqlhelpers.aio import get_or_create as aio_get_or_create
from sqlhelpers.exceptions import DatabaseFailure
from sqlhelpers_pytest.errors import Entangled, IsolationLost, NotIsolated, NotOurs
from sqlhelpers_pytest.nesting import Kind, kind_of
from sqlhelpers_pytest.testdatabases import lock_file


@pytest.fixture
def shop(project):
    """A project with an app."""
    write_shop(project.folder)
    return project


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def dev_url(request, tmp_path):
    """The URL of the developer's own database, of each dialect in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/dev.db"
    return developers_database(
        request.getfixturevalue("postgres_server" if request.param == "postgresql" else "mariadb_server")
    )


@pytest.fixture
def postgres_dev_url(postgres_server):
    """The same on PostgreSQL alone."""
    return developers_database(postgres_server)


@pytest.fixture
def sqlite_dev_url(tmp_path):
    """The same on SQLite alone."""
    return f"sqlite:///{tmp_path}/dev.db"


@pytest.fixture
def kit(shop, dev_url, tmp_path):  # noqa: ARG001
    """A kit for that database."""
    with kit_on(dev_url, tmp_path / "made") as made:
        yield made


@pytest.fixture
def deferred_kit(project, request, tmp_path):
    """A kit for a database with a foreign key that is checked at the commit."""
    write_shop(project.folder, DEFERRED)
    with kit_on(request.getfixturevalue(request.param), tmp_path / "made") as made:
        yield made


with_deferred = pytest.mark.parametrize("deferred_kit", ["sqlite_dev_url", "postgres_dev_url"], indirect=True)


def names(session):
    """Return the names of all authors."""
    return list(session.scalars(select(models().Author.name).order_by(models().Author.name)))


@pytest.mark.usefixtures("nothing_left_open")  # which makes it quick to collect
def test_a_test_leaves_no_trace(kit):
    """What was committed is there until the end of the test, for every session, and not after it."""
    for _ in range(3):
        with test_in(kit):
            with kit.runtime.manager().session() as session:
                session.add(models().Author(name="one"))
            with kit.runtime.manager().session() as session:
                assert names(session) == ["one"]
            with kit.runtime.manager().engine.begin() as connection:
                connection.execute(models().Author.__table__.insert(), [{"name": "two"}, {"name": "three"}])
            assert names(kit.runtime.manager().Session()) == ["one", "three", "two"]
            gc.collect()  # the session that was not closed


def test_the_configured_database_is_not_touched(shop, dev_url, tmp_path):  # noqa: ARG001
    """It has no tables afterwards; for SQLite, there is not even a file."""
    with kit_on(dev_url, tmp_path / "made") as kit, test_in(kit), kit.runtime.manager().session() as session:
        session.add(models().Author(name="one"))

    assert not (tmp_path / "dev.db").exists() if dev_url.startswith("sqlite") else app_tables(dev_url) == set()


def test_a_rollback_undoes_what_was_not_committed(kit):
    """And no more: what the same session has committed before stays."""
    with test_in(kit), kit.runtime.manager().Session() as session:
        session.add(models().Author(name="kept"))
        session.commit()
        session.add(models().Author(name="lost"))
        session.flush()
        session.rollback()

        assert names(session) == ["kept"]


def test_errors_are_those_of_the_database(kit):
    """A violated constraint undoes the session's work alone, and savepoints of the code work as ever."""
    author = models().Author
    with test_in(kit), kit.runtime.manager().Session() as session:
        session.add(author(name="one"))
        session.commit()
        session.add(author(name="two"))
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(author(name="one"))
            session.flush()
        assert get_or_create(session, author, name="one")[1] is False
        assert get_or_create(session, author, name="three")[1] is True
        assert update_or_create(session, author, name="two", defaults={"name": "too"})[1] is False
        session.commit()
        session.add_all([author(name="four"), author(name="one")])
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()

        assert names(session) == ["one", "three", "too"]


def test_savepoints_can_be_released_and_rolled_back(kit):
    """Also one within another, under names that two sessions use."""
    author = models().Author
    with test_in(kit), kit.runtime.manager().Session() as session, kit.runtime.manager().Session() as other:
        outer = session.begin_nested()
        session.add(author(name="one"))
        session.flush()
        inner = session.begin_nested()
        session.add(author(name="two"))
        session.flush()
        inner.rollback()
        inner = session.begin_nested()
        session.add(author(name="three"))
        inner.commit()
        outer.commit()
        session.commit()
        with other.begin_nested():
            other.add(author(name="four"))
        other.commit()

        assert names(session) == ["four", "one", "three"]


@with_deferred
def test_deferred_constraints_are_checked_at_the_commit(deferred_kit):
    """As they would be without isolation; the session then has rolled back, and others go on."""
    shop = models()
    with test_in(deferred_kit), deferred_kit.runtime.manager().Session() as session:
        session.add(shop.Author(name="one"))
        session.commit()
        session.add(shop.Book(author_id=99))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        assert session.scalar(select(func.count()).select_from(shop.Book)) == 0
        session.add(shop.Book(author_id=5))
        session.flush()
        session.add(shop.Author(id=5, name="later"))
        session.commit()

        assert session.scalar(select(func.count()).select_from(shop.Book)) == 1


def test_keys_that_code_defers_on_sqlite(project, sqlite_dev_url, tmp_path):
    """``PRAGMA defer_foreign_keys`` counts until the commit, which checks all tables."""
    write_shop(project.folder)
    with (
        kit_on(sqlite_dev_url, tmp_path) as kit,
        test_in(kit),
        kit.runtime.manager().Session() as session,
    ):
        session.execute(text("PRAGMA defer_foreign_keys = 1"))
        session.add(models().Book(author_id=99))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        session.add(models().Book(author_id=99))
        with pytest.raises(IntegrityError):
            session.flush()


def test_a_reader_may_roll_back_what_it_did_not_write(kit):
    """A session that has only read does not undo what others have committed since."""
    manager, author = kit.runtime.manager(), models().Author
    with test_in(kit), manager.Session() as reader:
        assert names(reader) == []
        with manager.session() as session:
            session.add(author(name="one"))
        reader.rollback()
        assert names(reader) == ["one"]
        with manager.Session() as failing:
            assert names(failing) == ["one"]
            failing.add(author(name="lost"))
            failing.flush()
        assert names(reader) == ["one"]
        with manager.session() as session:
            session.add(author(name="two"))
            session.flush()
            reader.rollback()

        assert names(reader) == ["one", "two"]


def test_two_sessions_that_write_by_turns(kit):
    """Both may commit, in any order; the one on top may roll back."""
    manager, author = kit.runtime.manager(), models().Author
    with test_in(kit), manager.Session() as first, manager.Session() as second:
        for number, (session, other) in enumerate([(first, second), (second, first)]):
            session.add(author(name=f"a{number}"))
            session.flush()
            other.add(author(name=f"b{number}"))
            other.flush()
            session.add(author(name=f"c{number}"))
            session.flush()
            session.commit()
            other.commit()
        first.add(author(name="below"))
        first.flush()
        second.add(author(name="above"))
        second.flush()
        second.rollback()
        first.commit()

        assert names(first) == ["a0", "a1", "b0", "b1", "below", "c0", "c1"]


def test_what_cannot_be_rolled_back_alone_is_refused(kit):
    """The message says what to do; what others have committed stays."""
    manager, author = kit.runtime.manager(), models().Author
    with test_in(kit), manager.Session() as first:
        first.add(author(name="first"))
        first.flush()
        with manager.session() as session:
            session.add(author(name="second"))
        with pytest.raises(Entangled, match="fresh_db"):
            first.rollback()
        first.close()

        assert names(manager.Session()) == ["first", "second"]
        first.add(author(name="third"))
        first.flush()
        with manager.session() as session:
            session.add(author(name="fourth"))
        kit.wind_up()
        first.close()


def test_a_connection_is_closed_without_an_error(kit):
    """Also where what it has written cannot be rolled back alone: all is, after the test."""
    engine = kit.runtime.manager().engine
    with test_in(kit), engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            connection.execute(models().Author.__table__.insert(), {"name": str(id(connection))})
        second.commit()
        first.invalidate()
        second.invalidate()

        assert len(names(second)) == 2


async def test_async_connections_of_the_code(kit):
    """Statements are awaited as ever; one that SQLAlchemy takes for lost is given up without an await."""
    with test_in(kit):
        async with kit.runtime.async_manager().engine.connect() as connection:
            await connection.execute(models().Author.__table__.insert(), {"name": "lost"})
            await connection.run_sync(lambda sync: sync.invalidate())
        async with kit.runtime.async_manager().engine.connect() as connection:
            assert (await connection.execute(select(models().Author))).all() == []
        await kit.runtime.dispose_async()


def test_a_savepoint_that_others_have_crossed_is_not_rolled_back_to(kit):
    """It would undo what they have committed, or are about to; to release it is no harm."""
    engine = kit.runtime.manager().engine

    def add(connection, name):
        connection.execute(models().Author.__table__.insert(), {"name": name})

    with test_in(kit), engine.connect() as first, engine.connect() as second:
        first.execute(text("SAVEPOINT one"))
        add(first, "first")
        add(second, "second")
        second.commit()
        with pytest.raises(Entangled):
            first.execute(text("ROLLBACK TO SAVEPOINT one"))
        first.execute(text("SAVEPOINT two"))
        add(second, "third")
        with pytest.raises(Entangled):
            first.execute(text("ROLLBACK TO SAVEPOINT two"))
        first.execute(text("RELEASE SAVEPOINT two"))
        second.commit()
        first.commit()

        assert names(first) == ["first", "second", "third"]


def test_a_savepoint_below_readers_can_be_rolled_back_to(kit):
    """They hold nothing that would be lost."""
    manager, author = kit.runtime.manager(), models().Author
    with test_in(kit), manager.Session() as first, manager.Session() as reader:
        nested = first.begin_nested()
        first.add(author(name="first"))
        first.flush()
        assert names(reader) == ["first"]
        nested.rollback()
        first.commit()

        assert names(reader) == []


def test_a_failed_transaction_keeps_nobody_out(kit):
    """On PostgreSQL it waits for its rollback; other sessions have their own connections, as far as they can tell."""
    manager, author = kit.runtime.manager(), models().Author
    with test_in(kit), manager.Session() as failed, manager.Session() as with_savepoint:
        with pytest.raises((ProgrammingError, OperationalError)):
            failed.execute(text("SELECT * FROM nothing"))
        with manager.session() as session:
            session.add(author(name="one"))
        failed.rollback()
        assert names(failed) == ["one"]
        failed.rollback()
        with manager.session() as session:
            session.add(author(name="three"))
            session.flush()
            with pytest.raises((ProgrammingError, OperationalError)):
                failed.execute(text("SELECT * FROM nothing"))
        failed.rollback()
        assert names(failed) == ["one", "three"]
        failed.rollback()
        with_savepoint.begin_nested()
        with_savepoint.add(author(name="two"))
        with_savepoint.flush()
        with pytest.raises((ProgrammingError, OperationalError)):
            with_savepoint.execute(text("SELECT * FROM nothing"))
        assert names(manager.Session()) == (
            ["one", "three"] if manager.engine.dialect.name == "postgresql" else ["one", "three", "two"]
        )


def test_rows_that_fail_when_they_are_fetched(shop, postgres_dev_url, tmp_path):  # noqa: ARG001
    """Of them, the kit is not told: others are let in again after the rollback."""
    with kit_on(postgres_dev_url, tmp_path) as kit, test_in(kit):
        engine = kit.runtime.manager().engine
        with engine.connect() as failed, engine.connect() as other:
            found = failed.execution_options(stream_results=True).execute(
                text("SELECT 1 / (2 - n) FROM generate_series(1, 9) AS n")
            )
            with pytest.raises(DBAPIError, match="division by zero"):
                found.all()
            with pytest.raises(DBAPIError, match="aborted"):
                other.execute(text("SELECT 1"))
            failed.rollback()

            assert other.scalar(text("SELECT 1")) == 1


def test_a_failed_transaction_cannot_commit(kit):
    """What PostgreSQL rolls back in silence is rolled back here too."""
    manager = kit.runtime.manager()
    with test_in(kit), manager.engine.connect() as connection:
        connection.execute(models().Author.__table__.insert(), {"name": "one"})
        with pytest.raises((ProgrammingError, OperationalError)):
            connection.execute(text("SELECT * FROM nothing"))
        connection.commit()

        assert names(connection) == ([] if connection.dialect.name == "postgresql" else ["one"])


def test_statements_that_end_transactions_do_so(kit):
    """BEGIN, COMMIT and ROLLBACK as text mean the transaction of the code, not the one around the test."""
    with test_in(kit), kit.runtime.manager().engine.connect() as connection:
        for end in ("COMMIT", "ROLLBACK"):
            connection.execute(text("BEGIN"))
            connection.execute(models().Author.__table__.insert(), {"name": end})
            connection.execute(text(end))
        with pytest.raises((ProgrammingError, OperationalError)):
            connection.execute(text("ROLLBACK TO SAVEPOINT nowhere"))
        connection.rollback()

        assert names(connection) == ["COMMIT"]


def test_cursors_of_the_driver(kit):
    """They are iterated, and used in a ``with``."""
    with test_in(kit), kit.runtime.manager().session() as session:
        session.add(models().Author(name="one"))
        session.flush()
        raw = session.connection().connection
        with raw.cursor() as cursor:
            cursor.arraysize = 2
            cursor.execute("SELECT name FROM author")

            assert [row[0] for row in cursor] == ["one"]


def test_autocommit_is_a_commit_of_each_statement(kit):
    """A rollback then undoes nothing, and another level changes nothing."""
    engine = kit.runtime.manager().engine
    with test_in(kit):
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(models().Author.__table__.insert(), {"name": "one"})
            connection.rollback()
        with engine.execution_options(isolation_level="SERIALIZABLE").connect() as connection:
            assert names(connection) == ["one"]


def test_sync_finds_everything_up_to_date(kit):
    """An application that syncs when it starts does so in a test as well."""
    with test_in(kit):
        assert kit.runtime.manager().sync().name == "ALREADY_UP_TO_DATE"
        assert kit.runtime.readiness()[0].is_ready


@pytest.mark.filterwarnings("ignore:.*:ResourceWarning")
def test_sync_and_async_sessions_share(kit):
    """Whatever the loop: each sees what the others have committed."""
    author = models().Author

    async def add(name):
        async with kit.runtime.async_manager().session() as session:
            created = await aio_get_or_create(session, author, name=name)
            assert (await aio_get_or_create(session, author, name=name))[1] is False
            assert [row.name async for row in await session.stream_scalars(select(author))]
            return created[1]

    with test_in(kit):
        with kit.runtime.manager().session() as session:
            session.add(author(name="sync"))
        assert asyncio.run(add("one"))
        assert asyncio.run(add("two"))
        with pytest.raises(IntegrityError):
            asyncio.run(insert(kit, "two"))
        assert names(kit.runtime.manager().Session()) == ["one", "sync", "two"]


async def insert(kit, name):
    """Insert an author."""
    async with kit.runtime.async_manager().session() as session:
        session.add(models().Author(name=name))


def test_a_driver_of_a_loop_can_be_at_home(shop, postgres_dev_url, tmp_path):  # noqa: ARG001
    """With asyncpg's connection shared, all async sessions are isolated, and a sync one says why it is not."""
    with kit_on(postgres_dev_url, tmp_path, driver="async") as kit:
        for _ in range(2):
            with test_in(kit):
                asyncio.run(insert(kit, "one"))
                with pytest.raises(IntegrityError):
                    asyncio.run(insert(kit, "one"))
                assert asyncio.run(count(kit)) == 1
        with test_in(kit), pytest.raises(NotIsolated, match="sqlhelpers_driver to sync"):
            kit.runtime.manager().engine.connect()


async def count(kit):
    """Return how many authors there are, read with a cursor of the server."""
    async with kit.runtime.async_manager().session() as session:
        return len([row async for row in await session.stream(select(models().Author))])


def test_other_runtimes_and_managers_join(kit, dev_url):
    """A runtime that the code makes for itself, and a manager without one."""
    with (
        test_in(kit),
        Runtime(Settings(databases={"default": dev_url})) as runtime,
        DatabaseManager(dev_url, "nowhere") as manager,
    ):
        with runtime.manager().session() as session:
            session.execute(models().Author.__table__.insert(), {"name": "one"})

        assert names(manager.Session()) == ["one"]


def test_other_databases_are_left_alone(kit, tmp_path):
    """An engine for another database is an engine for another database."""
    url = f"sqlite:///{tmp_path}/other.db"
    with test_in(kit), DatabaseManager(url, "nowhere") as manager, manager.engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id INTEGER)"))

    assert app_tables(url) == {"mine"}


def test_engines_that_the_kit_does_not_know_are_kept_away(kit, dev_url):
    """From the configured database: an engine of the code's own would write there, and leave what it wrote."""
    dialect, _, rest = dev_url.partition(":")
    drivers = {"sqlite": ("pysqlite", "aiosqlite"), "postgresql": ("psycopg", "asyncpg"), "mariadb": ("pymysql",) * 2}
    sync, aio = drivers[dialect]

    async def connect():
        async with create_async_engine(f"{dialect}+{aio}:{rest}").connect():
            raise AssertionError("it is let in")

    with test_in(kit):
        with pytest.raises(NotIsolated, match="not by sqlhelpers"):
            create_engine(f"{dialect}+{sync}:{rest}").connect()
        if aio != sync:
            with pytest.raises(NotIsolated):
                asyncio.run(connect())


def test_nothing_is_let_in_outside_of_a_test(kit):
    """Neither a new connection nor one of a pool, nor a session that an earlier test has forgotten."""
    manager = kit.runtime.manager()
    with pytest.raises(NotIsolated, match="outside of a test"):
        manager.engine.connect()
    with test_in(kit):
        forgotten = manager.Session()
        assert names(forgotten) == []
    with pytest.raises(NotIsolated, match="outside of a test"):
        manager.engine.connect()
    with pytest.raises(NotIsolated, match="outside of a test"):
        names(forgotten)
    forgotten.rollback()
    with test_in(kit):
        again = manager.Session()
        assert names(again) == []
        kit.end()
        kit.begin("isolated")
        with pytest.raises(NotIsolated, match="an earlier test"):
            names(again)
        again.close()
        assert names(again) == []
        again.close()


def test_a_fresh_database_has_real_commits(kit):
    """Others see them, and the next test does not; isolated tests come before and after, on the same engines."""
    author = models().Author
    for _ in range(2):
        with test_in(kit), kit.runtime.manager().session() as session:
            session.add(author(name="isolated"))
        with test_in(kit, "fresh"):
            with kit.runtime.manager().session() as session:
                assert names(session) == []
                session.add(author(name="real"))
            asyncio.run(insert(kit, "async"))
            url = kit.databases["default"].maker.url(kit.databases["default"].name)
            plain = url.render_as_string(hide_password=False)
            assert [name for (name,) in committed(plain, "SELECT name FROM author ORDER BY name")] == ["async", "real"]
    assert not kit.databases["default"].maker.exists(kit.databases["default"].work + "_fresh")


def test_a_fresh_database_is_dropped_while_others_use_it(kit):
    """A process that the test has left behind, in a transaction, does not keep it."""
    place = kit.databases["default"]
    with test_in(kit, "fresh"):
        with kit.runtime.manager().session() as session:
            assert names(session) == []
        left = DatabaseManager(place.maker.url(place.name).render_as_string(hide_password=False), "nowhere")
        connection = left.engine.connect()
        assert names(connection) == []

    assert not place.maker.exists(f"{place.work}_fresh")
    connection.invalidate()
    left.dispose()


def test_a_fresh_database_in_a_loop_of_another_thread(kit):
    """A test client has such a loop: connections are closed in it, before the database is dropped."""
    place, loop = kit.databases["default"], asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with test_in(kit, "fresh"):
        asyncio.run_coroutine_threadsafe(insert(kit, "one"), loop).result()
    asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()

    assert not place.maker.exists(f"{place.work}_fresh")


def test_a_clone_has_all_that_the_template_has(kit, dev_url):
    """Rows, keys, indexes, defaults; on MariaDB they are made one by one, with views and triggers."""
    place = kit.databases["default"]
    place.prepare("fresh")
    template = place.maker.url(place.template).render_as_string(hide_password=False)
    execute(template, "INSERT INTO author (id, name) VALUES (1, 'a%b')", "INSERT INTO book (author_id) VALUES (1)")
    if not dev_url.startswith("postgresql"):
        execute(
            template,
            "CREATE VIEW titles AS SELECT title FROM book",
            "CREATE TRIGGER named BEFORE INSERT ON author FOR EACH ROW BEGIN DELETE FROM book; END",
        )
    with test_in(kit, "fresh"), kit.runtime.manager().Session() as session:
        assert names(session) == ["a%b"]
        with pytest.raises(IntegrityError):
            session.execute(models().Book.__table__.insert(), {"author_id": 7})
        session.rollback()
        if not dev_url.startswith("postgresql"):
            session.add(models().Author(name="b"))
            session.commit()
            assert session.execute(text("SELECT * FROM titles")).all() == []


@pytest.mark.usefixtures("shop")
def test_databases_are_kept_and_rebuilt(dev_url, tmp_path):
    """The next run finds them as they are; one with other models builds them anew, and so does one that is asked to."""
    stamp = []
    for change in (None, None, "models", "asked", "killed"):
        if change == "models":
            models().Base.metadata.tables["author"].c.name.nullable = True
        with kit_on(dev_url, tmp_path / "made", rebuilds=change == "asked", run=f"run {len(stamp)}") as kit:
            place = kit.databases["default"]
            place.prepare("isolated")
            work = place.maker.url(place.work).render_as_string(hide_password=False)
            stamp.append(
                app_tables(work) - {"seen"} == {"author", "book", "sqlhelpers_pytest"} and "seen" in app_tables(work)
            )
            if "seen" not in app_tables(work):
                execute(work, "CREATE TABLE seen (id INTEGER)")
            if change == "asked":  # as a run that was killed while it built them leaves them
                for name in (place.template, place.work):
                    half = place.maker.url(name).render_as_string(hide_password=False)
                    execute(half, "UPDATE sqlhelpers_pytest SET fingerprint = ''", "DROP TABLE book")

    assert stamp == [False, True, False, False, False]


def test_what_the_kit_has_not_made_is_not_dropped(shop, dev_url, tmp_path, request):  # noqa: ARG001
    """A database with tables that has the name it needs is refused; an empty one is nobody's loss."""
    with kit_on(dev_url, tmp_path / "made") as kit:
        place = kit.databases["default"]
        place.maker.create(place.work)
        url = place.maker.url(place.work).render_as_string(hide_password=False)
        execute(url, "CREATE TABLE precious (id INTEGER)")
        with pytest.raises(NotOurs, match="drop it yourself"):
            place.prepare("isolated")
        assert app_tables(url) == {"precious"}
        execute(url, "DROP TABLE precious")
        place.prepare("isolated")
        assert app_tables(url) == {"author", "book", "sqlhelpers_pytest"}
        assert place.work.startswith(base_name(dev_url))


def test_two_runs_at_once_have_different_databases(shop, sqlite_dev_url, tmp_path):  # noqa: ARG001
    """And processes of pytest-xdist have names of their own."""
    with kit_on(sqlite_dev_url, tmp_path / "made") as kit:
        place = kit.databases["default"]
        with FileLock(lock_file(place.maker.url("test_dev"))):  # as another process holds it
            assert place.work == "test_dev_2"
    with kit_on(sqlite_dev_url, tmp_path / "made", worker="gw1") as worker:
        assert worker.databases["default"].work == "test_dev_gw1"
        assert "test_dev_gw1" in repr(worker.databases["default"])


def test_an_end_before_the_end_is_noticed(kit, dev_url):
    """What commits by itself cannot be undone: the test fails, and the database is built anew for the next one."""
    if dev_url.startswith("postgresql"):
        pytest.skip("nothing does on PostgreSQL")
    breaking = "CREATE TABLE more (id INTEGER)"
    kit.begin("isolated")
    connection = kit.runtime.manager().engine.connect()
    connection.execute(models().Author.__table__.insert(), {"name": "one"})
    if dev_url.startswith("sqlite"):
        connection.connection.cursor().executescript(breaking)
    else:
        connection.execute(text(breaking))
        with pytest.raises(IsolationLost, match="DDL on MariaDB"):
            connection.commit()
    connection.invalidate()
    connection.close()
    with pytest.raises(IsolationLost, match="fresh_db"):
        kit.end()
    with test_in(kit):
        assert names(kit.runtime.manager().Session()) == []


def test_several_databases(shop, sqlite_dev_url, postgres_dev_url, tmp_path):  # noqa: ARG001
    """Each bind has its own, made when it is used; two that have one URL share."""
    binds = {"default": sqlite_dev_url, "same": sqlite_dev_url, "reports": postgres_dev_url}
    with kit_on(binds, tmp_path / "made") as kit:
        with test_in(kit):
            for bind in ("default", "reports"):
                with kit.runtime.manager(bind).engine.begin() as connection:
                    connection.execute(text("CREATE TABLE mine (id INTEGER)"))
            with kit.runtime.manager("same").engine.connect() as connection:
                assert connection.execute(text("SELECT * FROM mine")).all() == []
        assert len(kit.all) == 2
        with test_in(kit), kit.runtime.manager("reports").engine.connect() as connection:
            assert not inspect(connection).has_table("mine")


def test_a_role_that_may_not_make_databases_is_told(shop, postgres_url, tmp_path):  # noqa: ARG001
    """The message says what to grant, or what to start."""
    with kit_on(postgres_url, tmp_path) as kit, pytest.raises(DatabaseFailure, match="CREATEDB"):
        kit.begin("isolated")


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SAVEPOINT a", Kind.SETS_SAVEPOINT),
        ("RELEASE a;", Kind.RELEASES),
        ("rollback to savepoint a", Kind.ROLLS_BACK_TO),
        ("START TRANSACTION", Kind.BEGINS),
        ("END", Kind.COMMITS),
        ("ROLLBACK", Kind.ROLLS_BACK),
        (" ( SELECT 1", Kind.READS),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Kind.READS),
        ("WITH a AS (DELETE FROM b RETURNING id) SELECT * FROM a", Kind.WRITES),
        ("COMMENT ON TABLE a IS 'b'", Kind.WRITES),
        ("VACUUM", Kind.WRITES),
    ],
)
def test_kinds_of_statements(statement, kind):
    """A statement reads only if it says so with its first word."""
    assert kind_of(statement)[0] is kind
