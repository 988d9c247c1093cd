"""The queries of ``queries``, ``upserts``, ``pagination`` and ``keysets`` for an ``AsyncSession``.

Each runs the synchronous function in the session's greenlet; only ``stream`` has a loop of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from sqlhelpers import keysets, pagination, queries, upserts
from sqlhelpers.selects import as_select, is_single

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Executable, FromClause, Select, Table
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from sqlhelpers.keysets import KeysetPage
    from sqlhelpers.pagination import Page
    from sqlhelpers.upserts import BulkUpserted, Upserted

__all__ = [
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

M = TypeVar("M")


@overload
async def get_by_pk(pk: Any, *, session: AsyncSession, model: type[M]) -> M | None: ...
@overload
async def get_by_pk(pk: Any, *, session: AsyncSession, model: FromClause) -> Any | None: ...
async def get_by_pk(pk: Any, *, session: AsyncSession, model: Any) -> Any:
    """Return the row with this primary key; None if there is none. See the synchronous function."""
    return await session.run_sync(lambda sync: queries.get_by_pk(pk, session=sync, model=model))


@overload
async def get_one(session: AsyncSession, model: type[M], /, **attrs: Any) -> M: ...
@overload
async def get_one(session: AsyncSession, model: FromClause, /, **attrs: Any) -> Any: ...
async def get_one(session: AsyncSession, model: Any, /, **attrs: Any) -> Any:
    """Return the only row whose attributes have these values. See the synchronous function."""
    return await session.run_sync(lambda sync: queries.get_one(sync, model, **attrs))


@overload
async def get_or_create(
    session: AsyncSession, model: type[M], /, defaults: Mapping[str, Any] | None = None, **attrs: Any
) -> tuple[M, bool]: ...
@overload
async def get_or_create(
    session: AsyncSession, model: FromClause, /, defaults: Mapping[str, Any] | None = None, **attrs: Any
) -> tuple[Any, bool]: ...
async def get_or_create(
    session: AsyncSession, model: Any, /, defaults: Mapping[str, Any] | None = None, **attrs: Any
) -> tuple[Any, bool]:
    """Return the only row whose attributes have these values, or a new one; and whether it is new.

    See the synchronous function. Callables among the defaults are synchronous, too.
    """
    return await session.run_sync(lambda sync: queries.get_or_create(sync, model, defaults, **attrs))


@overload
async def update_or_create(
    session: AsyncSession,
    model: type[M],
    /,
    defaults: Mapping[str, Any] | None = None,
    create_defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[M, bool]: ...
@overload
async def update_or_create(
    session: AsyncSession,
    model: FromClause,
    /,
    defaults: Mapping[str, Any] | None = None,
    create_defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[Any, bool]: ...
async def update_or_create(
    session: AsyncSession,
    model: Any,
    /,
    defaults: Mapping[str, Any] | None = None,
    create_defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[Any, bool]:
    """Set attributes of the only row whose attributes have these values, or make a new one; and tell which.

    See the synchronous function. Callables among the defaults are synchronous, too.
    """
    return await session.run_sync(
        lambda sync: queries.update_or_create(sync, model, defaults, create_defaults, **attrs),
    )


async def exists(
    session: AsyncSession,
    source: type[Any] | FromClause | Executable,
    /,
    *criteria: ColumnElement[bool],
    **attrs: Any,
) -> bool:
    """Tell whether there is a row. See the synchronous function."""
    return await session.run_sync(lambda sync: queries.exists(sync, source, *criteria, **attrs))


async def count(
    session: AsyncSession,
    source: type[Any] | FromClause | Executable,
    /,
    *criteria: ColumnElement[bool],
    **attrs: Any,
) -> int:
    """Return how many rows there are. See the synchronous function."""
    return await session.run_sync(lambda sync: queries.count(sync, source, *criteria, **attrs))


@overload
def stream(
    session: AsyncSession, source: type[M] | TypedReturnsRows[tuple[M]], /, *, size: int = 1000
) -> AsyncGenerator[M]: ...
@overload
def stream(session: AsyncSession, source: TypedReturnsRows[M], /, *, size: int = 1000) -> AsyncGenerator[M]: ...
@overload
def stream(session: AsyncSession, source: FromClause | Executable, /, *, size: int = 1000) -> AsyncGenerator[Any]: ...
async def stream(session: AsyncSession, source: Any, /, *, size: int = 1000) -> AsyncGenerator[Any]:
    """Yield all rows in turn, and hold only a few of them in memory. See the synchronous function.

    Where the loop may end early, write ``async with aclosing(stream(...)) as books: async for book in books``, or the
    rest of the rows keeps the session busy until the generator is collected.
    """
    result: Any = await session.stream(as_select(source), execution_options={"yield_per": size})
    try:
        async for part in (result.scalars() if is_single(source) else result).partitions():
            for item in part:
                yield item
    finally:
        await result.close()


@overload
async def upsert(
    session: AsyncSession,
    model: type[M],
    values: Mapping[str, Any],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
) -> Upserted[M]: ...
@overload
async def upsert(
    session: AsyncSession,
    model: Table,
    values: Mapping[str, Any],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
) -> Upserted[Any]: ...
async def upsert(
    session: AsyncSession,
    model: Any,
    values: Mapping[str, Any],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
) -> Upserted[Any]:
    """Insert a row, or update the one with the same key, in one statement. See the synchronous function."""
    return await session.run_sync(lambda sync: upserts.upsert(sync, model, values, key=key, update=update))


async def bulk_upsert(
    session: AsyncSession,
    model: type[Any] | Table,
    rows: Iterable[Mapping[str, Any]],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
    chunk_size: int = 10_000,
) -> BulkUpserted:
    """Insert rows, or update those with the same key. See the synchronous function."""
    return await session.run_sync(
        lambda sync: upserts.bulk_upsert(sync, model, rows, key=key, update=update, chunk_size=chunk_size),
    )


@overload
async def paginate(
    session: AsyncSession,
    source: type[M] | TypedReturnsRows[tuple[M]],
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[M]: ...
@overload
async def paginate(
    session: AsyncSession,
    source: TypedReturnsRows[M],
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[M]: ...
@overload
async def paginate(
    session: AsyncSession,
    source: FromClause | Executable,
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[Any]: ...
async def paginate(
    session: AsyncSession,
    source: Any,
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[Any]:
    """Return a page of the rows, and how many there are in all. See the synchronous function."""
    return await session.run_sync(lambda sync: pagination.paginate(sync, source, page=page, size=size, counted=counted))


@overload
async def paginate_by_key(
    session: AsyncSession,
    source: type[M] | TypedReturnsRows[tuple[M]],
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[M]: ...
@overload
async def paginate_by_key(
    session: AsyncSession,
    source: TypedReturnsRows[M],
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[M]: ...
@overload
async def paginate_by_key(
    session: AsyncSession,
    source: FromClause | Select[Any],
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[Any]: ...
async def paginate_by_key(
    session: AsyncSession,
    source: Any,
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[Any]:
    """Return the page of rows before or behind a cursor, or the first one. See the synchronous function."""
    return await session.run_sync(
        lambda sync: keysets.paginate_by_key(sync, source, secret=secret, cursor=cursor, size=size)
    )
