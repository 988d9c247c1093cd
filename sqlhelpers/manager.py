"""``DatabaseManager``: one database's engine, sessions and migrations. Its async twin is in ``aio``."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import sessionmaker

from sqlhelpers.basemanager import BaseManager
from sqlhelpers.dialects import empty_database, for_sessions, is_absent
from sqlhelpers.engines import make_engine
from sqlhelpers.histories import single_revision
from sqlhelpers.models import Base
from sqlhelpers.queries import get_by_pk, get_one, get_or_create, update_or_create
from sqlhelpers.report import DatabaseStatus, SyncResult
from sqlhelpers.sessions import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from sqlalchemy import orm
    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.health import Readiness
    from sqlhelpers.report import DatabaseReport, Finding, JournalEntry
    from sqlhelpers.runs import Progress

__all__ = [
    "Base",
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

_making = threading.Lock()


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
        with _making:  # threads that come at once share one engine
            if "engine" not in vars(self):
                made = make_engine(self.database.bind, self.database.settings, self.database.hooks)
                vars(self)["engine"] = made
            return vars(self)["engine"]  # type: ignore[no-any-return]

    @cached_property
    def Session(self) -> sessionmaker[orm.Session]:  # noqa: N802  # the ancestor's and SQLAlchemy's name
        """The session factory. Who calls it also commits and closes; ``session()`` does both."""
        return sessionmaker(for_sessions(self.engine))

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

    def _change(self, work: Callable[..., R], *arguments: Any, progress: Progress | None = None, **options: Any) -> R:
        return self.database.change(self.engine, progress, work, *arguments, **options)

    def _change_existing(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        if is_absent(self.database.url):  # connecting would make the file
            return self.database.change_nothing(work, *arguments, **options)
        return self._change(work, *arguments, **options)

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

    def get_readiness(self, timeout: float | None = None) -> Readiness:
        """Return whether the database can serve the installed code, with one small query; see ``sqlhelpers.health``.

        Args:
            timeout: how many seconds it may take; None for as long as the limits of the database let it.
        """

        def read() -> Readiness:
            try:
                return self._read(None, self._probe.read, self._probe.expected())
            except Exception as error:  # noqa: BLE001  # what is no failure of the database is raised again
                return self._probe.failed(error)

        return self._probe.ask(read, timeout)

    def wait(self, seconds: float) -> None:
        """Wait until the server lets us in, at most for so many seconds; then raise what it said.

        What will not pass by itself, a wrong password for instance, is raised at once.
        """
        self.database.wait(self.engine, seconds)

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
        return self._change(self.database.sync, self.database.checked_histories(), progress=progress)

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
        self._change(self.database.upgrade, self.database.checked_histories(), target, app, progress=progress)

    def downgrade(self, target: str, app: str | None = None, progress: Progress | None = None) -> None:
        """Undo the revisions after ``target``: a revision, ``"-1"`` for the last one, ``"base"`` for all.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        self._change(self.database.downgrade, self.database.history(app), target, progress=progress)

    def adopt(self, app: str | None = None, revision: str | None = None) -> tuple[str, ...]:
        """Record a revision for tables that are there without one, if they are as it makes them.

        Args:
            app: the app; may be left out where there is only one.
            revision: the revision that the tables are at; None for the newest, whose tables are those of the models.

        Returns:
            the differences, if there are any; nothing was then recorded.

        Raises:
            Refused: there is nothing to adopt, because the app has no tables here or a revision is recorded.
        """
        return self._change_existing(self.database.adopt, self.database.history(app), revision)

    def repair(self, app: str | None = None, *, applied: bool) -> tuple[str, ...]:
        """Take your word about a revision that was begun and not finished, so that runs go on.

        Args:
            app: the app; may be left out where there is only one.
            applied: you have completed what it does; False if you have undone what it had done.

        Returns:
            the differences between tables and models, if the creation of the tables was interrupted and they are
            not as the models say; nothing was then recorded.

        Raises:
            Refused: nothing was interrupted.
        """
        return self._change_existing(self.database.repair, self.database.history(app), applied=applied)

    def drop(self, app: str | None = None) -> None:
        """Drop the tables of one app or of all, with their positions and journal, and nothing else."""
        histories = self.database.histories if app is None else [self.database.history(app)]
        self._change_existing(self.database.drop, histories)

    def retire(self, app: str, *, drop_tables: bool = False) -> None:
        """Remove the position and the journal of an app that is not installed any more, and its tables if you say so.

        Raises:
            Refused: nothing here belongs to such an app, or the journal does not know its tables.
        """
        self._change_existing(self.database.retire, app, drop_tables=drop_tables)

    def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the database beside what the installed code expects; nothing is changed.

        Scratch databases are made on the same server, to compare what models and revisions make.
        """
        return self._read(None, self.database.check)

    def journal(self, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to one app or to all, the oldest first."""
        return self._read(None, self.database.journal, app)

    def dispose(self) -> None:
        """Close the pooled connections. The manager can be used again; it then connects anew."""
        if "engine" in vars(self):
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
