"""A throwaway server: started in a folder of its own, and stopped together with everything that it wrote."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Sequence

_INSTALL = "on Debian: apt install postgresql mariadb-server pgbouncer"
_START_WITHIN = 60.0  # seconds
_STOP_WITHIN = 20.0


class ServerAbsent(Exception):
    """A server's program, or the account that it should run as, is not on this machine."""


class Server:
    """One server that listens on the loopback interface, with its data in a folder of its own.

    Attributes:
        folder: holds all that the server writes.
        port: where it listens.
        pid: its process.
    """

    account: ClassVar[str]  # what the server runs as, if the tests run as root
    stop_signal: ClassVar[signal.Signals]
    dialect: ClassVar[str]
    error: ClassVar[type[Exception]]  # what the driver raises while the server is not ready

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.pid = 0
        self._numbers = itertools.count(1)

    @classmethod
    def programs(cls) -> tuple[str, str]:
        """Return the paths of the program that makes a data folder, and of the server."""
        raise NotImplementedError

    @classmethod
    def require(cls) -> None:
        """Find out whether the server can run here.

        Raises:
            ServerAbsent: it cannot; the text says what to install.
        """
        cls.programs()
        _account(cls)

    def setup_command(self) -> Sequence[str]:
        """Return the command that makes the data folder."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""
        raise NotImplementedError

    def execute(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as superuser, outside a transaction, and return its rows."""
        raise NotImplementedError

    def create_role(self, name: str, password: str) -> None:
        """Create a role that may log in with a password, and may do nothing yet."""
        raise NotImplementedError

    def create_database(self, name: str, owner: str) -> None:
        """Create an empty database in which ``owner`` may do everything."""
        raise NotImplementedError

    def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections that are still open to it."""
        raise NotImplementedError

    def url(self, user: str, password: str, database: str) -> str:
        """Return a URL without a driver."""
        return f"{self.dialect}://{user}:{password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Create a database and a role that owns it, yield its URL, and drop the database."""
        name = f"check_{next(self._numbers)}"  # MariaDB lets everybody into what is called test_...
        password = f"secret-of-{name}"
        self.create_role(name, password)
        self.create_database(name, owner=name)
        try:
            yield self.url(name, password, name)
        finally:
            self.drop_database(name)


@contextmanager
def running(kind: type[Server]) -> Iterator[Server]:
    """Start a server, yield it when it answers, stop it, and remove its folder."""
    account = _account(kind)
    folder = Path(tempfile.mkdtemp(prefix=f"sqlhelpers-{kind.dialect}-"))
    try:
        folder.chmod(0o755)  # also for the account that the server runs as
        os.chown(folder, account.get("user", -1), account.get("group", -1))
        server = kind(folder, _free_port())
        with (folder / "log").open("wb") as log:
            surroundings = {**account, "cwd": folder, "env": _environment(folder), "stdout": log, "stderr": log}
            subprocess.run(server.setup_command(), check=True, **surroundings)
            with _process(server, surroundings):
                yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def _process(server: Server, surroundings: dict[str, Any]) -> Iterator[None]:
    with subprocess.Popen(server.command(), **surroundings) as process:
        server.pid = process.pid
        try:
            _wait_for(server, process)
            yield
        finally:
            process.send_signal(server.stop_signal)
            try:
                process.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_WITHIN
    while True:
        try:
            server.execute("SELECT 1")
        except server.error:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (server.folder / "log").read_text("utf-8", "replace")
                raise RuntimeError(f"{server.dialect} did not start:\n{log[-3000:]}") from None
            time.sleep(0.05)
        else:
            return


def find_program(product: str, name: str, *folders: Path) -> str:
    """Return the path of a program that is on the PATH or in one of ``folders``.

    Raises:
        ServerAbsent: it is nowhere; the text says what to install.
    """
    found = (shutil.which(name, path=path) for path in (None, *map(str, folders)))
    path = next(filter(None, found), None)
    if path is None:
        raise ServerAbsent(f"{product} is not installed: there is no {name}; {_INSTALL}")
    return path


def _account(kind: type[Server]) -> dict[str, Any]:
    """Return the arguments that start a process as the server's own account, because no server runs as root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(kind.account)
    except KeyError:
        raise ServerAbsent(f"there is no account {kind.account!r} to run {kind.dialect} as; {_INSTALL}") from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MYSQL", "MARIADB"))}
    return {**kept, "TMPDIR": str(folder)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
