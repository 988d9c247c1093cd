"""Signals that end the command line: everything under way is rolled back on the way out."""

from __future__ import annotations

import signal


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. Drivers stop as they do for Ctrl-C."""


_RAISED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_received: list[type[BaseException]] = []


def listen() -> None:
    """Raise ``KeyboardInterrupt`` for SIGINT and ``Terminated`` for SIGTERM, wherever the process is just then.

    Python's own handler of SIGINT would do for the first, but asyncio replaces that by one which waits for an await.
    """
    _received.clear()
    for number in _RAISED:
        signal.signal(number, _on_signal)


def ignore() -> None:
    """Ignore both from now on: the work is done."""
    for number in _RAISED:
        signal.signal(number, signal.SIG_IGN)


def raise_again() -> None:
    """Raise what has been raised before, and was swallowed: by a bare ``except`` in a revision, or a ``__del__``."""
    if _received:
        raise _received[0]


def _on_signal(number: int, _: object) -> None:
    _received.append(_RAISED[signal.Signals(number)])
    raise _received[-1]
