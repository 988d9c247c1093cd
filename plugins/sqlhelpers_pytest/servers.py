"""Throwaway servers: started from installed programs in a folder of their own, and removed with it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers.exceptions import ConfigurationError, DatabaseFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ROLE = "sqlhelpers"
_START_WITHIN = 60.0  # seconds
_STOP_WITHIN = 20.0

#: Runs a server until the pipe to its standard input is closed, which the end of this process does, however it comes.
_GUARD = '"$@" & read -r _; kill -s "$0" $!; wait $!; folder=$PWD; cd /; rm -rf "$folder"'


def free_port() -> int:
    """Return a port below those that the kernel hands out to clients, who could take it before a server does."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A server on the loopback interface, stopped and removed by whoever started it, or when that process is gone."""

    kind: ClassVar[str]
    account: ClassVar[str]  # what it runs as if we are root, because no server runs as root
    stop_signal: ClassVar[signal.Signals]

    def __init__(self) -> None:
        self.folder: Path = Path(tempfile.mkdtemp(prefix="sqlhelpers-server-"))
        self.password: str = secrets.token_hex(12)
        self._process: subprocess.Popen[Any] | None = None
        self.port: int = free_port()

    @property
    def url(self) -> str:
        """The URL of the server, without a database."""
        return f"{self.kind}://{_ROLE}:{self.password}@127.0.0.1:{self.port}/{self.first_database}"

    first_database: ClassVar[str]

    def setup_command(self) -> Sequence[str]:
        """Return the command that makes the data folder."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """Return the command that runs the server."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            ConfigurationError: its programs are not installed.
            DatabaseFailure: it does not start.
        """
        account = self._account()
        os.chown(self.folder, account.get("user", -1), account.get("group", -1))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MYSQL", "MARIADB"))}
        with (self.folder / "log").open("ab") as log:
            options: dict[str, Any] = {
                **account,
                "cwd": self.folder,
                "env": {**kept, "TMPDIR": str(self.folder)},
                "stdout": log,
                "stderr": log,
            }
            try:
                setup = self.setup_command()
                subprocess.run(setup, check=True, stdin=subprocess.DEVNULL, **options)  # noqa: S603  # of the server
                command = ("/bin/sh", "-c", _GUARD, self.stop_signal.name.removeprefix("SIG"), *self.command())
                options |= {"stdin": subprocess.PIPE, "start_new_session": True}
                self._process = subprocess.Popen(command, **options)  # noqa: S603
                _wait_for(self.url)
            except (subprocess.SubprocessError, SQLAlchemyError, OSError) as error:
                text = (self.folder / "log").read_text("utf-8", "replace")[-2000:]
                raise DatabaseFailure(f"the throwaway server for {self.kind} did not start: {error}; {text}") from error

    def stop(self) -> None:
        """Stop it, and remove all that it wrote."""
        if self._process is not None:
            try:
                self._process.communicate(timeout=_STOP_WITHIN)  # which closes the pipe
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _account(self) -> dict[str, Any]:
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return {}
        import pwd

        with suppress(KeyError):
            entry = pwd.getpwnam(self.account)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        raise ConfigurationError(f"no server runs as root, and there is no account {self.account!r} for {self.kind}")


class PostgresServer(Server):
    """PostgreSQL."""

    kind = "postgresql"
    account = "postgres"
    stop_signal = signal.SIGINT  # its fast shutdown: clients are disconnected
    first_database = "postgres"

    def setup_command(self) -> Sequence[str]:
        """Return the command that makes the data folder."""
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        return (
            *(_program(self.kind, "initdb", _postgres_folders()), "--pgdata", str(self.folder / "data"), "--no-sync"),
            *("--encoding=UTF8", "--locale=C", f"--username={_ROLE}", f"--pwfile={password_file}"),
            *("--auth-host=scram-sha-256", "--auth-local=trust"),
        )

    def command(self) -> Sequence[str]:
        """Return the command that runs the server."""
        initdb = Path(_program(self.kind, "initdb", _postgres_folders())).resolve()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        settings = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        return _program(self.kind, "postgres", [initdb.parent]), "-D", str(self.folder / "data"), *settings


class MariadbServer(Server):
    """MariaDB."""

    kind = "mariadb"
    account = "mysql"
    stop_signal = signal.SIGTERM
    first_database = "mysql"

    def setup_command(self) -> Sequence[str]:
        """Return the command that makes the data folder."""
        (self.folder / "first.sql").write_text(
            f"CREATE USER IF NOT EXISTS {_ROLE}@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {_ROLE}@'%' WITH GRANT OPTION;\n"
            "DROP USER IF EXISTS root@'127.0.0.1';\n",  # it has no password
        )
        install = _program(self.kind, "mariadb-install-db", _MARIADB_FOLDERS)
        return (install, "--no-defaults", "--auth-root-authentication-method=normal", *self._common())

    def command(self) -> Sequence[str]:
        """Return the command that runs the server."""
        return (
            *(_program(self.kind, "mariadbd", _MARIADB_FOLDERS), "--no-defaults", *self._common()),
            *("--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.folder}/socket"),
            *(f"--pid-file={self.folder}/mariadb.pid", f"--init-file={self.folder}/first.sql"),
            *("--max-connections=200", "--character-set-server=utf8mb4", "--skip-name-resolve"),
        )

    def _common(self) -> Sequence[str]:
        return (
            *(f"--datadir={self.folder}/data", f"--tmpdir={self.folder}", "--innodb-flush-log-at-trx-commit=0"),
            *("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--innodb-doublewrite=0"),
        )


_MARIADB_FOLDERS = (Path("/usr/sbin"), Path("/usr/local/sbin"), Path("/usr/libexec"))


def _postgres_folders() -> list[Path]:
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(installed, key=lambda folder: float(folder.parent.name), reverse=True)


def _program(kind: str, name: str, folders: Iterable[Path]) -> str:
    found = (shutil.which(name, path=path) for path in (None, *map(str, folders)))
    path = next(filter(None, found), None)
    if path is None:
        raise ConfigurationError(f"--sqlhelpers-server {kind}: there is no program {name} here; install the server")
    return path


def _wait_for(url: str) -> None:
    from sqlhelpers import DatabaseManager
    from sqlhelpers.aio import AsyncDatabaseManager
    from sqlhelpers.config import database_settings
    from sqlhelpers.exceptions import DriverNotInstalled
    from sqlhelpers_pytest.access import in_a_loop

    settings = database_settings(sqlalchemy={"url": url, "execution_options": {"sqlhelpers_pytest": True}})

    async def wait() -> None:
        async with AsyncDatabaseManager.from_settings(settings) as aio_manager:
            await aio_manager.wait(_START_WITHIN)

    try:
        with DatabaseManager.from_settings(settings) as manager:
            manager.wait(_START_WITHIN)
    except DriverNotInstalled:
        in_a_loop(wait)


def start_server(kind: str) -> Server:
    """Start a server."""
    server = {"postgresql": PostgresServer, "mariadb": MariadbServer}[kind]()
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    return server
