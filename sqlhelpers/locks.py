"""Keeps runs apart that must not overlap: in one database from any process, and in this process.

All is synchronous. Below an async manager it runs in SQLAlchemy's greenlet, where a pause lets the event loop go on.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from filelock import Timeout as FileIsLocked
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from sqlhelpers import timeouts, urls
from sqlhelpers.exceptions import DatabaseFailure, LockTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

_PAUSE = 0.1  # seconds between two attempts
_SHORT_PAUSE = 0.02
_LAST_WORD = 1.0  # seconds that the server may take to hear that the lock is free
_ONE_ANSWER = 5.0  # seconds that the server may take to answer, however short the wait for the lock is
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

    def holder(self) -> str:
        """Say who holds the lock."""
        return "nobody"

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


@contextmanager
def only_run(engine: Engine, where: str, seconds: float) -> Iterator[Lock]:
    """Wait until no other run changes the database, from whichever process, and keep others out during the block.

    Args:
        engine: the engine of the database. A connection beside its pool holds the lock.
        where: the database, for messages.
        seconds: how long to wait for the other run.

    Raises:
        LockTimeout: it took longer; the text names the holder.
    """
    if _running.get():
        raise LockTimeout(f"{where}: this is called by a revision or a hook of a run, which has to end first")
    deadline = time.monotonic() + seconds
    with _lock_of(engine, seconds) as lock:
        while not lock.try_acquire():
            left = deadline - time.monotonic()
            if left <= 0:
                raise LockTimeout(
                    f"{where}: another run has not ended within {seconds:g} s (lock_timeout): {lock.holder()}",
                )
            timeouts.pause(min(_PAUSE, left))
        with alembic_alone(where, max(deadline - time.monotonic(), _PAUSE)):
            yield lock


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
            if not connection.invalidated and not isinstance(engine.pool, StaticPool):  # there one is the database
                connection.rollback()
                connection.invalidate()


@contextmanager
def _lock_of(engine: Engine, seconds: float) -> Iterator[Lock]:
    dialect, file = engine.dialect.name, urls.sqlite_file(engine.url)
    if file is not None:
        lock: Lock = _FileLock(file.resolve())
        try:
            yield lock
        finally:
            lock.release()
    elif dialect in _IN_THE_DATABASE:
        with engine.connect() as connection:
            connection.detach()  # or the run could find no connection left in a small pool
            lock = _IN_THE_DATABASE[dialect](connection, seconds)
            try:
                yield lock
            finally:
                _let_go(lock, connection)
    else:
        yield Lock()


def _let_go(lock: Lock, connection: Connection) -> None:
    """Release a lock and close its connection, both without waiting for a server that does not answer."""
    if connection.invalidated:
        return
    dbapi_connection = connection.connection.dbapi_connection
    timeouts.limit_commands(connection, _LAST_WORD, "lock_timeout")
    with suppress(DBAPIError):
        lock.release()
    if not connection.invalidated and dbapi_connection is not None:
        connection.invalidate()  # a detached connection is then ours to close
        connection.dialect.do_terminate(dbapi_connection)


class _PostgresLock(Lock):
    """An advisory lock in a transaction that does nothing else, so that it is right behind a transaction pooler too.

    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS. It is asked for and never waited
    for: who waits inside the server holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that.
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = max(_ONE_ANSWER, seconds)
        self._deadline = time.monotonic() + seconds

    def try_acquire(self) -> bool:
        self._connection.rollback()
        timeouts.limit_commands(self._connection, max(1.0, self._deadline - time.monotonic()), "lock_timeout")
        try:
            taken = bool(self._connection.scalar(text(_TRY_LOCK), {"key": _KEY, "me": f"sqlhelpers {me()}"}))
        except DBAPIError as error:
            if not isinstance(error.orig, TimeoutError):
                raise
            raise LockTimeout(
                f"the database has not even said within lock_timeout whether another run is under way: {error.orig}; "
                "if a pooler is in front of it, all of its connections may be in use: two are needed",
            ) from error
        if taken:
            timeouts.limit_commands(self._connection, self._seconds, "lock_timeout")
            self.probe()
        else:
            self._connection.rollback()
        return taken

    def probe(self) -> None:
        with _lost_with_its_connection():
            # a utility statement: after a SELECT, its open portal would keep a snapshot
            self._connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    def release(self) -> None:
        self._connection.rollback()

    def holder(self) -> str:
        with suppress(DBAPIError):
            row = self._connection.execute(text(_POSTGRES_HOLDER), {"key": _KEY}).first()
            if row is not None:
                name = f" {row.application_name!r}" if row.application_name else ""
                return f"it is process {row.pid}{name} of role {row.usename} at {row.client_addr or 'this host'}"
        return "nobody holds the lock just now"


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


class _MysqlLock(Lock):
    """A named lock of the server, which belongs to a connection that does nothing else.

    https://mariadb.com/docs/server/reference/sql-functions/secondary-functions/miscellaneous-functions/get_lock
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        timeouts.limit_commands(connection, max(_ONE_ANSWER, seconds), "lock_timeout")
        connection.exec_driver_sql("SET SESSION wait_timeout = 604800")  # a week: the holder is idle all along
        name = f"sqlhelpers:{self._ask('SELECT DATABASE()')}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        self._name = name if len(name) <= _LONGEST_NAME else f"sqlhelpers:{digest[:48]}"

    def _ask(self, sql: str, **values: Any) -> Any:
        found = self._connection.scalar(text(sql), values)
        self._connection.rollback()
        return found

    def try_acquire(self) -> bool:
        return bool(self._ask("SELECT GET_LOCK(:name, 0)", name=self._name))

    def probe(self) -> None:
        with _lost_with_its_connection():
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
        with suppress(DBAPIError):
            timeouts.limit_commands(self._connection, _LAST_WORD, "lock_timeout")
            self._connection.exec_driver_sql(f"KILL CONNECTION {int(statement_of)}")

    def holder(self) -> str:
        with suppress(DBAPIError):
            found = self._ask("SELECT IS_USED_LOCK(:name)", name=self._name)
            if found:
                query = "SELECT concat(user, ' at ', host) FROM information_schema.processlist WHERE id = :id"
                who = self._ask(query, id=found)
                return f"it is connection {found}" + (f" of {who}" if who else "")
        return "nobody holds the lock just now"


@contextmanager
def _lost_with_its_connection() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise DatabaseFailure(
            f"the connection that holds the lock was lost, so this run stops: {error.orig}"
        ) from error


class _FileLock(Lock):
    """A lock on a file beside the database, which the operating system frees when its holder ends, however it ends."""

    def __init__(self, database: Path) -> None:
        if not database.parent.is_dir():  # the lock would make it
            raise FileNotFoundError(f"the folder {database.parent} does not exist")
        self._file = Path(f"{database}-lock")
        self._lock = FileLock(self._file, timeout=0)

    def try_acquire(self) -> bool:
        try:
            self._lock.acquire()
        except FileIsLocked:
            return False
        self._file.write_text(me(), "utf-8")
        return True

    def release(self) -> None:
        if self._lock.is_locked:
            self._file.write_text("", "utf-8")
            self._lock.release()

    def holder(self) -> str:
        name = self._file.read_text("utf-8").strip()
        return f"it is {name} ({self._file})" if name else f"nobody holds {self._file} just now"


_IN_THE_DATABASE = {"postgresql": _PostgresLock, "mysql": _MysqlLock, "mariadb": _MysqlLock}

#: Alembic's ``op`` and ``context`` belong to the whole process: one run at a time, whatever the database.
_alembic = threading.Lock()
_alembic_user = ""

#: Set in a run, and so in all that its revisions and hooks call.
_running: ContextVar[bool] = ContextVar("sqlhelpers_running", default=False)


@contextmanager
def alembic_alone(where: str, seconds: float) -> Iterator[None]:
    """Keep other runs of this process out during the block.

    Raises:
        LockTimeout: the other run took too long.
    """
    global _alembic_user  # noqa: PLW0603  # as global as the lock
    deadline = time.monotonic() + seconds
    while not _alembic.acquire(blocking=False):
        if time.monotonic() > deadline:
            raise LockTimeout(f"{where}: another run in this process has not ended in time: {_alembic_user}")
        timeouts.pause(_SHORT_PAUSE)
    token = _running.set(True)
    _alembic_user = where
    try:
        yield
    finally:
        _running.reset(token)
        _alembic.release()


def _new_process() -> None:
    """In a forked child: nobody runs here, whatever a thread of the parent did when it forked."""
    global _alembic  # noqa: PLW0603  # as global as the lock
    _alembic = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_process)
