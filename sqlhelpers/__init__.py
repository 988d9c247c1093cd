"""The layer between SQLAlchemy, Alembic and applications: databases in the state that the code expects.

Public names are imported when they are first used, so that ``sqlhelpers --help`` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.backends import Backend as Backend
    from sqlhelpers.backends import is_sqlite as is_sqlite
    from sqlhelpers.config import DatabaseSettings as DatabaseSettings
    from sqlhelpers.config import Settings as Settings
    from sqlhelpers.discovery import Adapter as Adapter
    from sqlhelpers.discovery import App as App
    from sqlhelpers.discovery import hookimpl as hookimpl
    from sqlhelpers.exceptions import SqlhelpersError as SqlhelpersError
    from sqlhelpers.managers import DatabaseManager as DatabaseManager
    from sqlhelpers.managers import exists_in_db as exists_in_db
    from sqlhelpers.queries import NAMING_CONVENTION as NAMING_CONVENTION
    from sqlhelpers.queries import AsyncModelQueries as AsyncModelQueries
    from sqlhelpers.queries import Base as Base
    from sqlhelpers.queries import BulkUpserted as BulkUpserted
    from sqlhelpers.queries import KeysetPage as KeysetPage
    from sqlhelpers.queries import ModelQueries as ModelQueries
    from sqlhelpers.queries import Page as Page
    from sqlhelpers.queries import Upserted as Upserted
    from sqlhelpers.queries import bulk_upsert as bulk_upsert
    from sqlhelpers.queries import count as count
    from sqlhelpers.queries import exists as exists
    from sqlhelpers.queries import get_by_pk as get_by_pk
    from sqlhelpers.queries import get_one as get_one
    from sqlhelpers.queries import get_or_create as get_or_create
    from sqlhelpers.queries import paginate as paginate
    from sqlhelpers.queries import paginate_by_key as paginate_by_key
    from sqlhelpers.queries import stream as stream
    from sqlhelpers.queries import update_or_create as update_or_create
    from sqlhelpers.queries import upsert as upsert
    from sqlhelpers.reports import AppReport as AppReport
    from sqlhelpers.reports import DatabaseReport as DatabaseReport
    from sqlhelpers.reports import DatabaseStatus as DatabaseStatus
    from sqlhelpers.reports import Readiness as Readiness
    from sqlhelpers.reports import SyncResult as SyncResult
    from sqlhelpers.runtime import Runtime as Runtime
    from sqlhelpers.urls import Drivers as Drivers

__all__ = [
    "NAMING_CONVENTION",
    "Adapter",
    "App",
    "AppReport",
    "AsyncModelQueries",
    "Backend",
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

__getattr__: Final = lazily(
    __name__,
    {
        "backends": ("Backend", "is_sqlite"),
        "config": ("DatabaseSettings", "Settings"),
        "discovery": ("Adapter", "App", "hookimpl"),
        "exceptions": ("SqlhelpersError",),
        "managers": (
            "DatabaseManager",
            "exists_in_db",
        ),
        "queries": (
            "AsyncModelQueries",
            "Base",
            "BulkUpserted",
            "KeysetPage",
            "ModelQueries",
            "NAMING_CONVENTION",
            "Page",
            "Upserted",
            "bulk_upsert",
            "count",
            "exists",
            "get_by_pk",
            "get_one",
            "get_or_create",
            "paginate",
            "paginate_by_key",
            "stream",
            "update_or_create",
            "upsert",
        ),
        "reports": ("AppReport", "DatabaseReport", "DatabaseStatus", "Readiness", "SyncResult"),
        "runtime": ("Runtime",),
        "urls": ("Drivers",),
    },
)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
