"""``Database``: what both managers do, as synchronous functions over a ``Connection``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import contains
from typing import TYPE_CHECKING

from sqlhelpers import migrations, urls
from sqlhelpers.dialects import refuse_hidden_tables, schema_transaction
from sqlhelpers.engines import database_url, default_hooks
from sqlhelpers.exceptions import AppError, DriverNotInstalled, MigrationsNotFound
from sqlhelpers.histories import History, current_revisions, read_status, refuse_doubtful
from sqlhelpers.report import DatabaseStatus
from sqlhelpers.revisions import Revisions, alembic_config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alembic.config import Config
    from sqlalchemy import FromClause
    from sqlalchemy.engine import URL, Connection
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.hooks import Hooks
    from sqlhelpers.migrations import Progress
    from sqlhelpers.report import DatabaseReport
    from sqlhelpers.settings import DatabaseSettings


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

        def one_history() -> tuple[History]:
            alembic = settings.alembic
            if alembic.migrations_path is None:
                raise MigrationsNotFound("the settings have no alembic.migrations_path, which this needs")
            history = History(
                tables=tuple(base_model.metadata.tables.values()),
                revisions=Revisions(alembic.migrations_path),
                version_table=alembic.version_table,
                version_table_schema=alembic.version_table_schema,
            )
            return (history,)

        tables = base_model.metadata.tables.values()  # a view: more may come
        return cls("default", settings, one_history, default_hooks(), partial(contains, tables))

    @property
    def histories(self) -> Sequence[History]:
        """The histories in the order in which they are synced, read anew: models and files may have come."""
        return [replace(history, url=self._url_for(history)) for history in self.load_histories()]

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

    def current(self, connection: Connection, app: str | None = None) -> tuple[str, ...]:
        """Return the revisions that the database is at."""
        history = self.history(app)
        refuse_hidden_tables(connection, [history.version_table])
        return current_revisions(connection, history)

    def read(self, connection: Connection) -> DatabaseReport:
        """Return the state of every app."""
        return read_status(connection, self.bind, urls.mask(self.url), self.histories)

    def sync(
        self,
        connection: Connection,
        histories: Sequence[History],
        progress: Progress | None = None,
    ) -> DatabaseReport:
        """Bring every app to the state that the code expects."""
        shown = urls.mask(self.url)
        return migrations.sync_database(connection, self.bind, shown, histories, self.hooks, progress)

    def create(self, connection: Connection, histories: Sequence[History]) -> None:
        """Create the tables of every app that has none, and record its newest revision.

        Raises:
            StateRefused: there are tables already.
        """
        with schema_transaction(connection):
            report = read_status(connection, self.bind, urls.mask(self.url), histories)
            refuse_doubtful(report)
            for history, app in zip(histories, report.apps, strict=True):
                if app.status is DatabaseStatus.NO_INFO:
                    migrations.bootstrap(connection, history)

    def upgrade(
        self,
        connection: Connection,
        histories: Sequence[History],
        target: str,
        app: str | None,
        progress: Progress | None,
    ) -> None:
        """Run the revisions up to ``target`` for ``app``, or for every app that has migrations."""
        wanted = histories if app is None else [self.history(app)]
        with schema_transaction(connection):
            refuse_doubtful(read_status(connection, self.bind, urls.mask(self.url), wanted))
            for history in wanted:
                if history.revisions is not None or app is not None:
                    migrations.upgrade(connection, history, target, progress)

    def drop(self, connection: Connection) -> None:
        """Drop what belongs to the apps, and nothing else."""
        migrations.drop(connection, self.histories)

    def adopt(self, connection: Connection, app: str | None = None) -> tuple[str, ...]:
        """Record the position of tables that are there already; return what differs if that is wrong."""
        return migrations.adopt(connection, self.history(app))


def single_revision(revisions: Sequence[str]) -> str | None:
    """Return the only revision, or None for none.

    Raises:
        AppError: there are several.
    """
    if len(revisions) > 1:
        raise AppError(f"the database is at several revisions: {', '.join(revisions)}")
    return revisions[0] if revisions else None
