"""Makes, copies and drops databases: files of SQLite, and databases of a server."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from sqlhelpers.exceptions import DatabaseFailure
from sqlhelpers_pytest.access import connected

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection

    from sqlhelpers.managers import Database

_LONGEST = 40  # characters of the name: 63 are possible on PostgreSQL, 64 on MariaDB
_DENIED = re.compile("permission denied to create|access denied", re.IGNORECASE)


class Maker:
    """Databases of a server.

    Args:
        database: the configured database, whose server and role are used.
        url: its URL.
    """

    administering = "information_schema"  # the database to connect to for all that concerns others

    def __init__(self, database: Database, url: URL) -> None:
        self.database = database
        self._url = url

    @property
    def base_name(self) -> str:
        """What the names of our databases begin with."""
        return f"test_{(self._url.database or 'main')[:_LONGEST]}"

    def url(self, name: str) -> URL:
        """Return the URL of a database."""
        return self._url.set(database=name)

    def exists(self, name: str) -> bool:
        """Tell whether there is a database of this name."""
        return bool(self._administer(_EXISTS[self._url.get_backend_name()], name=name))

    def create(self, name: str) -> None:
        """Make an empty database."""
        self._administer(f"CREATE DATABASE {self._quoted(name)}")

    def clone(self, template: str, name: str) -> None:
        """Make a database with all that is in another one."""
        raise NotImplementedError

    def drop(self, name: str) -> None:
        """Drop a database, and end the connections that are open to it."""
        raise NotImplementedError

    def _administer(self, statement: str, **parameters: Any) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            result = connection.execute(text(statement), parameters)
            return [*result] if result.returns_rows else []

        url = self._url.set(database=self.administering)
        try:
            return connected(self.database, url, work, autocommit=True)
        except DBAPIError as error:
            if _DENIED.search(str(error.orig)):
                raise DatabaseFailure(
                    f"the role {self._url.username!r} may not create databases for tests: let it (CREATEDB), or start"
                    f" a server for them with --sqlhelpers-server: {error.orig}",
                ) from error
            raise

    def _quoted(self, name: str) -> str:
        mark = '"' if self._url.get_backend_name() == "postgresql" else "`"
        quoted = name.replace(mark, mark * 2).replace(":", "\\:")  # which text() would take for a parameter
        return f"{mark}{quoted}{mark}"


_EXISTS = {
    "postgresql": "SELECT 1 FROM pg_catalog.pg_database WHERE datname = :name",
    "mysql": "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name",
    "mariadb": "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name",
}


class PostgresMaker(Maker):
    """Databases of PostgreSQL, which copies them as files."""

    administering = "postgres"

    def clone(self, template: str, name: str) -> None:
        """Copy it; nobody may be connected to the other one."""
        self._administer(f"CREATE DATABASE {self._quoted(name)} TEMPLATE {self._quoted(template)}")

    def drop(self, name: str) -> None:
        """Drop it with what is connected, which PostgreSQL before 13 has no statement for."""
        try:
            self._administer(f"DROP DATABASE IF EXISTS {self._quoted(name)} WITH (FORCE)")
        except DBAPIError:
            others = "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = :name"
            self._administer(others, name=name)
            self._administer(f"DROP DATABASE IF EXISTS {self._quoted(name)}")


class MySQLMaker(Maker):
    """Databases of MariaDB and MySQL, where a copy is made table by table."""

    def clone(self, template: str, name: str) -> None:
        """Make the tables, rows, views and triggers of the other one."""
        self.create(name)
        connected(self.database, self.url(template), lambda connection: _replay(connection, self._quoted(name)))

    def drop(self, name: str) -> None:
        """End the connections first: one that is in a transaction would keep its tables."""
        query = "SELECT id FROM information_schema.processlist WHERE db = :name"
        for (number,) in self._administer(query, name=name):
            with suppress(DBAPIError):  # it has ended meanwhile, or is not ours to end
                self._administer(f"KILL {number}")
        self._administer(f"DROP DATABASE IF EXISTS {self._quoted(name)}")


def _replay(connection: Connection, target: str) -> None:
    """Make all of the connected database in another one of the server."""

    def rows(statement: str) -> list[Any]:
        return [*connection.exec_driver_sql(statement.replace("%", "%%"))]

    def run(statement: str) -> None:
        connection.exec_driver_sql(statement.replace("%", "%%"))

    found = rows("SHOW FULL TABLES")
    made = {name: rows(f"SHOW CREATE TABLE `{name}`")[0][1] for name, _ in found}
    triggers = [rows(f"SHOW CREATE TRIGGER `{row[0]}`")[0][2] for row in rows("SHOW TRIGGERS")]
    (source,) = rows("SELECT DATABASE()")[0]
    run(f"USE {target}")
    run("SET foreign_key_checks = 0")
    for name, kind in found:
        if kind != "VIEW":
            run(made[name])
            columns = ", ".join(
                f"`{row[0]}`" for row in rows(f"SHOW COLUMNS FROM `{name}`") if "GENERATED" not in row[5]
            )
            run(f"INSERT INTO `{name}` ({columns}) SELECT {columns} FROM `{source}`.`{name}`")  # noqa: S608  # no values
    for name, kind in found:
        if kind == "VIEW":
            run(made[name].replace(f"`{source}`.", f"{target}."))
    for trigger in triggers:
        run(trigger)


class SQLiteMaker(Maker):
    """Files of SQLite, in a folder of the kit's.

    Args:
        database: the configured database.
        url: its URL.
        folder: where the files are.
    """

    def __init__(self, database: Database, url: URL, folder: Path) -> None:
        super().__init__(database, url)
        self._folder = folder

    @property
    def base_name(self) -> str:
        """What the names of our files begin with."""
        name = self._url.database or ""
        return f"test_{Path(name).stem[:_LONGEST] if name and ':' not in name else 'memory'}"

    def url(self, name: str) -> URL:
        """Return the URL of a file."""
        return self._url.set(database=str(self._file(name)), query={})

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return self._file(name).exists()

    def create(self, name: str) -> None:
        """Leave it to SQLite."""

    def clone(self, template: str, name: str) -> None:
        """Copy the file; nobody is connected to the other one."""
        half = self._file(name).with_suffix(".half")
        shutil.copyfile(self._file(template), half)
        half.replace(self._file(name))

    def drop(self, name: str) -> None:
        """Remove the file, and those beside it."""
        for end in ("", "-wal", "-shm", "-journal", "-lock"):
            Path(f"{self._file(name)}{end}").unlink(missing_ok=True)


def maker_for(database: Database, url: URL, folder: Path) -> Maker:
    """Return what makes databases like the configured one.

    Raises:
        DatabaseFailure: the kit does not know how.
    """
    dialect = url.get_backend_name()
    if dialect == "sqlite":
        folder.mkdir(parents=True, exist_ok=True)
        return SQLiteMaker(database, url, folder)
    kinds: dict[str, type[Maker]] = {"postgresql": PostgresMaker, "mysql": MySQLMaker, "mariadb": MySQLMaker}
    if dialect not in kinds:
        raise DatabaseFailure(f"database {database.bind!r}: the kit makes no databases for tests on {dialect}")
    return kinds[dialect](database, url)
