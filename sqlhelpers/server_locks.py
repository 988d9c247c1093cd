"""The lock of one database, where the server keeps it."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sqlhelpers import timeouts
from sqlhelpers.exceptions import DatabaseFailure, LockTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

_ONE_ANSWER = 1.0  # seconds that the server may take to answer, however short the wait for the lock is
_PROBE = 10.0  # seconds that it may take to say that the lock is still held
_KEY = int.from_bytes(hashlib.sha256(b"sqlhelpers").digest()[:8], "big", signed=True)
_LONGEST_NAME = 64  # characters in the name of a lock of MySQL


def me() -> str:
    """Return who this process is, as others are told: user, host and process id."""
    user = "?"
    with suppress(Exception):  # a container may have no name for its user
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"


class Lock:
    """The lock of one database. This one keeps nobody out: of a database in memory, or of a dialect without one."""

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

    def session(self, connection: Connection) -> Any:  # noqa: ARG002  # others look at it
        """Return the name that the server has for a connection."""
        return None


class _ServerLock(Lock):
    """A lock in the server, which belongs to a connection that does nothing else."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._patience = max(_ONE_ANSWER, seconds)
        self._deadline = time.monotonic() + seconds

    def _try(self) -> bool:
        raise NotImplementedError

    def try_acquire(self) -> bool:
        timeouts.limit_commands(self._connection, max(_ONE_ANSWER, self._deadline - time.monotonic()), "lock_timeout")
        try:
            taken = self._try()
            if taken:
                timeouts.limit_commands(self._connection, min(self._patience, _PROBE), "probe of the lock")
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
    def _or_stop(self) -> Iterator[None]:
        """Say that the lock may be lost if the block cannot ask for it."""
        try:
            yield
        except DBAPIError as error:
            raise DatabaseFailure(
                f"the connection that holds the lock is lost, so this run stops: {error.orig}"
            ) from error


class _PostgresLock(_ServerLock):
    """An advisory lock in a transaction of its own, so that it is right behind a transaction pooler too.

    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS. It is asked for and never waited
    for: who waits inside the server holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that.
    """

    def _try(self) -> bool:
        taken = bool(self._connection.scalar(text(_TRY_LOCK), {"key": _KEY, "me": f"sqlhelpers {me()}"}))
        if not taken:
            self._connection.rollback()
        return taken

    def probe(self) -> None:
        with self._or_stop():
            # a utility statement: after a SELECT, its open portal would keep a snapshot
            self._connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    def release(self) -> None:
        self._connection.rollback()

    def held_by(self) -> str:
        with suppress(DBAPIError):
            row = self._connection.execute(text(_POSTGRES_HOLDER), {"key": _KEY}).first()
            if row is not None:
                where = row.client_addr or "this host"
                return f"process {row.pid} {row.application_name!r} of role {row.usename} at {where}"
        return ""


#: The server finds out within half a minute that the host of the holder has vanished, instead of after two hours.
_TRY_LOCK = """
SELECT CASE WHEN pg_try_advisory_xact_lock(:key) THEN
    set_config('application_name', left(:me, 63), true) IS NOT NULL
    AND set_config('tcp_keepalives_idle', '10', true) IS NOT NULL
    AND set_config('tcp_keepalives_interval', '5', true) IS NOT NULL
    AND set_config('tcp_keepalives_count', '4', true) IS NOT NULL
    ELSE false END
"""

_POSTGRES_HOLDER = """
SELECT a.pid, a.application_name, a.usename, a.client_addr
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
AND (l.classid::bigint << 32) | l.objid::bigint = :key
"""


class _MysqlLock(_ServerLock):
    """A named lock, which is the connection's until it is released or the connection ends.

    https://mariadb.com/docs/server/reference/sql-functions/secondary-functions/miscellaneous-functions/get_lock
    """

    @cached_property
    def _name(self) -> str:
        name = f"sqlhelpers:{self._ask('SELECT DATABASE()')}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        return name if len(name) <= _LONGEST_NAME else f"sqlhelpers:{digest[:48]}"

    def _ask(self, sql: str, **values: Any) -> Any:
        found = self._connection.scalar(text(sql), values)
        self._connection.rollback()
        return found

    def _try(self) -> bool:
        if "_name" not in vars(self):
            self._connection.exec_driver_sql("SET SESSION wait_timeout = 604800")  # a week: it will be idle
        return bool(self._ask("SELECT GET_LOCK(:name, 0)", name=self._name))

    def probe(self) -> None:
        with self._or_stop():
            held = self._ask("SELECT IS_USED_LOCK(:name) = CONNECTION_ID()", name=self._name)
        if not held:
            raise DatabaseFailure("the lock was lost, so this run stops")

    def release(self) -> None:
        self._ask("SELECT RELEASE_LOCK(:name)", name=self._name)

    def session(self, connection: Connection) -> Any:
        number = connection.scalar(text("SELECT CONNECTION_ID()"))
        connection.rollback()
        return number

    def abort(self, statement_of: Any) -> None:
        with suppress(SQLAlchemyError):
            timeouts.limit_commands(self._connection, _ONE_ANSWER, "lock_timeout")
            self._connection.exec_driver_sql(f"KILL CONNECTION {int(statement_of)}")

    def held_by(self) -> str:
        with suppress(DBAPIError):
            found = self._ask("SELECT IS_USED_LOCK(:name)", name=self._name)
            if found:
                query = "SELECT concat(user, ' at ', host) FROM information_schema.processlist WHERE id = :id"
                who = self._ask(query, id=found)
                return f"connection {found}" + (f" of {who}" if who else "")
        return ""


#: The lock of each dialect that has one.
IN_THE_SERVER: dict[str, type[_ServerLock]] = {
    "postgresql": _PostgresLock,
    "mysql": _MysqlLock,
    "mariadb": _MysqlLock,
}
