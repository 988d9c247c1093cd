"""Managers of both kinds, with every driver, called in the same words."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from sqlalchemy import Executable

    from sqlhelpers import Runtime

#: The seconds that a busy machine may add to what is promised; less than connections take by default, which is ten.
#: ``SQLHELPERS_PATIENCE=0 make test ARGS=tests/faults`` takes the promises at their word, on a machine that is idle.
PATIENCE = float(os.environ.get("SQLHELPERS_PATIENCE", "6"))

#: driver -> the name of the dialect in a URL, whether a manager is async that has it, the server
DRIVERS = {
    "psycopg": ("postgresql+psycopg", False, "postgres"),
    "psycopg-async": ("postgresql+psycopg", True, "postgres"),
    "asyncpg": ("postgresql+asyncpg", True, "postgres"),
    "pymysql": ("mariadb+pymysql", False, "mariadb"),
    "asyncmy": ("mariadb+asyncmy", True, "mariadb"),
    "pysqlite": ("sqlite+pysqlite", False, "sqlite"),
    "aiosqlite": ("sqlite+aiosqlite", True, "sqlite"),
}


class Caller:
    """Calls the default database's manager, the sync or the async one.

    Args:
        runtime: its runtime, which this closes.
        is_async: which manager.
    """

    def __init__(self, runtime: Runtime, *, is_async: bool) -> None:
        self._runtime = runtime
        self._runner = asyncio.Runner() if is_async else None
        self.manager: Any = runtime.async_manager() if is_async else runtime.manager()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the manager, or of its migrations."""
        if self._runner is None:
            return self._method(method)(*arguments)
        return self._runner.run(self._call(method, *arguments))

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await self._method(method)(*arguments)

    def _method(self, name: str) -> Any:
        return getattr(self.manager if hasattr(self.manager, name) else self.manager.migrations, name)

    def run(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine function that is given the manager, the async one."""
        assert self._runner is not None
        return self._runner.run(work(self.manager))

    def in_session(self, *steps: str | Executable | Callable[[], object]) -> Any:
        """Open a session, execute statements and call functions in it, and return the last statement's first value."""
        if self._runner is None:
            found = None
            with self.manager.session() as session:
                for step in steps:
                    found = (step(), found)[1] if callable(step) else _first(session.execute(_statement(step)))
            return found
        return self._runner.run(self._in_session(*steps))

    async def _in_session(self, *steps: str | Executable | Callable[[], object]) -> Any:
        found = None
        async with self.manager.session() as session:
            for step in steps:
                found = (step(), found)[1] if callable(step) else _first(await session.execute(_statement(step)))
        return found

    def in_two_sessions(self) -> None:
        """Open a session that has a connection, and in it another one."""
        if self._runner is not None:
            self._runner.run(self._in_two_sessions())
            return
        with self.manager.session() as first:
            first.execute(text("SELECT 1"))
            with self.manager.session() as second:
                second.execute(text("SELECT 1"))

    async def _in_two_sessions(self) -> None:
        async with self.manager.session() as first:
            await first.execute(text("SELECT 1"))
            async with self.manager.session() as second:
                await second.execute(text("SELECT 1"))

    @property
    def checked_out(self) -> int:
        """How many connections are not back in the pool."""
        if self._runner is None:
            return int(self.manager.engine.pool.checkedout())
        return self._runner.run(self._checked_out())

    async def _checked_out(self) -> int:
        return int(self.manager.engine.pool.checkedout())

    def close(self) -> None:
        """Dispose of the engine, and close the event loop."""
        if self._runner is None:
            self._runtime.dispose()
            return
        self._runner.run(self._runtime.dispose_async())
        self._runner.close()


def _statement(step: Any) -> Any:
    return text(step) if isinstance(step, str) else step


def _first(result: Any) -> Any:
    row = result.first() if result.returns_rows else None
    return row[0] if row else None


def with_driver(url: str, driver: str) -> str:
    """Return a URL without a driver with one."""
    return DRIVERS[driver][0] + url[url.index(":") :]


@contextmanager
def within(limit: float) -> Iterator[None]:
    """Fail if the block takes more than a time limit and the two seconds that are promised on top of it."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < limit + 2 + PATIENCE, f"took {took:.2f} s, limit {limit:g} s"
