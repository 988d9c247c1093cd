"""``Database``: what both managers do, as synchronous functions over an ``Engine`` or a ``Connection``."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import contains
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers import journal, locks, timeouts, urls
from sqlhelpers.defaults import default_hooks
from sqlhelpers.dialects import empty_database, refuse_hidden_tables
from sqlhelpers.engines import database_url
from sqlhelpers.exceptions import AppError, DriverNotInstalled, MigrationsNotFound
from sqlhelpers.histories import History, current_revisions, read_status
from sqlhelpers.revision_files import RevisionFiles
from sqlhelpers.revisions import Revisions
from sqlhelpers.server_locks import Lock
from sqlhelpers.settled import settled_report
from sqlhelpers.sources import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.config import Config
    from sqlalchemy import FromClause
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.hooks import Hooks
    from sqlhelpers.report import DatabaseReport, Finding, JournalEntry
    from sqlhelpers.runs import Progress, Run
    from sqlhelpers.settings import DatabaseSettings

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Database:
    """One configured database: its settings, the histories of its apps in order, and its plugins."""

    bind: str
    settings: DatabaseSettings
    load_histories: Callable[[], Sequence[History]] = field(repr=False)
    hooks: Hooks = field(repr=False)
    serves: Callable[[FromClause], bool] = field(repr=False)  # whether a table is in it

    @classmethod
    def alone(cls, settings: DatabaseSettings, base_model: type[DeclarativeBase]) -> Database:
        """Return the database of a manager that is made without a runtime; no file is read yet."""
        alembic = settings.alembic
        files = RevisionFiles(alembic.migrations_path, cache_folder()) if alembic.migrations_path else None

        def one_history() -> tuple[History]:
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
        return cls("default", settings, one_history, default_hooks(), partial(contains, tables))

    @property
    def histories(self) -> Sequence[History]:
        """The histories in the order in which they are synced, read anew: models and files may have come."""
        alembic = self.settings.alembic
        return [
            replace(each, url=self._url_for(each), journaled=alembic.journal, strict=alembic.strict)
            for each in self.load_histories()
        ]

    def _url_for(self, history: History) -> URL:
        """Return the URL for an ``env.py`` that connects for itself."""
        aio = history.revisions is not None and history.revisions.has_async_environment
        try:
            return urls.resolve(self.url, aio=aio, drivers=self.hooks.drivers())
        except DriverNotInstalled:
            return self.url

    @cached_property
    def url(self) -> URL:
        """The URL, not yet resolved to a driver."""
        return database_url(self.bind, self.settings, self.hooks)

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

    def migrated_histories(self, app: str | None = None) -> Sequence[History]:
        """Return the history of ``app``, or of every app that has migrations; checked as by ``checked_histories``."""
        histories = self.checked_histories()
        return [self.history(app)] if app is not None else [each for each in histories if each.revisions is not None]

    def history(self, app: str | None = None) -> History:
        """Return the history of ``app``, or the only one there is.

        Raises:
            AppError: there is no such app here, or several and none was named.
        """
        histories = self.histories
        found = [history for history in histories if app is None or history.app == app]
        if len(found) == 1:
            return found[0]
        names = ", ".join(str(history.app) for history in histories) or "none"
        wanted = f"there is no app {app!r}" if app else "name one app"
        raise AppError(f"database {self.bind!r}: {wanted} (apps: {names})")

    def config(self, app: str | None = None) -> Config:
        """Return an Alembic configuration for ``app``: its folder, and the URL without its password."""
        from sqlhelpers.scripts import alembic_config

        history = self.history(app)
        if history.revisions is None:
            raise AppError(f"app {history.app!r} has no migrations")
        config = alembic_config(history.revisions.folder)
        config.set_main_option("sqlalchemy.url", urls.mask(self.url).replace("%", "%%"))
        return config

    def latest(self, app: str | None = None) -> str | None:
        """Return the newest revision in the files; None if there are none."""
        revisions = self.history(app).revisions
        return revisions.head() if revisions and revisions.heads() else None

    def wait(self, engine: Engine, seconds: float) -> None:
        """Wait for a server that is not up yet."""
        timeouts.wait_for(engine, seconds)

    def sync(self, engine: Engine, histories: Sequence[History], progress: Progress | None = None) -> DatabaseReport:
        """Bring the database to the state that the code expects. Without a lock, if it is seen at once to be there.

        Args:
            engine: the engine; of an async manager the sync one, below ``greenlet_spawn``.
            histories: the apps in the order in which they are synced, checked.
            progress: told of every revision before it runs.
        """
        settled = settled_report(engine, self.bind, urls.mask(self.url), histories, self.hooks)
        if settled:
            return settled
        from sqlhelpers.migrations import sync_database  # here and below: what a run without work can do without

        return self.change(engine, progress, sync_database, histories)

    def change(
        self,
        engine: Engine,
        progress: Progress | None,
        work: Callable[Concatenate[Connection, Run, P], R],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> R:
        """Do work that changes the database, on a connection of its own, while nobody else's run does.

        Args:
            engine: the engine; of an async manager the sync one, below ``greenlet_spawn``.
            progress: told of every revision before it runs.
            work: gets the connection, the run, and what follows.
            *arguments: handed on.
            **options: handed on.

        Raises:
            LockTimeout: another run did not end in time.
        """
        shown = urls.mask(self.url)
        where = f"database {self.bind!r} ({shown})"
        with (
            locks.only_run(engine, where, self.settings.lock_timeout) as lock,
            locks.connected(engine, lock) as connection,
        ):
            return work(connection, self._run(connection, lock, progress), *arguments, **options)

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
        from sqlhelpers.runs import Run
        from sqlhelpers.schema_limits import SchemaLimits

        alembic = self.settings.alembic
        limits = SchemaLimits(
            connection,
            alembic.ddl_lock_timeout,
            alembic.ddl_statement_timeout,
            is_pooled=self.settings.pooler is not None,
        )
        shown, patience = urls.mask(self.url), self.settings.lock_timeout
        return Run(self.bind, shown, self.hooks, lock, limits, patience, progress)

    @contextmanager
    def _scratch(self, engine: Engine) -> Iterator[tuple[Connection, Run]]:
        from sqlhelpers.scratch import scratch_database

        with scratch_database(engine, self.bind, self.settings, self.hooks) as connection:
            yield connection, self._run(connection, Lock())

    def current(self, connection: Connection, app: str | None = None) -> tuple[str, ...]:
        """Return the revisions that the database is at."""
        history = self.history(app)
        refuse_hidden_tables(connection, [history.version_table])
        return current_revisions(connection, history)

    def read(self, connection: Connection) -> DatabaseReport:
        """Return the state of every app."""
        return read_status(connection, self.bind, urls.mask(self.url), self.histories)

    def journal(self, connection: Connection, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to ``app``, or to every app, the oldest first."""
        places = {None, *(history.version_table_schema for history in self.load_histories())}
        found = (entry for place in places for entry in journal.read(connection, place))
        return tuple(entry for entry in found if app is None or entry.app == app)

    def adopt(self, connection: Connection, run: Run, history: History, revision: str | None) -> tuple[str, ...]:
        """Record the position of tables that are there already; return what differs if that is wrong."""
        from sqlhelpers import decisions

        return decisions.adopt(connection, run, history, revision, self._differences_at)

    def _differences_at(self, connection: Connection, history: History, revision: str) -> tuple[str, ...]:
        from sqlhelpers import checks

        others = [each for each in self.histories if each.app != history.app]
        scratch = partial(self._scratch, connection.engine)
        try:
            return checks.compare_with_revision(connection, history, revision, others, scratch)
        except (SQLAlchemyError, OSError) as error:
            reason = urls.scrub(str(getattr(error, "orig", None) or error), self.url)
            _log.warning("adopted %s on your word: no scratch database to compare with: %s", revision, reason)
            return ()

    def retire(self, connection: Connection, run: Run, app: str, *, drop_tables: bool) -> None:
        """Remove the record of an app that is not installed."""
        from sqlhelpers import decisions

        self.refuse_installed(app)
        decisions.retire(connection, run, app, self.histories, drop_tables=drop_tables)

    def refuse_installed(self, app: str) -> None:
        """Raise if ``app`` is installed, and so cannot be retired."""
        if any(history.app == app for history in self.histories):
            raise AppError(f"app {app!r} is installed: `sqlhelpers drop {app}` removes its tables and their record")

    def sql(self) -> str:
        """Return what all revisions of all apps do to an empty database; nothing is connected to."""
        from sqlhelpers.offline import revisions_as_sql

        dialect = self.url.get_backend_name()
        with locks.alembic_alone(f"database {self.bind!r}", self.settings.lock_timeout):
            return "".join(revisions_as_sql(each, dialect) for each in self.checked_histories() if each.revisions)

    def check(self, connection: Connection) -> tuple[Finding, ...]:
        """Return what is wrong with the database."""
        from sqlhelpers import checks

        with locks.alembic_alone(f"database {self.bind!r}", self.settings.lock_timeout):
            return checks.check(connection, self.histories, partial(self._scratch, connection.engine))
