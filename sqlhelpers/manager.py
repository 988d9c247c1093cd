"""``DatabaseManager``: one database's engine, sessions and migrations. Its async twin is in ``aio``."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import sessionmaker

from sqlhelpers.database import Database, single_revision
from sqlhelpers.dialects import empty_database, is_absent
from sqlhelpers.engines import make_engine
from sqlhelpers.locks import one_run_at_a_time
from sqlhelpers.models import Base
from sqlhelpers.queries import get_by_pk, get_one, get_or_create, update_or_create
from sqlhelpers.report import DatabaseStatus, SyncResult
from sqlhelpers.sessions import opened
from sqlhelpers.settings import DatabaseSettings, database_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from os import PathLike
    from types import TracebackType
    from typing import Self

    from alembic.config import Config
    from sqlalchemy import orm
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.migrations import Progress
    from sqlhelpers.report import DatabaseReport

__all__ = [
    "Base",
    "BaseManager",
    "DatabaseManager",
    "DatabaseStatus",
    "SyncResult",
    "exists_in_db",
    "get_by_pk",
    "get_one",
    "get_or_create",
    "is_sqlite",
    "update_or_create",
]

R = TypeVar("R")


class BaseManager:
    """What the two managers have in common: the database, and what can be told without connecting."""

    _default_base: type[DeclarativeBase] = Base

    def __init__(
        self,
        url: str | URL,
        alembic_location: str | PathLike[str],
        *,
        engine_args: Mapping[str, Any] | None = None,
        base_model: type[DeclarativeBase] | None = None,
    ) -> None:
        settings = database_settings(
            sqlalchemy={**(engine_args or {}), "url": url},
            alembic={"migrations_path": alembic_location},
        )
        self.database = Database.alone(settings, base_model or self._default_base)

    @classmethod
    def from_settings(cls, settings: DatabaseSettings, base_model: type[DeclarativeBase] | None = None) -> Self:
        """Return a manager for ``settings``, which may be a part of settings of your own.

        Args:
            settings: the URL and options of the engine, and where the migrations are.
            base_model: the declarative base of the models; the default one if None.
        """
        return cls.serving(Database.alone(settings, base_model or cls._default_base))

    @classmethod
    def serving(cls, database: Database) -> Self:
        """Return a manager for a database that a runtime has put together from settings and apps."""
        manager = cls.__new__(cls)
        manager.database = database
        return manager

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.database.bind} {self.database.settings.sqlalchemy.url}>"

    @property
    def bind(self) -> str:
        """The name of the database in the settings; ``default`` for a manager made without a runtime."""
        return self.database.bind

    @property
    def alembic_cfg(self) -> Config:
        """An Alembic configuration for the only app. The URL in it has no password."""
        return self.alembic_config()

    def alembic_config(self, app: str | None = None) -> Config:
        """Return an Alembic configuration for ``app``. The URL in it has no password."""
        return self.database.config(app)

    def get_latest_revision(self, app: str | None = None) -> str | None:
        """Return the newest revision in the migrations folder; None if there is none.

        Args:
            app: the app to ask about; may be left out where there is only one.

        Raises:
            MultipleHeads: there are several.
        """
        return self.database.latest(app)


class DatabaseManager(BaseManager):
    """The engine, the sessions and the migrations of one database.

    The engine is made when it is first used. A manager can be used as a context manager, which
    disposes of the engine at the end.

    Args:
        url: the database's URL, with or without a driver.
        alembic_location: the migrations folder, which holds ``versions/``.
        engine_args: options for ``create_engine``. The mapping is not changed.
        base_model: the declarative base of the models; ``sqlhelpers.Base`` if None.

    Raises:
        SettingsError: the URL or an option is wrong.
    """

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine."""
        return make_engine(self.database.bind, self.database.settings, self.database.hooks)

    @cached_property
    def Session(self) -> sessionmaker[orm.Session]:  # noqa: N802  # the ancestor's and SQLAlchemy's name
        """The session factory. Who calls it also commits and closes; ``session()`` does both."""
        return sessionmaker(self.engine)

    @contextmanager
    def session(self) -> Iterator[orm.Session]:
        """Open a session: commit when the block succeeds, roll back when it raises, close in any case.

        Within the block, query methods of models that are called without a session use this one.
        """
        with self.Session() as session, opened(session, self, self.database.serves):
            yield session  # not in begin(): the block may commit for itself, and go on
            session.commit()

    def _read(self, session: orm.Session | None, work: Callable[..., R], *arguments: Any) -> R:
        if session is not None:
            return work(session.connection(), *arguments)
        if is_absent(self.database.url):  # connecting would make the file
            with empty_database() as connection:
                return work(connection, *arguments)
        with self.engine.connect() as connection:
            return work(connection, *arguments)

    def _change(self, work: Callable[..., R], *arguments: Any) -> R:
        with one_run_at_a_time(), self.engine.connect() as connection:
            return work(connection, *arguments)

    def _change_existing(self, work: Callable[..., R], *arguments: Any) -> R:
        if is_absent(self.database.url):
            with empty_database() as connection:
                return work(connection, *arguments)
        return self._change(work, *arguments)

    def get_current_revision(self, session: orm.Session | None = None, app: str | None = None) -> str | None:
        """Return the revision that the database is at; None if none is recorded.

        Args:
            session: the session to ask with; None to connect for it.
            app: the app to ask about; may be left out where there is only one.
        """
        return single_revision(self.get_current_revisions(session, app))

    def get_current_revisions(self, session: orm.Session | None = None, app: str | None = None) -> tuple[str, ...]:
        """Return all the revisions that the database is at; empty if none is recorded."""
        return self._read(session, self.database.current, app)

    def get_status(self, session: orm.Session | None = None) -> DatabaseStatus:
        """Return the state of the database beside what the installed code expects."""
        return self.get_report(session).status

    def get_report(self, session: orm.Session | None = None) -> DatabaseReport:
        """Return the state of every app in the database."""
        return self._read(session, self.database.read)

    def sync(self) -> SyncResult:
        """Bring the database to the state that the code expects: create, upgrade, or leave it.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        return self.sync_apps().result

    def sync_apps(self, progress: Progress | None = None) -> DatabaseReport:
        """As ``sync``, and return what was found and done for every app.

        Args:
            progress: called before each revision runs, with the app, the revision, its place and their number.
        """
        return self._change(self.database.sync, self.database.checked_histories(), progress)

    def create(self) -> None:
        """Create the tables, and record the newest revision.

        Raises:
            StateRefused: there are tables already, and no revision says in which shape.
        """
        self._change(self.database.create, self.database.checked_histories())

    def upgrade(self, target: str = "heads", app: str | None = None, progress: Progress | None = None) -> None:
        """Run the revisions up to ``target``, for one app or for all.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        self._change(self.database.upgrade, self.database.checked_histories(), target, app, progress)

    def adopt(self, app: str | None = None) -> tuple[str, ...]:
        """Record the newest revision for tables that are there without one, if they are as the models say.

        Returns:
            the differences, if there are any; nothing was then recorded.

        Raises:
            Refused: there is nothing to adopt, because the app has no tables here or a revision is recorded.
        """
        return self._change_existing(self.database.adopt, app)

    def drop(self) -> None:
        """Drop the tables of the apps and the record of their positions, and nothing else."""
        self._change_existing(self.database.drop)

    def dispose(self) -> None:
        """Close the pooled connections. The manager can be used again; it then connects anew."""
        if "engine" in vars(self):
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dispose()


def is_sqlite(bind: Engine | Connection) -> bool:
    """Tell whether the database is SQLite. For use in revisions: ``is_sqlite(op.get_bind())``."""
    return bind.dialect.name == "sqlite"


def exists_in_db(bind: Engine | Connection, tablename: str, columnname: str | None = None) -> bool:
    """Tell whether a table, and a column of it, exist. For use in revisions.

    Args:
        bind: an engine or a connection.
        tablename: the table to look for.
        columnname: the column to look for in it; None to look for the table alone.
    """
    inspector = inspect(bind)
    if columnname is None or not inspector.has_table(tablename):
        return inspector.has_table(tablename)
    return any(column["name"] == columnname for column in inspector.get_columns(tablename))
