"""``DatabaseManager`` and ``AsyncDatabaseManager``, used without a runtime."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from databases import execute, rows
from projects import revision_text
from sqlalchemy import ForeignKey, MetaData, String, Table, create_engine, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool, StaticPool

import sqlhelpers
from sqlhelpers import (
    DatabaseManager,
    DatabaseSettings,
    DatabaseStatus,
    Runtime,
    Settings,
    SyncResult,
    aio,
    exists_in_db,
    hookimpl,
    is_sqlite,
)
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.backends import Lock
from sqlhelpers.discovery import PluginManager
from sqlhelpers.exceptions import (
    AppError,
    DatabaseFailure,
    LockTimeout,
    MigrationsNotFound,
    SettingsError,
    StateRefused,
)
from sqlhelpers.managers.migrations import AsyncMigrations, Migrations
from sqlhelpers.migrations.running import locks
from sqlhelpers.migrations.running.sync import create_tables


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=sqlhelpers.NAMING_CONVENTION)


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Pet(Base):
    __tablename__ = "pets"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))


USERS = """op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), nullable=False),
    sa.UniqueConstraint("name", name=op.f("uq_users_name")),
)"""
PETS = """op.create_table(
    "pets",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner_id", sa.Integer, sa.ForeignKey("users.id", name=op.f("fk_pets_owner_id_users")), nullable=False),
)"""


@pytest.fixture
def migrations(tmp_path):
    """A migrations folder with two revisions."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "versions/a.py").write_text(revision_text("a", USERS))
    (folder / "versions/b.py").write_text(revision_text("b", PETS, "a"))
    return folder


def test_the_life_of_a_database(url, migrations):
    """Status, sync, revisions and drop, under the ancestor's names."""
    with DatabaseManager(url, str(migrations), base_model=Base) as manager:
        seen = [manager.get_status(), manager.sync(), manager.get_status(), manager.sync()]
        revisions = (manager.get_current_revision(), manager.get_latest_revision())
        with manager.Session() as session:
            session.execute(text("UPDATE alembic_version SET version_num = 'a'"))
            with_session = (manager.get_current_revision(session), manager.get_status(session))
        manager.drop()
        after = (manager.get_status(), manager.get_current_revision())

    assert seen == [
        DatabaseStatus.NO_INFO, SyncResult.CREATED, DatabaseStatus.UP_TO_DATE, SyncResult.ALREADY_UP_TO_DATE,
    ]  # fmt: skip
    assert revisions == ("b", "b")
    assert with_session == ("a", DatabaseStatus.UPGRADE_AVAILABLE)
    assert after == (DatabaseStatus.NO_INFO, None)


async def test_the_life_of_a_database_asynchronously(url, migrations):
    """The twin does the same with await."""
    async with AsyncDatabaseManager(url, str(migrations), base_model=Base) as manager:
        seen = [await manager.get_status(), await manager.sync(), await manager.get_status(), await manager.sync()]
        revisions = (await manager.get_current_revision(), manager.get_latest_revision())
        async with manager.Session() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = 'a'"))
            with_session = (await manager.get_current_revision(session), await manager.get_status(session))
        await manager.drop()
        after = (await manager.get_status(), await manager.get_current_revision())

    assert seen == [
        DatabaseStatus.NO_INFO, SyncResult.CREATED, DatabaseStatus.UP_TO_DATE, SyncResult.ALREADY_UP_TO_DATE,
    ]  # fmt: skip
    assert revisions == ("b", "b")
    assert with_session == ("a", DatabaseStatus.UPGRADE_AVAILABLE)
    assert after == (DatabaseStatus.NO_INFO, None)


def test_create_and_upgrade(sqlite_url, migrations):
    """Each half of a sync can be had alone; upgrade stops at its target."""
    with DatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        manager.upgrade("a")
        behind = (manager.get_current_revision(), manager.get_status())
        manager.upgrade()
        up_to_date = manager.get_status()
        manager.drop()
        manager.create()

        assert behind == ("a", DatabaseStatus.UPGRADE_AVAILABLE)
        assert up_to_date is DatabaseStatus.UP_TO_DATE
        assert manager.get_current_revision() == "b"


def test_an_unknown_target_is_one_line(sqlite_url, migrations):
    """It names the folder, or the app."""
    with (
        DatabaseManager(sqlite_url, migrations, base_model=Base) as manager,
        pytest.raises(AppError, match=r"the migrations folder .* there is no revision 'zzz'"),
    ):
        manager.upgrade("zzz")


def test_a_session_commits_or_rolls_back(sqlite_url, migrations):
    """The context manager commits on success and rolls back on an error."""
    with DatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        manager.create()
        with manager.session() as session:
            session.add(User(name="kept"))
        with pytest.raises(ZeroDivisionError), manager.session() as session:
            session.add(User(name="lost"))
            session.flush()
            raise ZeroDivisionError
        with manager.session() as session:
            names = [user.name for user in session.query(User)]

    assert names == ["kept"]


async def test_an_async_session_commits_or_rolls_back(sqlite_url, migrations):
    """So does the twin's."""
    async with AsyncDatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        await manager.create()
        async with manager.session() as session:
            session.add(User(name="kept"))
        with pytest.raises(ZeroDivisionError):
            async with manager.session() as session:
                session.add(User(name="lost"))
                await session.flush()
                raise ZeroDivisionError
        async with manager.session() as session:
            names = (await session.scalars(text("SELECT name FROM users"))).all()

    assert names == ["kept"]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_commit_that_fails_on_sqlite_leaves_nothing(sqlite_url, migrations, kind):
    """SQLite would keep the transaction open: its lock and its row are gone, and the connection can be used again."""
    create = "CREATE TABLE x (y INTEGER PRIMARY KEY, z INTEGER REFERENCES x (y) DEFERRABLE INITIALLY DEFERRED)"
    execute(sqlite_url, create)
    options = {"pool_size": 1, "connect_args": {"timeout": 0}}

    with DatabaseManager(sqlite_url, migrations, engine_args=options) as manager:
        async with AsyncDatabaseManager(sqlite_url, migrations, engine_args=options) as twin:

            async def run(statement):
                if kind == "sync":
                    with manager.session() as session:
                        session.execute(text(statement))
                else:
                    async with twin.session() as session:
                        await session.execute(text(statement))

            with pytest.raises(IntegrityError):
                await run("INSERT INTO x VALUES (1, 7)")
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0)) as other:
                other.execute("INSERT INTO x VALUES (2, NULL)")
                other.commit()
            await run("INSERT INTO x VALUES (3, NULL)")

    assert rows(sqlite_url, "SELECT y FROM x ORDER BY y") == [(2,), (3,)]


def test_a_database_in_memory_is_one_database(migrations):
    """Schema, version and sessions share it."""
    with DatabaseManager("sqlite://", migrations, base_model=Base) as manager:
        manager.sync()
        with manager.session() as session:
            session.add(User(name="here"))

        assert manager.get_status() is DatabaseStatus.UP_TO_DATE
        assert isinstance(manager.engine.pool, StaticPool)
        with manager.session() as session:
            assert session.query(User).count() == 1


async def test_an_async_database_in_memory_is_one_database(migrations):
    """The same for the twin."""
    async with AsyncDatabaseManager("sqlite:///:memory:", migrations, base_model=Base) as manager:
        await manager.sync()
        async with manager.session() as session:
            session.add(User(name="here"))

        assert await manager.get_status() is DatabaseStatus.UP_TO_DATE
        async with manager.session() as session:
            assert (await session.scalars(text("SELECT count(*) FROM users"))).one() == 1


async def test_foreign_keys_hold_on_sqlite(sqlite_url, migrations):
    """On our engines, sync and async, and on nobody else's."""
    with DatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        manager.sync()
        with pytest.raises(IntegrityError), manager.session() as session:
            session.add(Pet(owner_id=9))
    async with AsyncDatabaseManager(sqlite_url, migrations, base_model=Base) as twin:
        with pytest.raises(IntegrityError):
            async with twin.session() as session:
                session.add(Pet(owner_id=9))
    other = create_engine(sqlite_url)
    with other.connect() as connection:
        elsewhere = connection.scalar(text("PRAGMA foreign_keys"))
    other.dispose()

    assert elsewhere == 0


def test_only_a_new_sqlite_file_is_put_into_wal_mode(sqlite_url, migrations, tmp_path):
    """The mode of a file that is there already is its owner's business."""
    other = create_engine(f"sqlite:///{tmp_path}/old.db")
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE stranger (id integer)"))
    other.dispose()
    modes = []
    for url in (sqlite_url, f"sqlite:///{tmp_path}/old.db"):
        with DatabaseManager(url, migrations, base_model=Base) as manager:
            manager.sync()
            with manager.engine.connect() as connection:
                modes.append(connection.scalar(text("PRAGMA journal_mode")))

    assert modes == ["wal", "delete"]


def test_a_batch_rebuild_keeps_the_child_rows(sqlite_url, migrations):
    """SQLite would delete them by cascade if foreign keys were on while the parent is rebuilt."""
    batch = "with op.batch_alter_table('users') as batch:\n    batch.alter_column('name', type_=sa.String(99))"
    with DatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        manager.create()
        with manager.session() as session:
            session.execute(text("INSERT INTO users VALUES (1, 'x')"))
            session.execute(text("INSERT INTO pets VALUES (1, 1), (2, 1)"))
        (migrations / "versions/c.py").write_text(revision_text("c", batch, "b"))
        manager.sync()
        with manager.session() as session:
            left = session.scalar(text("SELECT count(*) FROM pets"))
            enforced = session.scalar(text("PRAGMA foreign_keys"))

    assert left == 2
    assert enforced == 1


def test_a_revision_that_orphans_rows_is_undone(sqlite_url, migrations):
    """Foreign keys are not enforced while revisions run, so they are checked before the commit."""
    (migrations / "versions/c.py").write_text(revision_text("c", "op.execute('DELETE FROM users')", "b"))
    with DatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        manager.upgrade("b")
        with manager.session() as session:
            session.execute(text("INSERT INTO users VALUES (1, 'x')"))
            session.execute(text("INSERT INTO pets VALUES (1, 1)"))

        with pytest.raises(IntegrityError, match="rows would lose their parents: 1 in pets without users"):
            manager.sync()

        assert manager.get_current_revision() == "b"
        with manager.session() as session:
            assert session.scalar(text("SELECT count(*) FROM users")) == 1


def test_the_engine_is_made_when_it_is_needed(migrations):
    """A manager for a database that is not there can be made, and asked about its files."""
    with DatabaseManager("postgresql://u:hunter22@127.0.0.1:1/d", migrations, base_model=Base) as manager:
        manager.dispose()

        assert manager.get_latest_revision() == "b"
        assert "hunter22" not in repr(manager)
        assert "hunter22" not in repr(vars(manager.alembic_cfg))
        assert "hunter22" not in str(manager.alembic_cfg.get_main_option("sqlalchemy.url"))
        assert manager.alembic_cfg.get_main_option("script_location") == str(migrations)


def test_the_callers_options_are_not_changed(migrations):
    """The ancestor wrote the URL into them."""
    options = {"echo": False, "poolclass": NullPool, "connect_args": {"timeout": 3}}
    before = pickle.dumps(options)

    with DatabaseManager("sqlite:///x.db", migrations, engine_args=options, base_model=Base) as manager:
        manager.engine.connect  # noqa: B018

    assert pickle.dumps(options) == before
    assert isinstance(manager.engine.pool, NullPool)


def test_wrong_arguments_are_told(migrations):
    """A misspelt option and a URL that is none are settings errors; a missing folder is told when it is needed."""
    with pytest.raises(SettingsError, match=r"pool_sze is not an option .* did you mean pool_size"):
        DatabaseManager("sqlite://", migrations, engine_args={"pool_sze": 3})
    with pytest.raises(SettingsError, match="not a database URL"):
        DatabaseManager("nonsense", migrations)
    with pytest.raises(MigrationsNotFound, match="nowhere is missing"):
        DatabaseManager("sqlite://", "nowhere").sync()


def test_two_managers_do_not_see_each_other(tmp_path, migrations):
    """Each has its own engine and database."""
    with (
        DatabaseManager(f"sqlite:///{tmp_path}/one.db", migrations, base_model=Base) as one,
        DatabaseManager(f"sqlite:///{tmp_path}/two.db", migrations, base_model=Base) as two,
    ):
        one.sync()

        assert one.get_status() is DatabaseStatus.UP_TO_DATE
        assert two.get_status() is DatabaseStatus.NO_INFO


def test_the_default_bases(sqlite_url, migrations):
    """Without a base model, each manager takes the base of its own module."""
    sync_only = Table("sync_only", sqlhelpers.Base.metadata)
    async_only = Table("async_only", aio.Base.metadata)
    try:
        found = [
            manager(sqlite_url, migrations).database.history().tables
            for manager in (DatabaseManager, AsyncDatabaseManager)
        ]
    finally:
        sqlhelpers.Base.metadata.remove(sync_only)
        aio.Base.metadata.remove(async_only)

    assert [sync_only in found[0], async_only in found[1], async_only in found[0], sync_only in found[1]] == [
        *(True, True),
        *(False, False),
    ]


def test_migration_helpers(url, migrations):
    """``is_sqlite`` and ``exists_in_db`` take engines and connections."""
    with DatabaseManager(url, migrations, base_model=Base) as manager:
        manager.sync()
        with manager.engine.connect() as connection:
            found = [
                exists_in_db(bind, *names)
                for bind in (manager.engine, connection)
                for names in (("users",), ("users", "name"), ("users", "nope"), ("nope",), ("nope", "name"))
            ]

            assert found == [True, True, False, False, False] * 2
            assert is_sqlite(connection) == is_sqlite(manager.engine) == url.startswith("sqlite")


def test_twins_have_the_same_methods():
    """Names, parameters, defaults and results of both managers are equal, but for what is async alone."""

    def members(cls):
        found = {name: value for each in reversed(cls.__mro__[:-1]) for name, value in vars(each).items()}
        public = {name: value for name, value in found.items() if not name.startswith("_")}
        signatures = {
            name: str(inspect.signature(value)) for name, value in public.items() if inspect.isfunction(value)
        }
        words = (("AsyncSession", "orm.Session"), ("AsyncIterator", "Iterator"))
        for before, after in words:
            signatures = {name: signature.replace(before, after) for name, signature in signatures.items()}
        return signatures, public.keys() - signatures.keys()

    methods, others = members(AsyncDatabaseManager)
    assert methods.pop("run_sync")
    assert members(DatabaseManager) == (methods, others)


def test_migrations_are_awaited_by_the_same_names():
    """Every method has its twin, with the same parameters; there is no other."""

    def methods(cls):
        return {name: value for name, value in vars(cls).items() if inspect.isfunction(value) and name[0] != "_"}

    found = methods(AsyncMigrations)
    assert found.keys() == methods(Migrations).keys()
    for name, method in methods(Migrations).items():
        assert inspect.signature(found[name]) == inspect.signature(method)
        assert inspect.iscoroutinefunction(found[name]), name


async def test_a_check_that_waits_lets_the_loop_go_on(tmp_path, migrations):
    """For another run of the process, also where the file of SQLite is not there yet."""
    turns, enough = [], asyncio.Event()

    async def turn():
        while len(turns) < 20:
            await asyncio.sleep(0.01)
            turns.append(1)
        enough.set()

    async with AsyncDatabaseManager(f"sqlite:///{tmp_path}/x.db", migrations, base_model=Base) as manager:
        turning = asyncio.create_task(turn())
        with locks.alembic_alone("another run", 1):
            checking = asyncio.create_task(manager.migrations.check())
            await enough.wait()
            assert not checking.done()
        await checking
        await turning


def test_a_hook_may_use_another_manager(tmp_path):
    """While an engine is made, from any thread."""
    hooked = []

    class Plugin:
        @hookimpl
        def sqlhelpers_engine_created(self, bind):
            if bind == "default":
                with ThreadPoolExecutor(1) as threads:
                    hooked.append(threads.submit(lambda: runtime.manager("other").engine).result(timeout=5))
                hooked.append(runtime.manager("default").bind)

    plugins = PluginManager()
    plugins.register(Plugin(), "plugin")
    urls = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("default", "other")}
    with Runtime(Settings(databases=urls), plugin_manager=plugins) as runtime:
        engine = runtime.manager().engine

        assert hooked == [runtime.manager("other").engine, "default"]
        assert engine is runtime.manager().engine


def test_an_async_sync_works_in_a_running_loop_and_in_several(sqlite_url, migrations):
    """Three loops in a row, each with a manager of its own."""

    async def once():
        async with AsyncDatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
            return await manager.sync()

    results = [asyncio.run(once()) for _ in range(3)]

    assert results == [SyncResult.CREATED, SyncResult.ALREADY_UP_TO_DATE, SyncResult.ALREADY_UP_TO_DATE]


async def test_a_sync_without_work_leaves_its_connection_to_the_manager(sqlite_url, migrations):
    """A thread of aiosqlite whose end nobody awaits could outlive the loop; ``dispose`` awaits it."""
    cut: list[object] = []
    async with AsyncDatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        await manager.sync()
        event.listen(manager.engine.sync_engine, "invalidate", lambda *_: cut.append(1))
        result = await manager.sync()

    assert (result, cut) == (SyncResult.ALREADY_UP_TO_DATE, [])


async def test_two_syncs_at_once_in_one_loop_do_not_meet(tmp_path, migrations):
    """Alembic's ``op`` belongs to the process, so runs wait for each other, without blocking the loop."""
    managers = [AsyncDatabaseManager(f"sqlite:///{tmp_path}/{i}.db", migrations, base_model=Base) for i in range(8)]

    async def upgrade(manager):
        async with manager:
            await manager.upgrade()
            return await manager.get_status()

    seen = await asyncio.gather(*(upgrade(manager) for manager in managers))

    assert seen == [DatabaseStatus.UP_TO_DATE] * 8


def test_two_syncs_at_once_in_threads_do_not_meet(tmp_path, migrations):
    """The same for threads."""

    def upgrade(number):
        with DatabaseManager(f"sqlite:///{tmp_path}/{number}.db", migrations, base_model=Base) as manager:
            manager.upgrade()
            return manager.get_status()

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(upgrade, range(8)))

    assert seen == [DatabaseStatus.UP_TO_DATE] * 8


async def test_a_run_that_does_not_end_is_not_waited_for_for_ever(sqlite_url, migrations):
    """Both managers give up in time, with exit status 4."""
    settings = DatabaseSettings(
        sqlalchemy={"url": sqlite_url}, alembic={"migrations_path": migrations}, lock_timeout=0.1
    )
    with ThreadPoolExecutor() as pool, locks.alembic_alone("database 'other'", 1):  # in another thread than:
        with DatabaseManager.from_settings(settings, base_model=Base) as manager:
            waited = pool.submit(manager.sync).exception()
        twin = AsyncDatabaseManager.from_settings(settings, base_model=Base)
        caught = pool.submit(asyncio.run, twin.sync()).exception()

    assert isinstance(waited, LockTimeout)
    assert "another run in this process has not ended in time: database 'other'" in str(waited)
    assert isinstance(caught, LockTimeout)

    assert caught.exit_status == 4


def test_upgrade_and_create_refuse_what_sync_refuses(url, migrations):
    """A doubtful state is doubtful for every way in."""
    with DatabaseManager(url, migrations, base_model=Base) as manager:
        with manager.engine.begin() as connection:
            connection.execute(text("CREATE TABLE users (id integer, other integer)"))
        for way in (manager.upgrade, manager.create, manager.sync):
            with pytest.raises(StateRefused, match=r"its tables are there .users."):
                way()

        assert manager.get_current_revision() is None


def test_drop_needs_models(sqlite_url, migrations):
    """Without them nobody knows which tables the revisions have made."""
    settings = DatabaseSettings(sqlalchemy={"url": sqlite_url}, alembic={"migrations_path": migrations})
    with DatabaseManager.from_settings(settings, type("Empty", (DeclarativeBase,), {})) as manager:
        manager.sync()

        with pytest.raises(AppError, match="no models beside it"):
            manager.drop()
        assert manager.get_current_revision() == "b"


def test_a_block_may_commit_for_itself_and_go_on(sqlite_url, migrations):
    """What follows a commit is in a new transaction."""
    with DatabaseManager(sqlite_url, migrations, base_model=Base) as manager:
        manager.create()
        with manager.session() as session:
            session.add(User(name="one"))
            session.commit()
            session.add(User(name="two"))
        with manager.session() as session:
            assert session.query(User).count() == 2


def test_tables_that_another_run_has_made_meanwhile_are_not_stamped(postgres_url, migrations):
    """Their shape is that of the other run's code, which may be older."""
    with (
        DatabaseManager(postgres_url, migrations, base_model=Base) as manager,
        manager.engine.connect() as connection,
    ):
        history = manager.database.history()
        manager.upgrade("a")
        run = manager.database._run(connection, Lock())

        with pytest.raises(DatabaseFailure, match="another run has recorded a revision in alembic_version meanwhile"):
            create_tables(connection, run, history)
        connection.rollback()
        assert manager.get_current_revision() == "a"


async def wrote_and_read(manager):
    """Use a manager twice in one loop, through its pool."""
    for _ in range(2):
        async with manager.session() as session:
            await session.execute(text("SELECT 1"))
    return await manager.get_status()


def test_an_async_manager_serves_one_loop_after_the_other(url, migrations):
    """Connections of a loop that is gone are not used again."""
    manager = AsyncDatabaseManager(url, migrations, base_model=Base)

    async def once():
        try:
            await manager.sync()
            return await wrote_and_read(manager)
        finally:
            await manager.dispose()

    assert [asyncio.run(once()) for _ in range(3)] == [DatabaseStatus.UP_TO_DATE] * 3


def test_a_loop_that_was_closed_without_disposing_does_no_harm(postgres_url, migrations):
    """What it left open is not used again; the next loop works all the same."""
    code = f"""
import asyncio
from sqlalchemy import text
from sqlhelpers.aio import AsyncDatabaseManager

manager = AsyncDatabaseManager({postgres_url!r}, {str(migrations)!r})


async def once():
    for _ in range(2):
        async with manager.session() as session:
            print(await session.scalar(text("SELECT 1")))


for _ in range(3):
    asyncio.run(once())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.split() == ["1"] * 6


async def test_two_loops_at_once_have_engines_of_their_own(postgres_url, migrations):
    """As a test has that prepares data in its own loop, and calls an application that runs in another."""
    manager = AsyncDatabaseManager(postgres_url, migrations, base_model=Base)

    async def elsewhere():
        seen = await wrote_and_read(manager)
        engine = manager.engine
        await manager.dispose()
        return seen, engine

    async with manager:
        mine = manager.engine
        here = await wrote_and_read(manager)
        there, other = await asyncio.to_thread(asyncio.run, elsewhere())
        again = await wrote_and_read(manager)

        assert [here, there, again] == [DatabaseStatus.NO_INFO] * 3
        assert manager.engine is mine
        assert other is not mine


async def test_an_engine_may_be_had_before_its_loop(sqlite_url, migrations):
    """To attach listeners where no loop runs; the first loop takes it."""
    manager = AsyncDatabaseManager(sqlite_url, migrations, base_model=Base)

    early = await asyncio.to_thread(lambda: manager.engine)
    await wrote_and_read(manager)
    during = manager.engine
    await manager.dispose()

    assert during is early
    assert manager.engine is early


def test_an_engine_that_was_used_before_a_fork(postgres_url, migrations):
    """Children connect for themselves, and the parent's connection is still good."""
    code = f"""
import os
from sqlalchemy import text
from sqlhelpers import DatabaseManager

manager = DatabaseManager({postgres_url!r}, {str(migrations)!r})


def backend():
    with manager.session() as session:
        return session.scalar(text("SELECT pg_backend_pid()"))


mine = backend()
reader, writer = os.pipe()
for _ in range(4):
    child = os.fork()
    if not child:
        os.write(writer, b"%d %d\\n" % (backend(), backend()))
        os._exit(0)
    os.waitpid(child, 0)
os.close(writer)
print(mine, backend(), *os.read(reader, 9999).split(), sep=" ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    first, second, *children = done.stdout.replace("b'", "").replace("'", "").split()
    assert first == second
    assert len(children) == 8
    assert len({first, *children}) == 5
