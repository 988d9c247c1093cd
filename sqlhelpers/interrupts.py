"""Signals that end a process: everything under way is rolled back on the way out."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. Drivers stop as they do for Ctrl-C."""


#: What each signal raises.
RAISED: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}

_received: list[type[BaseException]] = []


def listen() -> None:
    """Raise ``KeyboardInterrupt`` for SIGINT and ``Terminated`` for SIGTERM, wherever the process is just then.

    Python's own handler of SIGINT would do for the first, but asyncio replaces that by one which waits for an await.
    """
    _received.clear()
    for number in RAISED:
        signal.signal(number, _on_signal)


@contextmanager
def listening() -> Iterator[None]:
    """Do as ``listen`` until the block ends, in a process that others may have set up."""
    _received.clear()
    with handled(_on_signal):
        try:
            yield
        finally:
            _received.clear()


@contextmanager
def handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Let ``handler`` have both signals until the block ends, unless the application has a handler of its own.

    In a thread, which no signal reaches, nothing is changed.
    """
    nobodys = (signal.SIG_DFL, signal.default_int_handler, _on_signal)
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: now for number in RAISED if (now := signal.getsignal(number)) in nobodys}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def ignore() -> None:
    """Ignore both from now on: the work is done."""
    for number in RAISED:
        signal.signal(number, signal.SIG_IGN)


def raise_again() -> None:
    """Raise what has been raised before, and was swallowed: by a bare ``except`` in a revision, or a ``__del__``."""
    if _received:
        raise _received[0]


def exit_status(interrupt: BaseException | None) -> int:
    """Return the status that a process ends with after an interrupt, as the shell has it."""
    return 143 if isinstance(interrupt, Terminated) else 130


def _on_signal(number: int, _: object) -> None:
    _received.append(RAISED[number])
    raise _received[-1]
