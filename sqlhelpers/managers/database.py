"""``Database``: one configured database, and what both managers do with it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import contains
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers import urls
from sqlhelpers.backends import Backend, Lock, backend_of, connected, empty_database
from sqlhelpers.config import cache_folder
from sqlhelpers.discovery import Hooks
from sqlhelpers.engines import database_url
from sqlhelpers.exceptions import AppError, DriverNotInstalled, InvalidURL, MigrationsNotFound
from sqlhelpers.migrations.revisions import RevisionFiles, Revisions
from sqlhelpers.migrations.running import alembic_alone, only_run, report_if_up_to_date
from sqlhelpers.migrations.state import (
    History,
    current_revisions,
    named,
    position,
    read_journal,
    read_status,
    refuse_shared,
    traces,
)
from sqlhelpers.suggestions import unknown_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from alembic.config import Config
    from sqlalchemy import FromClause
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.backends import Client
    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.migrations.running import Progress, Run, Script
    from sqlhelpers.reports import DatabaseReport, Finding, JournalEntry, Position, Trace

#: One app, several, or None for what the function says.
Apps = str | tuple[str, ...] | None


@dataclass(frozen=True)
class ConfiguredDatabase:
    """One configured database: its settings, the histories of its apps in order, and its plugins."""

    bind: str
    settings: DatabaseSettings
    load_histories: Callable[..., Sequence[History]] = field(repr=False)
    hooks: Hooks = field(repr=False)
    serves: Callable[[FromClause], bool] = field(repr=False)  # whether a table is in it

    @classmethod
    def alone(cls, settings: DatabaseSettings, base_model: type[DeclarativeBase]) -> Self:
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

    @cached_property
    def url(self) -> URL:
        """The URL, not yet resolved to a driver."""
        return database_url(self.bind, self.settings, self.hooks)

    @property
    def backend(self) -> Backend:
        """What is particular to databases of this kind."""
        return self.hooks.backend(self.url)

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
    def shown(self) -> str:
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

    def chosen(self, app: Apps = None, *, several_heads: bool = True) -> Sequence[History]:
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
        config.set_main_option("sqlalchemy.url", self.shown.replace("%", "%%"))
        return config

    def latest(self, app: str | None = None) -> str | None:
        """Return the newest revision in the files; None if there are none."""
        revisions = self.history(app).revisions
        return revisions.head() if revisions and revisions.heads() else None


P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Database(ConfiguredDatabase):
    """One configured database, and what both managers do with it, over an ``Engine`` or a ``Connection``.

    An async manager hands over the sync ones below its own, within ``greenlet_spawn``.
    """

    def sync(self, engine: Engine, histories: Sequence[History], progress: Progress | None = None) -> DatabaseReport:
        """Bring the database to the state that the code expects. Without a lock, if it is seen at once to be there."""
        settled = report_if_up_to_date(engine, self.bind, self.shown, histories, self.hooks)
        if settled:
            return settled
        from sqlhelpers.migrations.running import (
            sync_database,  # here and below: what a run without work can do without
        )

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

        The ``work`` gets the connection, the run, and what follows.

        Raises:
            LockTimeout: another run did not end in time.
        """
        where = f"database {self.bind!r} ({self.shown})"
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
        return Run(self.bind, self.shown, self.hooks, lock, limits, self.settings.lock_timeout, progress)

    def alembic_alone(self) -> AbstractContextManager[None]:
        """Keep other runs of this process out, which would use the same Alembic."""
        return alembic_alone(f"database {self.bind!r}", self.settings.lock_timeout)

    @contextmanager
    def scratch(self, engine: Engine) -> Iterator[tuple[Connection, Run]]:
        """Connect to an empty database on the same server, with a run on it."""
        from sqlhelpers.migrations import scratch_database

        with scratch_database(engine, self.bind, self.settings, self.hooks) as connection:
            yield connection, self._run(connection, Lock())

    def positions(self, connection: Connection, app: Apps = None) -> tuple[Position, ...]:
        """Return where the database is in the history of one app or several, or of every app that has migrations."""
        histories = self.chosen(app)
        backend_of(connection).refuse_hidden_tables(connection, [history.version_table for history in histories])
        return tuple(position(connection, self.bind, history) for history in histories)

    def traces(self, connection: Connection, revision: str, app: str | None = None) -> tuple[Trace, ...]:
        """Return what the database knows of a revision, or of each of the several that its name stands for."""
        history = self.history(app)
        names = [info.revision for info in named(history, revision)]
        backend_of(connection).refuse_hidden_tables(connection, [history.version_table])
        entries = [each for each in self.journal(connection) if each.app == history.app]
        return traces(connection, self.bind, history, names, entries)

    def current(self, connection: Connection, app: str | None = None) -> tuple[str, ...]:
        """Return the revisions that the database is at."""
        history = self.history(app)
        backend_of(connection).refuse_hidden_tables(connection, [history.version_table])
        return current_revisions(connection, history)

    def read(self, connection: Connection) -> DatabaseReport:
        """Return the state of every app."""
        return read_status(connection, self.bind, self.shown, self.histories)

    def journal(self, connection: Connection, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to ``app``, or to every app, the oldest first."""
        naming = backend_of(connection).naming(connection)
        places = {None, *(naming.schema(history.version_table_schema) for history in self.load_histories())}
        found = (entry for place in places for entry in read_journal(connection, place))
        return tuple(entry for entry in found if app is None or entry.app == app)

    def adopt(self, connection: Connection, run: Run, history: History, revision: str | None) -> tuple[str, ...]:
        """Record the position of tables that are there already; return what differs if that is wrong."""
        from sqlhelpers.migrations import adopt

        return adopt(connection, run, history, revision, self._differences_at)

    def _differences_at(self, connection: Connection, history: History, revision: str) -> tuple[str, ...]:
        from sqlhelpers.migrations import compare_with_revision

        others = [each for each in self.histories if each.app != history.app]
        scratch = partial(self.scratch, connection.engine)
        try:
            return compare_with_revision(connection, history, revision, others, scratch)
        except (SQLAlchemyError, OSError) as error:
            reason = urls.scrub(str(getattr(error, "orig", None) or error), self.url)
            _log.warning("adopted %s on your word: no scratch database to compare with: %s", revision, reason)
            return ()

    def retire(self, connection: Connection, run: Run, app: str, *, drop_tables: bool) -> None:
        """Remove the record of an app that is not installed."""
        from sqlhelpers.migrations import retire

        self.refuse_installed(app)
        retire(connection, run, app, self.histories, drop_tables=drop_tables)

    def refuse_installed(self, app: str) -> None:
        """Raise if ``app`` is installed, and so cannot be retired."""
        if any(history.app == app for history in self.histories):
            raise AppError(f"app {app!r} is installed: `sqlhelpers drop {app}` removes its tables and their record")

    def sql(self, wanted: Script | None = None, app: Apps = None) -> str:
        """Return what revisions of apps do to a database, each under a comment; nothing is connected to.

        Args:
            wanted: from where to where; None for all that an empty database gets.
            app: the app or the apps; None for every one that has migrations.
        """
        from sqlhelpers.migrations.running import Script, all_as_sql

        script = wanted or Script(targets=("head",))
        histories = self.chosen(app, several_heads=script.targets != ("head",))
        with self.alembic_alone():
            return all_as_sql(self.bind, histories, self.url.get_backend_name(), script)

    def check(self, connection: Connection) -> tuple[Finding, ...]:
        """Return what is wrong with the database."""
        from sqlhelpers.migrations import check_database

        self.refuse_shared(connection)
        with self.alembic_alone():
            return check_database(connection, self.histories, partial(self.scratch, connection.engine))
