"""The settings, for settings of your own that hold those of a database."""

from __future__ import annotations

from sqlhelpers.config import AlembicSettings, AppSettings, DatabaseSettings, Settings, SQLAlchemySettings

__all__ = ["AlembicSettings", "AppSettings", "DatabaseSettings", "SQLAlchemySettings", "Settings"]
