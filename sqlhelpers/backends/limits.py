"""Time limits: of drivers, for a ping of a pooled connection and for one command, and of statements of revisions.

Every wait for a server ends, also when the network swallows all packets. A server's own limits
(``statement_timeout``) would not: nobody would hear of them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util.concurrency import await_only, in_greenlet

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from sqlalchemy.engine import Connection, Engine, ExceptionContext
    from sqlalchemy.engine.interfaces import DBAPIConnection


_PING = 2.0  # seconds: a pooled connection that does not answer by then is replaced
_CANCEL = 0.5  # seconds to tell the server that nobody waits any more
_LIMIT = "sqlhelpers_limit"  # in a connection's ``info``: the seconds, and the setting that they come from


def pause(seconds: float) -> None:
    """Wait; below an async manager, without blocking the event loop."""
    if in_greenlet():
        await_only(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)


def limit_waits(engine: Engine, connecting: float, command: float) -> None:
    """Let no wait for the server of an engine outlast its limit.

    Args:
        engine: the engine.
        connecting: how many seconds a connection may take to open.
        command: how many seconds the server may take to answer; 0 for no limit.
    """

    def while_connecting(connection: DBAPIConnection, _: object) -> None:
        _set(connection, connecting)

    def once_connected(connection: DBAPIConnection, record: Any) -> None:
        _set(connection, command)
        record.info[_LIMIT] = (command, "command_timeout")

    event.listen(engine, "connect", while_connecting, insert=True)  # SQLAlchemy's first questions come after it
    event.listen(engine, "connect", once_connected)
    event.listen(engine, "handle_error", _explain)
    ping = engine.dialect.do_ping

    def do_ping(connection: DBAPIConnection) -> bool:
        _set(connection, min(connecting / 2, _PING), cancels=False)
        try:
            return ping(connection)
        except TimeoutError:
            _abandon(connection)
            return False
        finally:
            _set(connection, command)

    engine.dialect.do_ping = do_ping  # type: ignore[assignment,method-assign]  # a ping has no event to bound it by


def limit_commands(connection: Connection, seconds: float, setting: str, *, cancels: bool = True) -> None:
    """Let every further command on ``connection`` take at most ``seconds``; 0 for no limit.

    Args:
        connection: one that does not go back to a pool.
        seconds: the limit.
        setting: the setting that it comes from, for the error message.
        cancels: tell the server to stop as well.
    """
    _set(connection.connection, seconds, cancels=cancels)
    connection.info[_LIMIT] = (seconds, setting)


def _set(connection: DBAPIConnection | PoolProxiedConnection | None, seconds: float, *, cancels: bool = True) -> None:
    if isinstance(connection, PoolProxiedConnection):
        connection = connection.dbapi_connection  # whose own driver_connection is lost when it is detached
    driver: Any = getattr(connection, "driver_connection", connection)
    limit = seconds or None
    package = type(driver).__module__.partition(".")[0]
    if type(driver) in _impatient(package):
        driver.__class__ = _impatient(package)[type(driver)]  # these drivers have no factory for connections
    if hasattr(driver, "command_timeout"):
        driver.command_timeout, driver.cancels = limit, cancels
    if hasattr(driver, "_read_timeout"):  # PyMySQL and asyncmy
        driver._read_timeout = driver._write_timeout = limit
    elif hasattr(driver, "_config"):  # asyncpg
        driver._config = driver._config._replace(command_timeout=limit)


@cache
def _impatient(package: str) -> dict[type[Any], type[Any]]:
    """Return, for each class of a driver's connections, one that stops waiting; none where there are other means."""
    if package == "psycopg":
        return _impatient_psycopg()
    if package in ("asyncmy", "aiomysql"):
        kind = import_module(f"{package}.connection").Connection
        return {kind: _impatient_mysql(kind)}
    return {}


def _impatient_mysql(kind: Any) -> type[Any]:
    class Impatient(kind):  # type: ignore[misc]  # of either driver
        """Gives up on a command, and on itself, after ``command_timeout`` seconds."""

        command_timeout: float | None = None
        cancels = False

        async def query(self, *args: Any, **kwargs: Any) -> Any:
            return await self._at_most(super().query(*args, **kwargs))

        async def ping(self, *args: Any, **kwargs: Any) -> Any:
            return await self._at_most(super().ping(*args, **kwargs))

        async def commit(self) -> Any:
            return await self._at_most(super().commit())

        async def rollback(self) -> Any:
            return await self._at_most(super().rollback())

        async def _at_most(self, work: Coroutine[Any, Any, Any]) -> Any:
            transport = getattr(self, "_transport", None) or getattr(getattr(self, "_writer", None), "transport", None)
            try:
                async with asyncio.timeout(self.command_timeout):
                    return await work
            except TimeoutError:
                self.close()
                if transport is not None:  # pragma: no branch  # it has gone with the server just before
                    transport.abort()  # a close would wait until all is sent
                raise

    return Impatient


def _impatient_psycopg() -> dict[type[Any], type[Any]]:
    import psycopg

    class Limited(psycopg.Connection[Any]):
        """Gives up on a command, and on itself, after ``command_timeout`` seconds."""

        command_timeout: float | None = None
        cancels = True  # the server is told, but not of a ping

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().wait(_until(gen, self.command_timeout), *args, **kwargs)
            except _TooLate as error:
                if self.cancels and psycopg.capabilities.has_cancel_safe():
                    with suppress(Exception):
                        self.cancel_safe(timeout=_CANCEL)
                self.close()
                raise psycopg.OperationalError(*error.args) from error

    class AsyncLimited(psycopg.AsyncConnection[Any]):
        """Gives up on a command, and on itself, after ``command_timeout`` seconds."""

        command_timeout: float | None = None
        cancels = True  # the server is told, but not of a ping

        async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return await super().wait(_until(gen, self.command_timeout), *args, **kwargs)
            except _TooLate as error:
                if self.cancels and psycopg.capabilities.has_cancel_safe():
                    with suppress(Exception):
                        await self.cancel_safe(timeout=_CANCEL)
                await self.close()
                raise psycopg.OperationalError(*error.args) from error

    return {psycopg.Connection: Limited, psycopg.AsyncConnection: AsyncLimited}


class _TooLate(Exception):
    """The server has let a command wait for too long. psycopg would take a TimeoutError for a broken socket."""


def _until(steps: Generator[Any, Any, Any], seconds: float | None) -> Generator[Any, Any, Any]:
    """Go through psycopg's steps of one command, and raise if the server lets them wait for too long."""
    if seconds is None:
        return (yield from steps)
    deadline = time.monotonic() + seconds
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted  # psycopg comes by at least every tenth of a second
            if time.monotonic() > deadline:
                raise _TooLate(f"no answer within {seconds:g} s")
            wanted = steps.send(ready)
    except StopIteration as ended:
        return ended.value


def _abandon(connection: Any) -> None:
    """Close a connection without a word to the server, which does not answer."""
    driver = getattr(connection, "driver_connection", connection)
    if hasattr(driver, "terminate"):
        driver.terminate()


def _explain(context: ExceptionContext) -> Exception | None:
    """Name the limit that a command has outlasted, and give up the connection that it was waiting on."""
    original, connection = context.original_exception, context.connection
    if connection is None or not _timed_out(original):
        return None
    seconds, setting = connection.info.get(_LIMIT, (0, "command_timeout"))
    if not connection.invalidated:  # pragma: no branch  # another thread may have done it
        _abandon(connection.connection.dbapi_connection)
    context.is_disconnect = True
    context.invalidate_pool_on_disconnect = False  # the others may answer
    reason = TimeoutError(f"no answer from the server within {seconds:g} s ({setting})")
    return OperationalError(context.statement, None, reason, hide_parameters=True, connection_invalidated=True)


def _timed_out(error: BaseException) -> bool:
    if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError | _TooLate):
        return True
    return type(error).__name__ == "OperationalError" and any(
        words in str(error) for words in ("(timed out)", "(read timeout)", "The read operation timed out")
    )


class RevisionLimits:
    """How long statements of revisions may wait for locks and run, on a connection that does not go back to a pool.

    Args:
        connection: a connection that is in no transaction.
        lock: how long to wait for the lock of a table or a row, in seconds; 0 for no limit.
        statement: how long one statement may take; 0 for no limit.
        is_pooled: whether the server's connection is lent for a transaction at a time.
    """

    def __init__(self, connection: Connection, lock: float, statement: float, *, is_pooled: bool) -> None:
        self.connection = connection
        self.is_pooled = is_pooled
        self._default: tuple[float, float] = (lock, statement)
        self.current: tuple[float, float] = self._default
        self.begin()
        self._tell()
        connection.rollback()

    def begin(self) -> None:
        """Prepare the connection, where the server is told as well."""

    def apply(self, lock: float | None = None, statement: float | None = None) -> None:
        """Set other limits until they are set again; None for those that the connection began with."""
        wanted = (self._default[0] if lock is None else lock, self._default[1] if statement is None else statement)
        if wanted != self.current:
            self.current = wanted
            self._tell()

    def _tell(self) -> None:
        statement = self.current[1]
        limit_commands(self.connection, statement and statement + _GRACE, "ddl_statement_timeout")
        self.tell_server()

    def tell_server(self) -> None:
        """Tell the server the limits, so that it stops by itself."""


class NoLimits(RevisionLimits):
    """None but those that the connection has: it is somebody else's, or nothing limits it."""

    def __init__(self) -> None:
        """Leave the connection alone."""

    def apply(self, lock: float | None = None, statement: float | None = None) -> None:
        """Do nothing."""


_GRACE = 0.5  # seconds by which the server is to be quicker than we
