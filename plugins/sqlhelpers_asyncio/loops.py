"""Event loops that are begun and ended here: what a signal does to them, and what is done at their end."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from sqlhelpers import interrupts
from sqlhelpers.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator

R = TypeVar("R")

#: How many seconds a task has to roll back, once a signal has cancelled it.
GRACE = 10.0

#: For how many seconds a loop that does not take up a signal only counts as busy.
BLOCKED = 1.0

_ENDINGS = "sqlhelpers_endings"  # an attribute of the loop


def run(main: Callable[[], Coroutine[Any, Any, R]], *, debug: bool | None = None) -> R:
    """Run ``main()`` in an event loop of its own, as ``asyncio.run`` does, and return its result.

    SIGINT and SIGTERM cancel it. A second signal does not disturb the roll-back that the first has begun; one that has
    not ended within ``GRACE`` seconds is given up. Code that blocks the loop is interrupted by a signal that comes more
    than ``BLOCKED`` seconds after the first.

    Args:
        main: makes the coroutine.
        debug: the loop's debug mode; None for the default.

    Raises:
        KeyboardInterrupt: SIGINT has ended it; ``Terminated`` if it was SIGTERM.
        ConfigurationError: an event loop runs in this thread already.
    """
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise ConfigurationError("an event loop runs in this thread already, so another one cannot be run")
    runner = asyncio.Runner(debug=debug)
    loop = runner.get_loop()
    interrupt = _Interrupt(loop)
    with interrupts.handled(interrupt.on_signal), _calm_pools(), runner:
        result = interrupt.run(main())
    if interrupt.signal and not interrupt.has_cancelled:  # it came after the end of main
        raise interrupt.signal
    return result


@contextmanager
def _calm_pools() -> Iterator[None]:
    """Let the pools of async engines not log an error for a connection that is given back by a task that is cancelled.

    They close it, and raise, which is all that there is to do.
    """
    pools = logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool")
    pools.addFilter(_is_no_cancellation)
    try:
        yield
    finally:
        pools.removeFilter(_is_no_cancellation)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class _Interrupt:
    """What signals do to the main task of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.signal: type[KeyboardInterrupt] | None = None
        self.has_cancelled = False
        self._is_taken_up = False
        self._since = 0.0
        self._task: asyncio.Task[Any] | None = None

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        task = self.loop.create_task(main)
        self._task = task
        try:
            return self.loop.run_until_complete(task)
        except asyncio.CancelledError:
            if self.signal:
                raise self.signal from None
            raise

    def on_signal(self, number: int, _: object) -> None:
        if self.signal is None:
            self.signal = interrupts.RAISED[number]
            self._since = time.monotonic()
            with suppress(RuntimeError):  # it is closed
                self.loop.call_soon_threadsafe(self._cancel)  # which also wakes the loop
        elif not self._is_taken_up and time.monotonic() - self._since > BLOCKED:
            raise self.signal

    def _cancel(self) -> None:
        self._is_taken_up = True
        self.has_cancelled = self._task is not None and self._task.cancel()
        self.loop.call_later(GRACE, self._give_up)

    def _give_up(self) -> None:
        self.loop.call_later(GRACE, self._give_up)  # closing the loop waits for its tasks as well
        assert self.signal is not None
        raise self.signal


def at_shutdown(loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[None]]) -> None:
    """Await ``work()`` when a loop shuts down its async generators.

    ``asyncio.run`` and ``asyncio.Runner`` do that once all tasks of the loop have ended.

    Args:
        loop: the running loop, or one that has not run yet.
        work: what to await.
    """

    async def waiting() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await work()

    def begin() -> None:
        with suppress(StopIteration):  # it has come to its yield; a loop notes generators that begin while it runs
            ending.asend(None).send(None)

    ending = waiting()
    setattr(loop, _ENDINGS, [*getattr(loop, _ENDINGS, ()), ending])  # the loop itself only has a weak reference
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        begin()
    else:
        loop.call_soon_threadsafe(begin)
