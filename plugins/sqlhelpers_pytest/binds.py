"""What fixtures return for several databases: one of a kind for each bind, made when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.aio import AsyncDatabaseManager
    from sqlhelpers_pytest.kit import Kit

T = TypeVar("T")


class ByBind(Mapping[str, T]):
    """What is made for a bind when it is first asked for; it holds what was made so far.

    Args:
        make: makes one.
    """

    def __init__(self, make: Callable[[str], T]) -> None:
        self._make = make
        self._made: dict[str, T] = {}

    def __getitem__(self, bind: str) -> T:
        if bind not in self._made:
            self._made[bind] = self._make(bind)
        return self._made[bind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


class FreshDatabases(Mapping[str, str]):
    """The URLs of the databases that a test has for itself, by bind. They hold passwords.

    Args:
        kit: the kit.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def __getitem__(self, bind: str) -> str:
        database = self._kit.databases[bind]
        database.begin_fresh()
        return database.maker.url(database.name).render_as_string(hide_password=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kit.databases)

    def __len__(self) -> int:
        return len(self._kit.databases)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that let a process of the project use them."""
        return {f"SQLHELPERS_DATABASES__{bind.upper()}__SQLALCHEMY__URL": self[bind] for bind in self}


class _InAnyLoop(Session):
    """The session in an ``AsyncSession`` that uses the engine of whichever loop it is used in."""

    manager: AsyncDatabaseManager
    loop: asyncio.AbstractEventLoop | None = None

    def get_bind(self, *_: object, **__: object) -> Engine | Connection:
        """Return the engine of the running loop."""
        self.loop = asyncio.get_running_loop()
        engine: Any = self.manager.Session.kw["bind"]
        return engine.sync_engine  # type: ignore[no-any-return]


def open_async(manager: AsyncDatabaseManager, kit: Kit) -> AsyncSession:
    """Return a session that can be made where no loop runs, as in a fixture that is not async."""
    session = AsyncSession(sync_session_class=_InAnyLoop, expire_on_commit=False)
    inner: Any = session.sync_session
    inner.manager = manager
    kit.async_sessions.append(session)
    return session


def close_async(session: AsyncSession) -> None:
    """Close it, in its loop if that is still there; otherwise the end of that has closed it."""
    inner: Any = session.sync_session
    loop: asyncio.AbstractEventLoop | None = inner.loop
    if loop is not None and not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(session.close())
    else:
        inner.close()
