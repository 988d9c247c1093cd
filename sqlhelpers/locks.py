"""Keeps runs apart that must not overlap: in one database from any process, and in this process.

All is synchronous. Below an async manager it runs in SQLAlchemy's greenlet, where a pause lets the event loop go on.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from sqlhelpers import timeouts, urls
from sqlhelpers.exceptions import LockTimeout
from sqlhelpers.server_locks import IN_THE_SERVER, Lock, me

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

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
            timeouts.pause(min(_PAUSE, left))
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
        timeouts.limit_commands(connection, _LAST_WORD, "lock_timeout", cancels=False)
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


if hasattr(os, "register_at_fork"):  # pragma: no branch  # there is none on Windows
    os.register_at_fork(after_in_child=_new_process)
