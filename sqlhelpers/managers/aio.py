"""``AsyncDatabaseManager``, the asynchronous twin of ``manager``, and all else that async code needs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import greenlet_spawn

from sqlhelpers.backends import empty_database
from sqlhelpers.engines import make_async_engine, wait_for
from sqlhelpers.managers.aiowriting import AsyncWritingManager
from sqlhelpers.queries import NAMING_CONVENTION, AsyncModelQueries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from typing import Self

    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlhelpers.managers.database import Database
    from sqlhelpers.reports import Readiness


R = TypeVar("R")


class Base(AsyncModelQueries, AsyncAttrs, DeclarativeBase):
    """A declarative base with ``awaitable_attrs``, predictable names of constraints, and async query methods."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)


class _Bound(NamedTuple):
    """An engine and its session factory, which serve one event loop."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]


async def _to_the_end(work: Coroutine[Any, Any, R]) -> R:
    """Await ``work`` in a task of its own, and let that roll back when this one is cancelled, however often it is."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        while not task.done():
            with suppress(asyncio.CancelledError):  # anyio cancels again and again
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # heard: it is the consequence
        raise


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncDatabaseManager(AsyncWritingManager):
    """The engine, the sessions and the migrations of one database, asynchronously.

    Arguments and methods are those of ``DatabaseManager``. The same URL serves both: the driver is
    chosen by each.
    """

    @staticmethod
    def _default_base() -> type[Base]:
        return Base

    @property
    def engine(self) -> AsyncEngine:
        """The SQLAlchemy engine of the running event loop: connections belong to the loop in which they were made."""
        return self._in_this_loop().engine

    @property
    def Session(self) -> async_sessionmaker[AsyncSession]:  # noqa: N802  # the ancestor's and SQLAlchemy's name
        """The session factory; attributes stay loaded after a commit, where loading them would need an await."""
        return self._in_this_loop().sessions

    @cached_property
    def _by_loop(self) -> dict[asyncio.AbstractEventLoop | None, _Bound]:
        """The engines by event loop; under None the one that no loop uses yet."""
        return {}

    def _in_this_loop(self) -> _Bound:
        loop, known = _running_loop(), self._by_loop
        if loop in known:
            return known[loop]
        for other, bound in [*known.items()]:
            if loop is None or isinstance(bound.engine.pool, StaticPool):  # one connection is the database
                return bound
            if other is not None and other.is_closed():
                del known[other]
                bound.engine.sync_engine.dispose(close=False)  # closing would need the loop that is gone
        known[loop] = known.pop(None) if None in known else self._new_engine()
        return known[loop]

    def _new_engine(self) -> _Bound:
        engine = make_async_engine(self.database.bind, self.database.settings, self.database.hooks)
        return _Bound(engine, async_sessionmaker(self.database.backend.for_sessions(engine), expire_on_commit=False))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a session: commit when the block succeeds, roll back when it raises, close in any case."""
        async with self.Session() as session:  # not begin(): the block may commit for itself, and go on
            yield session
            await session.commit()

    async def _read(self, session: AsyncSession | None, work: Callable[..., R], *arguments: Any) -> R:
        if session is not None:
            return await (await session.connection()).run_sync(work, *arguments)
        if self.database.backend.is_absent(self.database.url):  # connecting would make the file
            with empty_database() as connection:
                return work(connection, *arguments)
        async with self.engine.connect() as connection:
            return await connection.run_sync(work, *arguments)

    async def _on_engine(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        return await _to_the_end(greenlet_spawn(work, self.engine.sync_engine, *arguments, **options))

    async def get_readiness(self, timeout: float | None = None) -> Readiness:  # noqa: ASYNC109  # as its twin
        """Return whether the database can serve the installed code, with one small query; see ``managers.readiness``.

        Args:
            timeout: how many seconds it may take; None for as long as the limits of the database let it.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._read(None, self._probe.read, await greenlet_spawn(self._probe.expected))
        except Exception as error:  # noqa: BLE001  # what is no failure of the database is raised again
            return self._probe.failed(error)

    async def wait(self, seconds: float) -> None:
        """Wait until the server lets us in, at most for so many seconds; then raise what it said.

        What will not pass by itself, a wrong password for instance, is raised at once.
        """
        await greenlet_spawn(wait_for, self.engine.sync_engine, seconds)

    async def dispose(self) -> None:
        """Close the pooled connections of this event loop. The manager can be used again; it then connects anew."""
        if self._by_loop:
            bound = self._in_this_loop()
            await bound.engine.dispose()
            self._by_loop.pop(_running_loop(), None)
            self._by_loop.setdefault(None, bound)  # its pool is empty: the next loop may have it

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispose()


def perform(database: Database, work: Callable[[AsyncDatabaseManager], Awaitable[R]], wait: float = 0) -> R:
    """Let ``work`` use an async manager of a database, in an event loop of its own.

    Args:
        database: the database.
        work: calls a method of the manager.
        wait: how many seconds to wait for a server that is not up yet.
    """

    async def performed() -> R:
        async with AsyncDatabaseManager.serving(database) as manager:
            if wait:
                await manager.wait(wait)
            return await work(manager)

    return asyncio.run(performed())
