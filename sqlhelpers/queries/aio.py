"""The queries of ``queries``, ``upserts``, ``pagination`` and ``keysets`` for an ``AsyncSession``.

Each runs the synchronous function in the session's greenlet; only ``stream`` has a loop of its own.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, overload

from sqlhelpers.queries import pages, rows, upserts
from sqlhelpers.queries.statements import as_select, is_single

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from sqlalchemy import Executable, FromClause
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

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
P = ParamSpec("P")
R = TypeVar("R")


@overload
async def get_by_pk(pk: Any, *, session: AsyncSession, model: type[M]) -> M | None: ...
@overload
async def get_by_pk(pk: Any, *, session: AsyncSession, model: FromClause) -> Any | None: ...
async def get_by_pk(pk: Any, *, session: AsyncSession, model: Any) -> Any:
    """Return the row with this primary key; None if there is none. See the synchronous function."""
    return await session.run_sync(lambda sync: rows.get_by_pk(pk, session=sync, model=model))


def _in_greenlet(
    work: Callable[Concatenate[Session, P], R],
) -> Callable[Concatenate[AsyncSession, P], Coroutine[Any, Any, R]]:
    """Return the twin of a synchronous function. Type checkers know it with all of its overloads."""

    @wraps(work)
    async def function(session: AsyncSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await session.run_sync(lambda sync: work(sync, *args, **kwargs))  # a column may be called `fn`

    signature = inspect.signature(work)
    session, *others = signature.parameters.values()
    described: Any = function
    described.__module__ = __name__
    described.__signature__ = signature.replace(parameters=[session.replace(annotation="AsyncSession"), *others])
    return function


get_one: Final = _in_greenlet(rows.get_one)
"""Return the only row whose attributes have these values. See the synchronous function."""

get_or_create: Final = _in_greenlet(rows.get_or_create)
"""Return the only row whose attributes have these values, or a new one; and whether it is new.

See the synchronous function. Callables among the defaults are synchronous, too.
"""

update_or_create: Final = _in_greenlet(rows.update_or_create)
"""Set attributes of the only row whose attributes have these values, or make a new one; and tell which.

See the synchronous function. Callables among the defaults are synchronous, too.
"""

exists: Final = _in_greenlet(rows.exists)
"""Tell whether there is a row. See the synchronous function."""

count: Final = _in_greenlet(rows.count)
"""Return how many rows there are. See the synchronous function."""

upsert: Final = _in_greenlet(upserts.upsert)
"""Insert a row, or update the one with the same key, in one statement. See the synchronous function."""

bulk_upsert: Final = _in_greenlet(upserts.bulk_upsert)
"""Insert rows, or update those with the same key. See the synchronous function."""

paginate: Final = _in_greenlet(pages.paginate)
"""Return a page of the rows, and how many there are in all. See the synchronous function."""

paginate_by_key: Final = _in_greenlet(pages.paginate_by_key)
"""Return the page of rows before or behind a cursor, or the first one. See the synchronous function."""


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
