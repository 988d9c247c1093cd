"""A throwaway server: started in a folder of its own, and stopped together with everything that it wrote."""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlhelpers_pytest.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

_INSTALL = "on Debian: apt install postgresql mariadb-server pgbouncer"
_START_WITHIN = 60.0  # seconds
_STOP_WITHIN = 20.0

#: Every password that was made up. None of them may be shown anywhere.
MADE_UP: set[str] = set()


def new_password() -> str:
    """Return a password that nobody has guessed or typed before."""
    password = secrets.token_hex(12)
    MADE_UP.add(password)
    return password


class ServerAbsent(Exception):
    """A server's program, or the account that it should run as, is not on this machine."""


class Server:
    """One server that listens on the loopback interface, with its data in a folder of its own.

    Attributes:
        folder: holds all that the server writes.
        port: where it listens.
        numbers: for the names of its databases.
    """

    account: ClassVar[str]  # what the server runs as, if the tests run as root
    stop_signal: ClassVar[signal.Signals]
    end_signal: ClassVar[signal.Signals] = signal.SIGKILL  # where nobody needs any more what it has written
    dialect: ClassVar[str]
    error: ClassVar[type[Exception]]  # what the driver raises while the server is not ready

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._superuser: Any = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process
        return self._process.pid

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
        """Return the command that makes the data folder; an empty one if there is nothing to run."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""
        raise NotImplementedError

    def connect(self, database: str | None) -> Any:
        """Return a new connection of the superuser, as Python's DB-API has it, that commits by itself."""
        raise NotImplementedError

    def execute(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as superuser, and return its rows: on a connection that is kept, unless in a database."""
        if database is not None:
            with closing(self.connect(database)) as connection:
                return _rows(connection, sql)
        if self._superuser is None:
            self._superuser = self.connect(None)
        return _rows(self._superuser, sql)

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

    def start(self) -> None:
        """Start the server, and return when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), **_surroundings(self, log))
        _wait_for(self, self._process)

    def stop(self) -> None:
        """Stop the server in good order; nothing happens if it does not run."""
        self._send(self.stop_signal)

    def end(self) -> None:
        """Stop it at once: its folder is of no more use."""
        self._send(self.end_signal)

    def _send(self, number: signal.Signals) -> None:
        if self._superuser is not None:
            self._superuser.close()
            self._superuser = None
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Create a database and a role that owns it, yield its URL, and drop the database."""
        name = f"check_{next(self.numbers)}"  # MariaDB lets everybody into what is called test_...
        password = new_password()
        self.create_role(name, password)
        self.create_database(name, owner=name)
        try:
            yield self.url(name, password, name)
        finally:
            self.drop_database(name)


@contextmanager
def running(kind: type[Server], **options: Any) -> Iterator[Server]:
    """Start a server, yield it when it answers, stop it, and remove its folder.

    Args:
        kind: which server.
        options: what this kind wants to know beside its folder and its port.
    """
    account = _account(kind)
    folder = Path(tempfile.mkdtemp(prefix=f"sqlhelpers-{kind.dialect}-"))
    try:
        folder.chmod(0o755)  # also for the account that the server runs as
        os.chown(folder, account.get("user", -1), account.get("group", -1))
        server = kind(folder, free_port(), **options)
        setup = server.setup_command()
        if setup:
            with (folder / "log").open("ab") as log:
                subprocess.run(setup, check=True, **_surroundings(server, log))
        try:
            server.start()
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(folder)


def _rows(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def _surroundings(server: Server, log: IO[bytes]) -> dict[str, Any]:
    environment = _environment(server.folder)
    return {**_account(type(server)), "cwd": server.folder, "env": environment, "stdout": log, "stderr": log}


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
