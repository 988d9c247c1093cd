"""Services: ASGI applications that uvicorn serves over real HTTP, each in a process of its own."""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Service(Child):
    """A running uvicorn, whose socket listens already: who connects is served as soon as it is up.

    Args:
        application: what to serve, as ``module:name``.
        folder: the working directory, where modules can be imported from.
        env: environment variables beside those of this process.
        output: where what it prints goes, without a suffix.
        options: more of uvicorn's command line.
    """

    def __init__(self, application: str, folder: Path, env: Mapping[str, str], output: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.port: int = listener.getsockname()[1]
            fd = listener.fileno()
            command = [sys.executable, "-m", "uvicorn", application, "--fd", str(fd), "--no-access-log", *options]
            super().__init__(command, folder, env, output, pass_fds=[fd])

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Tell it to stop, and wait until it has; fail if it had ended before."""
        assert self.is_running, self.printed
        self.send(signal.SIGTERM)
        self.finish()


@contextmanager
def serving(
    application: str,
    folder: Path,
    env: Mapping[str, str],
    output: Path,
    *options: str,
) -> Iterator[Service]:
    """Serve an application, and stop it at the end of the block; arguments are those of ``Service``."""
    service = Service(application, folder, env, output, *options)
    try:
        yield service
        service.stop()
    finally:
        if service.is_running:
            service.kill()
