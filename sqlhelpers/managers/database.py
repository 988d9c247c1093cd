"""``Database``: one configured database, and what both managers do with it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import contains
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers import urls
from sqlhelpers.backends import Backend, Lock, backend_of, connected, empty_database
from sqlhelpers.config import cache_folder
from sqlhelpers.discovery import Hooks
from sqlhelpers.engines import database_url
from sqlhelpers.exceptions import AppError, DriverNotInstalled, InvalidURL, MigrationsNotFound
from sqlhelpers.migrations.revisions import RevisionFiles, Revisions
from sqlhelpers.migrations.running import alembic_alone, only_run
from sqlhelpers.migrations.state import History, read_journal, refuse_shared
from sqlhelpers.suggestions import unknown_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from alembic.config import Config
    from sqlalchemy import FromClause
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import DeclarativeBase, Session

    from sqlhelpers.backends import Client
    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.migrations.running import Progress, Run
    from sqlhelpers.reports import JournalEntry

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)

#: One app, several, or None for what the function says.
Apps = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Database:
    """One configured database: its settings, the histories of its apps in order, and its plugins."""

    bind: str
    settings: DatabaseSettings
    load_histories: Callable[..., Sequence[History]] = field(repr=False)
    hooks: Hooks = field(repr=False)
    serves: Callable[[FromClause], bool] = field(repr=False)  # whether a table is in it

    @classmethod
    def standalone(cls, settings: DatabaseSettings, base_model: type[DeclarativeBase]) -> Self:
        """Return the database of a manager that is made without a runtime; no file is read yet."""
        alembic = settings.alembic
        files = RevisionFiles(alembic.migrations_path, cache_folder()) if alembic.migrations_path else None

        def one_history(*, unwritten: bool = False) -> tuple[History]:  # noqa: ARG001  # what is used tells
            if files is None:
                raise MigrationsNotFound("the settings have no alembic.migrations_path, which this needs")
            history = History(
                tables=tuple(base_model.metadata.tables.values()),
                revisions=Revisions(files),
                version_table=alembic.version_table,
                version_table_schema=alembic.version_table_schema,
            )
            return (history,)

        tables = base_model.metadata.tables.values()  # a view: more may come
        return cls("default", settings, one_history, Hooks(), partial(contains, tables))

    @property
    def histories(self) -> Sequence[History]:
        """The histories in the order in which they are synced, read anew: models and files may have come."""
        return self._read_histories()

    def histories_for_authors(self) -> Sequence[History]:
        """Return the histories, those included that have no revisions yet."""
        return self._read_histories(unwritten=True)

    def _read_histories(self, **options: bool) -> Sequence[History]:
        alembic = self.settings.alembic
        return [
            replace(each, url=self._url_for(each), journaled=alembic.journal, strict=alembic.strict)
            for each in self.load_histories(**options)
        ]

    def _url_for(self, history: History) -> URL:
        """Return the URL for an ``env.py`` that connects for itself."""
        aio = history.revisions is not None and history.revisions.has_async_environment
        try:
            return self.backend.resolve(self.url, aio=aio)
        except DriverNotInstalled:
            return self.url

    @property
    def url(self) -> URL:
        """The URL, not yet resolved to a driver."""
        return self._url

    @cached_property
    def _url(self) -> URL:
        return database_url(self.bind, self.settings, self.hooks)

    @property
    def backend(self) -> Backend:
        """What is particular to databases of this kind."""
        return self.hooks.backend(self.url)

    @property
    def is_absent(self) -> bool:
        """Whether there is no database yet, and connecting would make one."""
        return self.backend.is_absent(self.url)

    def client(self, arguments: Sequence[str] = ()) -> Client:
        """Return the command-line client for the database, with arguments of the user's own behind ours.

        Raises:
            ConfigurationError: there is no such program, or none is known for the kind of database.
            DatabaseFailure: the file of SQLite is not there.
        """
        connect_args = self.settings.sqlalchemy.connect_args or {}
        return self.backend.client(self.bind, self.url, connect_args, arguments)

    @property
    def has_sync_driver(self) -> bool:
        """Whether a driver for sync managers is installed; where there is none, the async manager serves.

        Raises:
            InvalidURL: the dialect or the driver is unknown.
        """
        try:
            return self.hooks.has_sync_driver(self.url)
        except InvalidURL as error:
            raise InvalidURL(f"database {self.bind!r}: {error}") from error

    @property
    def masked_url(self) -> str:
        """The URL as it may be shown."""
        return urls.mask(self.url)

    def checked_histories(self) -> Sequence[History]:
        """Return the histories, once it is sure that every migrations folder can be read and has one head.

        Raises:
            MultipleHeads: an app's history has several heads.
            MigrationsNotFound: a migrations folder is missing or holds no revisions.
        """
        histories = self.histories
        for history in histories:
            if history.revisions is not None:
                history.revisions.head()
        return histories

    def histories_of(self, app: Apps = None, *, several_heads: bool = True) -> Sequence[History]:
        """Return the histories of one app or several, or of every app that has migrations, in the order of a sync.

        Args:
            app: the app or the apps; ``-`` for the history that belongs to none.
            several_heads: whether a history may have several heads.

        Raises:
            AppError: there is no such app here.
        """
        histories = [replace(each, several_heads=several_heads) for each in self.histories]
        if app is None:
            return [each for each in histories if each.revisions is not None]
        wanted = {app} if isinstance(app, str) else set(app)
        missing = sorted(wanted - {each.name for each in histories})
        if missing:
            raise self._no_app(missing[0], histories)
        return [each for each in histories if each.name in wanted]

    def history(self, app: str | None = None) -> History:
        """Return the history of ``app``, or the only one there is.

        Raises:
            AppError: there is no such app here, or several and none was named.
        """
        histories = self.histories
        found = [history for history in histories if app in (None, history.name)]
        if len(found) == 1:
            return found[0]
        raise self._no_app(app, histories)

    def _no_app(self, app: str | None, histories: Sequence[History]) -> AppError:
        names = [history.name for history in histories]
        if app:
            return unknown_app(app, names, bind=self.bind)
        return AppError(f"database {self.bind!r}: name one app (apps: {', '.join(names) or 'none'})")

    def config(self, app: str | None = None) -> Config:
        """Return an Alembic configuration for ``app``: its folder, and the URL without its password."""
        from sqlhelpers.migrations.revisions import alembic_config, standalone_config

        folder = self.history(app).require_revisions().folder
        config = alembic_config(folder) if (folder / "env.py").is_file() else standalone_config(folder)
        config.set_main_option("sqlalchemy.url", self.masked_url.replace("%", "%%"))
        return config

    def head_revision(self, app: str | None = None) -> str | None:
        """Return the newest revision in the files; None if there are none."""
        revisions = self.history(app).revisions
        return revisions.head() if revisions and revisions.heads() else None

    def read(
        self,
        engine: Callable[[], Engine],
        session: Session | AsyncSession | None,
        work: Callable[..., R],
        *arguments: Any,
    ) -> R:
        """Call ``work`` with a connection and the arguments, and return what it returns.

        Args:
            engine: returns the engine.
            session: the session whose connection it is; None to connect for it.
            work: looks at the database; where there is none, it gets an empty one.
            arguments: what it gets after the connection.
        """
        if session is not None:
            return work(getattr(session, "sync_session", session).connection(), *arguments)
        if self.is_absent:  # connecting would make it
            with empty_database() as connection:
                return work(connection, *arguments)
        with engine().connect() as connection:
            return work(connection, *arguments)

    def change(
        self,
        engine: Engine,
        progress: Progress | None,
        work: Callable[Concatenate[Connection, Run, P], R],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> R:
        """Do work that changes the database, on a connection of its own, while nobody else's run does.

        The ``work`` gets the connection, the run, and what follows.

        Raises:
            LockTimeout: another run did not end in time.
        """
        where = f"database {self.bind!r} ({self.masked_url})"
        with (
            only_run(engine, where, self.settings.lock_timeout) as lock,
            connected(engine, lock) as connection,
        ):
            self.refuse_shared(connection)
            return work(connection, self._run(connection, lock, progress), *arguments, **options)

    def refuse_shared(self, connection: Connection) -> None:
        """Raise if two apps define one table: which schema is the default, only the server may know.

        Raises:
            AppError: naming both apps.
        """
        is_ours = not connection.in_transaction()
        refuse_shared(backend_of(connection).naming(connection), self.bind, self.load_histories(unwritten=True))
        if is_ours:
            connection.rollback()

    def change_nothing(
        self,
        work: Callable[Concatenate[Connection, Run, P], R],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> R:
        """Do work that changes what is there, where there is no database yet."""
        with empty_database() as connection:
            return work(connection, self._run(connection, Lock()), *arguments, **options)

    def _run(self, connection: Connection, lock: Lock, progress: Progress | None = None) -> Run:
        from sqlhelpers.migrations.running import Run

        alembic, is_pooled = self.settings.alembic, self.settings.pooler is not None
        waits = alembic.ddl_lock_timeout, alembic.ddl_statement_timeout
        limits = backend_of(connection).revision_limits(connection, *waits, is_pooled=is_pooled)
        return Run(self.bind, self.masked_url, self.hooks, lock, limits, self.settings.lock_timeout, progress)

    def alembic_alone(self) -> AbstractContextManager[None]:
        """Keep other runs of this process out, which would use the same Alembic."""
        return alembic_alone(f"database {self.bind!r}", self.settings.lock_timeout)

    @contextmanager
    def scratch(self, engine: Engine) -> Iterator[tuple[Connection, Run]]:
        """Connect to an empty database on the same server, with a run on it."""
        from sqlhelpers.migrations import scratch_database

        with scratch_database(engine, self.bind, self.settings, self.hooks) as connection:
            yield connection, self._run(connection, Lock())

    def read_journal(self, connection: Connection, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to ``app``, or to every app, the oldest first."""
        naming = backend_of(connection).naming(connection)
        places = {None, *(naming.schema(history.version_table_schema) for history in self.load_histories())}
        found = (entry for place in places for entry in read_journal(connection, place))
        return tuple(entry for entry in found if app is None or entry.app == app)

    def differences_at(self, connection: Connection, history: History, revision: str) -> tuple[str, ...]:
        """Return how the tables of an app differ from those that its revisions up to ``revision`` make."""
        from sqlhelpers.migrations import compare_with_revision

        others = [each for each in self.histories if each.app != history.app]
        scratch = partial(self.scratch, connection.engine)
        try:
            return compare_with_revision(connection, history, revision, others, scratch)
        except (SQLAlchemyError, OSError) as error:
            reason = urls.scrub(str(getattr(error, "orig", None) or error), self.url)
            _log.warning("adopted %s on your word: no scratch database to compare with: %s", revision, reason)
            return ()

    def refuse_installed(self, app: str) -> None:
        """Raise if ``app`` is installed, and so cannot be retired."""
        if any(history.app == app for history in self.histories):
            raise AppError(f"app {app!r} is installed: `sqlhelpers drop {app}` removes its tables and their record")
