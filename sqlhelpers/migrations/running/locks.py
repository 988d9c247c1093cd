"""Keeps runs apart that must not overlap: in one database from any process, and in this process.

All is synchronous. Below an async manager it runs in SQLAlchemy's greenlet, where a pause lets the event loop go on.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from sqlalchemy.pool import StaticPool

from sqlhelpers.backends import backend_of, pause
from sqlhelpers.exceptions import ConfigurationError, LockTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.backends import Lock

_PAUSE = 0.1  # seconds between two attempts
_SHORT_PAUSE = 0.02


def may_look_first(engine: Engine) -> bool:
    """Tell whether it is worth while to look at a database before the lock is asked for, and safe.

    It is not within a run, which would share its only connection; nor where another run is seen to be under way on
    SQLite, which might keep who reads waiting.
    """
    if _running.get() or isinstance(engine.pool, StaticPool):
        return False
    return backend_of(engine).may_look_first(engine)


@contextmanager
def only_run(engine: Engine, where: str, seconds: float) -> Iterator[Lock]:
    """Wait until no other run changes the database, from whichever process, and keep others out during the block.

    Args:
        engine: the engine of the database. A connection beside its pool holds the lock.
        where: the database, for messages.
        seconds: how long to wait for the other run.

    Raises:
        LockTimeout: it took longer; the text names the holder.
        ConfigurationError: nobody has described the kind of database; nothing was changed.
    """
    if _running.get():
        raise LockTimeout(f"{where}: this is called by a revision or a hook of a run, which has to end first")
    deadline = time.monotonic() + seconds
    with _lock_of(engine, where, seconds) as lock:
        while not lock.try_acquire():
            left = deadline - time.monotonic()
            if left <= 0:
                raise LockTimeout(
                    f"{where}: another run has not ended within {seconds:g} s (lock_timeout): {lock.holder()}",
                )
            pause(min(_PAUSE, left))
        with alembic_alone(where, max(deadline - time.monotonic(), _PAUSE)):
            yield lock


def _lock_of(engine: Engine, where: str, seconds: float) -> AbstractContextManager[Lock]:
    try:
        return backend_of(engine).lock(engine, seconds)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def holder_of(connection: Connection) -> str:
    """Return who holds the lock of a database just now, without keeping it from anybody; empty if nobody does."""
    return backend_of(connection).lock_holder(connection)


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
