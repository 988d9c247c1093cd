"""``DatabaseManager``: one database's engine, sessions and migrations. Its async twin is in ``aio``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sqlalchemy import inspect

from sqlhelpers.backends import backend_of
from sqlhelpers.engines import make_engine, wait_for
from sqlhelpers.managers.base import BaseManager
from sqlhelpers.managers.migrations import Migrations
from sqlhelpers.migrations.state import single_revision

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from sqlalchemy import orm
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.orm import sessionmaker

    from sqlhelpers.managers.database import Apps
    from sqlhelpers.reports import DatabaseStatus, Finding, Movement, Readiness, SyncResult

R = TypeVar("R")


class _Bound(NamedTuple):
    """An engine and its session factory."""

    engine: Engine
    sessions: sessionmaker[orm.Session]


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

    _bound: _Bound | None = None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine."""
        return (self._bound or self._bind()).engine

    @property
    def Session(self) -> sessionmaker[orm.Session]:  # noqa: N802  # sqlalchemy-helpers' and SQLAlchemy's name
        """The session factory. Who calls it also commits and closes; ``session()`` does both."""
        return (self._bound or self._bind()).sessions

    def _bind(self) -> _Bound:
        """Make the engine, once for all threads that come at once: a hook may use other managers meanwhile."""
        from sqlalchemy.orm import sessionmaker

        with self._making:
            if self._bound is None:
                engine = make_engine(self.database.bind, self.database.settings, self.database.hooks)
                self._bound = _Bound(engine, sessionmaker(backend_of(engine).for_sessions(engine)))
            return self._bound

    @property
    def migrations(self) -> Migrations:
        """What looks at the schema and changes it, and writes revisions."""
        return Migrations(self.database, lambda: self.engine)

    @contextmanager
    def session(self) -> Iterator[orm.Session]:
        """Open a session: commit when the block succeeds, roll back when it raises, close in any case.

        Within the block, query methods of models that are called without a session use this one.
        """
        from sqlhelpers.sessions import opened

        with self.Session() as session, opened(session, self, self.database.serves):
            yield session  # not in begin(): the block may commit for itself, and go on
            session.commit()

    def get_status(self, session: orm.Session | None = None) -> DatabaseStatus:
        """Return the state of the database compared with what the installed code expects."""
        return self.migrations.get_report(session).status

    def get_current_revision(self, session: orm.Session | None = None, app: str | None = None) -> str | None:
        """Return the revision that the database is at; None if none is recorded.

        Args:
            session: the session to ask with; None to connect for it.
            app: the app to ask about; may be left out where there is only one.
        """
        return single_revision(self.migrations.get_current_revisions(session, app))

    def sync(self) -> SyncResult:
        """Bring the database to the state that the code expects: create, upgrade, or leave it.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        return self.migrations.sync().result

    def create(self) -> None:
        """Create the tables, and record the newest revision. See ``Migrations.create``."""
        self.migrations.create()

    def upgrade(self, target: str = "head", app: Apps = None) -> tuple[Movement, ...]:
        """Run the revisions up to ``target``, and return how far each app was moved. See ``Migrations.upgrade``."""
        return self.migrations.upgrade(target, app)

    def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the database. See ``Migrations.check``."""
        return self.migrations.check()

    def drop(self, app: str | None = None) -> None:
        """Drop the tables of one app or of all, with their positions and journal, and nothing else."""
        self.migrations.drop(app)

    def get_readiness(self, timeout: float | None = None) -> Readiness:
        """Return whether the database can serve the installed code, with one small query; see ``managers.readiness``.

        Args:
            timeout: how many seconds it may take; None for as long as the limits of the database let it.
        """

        def read() -> Readiness:
            try:
                return self.database.read(lambda: self.engine, None, self._probe.read, self._probe.expected())
            except Exception as error:  # noqa: BLE001  # what is no failure of the database is raised again
                return self._probe.failed(error)

        return self._probe.ask(read, timeout)

    def wait(self, seconds: float) -> None:
        """Wait until the server lets us in, at most for so many seconds; then raise what it said.

        What will not pass by itself, a wrong password for instance, is raised at once.
        """
        wait_for(self.engine, seconds)

    def dispose(self) -> None:
        """Close the pooled connections. The manager can be used again; it then connects anew."""
        if self._bound is not None:
            self._bound.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()


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
