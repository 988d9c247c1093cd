"""The fixtures. What they are made of is imported when a test asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from sqlhelpers import DatabaseManager, Runtime, Settings
    from sqlhelpers.aio import AsyncDatabaseManager
    from sqlhelpers_pytest.binds import ByBind, FreshDatabases
    from sqlhelpers_pytest.kit import Kit
    from sqlhelpers_pytest.migrating import MigratedDatabase
    from sqlhelpers_pytest.servers import Server

__all__ = [
    "async_db_manager",
    "async_db_managers",
    "async_db_session",
    "async_db_sessions",
    "db_manager",
    "db_managers",
    "db_session",
    "db_sessions",
    "fresh_db",
    "insert_at_revision",
    "sqlhelpers_kit",
    "sqlhelpers_migrated",
    "sqlhelpers_runtime",
    "sqlhelpers_settings",
]

#: Where the kit of a run is.
KIT: pytest.StashKey[Kit] = pytest.StashKey()

#: Where its throwaway server is, if there is one.
SERVER: pytest.StashKey[Server] = pytest.StashKey()


def asks(names: Collection[str]) -> bool:
    """Tell whether a test with these fixtures uses the databases."""
    return "sqlhelpers_runtime" in names


def wanted_mode(names: Collection[str]) -> str:
    """Return how a test with these fixtures uses the databases; empty if it does not."""
    return ("fresh" if "fresh_db" in names else "isolated") if asks(names) else ""


@pytest.fixture(scope="session")
def sqlhelpers_settings() -> Settings:
    """The settings whose databases tests use copies of; override it where they are not read from the environment."""
    from sqlhelpers import Settings

    return Settings()


@pytest.fixture(scope="session")
def sqlhelpers_kit(request: pytest.FixtureRequest, sqlhelpers_settings: Settings) -> Iterator[Kit]:
    """The kit of this run, which is started with the first test that asks."""
    from sqlhelpers_pytest.kit import Kit
    from sqlhelpers_pytest.options import read_options
    from sqlhelpers_pytest.serving import server_of

    kit = Kit(sqlhelpers_settings, read_options(request.config, server_of(request.config)))
    kit.start()
    request.config.stash[KIT] = kit
    yield kit
    del request.config.stash[KIT]
    kit.stop()


@pytest.fixture
def sqlhelpers_runtime(request: pytest.FixtureRequest, sqlhelpers_kit: Kit) -> Iterator[Runtime]:
    """A runtime of the project's settings, whose databases are there, up to date, and as if no test had run."""
    sqlhelpers_kit.begin(wanted_mode(request.fixturenames))
    yield sqlhelpers_kit.runtime
    sqlhelpers_kit.finish()


@pytest.fixture
def fresh_db(sqlhelpers_runtime: Runtime, sqlhelpers_kit: Kit) -> FreshDatabases:  # noqa: ARG001  # it begins the test
    """Databases of the test's own, in which commits are real; their URLs by bind."""
    from sqlhelpers_pytest.binds import FreshDatabases

    return FreshDatabases(sqlhelpers_kit)


@pytest.fixture
def db_manager(sqlhelpers_runtime: Runtime) -> DatabaseManager:
    """The manager of the default database."""
    return sqlhelpers_runtime.manager()


@pytest.fixture
def async_db_manager(sqlhelpers_runtime: Runtime) -> AsyncDatabaseManager:
    """The async manager of the default database."""
    return sqlhelpers_runtime.async_manager()


@pytest.fixture
def db_managers(sqlhelpers_runtime: Runtime) -> ByBind[DatabaseManager]:
    """The managers by bind: ``db_managers["reports"]``."""
    from sqlhelpers_pytest.binds import ByBind

    return ByBind(sqlhelpers_runtime.manager)


@pytest.fixture
def async_db_managers(sqlhelpers_runtime: Runtime) -> ByBind[AsyncDatabaseManager]:
    """The async managers by bind."""
    from sqlhelpers_pytest.binds import ByBind

    return ByBind(sqlhelpers_runtime.async_manager)


@pytest.fixture
def db_sessions(sqlhelpers_runtime: Runtime) -> Iterator[ByBind[Session]]:
    """Sessions by bind: ``db_sessions["reports"]``, each opened when it is first asked for."""
    from sqlhelpers_pytest.binds import ByBind

    opened = ByBind(lambda bind: sqlhelpers_runtime.manager(bind).Session())
    yield opened
    for session in opened.values():
        session.close()


@pytest.fixture
def db_session(db_sessions: ByBind[Session]) -> Session:
    """A session of the default database, which may commit; others see what it has flushed."""
    return db_sessions["default"]


@pytest.fixture
def async_db_sessions(sqlhelpers_runtime: Runtime, sqlhelpers_kit: Kit) -> Iterator[ByBind[AsyncSession]]:
    """Async sessions by bind, for a loop of any scope: the fixture itself needs none."""
    from sqlhelpers_pytest.binds import ByBind, close_async, open_async

    opened: ByBind[Any] = ByBind(lambda bind: open_async(sqlhelpers_runtime.async_manager(bind), sqlhelpers_kit))
    yield opened
    for session in opened.values():
        close_async(session)


@pytest.fixture
def async_db_session(async_db_sessions: ByBind[AsyncSession]) -> AsyncSession:
    """An async session of the default database."""
    return async_db_sessions["default"]


@pytest.fixture
def sqlhelpers_migrated(sqlhelpers_kit: Kit, sqlhelpers_app: str) -> Iterator[MigratedDatabase]:
    """An empty database for the migrations of an app; those of the apps before it are there."""
    from sqlhelpers_pytest.migrating import MigratedDatabase

    if sqlhelpers_kit.runtime.apps[sqlhelpers_app].migrations is None:
        pytest.skip(f"app {sqlhelpers_app!r} has no migrations")
    migrated = MigratedDatabase(sqlhelpers_kit, sqlhelpers_app)
    yield migrated
    migrated.drop()


@pytest.fixture
def insert_at_revision(sqlhelpers_kit: Kit) -> Iterator[Callable[..., MigratedDatabase]]:
    """Insert rows into a database that is at a revision: ``insert_at_revision(app, revision, {table: rows})``.

    The database that it returns is then upgraded, and its rows are looked at.
    """
    from sqlhelpers_pytest.migrating import MigratedDatabase

    made: list[MigratedDatabase] = []

    def insert(app: str, revision: str, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> MigratedDatabase:
        migrated = MigratedDatabase(sqlhelpers_kit, app)
        made.append(migrated)
        migrated.upgrade(revision)
        migrated.insert(rows)
        return migrated

    yield insert
    for each in made:
        each.drop()
