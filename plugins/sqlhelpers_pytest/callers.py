"""Finds the line of the user's code that a statement comes from."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from greenlet import getcurrent  # type: ignore[import-untyped]  # it has no types

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PACKAGES = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), sysconfig.get_path("stdlib")})
_OURS = ("sqlhelpers", "sqlhelpers_pytest")


def calling_line() -> str:
    """Return file and line of the innermost code that is no library's; empty if there is none."""
    for frame in _frames():
        file = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if not file.startswith((*_PACKAGES, "<")) and module not in _OURS:
            path = Path(file)
            here = Path.cwd()
            return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{frame.f_lineno}"
    return ""


def _frames() -> Iterator[FrameType]:
    """Yield the frames from the inside out, also those of the async code that awaits a statement."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # its documented name
    greenlet = getcurrent()
    while frame is not None:
        yield frame
        frame = frame.f_back
        if frame is None and greenlet.parent is not None:
            greenlet = greenlet.parent
            frame = greenlet.gr_frame
