"""All that asynchronous code needs: ``AsyncDatabaseManager``, ``Base``, and the queries for an ``AsyncSession``."""

from __future__ import annotations

from sqlhelpers.managers import AsyncDatabaseManager, Base
from sqlhelpers.queries.aio import (
    bulk_upsert,
    count,
    exists,
    get_by_pk,
    get_one,
    get_or_create,
    paginate,
    paginate_by_key,
    stream,
    update_or_create,
    upsert,
)
from sqlhelpers.reports import DatabaseStatus, SyncResult

__all__ = [
    "AsyncDatabaseManager",
    "Base",
    "DatabaseStatus",
    "SyncResult",
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
]
