"""``AsyncDatabaseManager``, the asynchronous twin of ``manager``, and all else that async code needs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import greenlet_spawn

from sqlhelpers import asyncqueries
from sqlhelpers.aiomodels import Base
from sqlhelpers.asyncqueries import *  # noqa: F403  # all of its names are names of this module
from sqlhelpers.basemanager import BaseManager
from sqlhelpers.dialects import empty_database, for_sessions, is_absent
from sqlhelpers.engines import make_async_engine
from sqlhelpers.histories import single_revision
from sqlhelpers.report import DatabaseStatus, SyncResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Self

    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlhelpers.health import Readiness
    from sqlhelpers.report import DatabaseReport, Finding, JournalEntry
    from sqlhelpers.runs import Progress

__all__ = ["AsyncDatabaseManager", "Base", "DatabaseStatus", "SyncResult"]
__all__ += asyncqueries.__all__

R = TypeVar("R")


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


class AsyncDatabaseManager(BaseManager):
    """The engine, the sessions and the migrations of one database, asynchronously.

    Arguments and methods are those of ``DatabaseManager``. The same URL serves both: the driver is
    chosen by each.
    """

    _default_base = Base

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
        return _Bound(engine, async_sessionmaker(for_sessions(engine), expire_on_commit=False))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a session: commit when the block succeeds, roll back when it raises, close in any case."""
        async with self.Session() as session:  # not begin(): the block may commit for itself, and go on
            yield session
            await session.commit()

    async def _read(self, session: AsyncSession | None, work: Callable[..., R], *arguments: Any) -> R:
        if session is not None:
            return await (await session.connection()).run_sync(work, *arguments)
        if is_absent(self.database.url):  # connecting would make the file
            with empty_database() as connection:
                return work(connection, *arguments)
        async with self.engine.connect() as connection:
            return await connection.run_sync(work, *arguments)

    async def _change(
        self,
        work: Callable[..., R],
        *arguments: Any,
        progress: Progress | None = None,
        **options: Any,
    ) -> R:
        engine = self.engine.sync_engine
        return await _to_the_end(greenlet_spawn(self.database.change, engine, progress, work, *arguments, **options))

    async def _change_existing(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        if is_absent(self.database.url):  # connecting would make the file
            return self.database.change_nothing(work, *arguments, **options)
        return await self._change(work, *arguments, **options)

    async def get_current_revision(self, session: AsyncSession | None = None, app: str | None = None) -> str | None:
        """Return the revision that the database is at; None if none is recorded.

        Args:
            session: the session to ask with; None to connect for it.
            app: the app to ask about; may be left out where there is only one.
        """
        return single_revision(await self.get_current_revisions(session, app))

    async def get_current_revisions(
        self,
        session: AsyncSession | None = None,
        app: str | None = None,
    ) -> tuple[str, ...]:
        """Return all the revisions that the database is at; empty if none is recorded."""
        return await self._read(session, self.database.current, app)

    async def get_status(self, session: AsyncSession | None = None) -> DatabaseStatus:
        """Return the state of the database beside what the installed code expects."""
        return (await self.get_report(session)).status

    async def get_report(self, session: AsyncSession | None = None) -> DatabaseReport:
        """Return the state of every app in the database."""
        return await self._read(session, self.database.read)

    async def get_readiness(self, timeout: float | None = None) -> Readiness:  # noqa: ASYNC109  # as its twin
        """Return whether the database can serve the installed code, with one small query; see ``sqlhelpers.health``.

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
        await greenlet_spawn(self.database.wait, self.engine.sync_engine, seconds)

    async def sync(self) -> SyncResult:
        """Bring the database to the state that the code expects: create, upgrade, or leave it.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        return (await self.sync_apps()).result

    async def sync_apps(self, progress: Progress | None = None) -> DatabaseReport:
        """As ``sync``, and return what was found and done for every app.

        Args:
            progress: called before each revision runs, with the app, the revision, its place and their number.
        """
        return await self._change(self.database.sync, self.database.checked_histories(), progress=progress)

    async def create(self) -> None:
        """Create the tables, and record the newest revision.

        Raises:
            StateRefused: there are tables already, and no revision says in which shape.
        """
        await self._change(self.database.create, self.database.checked_histories())

    async def upgrade(self, target: str = "heads", app: str | None = None, progress: Progress | None = None) -> None:
        """Run the revisions up to ``target``, for one app or for all.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        await self._change(self.database.upgrade, self.database.checked_histories(), target, app, progress=progress)

    async def downgrade(self, target: str, app: str | None = None, progress: Progress | None = None) -> None:
        """Undo the revisions after ``target``: a revision, ``"-1"`` for the last one, ``"base"`` for all.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        await self._change(self.database.downgrade, self.database.history(app), target, progress=progress)

    async def adopt(self, app: str | None = None, revision: str | None = None) -> tuple[str, ...]:
        """Record a revision for tables that are there without one, if they are as it makes them.

        Args:
            app: the app; may be left out where there is only one.
            revision: the revision that the tables are at; None for the newest, whose tables are those of the models.

        Returns:
            the differences, if there are any; nothing was then recorded.

        Raises:
            Refused: there is nothing to adopt, because the app has no tables here or a revision is recorded.
        """
        return await self._change_existing(self.database.adopt, self.database.history(app), revision)

    async def repair(self, app: str | None = None, *, applied: bool) -> tuple[str, ...]:
        """Take your word about a revision that was begun and not finished, so that runs go on.

        Args:
            app: the app; may be left out where there is only one.
            applied: you have completed what it does; False if you have undone what it had done.

        Returns:
            the differences between tables and models, if the creation of the tables was interrupted and they are
            not as the models say; nothing was then recorded.

        Raises:
            Refused: nothing was interrupted.
        """
        return await self._change_existing(self.database.repair, self.database.history(app), applied=applied)

    async def drop(self, app: str | None = None) -> None:
        """Drop the tables of one app or of all, with their positions and journal, and nothing else."""
        histories = self.database.histories if app is None else [self.database.history(app)]
        await self._change_existing(self.database.drop, histories)

    async def retire(self, app: str, *, drop_tables: bool = False) -> None:
        """Remove the position and the journal of an app that is not installed any more, and its tables if you say so.

        Raises:
            Refused: nothing here belongs to such an app, or the journal does not know its tables.
        """
        await self._change_existing(self.database.retire, app, drop_tables=drop_tables)

    async def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the database beside what the installed code expects; nothing is changed.

        Scratch databases are made on the same server, to compare what models and revisions make.
        """
        return await self._read(None, self.database.check)

    async def journal(self, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to one app or to all, the oldest first."""
        return await self._read(None, self.database.journal, app)

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
