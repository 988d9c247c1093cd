"""``AsyncDatabaseManager``, the asynchronous twin of ``manager``, and all else that async code needs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar, Concatenate, NamedTuple, ParamSpec, TypeVar

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import greenlet_spawn

from sqlhelpers.backends import backend_of
from sqlhelpers.engines import make_async_engine, wait_for
from sqlhelpers.managers.base import BaseManager
from sqlhelpers.managers.cancellation import to_the_end
from sqlhelpers.managers.migrations import AsyncMigrations, Migrations
from sqlhelpers.migrations.state import single_revision
from sqlhelpers.queries import NAMING_CONVENTION, AsyncModelQueries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Self

    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlhelpers.managers.database import Apps, Database
    from sqlhelpers.reports import DatabaseStatus, Finding, Movement, Readiness, SyncResult


P = ParamSpec("P")
R = TypeVar("R")


class Base(AsyncModelQueries, AsyncAttrs, DeclarativeBase):
    """A declarative base with ``awaitable_attrs``, predictable names of constraints, and async query methods."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)


class _Bound(NamedTuple):
    """An engine and its session factory, which serve one event loop."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncDatabaseManager(BaseManager):
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
        return _Bound(
            engine, async_sessionmaker(backend_of(engine.sync_engine).for_sessions(engine), expire_on_commit=False)
        )

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a session: commit when the block succeeds, roll back when it raises, close in any case."""
        async with self.Session() as session:  # not begin(): the block may commit for itself, and go on
            yield session
            await session.commit()

    @property
    def migrations(self) -> AsyncMigrations:
        """What looks at the schema and changes it, and writes revisions."""
        return AsyncMigrations(Migrations(self.database, lambda: self.engine.sync_engine))

    async def get_status(self, session: AsyncSession | None = None) -> DatabaseStatus:
        """Return the state of the database compared with what the installed code expects."""
        return (await self.migrations.get_report(session)).status

    async def get_current_revision(self, session: AsyncSession | None = None, app: str | None = None) -> str | None:
        """Return the revision that the database is at; None if none is recorded.

        Args:
            session: the session to ask with; None to connect for it.
            app: the app to ask about; may be left out where there is only one.
        """
        return single_revision(await self.migrations.get_current_revisions(session, app))

    async def sync(self) -> SyncResult:
        """Bring the database to the state that the code expects: create, upgrade, or leave it.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        return (await self.migrations.sync()).result

    async def create(self) -> None:
        """Create the tables, and record the newest revision. See ``Migrations.create``."""
        await self.migrations.create()

    async def upgrade(self, target: str = "head", app: Apps = None) -> tuple[Movement, ...]:
        """Run the revisions up to ``target``, and return how far each app was moved. See ``Migrations.upgrade``."""
        return await self.migrations.upgrade(target, app)

    async def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the database. See ``Migrations.check``."""
        return await self.migrations.check()

    async def drop(self, app: str | None = None) -> None:
        """Drop the tables of one app or of all, with their positions and journal, and nothing else."""
        await self.migrations.drop(app)

    async def get_readiness(self, timeout: float | None = None) -> Readiness:  # noqa: ASYNC109  # as its twin
        """Return whether the database can serve the installed code, with one small query; see ``managers.readiness``.

        Args:
            timeout: how many seconds it may take; None for as long as the limits of the database let it.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self.run_sync(self._ask)
        except Exception as error:  # noqa: BLE001  # what is no failure of the database is raised again
            return self._probe.failed(error)

    def _ask(self, engine: Engine) -> Readiness:
        return self.database.read(lambda: engine, None, self._probe.read, self._probe.expected())

    async def run_sync(self, work: Callable[Concatenate[Engine, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a sync function with the sync engine below the async one, in a greenlet, and return its result.

        When the task is cancelled, what the function does is rolled back first.
        """
        return await to_the_end(greenlet_spawn(partial(work, self.engine.sync_engine, *args, **kwargs)))

    async def wait(self, seconds: float) -> None:
        """Wait until the server lets us in, at most for so many seconds; then raise what it said.

        What will not pass by itself, a wrong password for instance, is raised at once.
        """
        await self.run_sync(wait_for, seconds)

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
        async with AsyncDatabaseManager.for_database(database) as manager:
            if wait:
                await manager.wait(wait)
            return await work(manager)

    return asyncio.run(performed())
