"""The command-line client of each database: which program, and with which arguments, none of which is a secret."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sqlhelpers import urls
from sqlhelpers.exceptions import ConfigurationError, DatabaseFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import URL

    from sqlhelpers.managers import Database


_DESCRIPTORS = Path("/dev/fd")


@dataclass(frozen=True)
class Client:
    """A program that is ready to be run.

    Attributes:
        program: its path.
        arguments: what everybody on the machine may see.
        environment: variables, beside those of this process, which only its user may see.
        options: an option file of MySQL's or MariaDB's client, which it reads from a pipe; empty for none.
    """

    program: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: str = field(default="", repr=False)

    def replace_process(self) -> NoReturn:
        """Let the program take the place of this process: signals, the terminal and the exit status are its own."""
        arguments = [self.program, *self.arguments]
        environment = {**os.environ, **self.environment}
        if self.options:
            reading, writing = os.pipe()
            os.write(writing, self.options.encode())
            os.close(writing)
            os.set_inheritable(reading, True)
            arguments.insert(1, f"--defaults-extra-file=/dev/fd/{reading}")  # it has to be the first
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the program would inherit that
        os.execve(self.program, arguments, environment)  # noqa: S606  # that is the point of it


def client_for(database: Database, arguments: Sequence[str] = ()) -> Client:
    """Return the client for a database, with arguments of the user's own behind ours.

    Raises:
        ConfigurationError: there is no such program, or none is known for the dialect.
        DatabaseFailure: the file of SQLite is not there.
    """
    url, connect_args = database.url, database.settings.sqlalchemy.connect_args or {}
    dialect = url.get_backend_name()
    if dialect == "postgresql":
        return _psql(url, connect_args, arguments)
    if dialect in ("mysql", "mariadb"):
        return _mysql(url, connect_args, arguments)
    if dialect == "sqlite":
        return _sqlite3(database.bind, url, arguments)
    raise ConfigurationError(
        f"database {database.bind!r}: no command-line client is known for {dialect}; "
        "start that of its vendor with what `sqlhelpers config` shows",
    )


def _found(names: Sequence[str], package: str) -> str:
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise ConfigurationError(f"{' or '.join(names)} is not installed, or not on the PATH: {package}")


def _arguments_of(url: URL, driver: str, connect_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return what SQLAlchemy would pass to a driver, which need not be installed."""
    dialect = url.set(drivername=driver).get_dialect()()
    return {**dialect.create_connect_args(url)[1], **connect_args}


#: What libpq knows, but for what is secret, and what only a driver can use.
_LIBPQ = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts options passfile port require_auth requirepeer service sslcert sslcertmode sslcompression
    sslcrl sslcrldir sslkey sslmode sslnegotiation sslrootcert sslsni ssl_max_protocol_version
    ssl_min_protocol_version target_session_attrs tcp_user_timeout user
    """.split(),  # noqa: SIM905  # a list of words reads better than a list of strings
)


def _psql(url: URL, connect_args: Mapping[str, Any], arguments: Sequence[str]) -> Client:
    program = _found(["psql"], "apt install postgresql-client, brew install libpq, or postgresql.org/download")
    given = _arguments_of(url, "postgresql+psycopg", connect_args)
    ssl = given.pop("ssl", None)  # asyncpg's word
    if isinstance(ssl, str):
        given.setdefault("sslmode", "require" if ssl.lower() == "true" else ssl)
    password = given.pop("password", None)
    words = [f"{name}={_quoted(value)}" for name, value in given.items() if name in _LIBPQ]
    environment = {"PGPASSWORD": str(password)} if password else {}
    return Client(program, (f"--dbname={' '.join(words)}", *arguments), environment)


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return text if text and text.isalnum() else f"'{text}'"


_PLAIN = {
    "host": "host",
    "port": "port",
    "user": "user",
    "unix_socket": "socket",
    "charset": "default-character-set",
    "connect_timeout": "connect-timeout",
}
_TLS = {"ca": "ssl-ca", "capath": "ssl-capath", "cert": "ssl-cert", "key": "ssl-key", "cipher": "ssl-cipher"}


def _mysql(url: URL, connect_args: Mapping[str, Any], arguments: Sequence[str]) -> Client:
    program = _found(["mariadb", "mysql"], "apt install mariadb-client, or brew install mariadb")
    given = {"charset": "utf8mb4", **_arguments_of(url, "mysql+pymysql", connect_args)}
    words = [f"--{option}={given[name]}" for name, option in _PLAIN.items() if given.get(name) not in (None, "")]
    words += _tls(program, given)
    if given.get("database"):
        words.append(f"--database={given['database']}")
    password = given.get("password")
    if not password:
        return Client(program, (*words, *arguments))
    text = password.decode() if isinstance(password, bytes) else str(password)
    if not _DESCRIPTORS.exists():
        return Client(program, (*words, *arguments), {"MYSQL_PWD": text})
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return Client(program, (*words, *arguments), options=f'[client]\npassword="{escaped}"\n')


def _tls(program: str, given: Mapping[str, Any]) -> list[str]:
    """Return the options for as much TLS as PyMySQL asks for: who names a CA wants the server's name checked."""
    tls = given.get("ssl")
    tls = dict(tls) if isinstance(tls, dict) else {}
    tls |= {name: given[f"ssl_{name}"] for name in _TLS if given.get(f"ssl_{name}")}
    words = [f"--{option}={tls[name]}" for name, option in _TLS.items() if tls.get(name)]
    has_ca = bool(tls.get("ca") or tls.get("capath"))
    checks_name = bool(given.get("ssl_verify_identity", has_ca and tls.get("check_hostname", True)))
    if _is_mariadb(program):
        # from 11.4 on it checks unless it is told not to
        return [*words, *(["--ssl"] if tls else []), f"--{'' if checks_name else 'skip-'}ssl-verify-server-cert"]
    if not tls:
        return []
    mode = "VERIFY_IDENTITY" if checks_name else "VERIFY_CA" if has_ca else "REQUIRED"
    return [*words, f"--ssl-mode={mode}"]


def _is_mariadb(program: str) -> bool:
    said = subprocess.run([program, "--version"], capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603  # it was found on the PATH
    return "MariaDB" in said.stdout


def _sqlite3(bind: str, url: URL, arguments: Sequence[str]) -> Client:
    file = urls.sqlite_file(url)
    if file is None:
        raise ConfigurationError(f"database {bind!r} is in memory, and ends with the process that has it")
    if not file.exists():
        raise DatabaseFailure(f"database {bind!r}: {file} is not there yet; `sqlhelpers run-sync` creates it")
    program = _found(["sqlite3"], "apt install sqlite3, brew install sqlite, or sqlite.org/download.html")
    names, options = url.set(drivername="sqlite+pysqlite").get_dialect()().create_connect_args(url)
    name = str(names[0]) if options.get("uri") else str(file.absolute())
    return Client(program, ("-cmd", "PRAGMA foreign_keys=1", name, *arguments))
