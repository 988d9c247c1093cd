"""The names that sqlalchemy-helpers has in its module ``manager``."""

from __future__ import annotations

from sqlhelpers.backends import is_sqlite
from sqlhelpers.managers import DatabaseManager, exists_in_db
from sqlhelpers.queries import Base, get_by_pk, get_one, get_or_create, update_or_create
from sqlhelpers.reports import DatabaseStatus, SyncResult

__all__ = [
    "Base",
    "DatabaseManager",
    "DatabaseStatus",
    "SyncResult",
    "exists_in_db",
    "get_by_pk",
    "get_one",
    "get_or_create",
    "is_sqlite",
    "update_or_create",
]
