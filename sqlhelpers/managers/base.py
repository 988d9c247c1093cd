"""``BaseManager``: what the two managers have in common, and what can be told without connecting."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlhelpers.config import DatabaseSettings, database_settings
from sqlhelpers.managers.database import Database

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import Self

    from alembic.config import Config
    from sqlalchemy.engine import URL
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.managers.readiness import Probe


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
        self._making = threading.RLock()
        settings = database_settings(
            sqlalchemy={**(engine_args or {}), "url": url},
            alembic={"migrations_path": alembic_location},
        )
        self.database: Database = Database.standalone(settings, base_model or self._default_base())

    @classmethod
    def from_settings(cls, settings: DatabaseSettings, base_model: type[DeclarativeBase] | None = None) -> Self:
        """Return a manager for ``settings``, which may be a part of settings of your own.

        Args:
            settings: the URL and options of the engine, and where the migrations are.
            base_model: the declarative base of the models; the default one if None.
        """
        return cls.for_database(Database.standalone(settings, base_model or cls._default_base()))

    @classmethod
    def for_database(cls, database: Database) -> Self:
        """Return a manager for a database that a runtime has put together from settings and apps."""
        manager = cls.__new__(cls)
        manager._making = threading.RLock()  # noqa: SLF001  # it is its own
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
        return self.database.head_revision(app)
