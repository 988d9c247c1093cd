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
    from sqlhelpers.health import Readiness as Readiness
    from sqlhelpers.hookspecs import hookimpl as hookimpl
    from sqlhelpers.keysets import KeysetPage as KeysetPage
    from sqlhelpers.keysets import paginate_by_key as paginate_by_key
    from sqlhelpers.manager import DatabaseManager as DatabaseManager
    from sqlhelpers.manager import exists_in_db as exists_in_db
    from sqlhelpers.manager import is_sqlite as is_sqlite
    from sqlhelpers.modelqueries import AsyncModelQueries as AsyncModelQueries
    from sqlhelpers.modelqueries import ModelQueries as ModelQueries
    from sqlhelpers.models import NAMING_CONVENTION as NAMING_CONVENTION
    from sqlhelpers.models import Base as Base
    from sqlhelpers.pagination import Page as Page
    from sqlhelpers.pagination import paginate as paginate
    from sqlhelpers.queries import count as count
    from sqlhelpers.queries import exists as exists
    from sqlhelpers.queries import get_by_pk as get_by_pk
    from sqlhelpers.queries import get_one as get_one
    from sqlhelpers.queries import get_or_create as get_or_create
    from sqlhelpers.queries import stream as stream
    from sqlhelpers.queries import update_or_create as update_or_create
    from sqlhelpers.report import AppReport as AppReport
    from sqlhelpers.report import DatabaseReport as DatabaseReport
    from sqlhelpers.report import DatabaseStatus as DatabaseStatus
    from sqlhelpers.report import SyncResult as SyncResult
    from sqlhelpers.runtime import Runtime as Runtime
    from sqlhelpers.settings import DatabaseSettings as DatabaseSettings
    from sqlhelpers.settings import Settings as Settings
    from sqlhelpers.upserts import BulkUpserted as BulkUpserted
    from sqlhelpers.upserts import Upserted as Upserted
    from sqlhelpers.upserts import bulk_upsert as bulk_upsert
    from sqlhelpers.upserts import upsert as upsert
    from sqlhelpers.urls import Drivers as Drivers

_MODULES = {
    "Adapter": "adapter",
    "App": "app",
    "AppReport": "report",
    "AsyncModelQueries": "modelqueries",
    "Base": "models",
    "BulkUpserted": "upserts",
    "DatabaseManager": "manager",
    "DatabaseReport": "report",
    "DatabaseSettings": "settings",
    "DatabaseStatus": "report",
    "Drivers": "urls",
    "KeysetPage": "keysets",
    "ModelQueries": "modelqueries",
    "NAMING_CONVENTION": "models",
    "Page": "pagination",
    "Readiness": "health",
    "Runtime": "runtime",
    "Settings": "settings",
    "SqlhelpersError": "exceptions",
    "SyncResult": "report",
    "Upserted": "upserts",
    "bulk_upsert": "upserts",
    "count": "queries",
    "exists": "queries",
    "exists_in_db": "manager",
    "get_by_pk": "queries",
    "get_one": "queries",
    "get_or_create": "queries",
    "hookimpl": "hookspecs",
    "is_sqlite": "manager",
    "paginate": "pagination",
    "paginate_by_key": "keysets",
    "stream": "queries",
    "update_or_create": "queries",
    "upsert": "upserts",
}

__all__ = [
    "NAMING_CONVENTION",
    "Adapter",
    "App",
    "AppReport",
    "AsyncModelQueries",
    "Base",
    "BulkUpserted",
    "DatabaseManager",
    "DatabaseReport",
    "DatabaseSettings",
    "DatabaseStatus",
    "Drivers",
    "KeysetPage",
    "ModelQueries",
    "Page",
    "Readiness",
    "Runtime",
    "Settings",
    "SqlhelpersError",
    "SyncResult",
    "Upserted",
    "bulk_upsert",
    "count",
    "exists",
    "exists_in_db",
    "get_by_pk",
    "get_one",
    "get_or_create",
    "hookimpl",
    "is_sqlite",
    "paginate",
    "paginate_by_key",
    "stream",
    "update_or_create",
    "upsert",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"sqlhelpers.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
