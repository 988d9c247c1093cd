"""Work that is rolled back before a cancelled task ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

R = TypeVar("R")


async def to_the_end(work: Coroutine[Any, Any, R]) -> R:
    """Await ``work`` in a task of its own, and let that roll back when this one is cancelled, however often it is."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        while not task.done():
            with suppress(asyncio.CancelledError):  # anyio cancels again and again
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # heard: it is the consequence
        raise
