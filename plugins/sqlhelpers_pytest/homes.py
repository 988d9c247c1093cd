"""Where the one connection of an isolated database is used: in the thread that asks, or in a loop of the kit's own."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.util import greenlet_spawn

from sqlhelpers import DatabaseManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import PoolProxiedConnection

    from sqlhelpers.managers import Database

R = TypeVar("R")


class Home:
    """The home of a sync driver: every thread and every loop may use its connection, one at a time.

    Args:
        database: the database, with the engine options that it is connected with.
    """

    is_async = False

    def __init__(self, database: Database) -> None:
        self._manager = DatabaseManager.for_database(database)

    @property
    def engine(self) -> Engine:
        """The engine that connects."""
        return self._manager.engine

    def call(self, function: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Call a function of the driver."""
        return function(*arguments, **options)

    def wrapped(self, value: Any) -> Any:
        """Return an attribute of the driver's connection so that it can be used from anywhere."""
        return value

    def connect(self) -> PoolProxiedConnection:
        """Open the connection."""
        return self.engine.raw_connection()

    def close(self) -> None:
        """Close it."""
        self.call(self.engine.dispose)


class LoopHome(Home):
    """The home of an async driver: a loop in a thread of its own, which runs what others wait for."""

    is_async = True

    def __init__(self, database: Database) -> None:
        from sqlhelpers.aio import AsyncDatabaseManager

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sqlhelpers_pytest", daemon=True)
        self._thread.start()
        manager = AsyncDatabaseManager.for_database(database)
        self._engine = self.call(lambda: manager.engine.sync_engine)

    @property
    def engine(self) -> Engine:
        """The engine that connects."""
        return self._engine

    def call(self, function: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Call a function of the driver in the loop, and wait for it."""
        work: Any = greenlet_spawn(function, *arguments, **options)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()  # type: ignore[no-any-return]

    def wrapped(self, value: Any) -> Any:
        """Return a method so that it runs in the loop."""
        return partial(self.call, value) if callable(value) else value

    def connect(self) -> PoolProxiedConnection:
        """Open the connection."""
        return self.call(self.engine.raw_connection)

    def close(self) -> None:
        """Close it, and end the thread."""
        super().close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
