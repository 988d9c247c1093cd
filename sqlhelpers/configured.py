"""``ConfiguredDatabase``: what can be told of a database without connecting to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import contains
from typing import TYPE_CHECKING

from sqlhelpers import urls
from sqlhelpers.defaults import default_hooks
from sqlhelpers.engines import database_url
from sqlhelpers.exceptions import AppError, DriverNotInstalled, InvalidURL, MigrationsNotFound
from sqlhelpers.histories import History
from sqlhelpers.meant import no_app
from sqlhelpers.revision_files import RevisionFiles
from sqlhelpers.revisions import Revisions
from sqlhelpers.sources import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from alembic.config import Config
    from sqlalchemy import FromClause
    from sqlalchemy.engine import URL
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.hooks import Hooks
    from sqlhelpers.settings import DatabaseSettings

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
        return cls("default", settings, one_history, default_hooks(), partial(contains, tables))

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
            return urls.resolve(self.url, aio=aio, drivers=self.hooks.drivers())
        except DriverNotInstalled:
            return self.url

    @cached_property
    def url(self) -> URL:
        """The URL, not yet resolved to a driver."""
        return database_url(self.bind, self.settings, self.hooks)

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
            return no_app(app, names, bind=self.bind)
        return AppError(f"database {self.bind!r}: name one app (apps: {', '.join(names) or 'none'})")

    def config(self, app: str | None = None) -> Config:
        """Return an Alembic configuration for ``app``: its folder, and the URL without its password."""
        from sqlhelpers.scripts import alembic_config, standalone_config

        folder = self.history(app).require_revisions().folder
        config = alembic_config(folder) if (folder / "env.py").is_file() else standalone_config(folder)
        config.set_main_option("sqlalchemy.url", self.shown.replace("%", "%%"))
        return config

    def latest(self, app: str | None = None) -> str | None:
        """Return the newest revision in the files; None if there are none."""
        revisions = self.history(app).revisions
        return revisions.head() if revisions and revisions.heads() else None
