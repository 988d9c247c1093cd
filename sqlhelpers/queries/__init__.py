"""Queries on the user's behalf: functions over a session, usable with any session on any engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.queries.models import NAMING_CONVENTION as NAMING_CONVENTION
    from sqlhelpers.queries.models import AsyncModelQueries as AsyncModelQueries
    from sqlhelpers.queries.models import Base as Base
    from sqlhelpers.queries.models import ModelQueries as ModelQueries
    from sqlhelpers.queries.pages import KeysetPage as KeysetPage
    from sqlhelpers.queries.pages import Page as Page
    from sqlhelpers.queries.pages import paginate as paginate
    from sqlhelpers.queries.pages import paginate_by_key as paginate_by_key
    from sqlhelpers.queries.rows import count as count
    from sqlhelpers.queries.rows import exists as exists
    from sqlhelpers.queries.rows import get_by_pk as get_by_pk
    from sqlhelpers.queries.rows import get_one as get_one
    from sqlhelpers.queries.rows import get_or_create as get_or_create
    from sqlhelpers.queries.rows import stream as stream
    from sqlhelpers.queries.rows import update_or_create as update_or_create
    from sqlhelpers.queries.statements import mapper_of as mapper_of
    from sqlhelpers.queries.upserts import BulkUpserted as BulkUpserted
    from sqlhelpers.queries.upserts import Upserted as Upserted
    from sqlhelpers.queries.upserts import bulk_upsert as bulk_upsert
    from sqlhelpers.queries.upserts import upsert as upsert

__all__ = [
    "NAMING_CONVENTION",
    "AsyncModelQueries",
    "Base",
    "BulkUpserted",
    "KeysetPage",
    "ModelQueries",
    "Page",
    "Upserted",
    "bulk_upsert",
    "count",
    "exists",
    "get_by_pk",
    "get_one",
    "get_or_create",
    "mapper_of",
    "paginate",
    "paginate_by_key",
    "stream",
    "update_or_create",
    "upsert",
]

__getattr__: Final = lazily(
    __name__,
    {
        "models": ("AsyncModelQueries", "Base", "ModelQueries", "NAMING_CONVENTION"),
        "pages": ("KeysetPage", "Page", "paginate", "paginate_by_key"),
        "rows": ("count", "exists", "get_by_pk", "get_one", "get_or_create", "stream", "update_or_create"),
        "statements": ("mapper_of",),
        "upserts": ("BulkUpserted", "Upserted", "bulk_upsert", "upsert"),
    },
)
