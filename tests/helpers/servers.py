"""The servers that tests can ask for: PostgreSQL, PgBouncer in front of it, and MariaDB."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql
from throwaway import Server, find_program, new_password

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUPERUSER = "superuser"
_PASSWORD = new_password()


class PostgresServer(Server):
    """A PostgreSQL server that checks the passwords of all who come over the network."""

    account = "postgres"
    stop_signal = signal.SIGINT  # its fast shutdown: clients are disconnected
    end_signal = signal.SIGQUIT  # its immediate one, which gives shared memory back
    dialect = "postgresql"
    error = psycopg.OperationalError

    @classmethod
    def programs(cls) -> tuple[str, str]:
        """Return the paths of ``initdb`` and ``postgres``."""
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        initdb = Path(find_program("PostgreSQL", "initdb", *reversed(installed))).resolve()
        return str(initdb), find_program("PostgreSQL", "postgres", initdb.parent)

    def setup_command(self) -> Sequence[str]:
        """Return the command that makes the data folder."""
        password_file = self.folder / "password"
        password_file.write_text(_PASSWORD)
        return (
            *(self.programs()[0], "--pgdata", str(self.folder / "data"), "--no-sync"),
            *("--encoding=UTF8", "--locale=C", f"--username={_SUPERUSER}", f"--pwfile={password_file}"),
            *("--auth-host=scram-sha-256", "--auth-local=trust"),
        )

    def command(self) -> Sequence[str]:
        """Return the command that runs the server."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        settings = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        return self.programs()[1], "-D", str(self.folder / "data"), *settings

    def connect(self, database: str | None) -> Any:
        """Return a new connection of the superuser."""
        return _connect(self.port, database)

    def create_role(self, name: str, password: str) -> None:
        """Create a role that may log in."""
        self.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")

    def create_database(self, name: str, owner: str) -> None:
        """Create a database that belongs to ``owner``."""
        self.execute(f'CREATE DATABASE "{name}" OWNER "{owner}"')

    def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections that are open to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class PgBouncer(Server):
    """A PgBouncer in front of a PostgreSQL server: each transaction may have another of its few connections.

    Every role and every database of the server behind can be used, with the same password.
    """

    account = "postgres"
    stop_signal = signal.SIGINT
    dialect = "postgresql"
    error = psycopg.OperationalError

    def __init__(self, folder: Path, port: int, *, behind: PostgresServer, pool_size: int) -> None:
        super().__init__(folder, port)
        self.numbers = behind.numbers
        self.behind = behind
        self.pool_size = pool_size
        self.create_role = behind.create_role
        self.create_database = behind.create_database
        self.drop_database = behind.drop_database

    @classmethod
    def programs(cls) -> tuple[str, str]:
        """Return the path of ``pgbouncer``, twice."""
        program = find_program("PgBouncer", "pgbouncer", Path("/usr/sbin"), Path("/usr/local/sbin"))
        return program, program

    def setup_command(self) -> Sequence[str]:
        """Write its configuration; there is no command for that."""
        (self.folder / "roles").write_text(f'"{_SUPERUSER}" "{_PASSWORD}"\n')
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self.folder / "roles",
            "auth_user": _SUPERUSER,
            "auth_query": "SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1",
            "pool_mode": "transaction",
            "default_pool_size": self.pool_size,
            "max_client_conn": 500,
        }
        settings = "".join(f"{name} = {value}\n" for name, value in options.items())
        databases = f"* = host=127.0.0.1 port={self.behind.port}\n"
        (self.folder / "pgbouncer.ini").write_text(f"[databases]\n{databases}[pgbouncer]\n{settings}")
        return ()

    def command(self) -> Sequence[str]:
        """Return the command that runs the pooler."""
        return self.programs()[1], str(self.folder / "pgbouncer.ini")

    def connect(self, database: str | None) -> Any:
        """Return a new connection of the superuser, through the pooler."""
        return _connect(self.port, database)


def _connect(port: int, database: str | None) -> Any:
    return psycopg.connect(
        host="127.0.0.1",
        port=port,
        user=_SUPERUSER,
        password=_PASSWORD,
        dbname=database or "postgres",
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=5,
    )


class MariadbServer(Server):
    """A MariaDB server that checks passwords."""

    account = "mysql"
    stop_signal = signal.SIGTERM
    dialect = "mariadb"
    error = pymysql.err.OperationalError

    @classmethod
    def programs(cls) -> tuple[str, str]:
        """Return the paths of ``mariadb-install-db`` and ``mariadbd``."""
        folders = (Path("/usr/sbin"), Path("/usr/local/sbin"), Path("/usr/libexec"))
        return find_program("MariaDB", "mariadb-install-db", *folders), find_program("MariaDB", "mariadbd", *folders)

    def setup_command(self) -> Sequence[str]:
        """Return the command that makes the data folder."""
        (self.folder / "first.sql").write_text(
            f"CREATE USER IF NOT EXISTS {_SUPERUSER}@'%' IDENTIFIED BY '{_PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {_SUPERUSER}@'%' WITH GRANT OPTION;\n"
            "DROP USER IF EXISTS root@'127.0.0.1';\n",  # it has no password
        )
        return (self.programs()[0], "--no-defaults", "--auth-root-authentication-method=normal", *self._common())

    def command(self) -> Sequence[str]:
        """Return the command that runs the server."""
        return (
            *(self.programs()[1], "--no-defaults", *self._common()),
            *("--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.folder}/socket"),
            *(f"--pid-file={self.folder}/pid", f"--init-file={self.folder}/first.sql"),
            *("--max-connections=200", "--character-set-server=utf8mb4"),
            "--skip-name-resolve",  # or 127.0.0.1 is localhost, and the anonymous user there comes first
        )

    def _common(self) -> Sequence[str]:
        return (
            *(f"--datadir={self.folder}/data", f"--tmpdir={self.folder}", "--innodb-flush-log-at-trx-commit=0"),
            *("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--innodb-doublewrite=0"),
        )

    def connect(self, database: str | None) -> Any:
        """Return a new connection of the superuser."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=_SUPERUSER,
            password=_PASSWORD,
            database=database,
            autocommit=True,
            connect_timeout=5,
            ssl_disabled=True,  # or PyMySQL reads all certificates of the machine for each connection
        )

    def create_role(self, name: str, password: str) -> None:
        """Create a role that may log in."""
        self.execute(f"CREATE USER `{name}`@'%' IDENTIFIED BY '{password}'")

    def create_database(self, name: str, owner: str) -> None:
        """Create a database that belongs to ``owner``."""
        self.execute(f"CREATE DATABASE `{name}`")
        self.execute(f"GRANT ALL ON `{name}`.* TO `{owner}`@'%'")

    def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections that are open to it."""
        # without FORCE as PostgreSQL has it, a connection in a transaction would keep its tables
        for (connection_id,) in self.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"):
            try:
                self.execute(f"KILL {connection_id}")
            except pymysql.err.OperationalError:
                continue  # it has ended meanwhile
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")
