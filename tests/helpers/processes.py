"""Real processes that run beside a test, and bounded waits for what they do."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from projects import Finished

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_WITHIN = 60.0  # seconds
_PAUSE = 0.01


def until(condition: Callable[[], object], what: str, within: float = _WITHIN) -> None:
    """Wait until a condition holds; fail, and say what was awaited, if it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} seconds: {what}"
        time.sleep(_PAUSE)


class Child:
    """A process that was started beside the test. What it prints goes to files, so that it never waits for a reader."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        output: Path,
        stdin: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._out, self._err = output.with_suffix(".out"), output.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **env},
                stdin=stdin,
                stdout=out,
                stderr=err,
                pass_fds=pass_fds,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def printed(self) -> str:
        """All that it has printed so far."""
        return "".join(file.read_text("utf-8", "replace") for file in (self._out, self._err))

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def finish(self, within: float = _WITHIN) -> Finished:
        """Wait for its end, and return what came of it; fail if it does not end in time."""
        try:
            status = self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not ended within {within:g} seconds, so far: {self.printed}") from None
        out, err = (file.read_text("utf-8", "replace") for file in (self._out, self._err))
        return Finished(status, out, err)

    def kill(self) -> Finished:
        """Kill it at once, as ``kill -9`` does, and return what came of it."""
        self._process.kill()
        return self.finish()


class Children:
    """Starts processes in a folder; ends, by their ids, those that are left at the end of a test.

    Args:
        folder: their working directory.
        output: the folder for what they print.
    """

    def __init__(self, folder: Path, output: Path) -> None:
        self._folder = folder
        self._output = output
        self._numbers = itertools.count(1)
        self.all: list[Child] = []

    def start(self, *command: str, env: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL) -> Child:
        """Start a program with arguments, and more environment variables."""
        child = Child(command, self._folder, env or {}, self._output / f"child-{next(self._numbers)}", stdin)
        self.all.append(child)
        return child

    def sqlhelpers(self, *arguments: str, **options: Any) -> Child:
        """Start ``sqlhelpers`` with arguments."""
        return self.start(sys.executable, "-m", "sqlhelpers", *arguments, **options)

    def python(self, code: str, *arguments: str, **options: Any) -> Child:
        """Start Python with a program and arguments."""
        return self.start(sys.executable, "-c", code, *arguments, **options)

    def end(self) -> None:
        """Kill those that still run."""
        for child in self.all:
            if child.is_running:
                child.kill()


def finish_all(children: Sequence[Child], within: float = _WITHIN) -> list[Finished]:
    """Wait for the end of several processes, and return what came of each."""
    deadline = time.monotonic() + within
    return [child.finish(max(0.1, deadline - time.monotonic())) for child in children]
