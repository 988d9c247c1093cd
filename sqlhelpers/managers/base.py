"""``BaseManager``: what the two managers have in common, and what can be told without connecting."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlhelpers.config import DatabaseSettings, database_settings
from sqlhelpers.managers.database import Database
from sqlhelpers.migrations.state import heads, named, newest_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from typing import Self

    from alembic.config import Config
    from sqlalchemy.engine import URL
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.managers.database import Apps
    from sqlhelpers.managers.readiness import Probe
    from sqlhelpers.migrations.running import Script
    from sqlhelpers.reports import RevisionInfo


class BaseManager:
    """What the two managers have in common: the database, and what can be told without connecting."""

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
        self.database: Database = Database.alone(settings, base_model or self._default_base())

    @classmethod
    def from_settings(cls, settings: DatabaseSettings, base_model: type[DeclarativeBase] | None = None) -> Self:
        """Return a manager for ``settings``, which may be a part of settings of your own.

        Args:
            settings: the URL and options of the engine, and where the migrations are.
            base_model: the declarative base of the models; the default one if None.
        """
        return cls.serving(Database.alone(settings, base_model or cls._default_base()))

    @classmethod
    def serving(cls, database: Database) -> Self:
        """Return a manager for a database that a runtime has put together from settings and apps."""
        manager = cls.__new__(cls)
        manager.database = database
        return manager

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.database.bind} {self.database.settings.sqlalchemy.url}>"

    @staticmethod
    def _default_base() -> type[DeclarativeBase]:
        from sqlhelpers.queries import Base

        return Base

    @cached_property
    def _probe(self) -> Probe:
        from sqlhelpers.managers.readiness import Probe

        return Probe(self.database)

    @property
    def bind(self) -> str:
        """The name of the database in the settings; ``default`` for a manager made without a runtime."""
        return self.database.bind

    @property
    def alembic_cfg(self) -> Config:
        """An Alembic configuration for the only app. The URL in it has no password."""
        return self.alembic_config()

    def alembic_config(self, app: str | None = None) -> Config:
        """Return an Alembic configuration for ``app``. The URL in it has no password.

        Alembic's own commands take it, whether the folder has an ``env.py`` or not.
        """
        from sqlhelpers.migrations.revisions import ATTRIBUTE

        config = self.database.config(app)
        config.attributes[ATTRIBUTE] = (self, app)
        return config

    def get_latest_revision(self, app: str | None = None) -> str | None:
        """Return the newest revision in the migrations folder; None if there is none.

        Args:
            app: the app to ask about; may be left out where there is only one.

        Raises:
            MultipleHeads: there are several.
        """
        return self.database.latest(app)

    def get_heads(self, app: Apps = None, *, resolve_dependencies: bool = False) -> tuple[RevisionInfo, ...]:
        """Return the newest revisions of one app or several, or of every app that has migrations.

        Args:
            app: the app or the apps.
            resolve_dependencies: leave out those that another revision depends on.
        """
        return heads(self.database.chosen(app), resolve_dependencies=resolve_dependencies)

    def get_history(
        self,
        app: Apps = None,
        between: str | None = None,
        current: Sequence[str] = (),
    ) -> tuple[RevisionInfo, ...]:
        """Return the revisions of one app or several, or of every app that has migrations, the newest first.

        Args:
            app: the app or the apps.
            between: the only ones, ends included: ``START:END``, ``-3:current``; None for all.
            current: the revisions that ``current`` stands for in it, as ``get_current_revisions()`` returns them.
        """
        return newest_first(self.database.chosen(app), between, current)

    def get_revisions(self, revision: str, app: str | None = None) -> tuple[RevisionInfo, ...]:
        """Return what is to be told of a revision, or of the several that its name stands for.

        Args:
            revision: in Alembic's words: an identifier or the beginning of it, ``head``, ``label@head``.
            app: the app; may be left out where there is only one.
        """
        return named(self.database.history(app), revision)

    def sql(self, script: Script | None = None, app: Apps = None) -> str:
        """Return what revisions do as SQL; nothing is connected to, and no secret is in it.

        Args:
            script: from where to where; None for all that an empty database gets.
            app: the app or the apps; None for every one that has migrations.
        """
        return self.database.sql(script, app)
