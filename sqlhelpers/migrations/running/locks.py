"""Keeps runs apart that must not overlap: in one database from any process, and in this process."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from sqlhelpers import urls
from sqlhelpers.engines import limit_commands, pause
from sqlhelpers.exceptions import DatabaseFailure, LockTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

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
        limit_commands(self._connection, max(_ONE_ANSWER, self._deadline - time.monotonic()), "lock_timeout")
        try:
            taken = self._try()
            if taken:
                limit_commands(self._connection, min(self._patience, _PROBE), "probe of the lock")
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
            limit_commands(self._connection, _ONE_ANSWER, "lock_timeout")
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


_PAUSE = 0.1  # seconds between two attempts
_SHORT_PAUSE = 0.02
_LAST_WORD = 0.5  # seconds that the server may take to hear that the lock is free


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


def may_look_first(engine: Engine) -> bool:
    """Tell whether it is worth while to look at a database before the lock is asked for, and safe.

    It is not within a run, which would share its only connection; nor where another run is seen to be under way on
    SQLite, which might keep who reads waiting.
    """
    if _running.get() or isinstance(engine.pool, StaticPool):
        return False
    file = urls.sqlite_file(engine.url)
    if file is None:
        return True
    return _size(file) > 0 and _size(_beside(file.resolve())) == 0


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
            pause(min(_PAUSE, left))
        with alembic_alone(where, max(deadline - time.monotonic(), _PAUSE)):
            yield lock


@contextmanager
def _lock_of(engine: Engine, seconds: float) -> Iterator[Lock]:
    dialect, file = engine.dialect.name, urls.sqlite_file(engine.url)
    if file is not None:
        lock: Lock = _FileLock(file.resolve())
        try:
            yield lock
        finally:
            lock.release()
    elif dialect in IN_THE_SERVER:
        with engine.connect() as connection:
            connection.detach()  # or the run could find no connection left in a small pool
            dbapi_connection = connection.connection.dbapi_connection
            lock = IN_THE_SERVER[dialect](connection, seconds)
            try:
                yield lock
            finally:
                _let_go(lock, connection, dbapi_connection)
    else:
        yield Lock()


def holder_of(connection: Connection) -> str:
    """Return who holds the lock of a database just now, without keeping it from anybody; empty if nobody does."""
    file, kind = urls.sqlite_file(connection.engine.url), IN_THE_SERVER.get(connection.dialect.name)
    if file is None:
        return kind(connection, 0).held_by() if kind else ""
    lock = _FileLock(file.resolve())
    return "" if lock.is_free() else lock.held_by()


def _let_go(lock: Lock, connection: Connection, dbapi_connection: Any) -> None:
    """Release a lock and close its connection, both without waiting for a server that does not answer."""
    with suppress(SQLAlchemyError):
        limit_commands(connection, _LAST_WORD, "lock_timeout", cancels=False)
        lock.release()
    if not connection.invalidated:
        connection.invalidate()
    with suppress(Exception):  # it may be closed; SQLAlchemy forgets a detached one, and does not close it
        connection.dialect.do_terminate(dbapi_connection)


def _beside(database: Path) -> Path:
    return Path(f"{database}-lock")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it is not there, or nobody may know
        return 0


class _FileLock(Lock):
    """A lock on a file beside the database, which the operating system frees when its holder ends, however it ends."""

    def __init__(self, database: Path) -> None:
        if not database.parent.is_dir():  # the lock would make it
            raise FileNotFoundError(f"the folder {database.parent} does not exist")
        from filelock import FileLock

        self._file = _beside(database)
        self._lock = FileLock(self._file, timeout=0)

    def try_acquire(self) -> bool:
        if not self._acquire():
            return False
        self._file.write_text(me(), "utf-8")
        return True

    def _acquire(self) -> bool:
        from filelock import Timeout

        try:
            self._lock.acquire()
        except Timeout:
            return False
        return True

    def is_free(self) -> bool:
        """Tell whether nobody holds it: a process that was killed has left its name in the file."""
        if self._file.exists():  # trying would make it
            if not self._acquire():
                return False
            self._lock.release()
        return True

    def release(self) -> None:
        if self._lock.is_locked:
            self._file.write_text("", "utf-8")
            self._lock.release()

    def held_by(self) -> str:
        name = self._file.read_text("utf-8").strip() if self._file.exists() else ""
        return f"{name} ({self._file})" if name else ""


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
        pause(_SHORT_PAUSE)
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


if hasattr(os, "register_at_fork"):  # pragma: no branch  # there is none on Windows
    os.register_at_fork(after_in_child=_new_process)
