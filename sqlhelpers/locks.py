"""Keeps runs apart that must not overlap."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from sqlhelpers.exceptions import LockTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_TIMEOUT = 60.0  # seconds
_PAUSE = 0.02

#: Alembic's ``op`` and ``context`` belong to the whole process: one run at a time, whatever the database.
_alembic = threading.Lock()


@contextmanager
def one_run_at_a_time() -> Iterator[None]:
    """Wait until no other run in this process uses Alembic, and keep others out during the block.

    Raises:
        LockTimeout: the other run took too long, or is waiting for this thread.
    """
    if not _alembic.acquire(timeout=_TIMEOUT):
        raise _too_long()
    try:
        yield
    finally:
        _alembic.release()


@asynccontextmanager
async def one_run_at_a_time_async() -> AsyncIterator[None]:
    """Do as ``one_run_at_a_time``, without blocking the event loop."""
    deadline = time.monotonic() + _TIMEOUT
    while not _alembic.acquire(blocking=False):
        if time.monotonic() > deadline:
            raise _too_long()
        await asyncio.sleep(_PAUSE)
    try:
        yield
    finally:
        _alembic.release()


def _too_long() -> LockTimeout:
    return LockTimeout(f"another run in this process has not ended within {_TIMEOUT:g} seconds")
