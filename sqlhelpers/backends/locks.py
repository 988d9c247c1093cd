"""Locks of databases, and connections of a run that nobody else gets.

All is synchronous. Below an async manager it runs in SQLAlchemy's greenlet, where a pause lets the event loop go on.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from sqlhelpers.backends.limits import limit_commands
from sqlhelpers.exceptions import DatabaseFailure, LockTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

#: Seconds that the server may take to answer, however short the wait for the lock is.
ONE_ANSWER = 1.0

_PROBE = 10.0  # seconds that it may take to say that the lock is still held
_LAST_WORD = 0.5  # seconds that it may take to hear that the lock is free


def process_identity() -> str:
    """Return who this process is, as others are told: user, host and process id."""
    user = "?"
    with suppress(Exception):  # a container may have no name for its user
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"


class Lock:
    """The lock of one database. This one keeps nobody out: that of a database in memory."""

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and do not wait for it."""
        return True

    def probe(self) -> None:
        """Raise if the lock may have been lost.

        Raises:
            DatabaseFailure: another run may have begun.
        """

    def held_by(self) -> str:
        """Return who holds the lock, without taking it; empty if nobody does."""
        return ""

    def holder(self) -> str:
        """Say who holds the lock."""
        who = self.held_by()
        return f"it is {who}" if who else "nobody holds the lock just now"

    def release(self) -> None:
        """Let others have the lock."""

    def abort(self, statement_of: Any) -> None:
        """End a statement whose answer nobody waits for any more, where the server would go on with it.

        Args:
            statement_of: what ``session`` has said of the connection that it runs on.
        """

    def session(self, connection: Connection) -> Any:
        """Return the name that the server has for a connection."""
        return None


class ServerLock(Lock):
    """A lock in the server, which belongs to a connection that does nothing else."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.connection = connection
        self._patience = max(ONE_ANSWER, seconds)
        self._deadline = time.monotonic() + seconds

    def try_once(self) -> bool:
        """Ask the server for the lock, and do not wait for it."""
        raise NotImplementedError

    def try_acquire(self) -> bool:
        """Take the lock if it is free; raise if the server does not even answer."""
        limit_commands(self.connection, max(ONE_ANSWER, self._deadline - time.monotonic()), "lock_timeout")
        try:
            taken = self.try_once()
            if taken:
                limit_commands(self.connection, min(self._patience, _PROBE), "probe of the lock")
                self.probe()
        except DBAPIError as error:
            if not isinstance(error.orig, TimeoutError):
                raise
            raise LockTimeout(
                f"the database has not even said whether another run is under way: {error.orig}; if a pooler is in "
                "front of it, all of its connections may be in use: a run needs two",
            ) from error
        return taken

    @contextmanager
    def or_stop(self) -> Iterator[None]:
        """Say that the lock may be lost if the block cannot ask for it."""
        try:
            yield
        except DBAPIError as error:
            raise DatabaseFailure(
                f"the connection that holds the lock is lost, so this run stops: {error.orig}"
            ) from error


@contextmanager
def held_in_server(kind: type[ServerLock], engine: Engine, seconds: float) -> Iterator[Lock]:
    """Open a connection beside the pool for a lock, and release it at the end of the block."""
    with engine.connect() as connection:
        connection.detach()  # or the run could find no connection left in a small pool
        dbapi_connection = connection.connection.dbapi_connection
        lock = kind(connection, seconds)
        try:
            yield lock
        finally:
            _let_go(lock, connection, dbapi_connection)


def _let_go(lock: Lock, connection: Connection, dbapi_connection: Any) -> None:
    """Release a lock and close its connection, both without waiting for a server that does not answer."""
    with suppress(SQLAlchemyError):
        limit_commands(connection, _LAST_WORD, "lock_timeout", cancels=False)
        lock.release()
    if not connection.invalidated:
        connection.invalidate()
    with suppress(Exception):  # it may be closed; SQLAlchemy forgets a detached one, and does not close it
        connection.dialect.do_terminate(dbapi_connection)


@contextmanager
def connected(engine: Engine, lock: Lock) -> Iterator[Connection]:
    """Open a connection that is closed at the end, so that nothing set on it reaches who uses the pool later."""
    with engine.connect() as connection:
        session = lock.session(connection)
        try:
            yield connection
        except BaseException as error:
            if connection.invalidated or not isinstance(error, Exception):
                lock.abort(session)
            raise
        finally:
            close(connection)


def close(connection: Connection) -> None:
    """Close a connection that nobody uses soon, instead of giving it back to the pool; but not one in memory."""
    if not connection.invalidated and not isinstance(connection.engine.pool, StaticPool):  # there one is the database
        connection.rollback()
        connection.invalidate()


@contextmanager
def connected_once(engine: Engine) -> Iterator[Connection]:
    """Connect with an engine that nobody else uses, and dispose of it at the end."""
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
