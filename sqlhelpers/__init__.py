"""The layer between SQLAlchemy, Alembic and applications: databases in the state that the code expects.

Public names are imported when they are first used, so that ``sqlhelpers --help`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlhelpers.adapter import Adapter as Adapter
    from sqlhelpers.app import App as App
    from sqlhelpers.exceptions import SqlhelpersError as SqlhelpersError
    from sqlhelpers.hookspecs import hookimpl as hookimpl
    from sqlhelpers.manager import DatabaseManager as DatabaseManager
    from sqlhelpers.manager import exists_in_db as exists_in_db
    from sqlhelpers.manager import is_sqlite as is_sqlite
    from sqlhelpers.models import NAMING_CONVENTION as NAMING_CONVENTION
    from sqlhelpers.models import Base as Base
    from sqlhelpers.report import AppReport as AppReport
    from sqlhelpers.report import DatabaseReport as DatabaseReport
    from sqlhelpers.report import DatabaseStatus as DatabaseStatus
    from sqlhelpers.report import SyncResult as SyncResult
    from sqlhelpers.runtime import Runtime as Runtime
    from sqlhelpers.settings import DatabaseSettings as DatabaseSettings
    from sqlhelpers.settings import Settings as Settings
    from sqlhelpers.urls import Drivers as Drivers

_MODULES = {
    "Adapter": "adapter",
    "App": "app",
    "AppReport": "report",
    "Base": "models",
    "DatabaseManager": "manager",
    "DatabaseReport": "report",
    "DatabaseSettings": "settings",
    "DatabaseStatus": "report",
    "Drivers": "urls",
    "NAMING_CONVENTION": "models",
    "Runtime": "runtime",
    "Settings": "settings",
    "SqlhelpersError": "exceptions",
    "SyncResult": "report",
    "exists_in_db": "manager",
    "hookimpl": "hookspecs",
    "is_sqlite": "manager",
}

__all__ = [
    "NAMING_CONVENTION",
    "Adapter",
    "App",
    "AppReport",
    "Base",
    "DatabaseManager",
    "DatabaseReport",
    "DatabaseSettings",
    "DatabaseStatus",
    "Drivers",
    "Runtime",
    "Settings",
    "SqlhelpersError",
    "SyncResult",
    "exists_in_db",
    "hookimpl",
    "is_sqlite",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"sqlhelpers.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
