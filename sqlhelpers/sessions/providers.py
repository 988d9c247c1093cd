"""``SessionProvider``, its sync twin, and ``refuse_use``: for handlers that outlive the start of their response.

A framework that streams a response or serves a WebSocket may drop a generator where it stands when the client goes.
The session in it would stay open, with its connection and its transaction, until the garbage collector comes by.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from sqlhelpers.exceptions import NoSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType
    from typing import Self

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session


class SessionProvider:
    """Opens sessions for one request: ``async with sessions() as session:``.

    Each is committed when its block succeeds, rolled back when that raises, and closed in any case. No connection is
    held while no block is open. An adapter enters the provider around the request and its response. When it leaves,
    a block that was abandoned is rolled back; one that another task is in goes on.

    Args:
        session: the method ``session`` of a manager.
    """

    def __init__(self, session: Callable[[], AbstractAsyncContextManager[AsyncSession]]) -> None:
        self._session = session
        self._open: set[_Block] = set()

    def __call__(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Return the context manager of a new session."""
        return _Block(self._session(), self._open)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for block in [*self._open]:
            if block.is_abandoned:
                await block.abandon()


class _Block:
    """The block of one session; an object, because a generator would be finalised apart from the one around it."""

    def __init__(self, block: AbstractAsyncContextManager[AsyncSession], others: set[_Block]) -> None:
        self._block = block
        self._others = others
        self._task: asyncio.Task[object] | None = None

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody will come back to the block: the task that began it is over, or is the one that asks."""
        return self._task is None or self._task.done() or self._task is asyncio.current_task()

    async def __aenter__(self) -> AsyncSession:
        self._task = asyncio.current_task()
        session = await self._block.__aenter__()
        self._others.add(self)
        return session

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self not in self._others:
            return None  # it was abandoned
        self._others.discard(self)
        return await self._block.__aexit__(exc_type, exc, traceback)

    async def abandon(self) -> None:
        """Roll back and close the session."""
        gone = asyncio.CancelledError("the request is over")
        await self.__aexit__(type(gone), gone, None)


class SyncSessionProvider:
    """Opens sessions for one request in code that is not async: ``with sessions() as session:``.

    Otherwise as ``SessionProvider``, but every block that is open when an adapter leaves it is rolled back: a thread
    of your own that outlives the request should ask the manager for its session.

    Args:
        session: the method ``session`` of a manager.
    """

    def __init__(self, session: Callable[[], AbstractContextManager[Session]]) -> None:
        self._session = session
        self._open: set[_SyncBlock] = set()

    def __call__(self) -> AbstractContextManager[Session]:
        """Return the context manager of a new session."""
        return _SyncBlock(self._session(), self._open)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for block in [*self._open]:
            block.abandon()


class _SyncBlock:
    """The block of one session."""

    def __init__(self, block: AbstractContextManager[Session], others: set[_SyncBlock]) -> None:
        self._block = block
        self._others = others

    def __enter__(self) -> Session:
        session = self._block.__enter__()
        self._others.add(self)
        return session

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self not in self._others:
            return None  # it was abandoned
        self._others.discard(self)
        return self._block.__exit__(exc_type, exc, traceback)

    def abandon(self) -> None:
        """Roll back and close the session."""
        gone = GeneratorExit("the request is over")
        self.__exit__(type(gone), gone, None)


class _Over:
    """Stands for the engine of a session that is over, and raises whatever is asked of it."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, _: str) -> Any:
        raise NoSession(self._why)


def refuse_use(session: Session, why: str) -> None:
    """Let a closed session raise ``NoSession`` when it is used again.

    SQLAlchemy lets it begin anew: with a connection that nobody gives back, and writes that nobody commits. A stream or
    a background task that was given the session of its request would do so unnoticed.

    Args:
        session: the session, after its block.
        why: the text of the error, with what to do instead.
    """
    session.bind = cast("Any", _Over(why))
