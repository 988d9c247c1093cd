"""What may be configured, where it is read from, and where each value came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.config.databases import AlembicSettings as AlembicSettings
    from sqlhelpers.config.databases import Bootstrap as Bootstrap
    from sqlhelpers.config.databases import DatabaseSettings as DatabaseSettings
    from sqlhelpers.config.databases import SecretUrl as SecretUrl
    from sqlhelpers.config.databases import SQLAlchemySettings as SQLAlchemySettings
    from sqlhelpers.config.preview import Preview as Preview
    from sqlhelpers.config.preview import preview_of as preview_of
    from sqlhelpers.config.preview import read_preview as read_preview
    from sqlhelpers.config.settings import AppSettings as AppSettings
    from sqlhelpers.config.settings import Names as Names
    from sqlhelpers.config.settings import Settings as Settings
    from sqlhelpers.config.settings import database_settings as database_settings
    from sqlhelpers.config.settings import settings_from_config as settings_from_config
    from sqlhelpers.config.sources import cache_folder as cache_folder
    from sqlhelpers.config.sources import project_file as project_file
    from sqlhelpers.config.sources import split as split

__all__ = [
    "AlembicSettings",
    "AppSettings",
    "Bootstrap",
    "DatabaseSettings",
    "Names",
    "Preview",
    "SQLAlchemySettings",
    "SecretUrl",
    "Settings",
    "cache_folder",
    "database_settings",
    "preview_of",
    "project_file",
    "read_preview",
    "settings_from_config",
    "split",
]

__getattr__: Final = lazily(
    __name__,
    {
        "databases": ("AlembicSettings", "Bootstrap", "DatabaseSettings", "SQLAlchemySettings", "SecretUrl"),
        "preview": ("Preview", "preview_of", "read_preview"),
        "settings": ("AppSettings", "Names", "Settings", "database_settings", "settings_from_config"),
        "sources": ("cache_folder", "project_file", "split"),
    },
)
