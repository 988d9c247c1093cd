"""MySQL and MariaDB."""

from __future__ import annotations

import hashlib
import logging
import math
import ssl
import subprocess
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sqlhelpers.backends.base import Backend
from sqlhelpers.backends.clients import Client, driver_arguments, found_program
from sqlhelpers.backends.errors import Meaning
from sqlhelpers.backends.limits import RevisionLimits, limit_commands
from sqlhelpers.backends.locks import ONE_ANSWER, ServerLock, held_in_server
from sqlhelpers.backends.tables import Naming
from sqlhelpers.exceptions import DatabaseFailure
from sqlhelpers.urls import Drivers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import URL, Connection, Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.types import TypeEngine

    from sqlhelpers.backends.base import EngineSettings
    from sqlhelpers.backends.locks import Lock

_LONGEST_NAME = 64  # characters in the name of a lock
_LONGEST_WAIT = 31_536_000  # seconds
_DESCRIPTORS = Path("/dev/fd")

#: What is stored for what was written as a default.
_SAME = {"now": "current_timestamp", "true": "1", "false": "0"}


class MySQL(Backend):
    """MySQL and MariaDB, whose DDL commits by itself."""

    names: ClassVar[tuple[str, ...]] = ("mysql", "mariadb")
    drivers: ClassVar[Drivers] = Drivers(sync=("pymysql",), aio=("asyncmy", "aiomysql"))
    packages: ClassVar[Mapping[str, tuple[str, str | None]]] = {
        "pymysql": ("pymysql", "mysql"),
        "asyncmy": ("asyncmy", "mysql"),
        "aiomysql": ("aiomysql", "mysql"),
    }
    schemas_are_databases = True
    hides_tables: ClassVar[bool] = True
    has_if_not_exists: ClassVar[bool] = True
    meanings: ClassVar[Mapping[Meaning, frozenset[str | int]]] = {
        Meaning.UNIQUE: frozenset((1062, 1169, 1586)),  # ER_DUP_ENTRY and two like it
        Meaning.UNAVAILABLE: frozenset((1040, 1053, 1203, 2002, 2003, 2006, 2013)),  # and what clients say
        Meaning.NO_TABLE: frozenset((1146,)),  # ER_NO_SUCH_TABLE
    }

    def translate(self, url: URL) -> tuple[URL, dict[str, Any]]:
        """Let text be all of Unicode."""
        return url.set(query={"charset": "utf8mb4", **url.query}), {}

    def connect_arguments(self, url: URL, seconds: float) -> dict[str, Any]:
        """Return limits of the handshake too, which the drivers bound as a read."""
        driver = url.get_driver_name()
        if driver == "aiomysql":
            return {"connect_timeout": seconds}
        if driver not in ("pymysql", "asyncmy"):
            return {}
        timeouts = {"connect_timeout": seconds, "read_timeout": seconds}
        return {**timeouts, "write_timeout": seconds} if driver == "pymysql" else timeouts

    def prepare(self, engine: Engine, bind: str, settings: EngineSettings) -> None:
        """Send passwords as UTF-8, be quiet about what the server notes, and hang up without an await."""
        event.listen(engine, "do_connect", _connect)
        logging.getLogger("asyncmy").addHandler(_SILENCE)  # it would print every note of the server
        if engine.driver in ("asyncmy", "aiomysql"):  # a polite end takes an await, which could be cancelled as well
            engine.dialect.do_terminate = _hang_up  # type: ignore[assignment,method-assign]

    def lock(self, engine: Engine, seconds: float) -> AbstractContextManager[Lock]:
        """Return a named lock."""
        return held_in_server(_NamedLock, engine, seconds)

    def lock_holder(self, connection: Connection) -> str:
        """Ask the server."""
        return _NamedLock(connection, 0).held_by()

    def revision_limits(
        self, connection: Connection, lock: float, statement: float, *, is_pooled: bool
    ) -> RevisionLimits:
        """Return limits that the server keeps too."""
        return _Limits(connection, lock, statement, is_pooled=is_pooled)

    def naming(self, connection: Connection) -> Naming:
        """Return the naming by ``lower_case_table_names``, which is asked for once a name has a capital letter."""

        @cache
        def is_case_ignored() -> bool:
            return bool(connection.scalar(text("SELECT @@lower_case_table_names")))

        def folded(name: str) -> str:
            return name if name == name.lower() or not is_case_ignored() else name.lower()

        return Naming(connection.dialect.default_schema_name, folded)

    def naming_by_url(self, url: URL) -> Naming:
        """Return the naming by the database in the URL; which names differ in case only, the server knows."""
        return Naming(url.database or None, self.folded)

    def timestamp_type(self) -> TypeEngine[Any]:
        """Return the type that does not leave out the microseconds."""
        from sqlalchemy.dialects.mysql import DATETIME

        return DATETIME(fsp=6)

    def is_same_default(self, found: str, wanted: str) -> bool:
        """Tell whether two defaults differ in quotes, parentheses, case or a synonym only."""
        return _plain(found) == _plain(wanted)

    def client(
        self, bind: str, url: URL, connect_args: Mapping[str, Any], arguments: Sequence[str]
    ) -> Client:  # as the others
        """Return mariadb or mysql, with its password in an option file that is a pipe."""
        program = found_program(["mariadb", "mysql"], "apt install mariadb-client, or brew install mariadb")
        given = {"charset": "utf8mb4", **driver_arguments(url, "mysql+pymysql", connect_args)}
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


BACKEND = MySQL()


_PLAIN = {
    "host": "host",
    "port": "port",
    "user": "user",
    "unix_socket": "socket",
    "charset": "default-character-set",
    "connect_timeout": "connect-timeout",
}
_TLS = {"ca": "ssl-ca", "capath": "ssl-capath", "cert": "ssl-cert", "key": "ssl-key", "cipher": "ssl-cipher"}


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
    command = [program, "--version"]  # it was found on the PATH
    said = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603
    return "MariaDB" in said.stdout


def _plain(default: str) -> str:
    text = default.strip("'\"()").lower().removesuffix("()").removesuffix("(")
    return _SAME.get(text, text)


_SILENCE = logging.NullHandler()


def _connect(dialect: Dialect, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
    """Give the driver of MySQL or MariaDB the password and the certificates in the form that it can use."""
    password = parameters.get("password")
    if isinstance(password, str) and dialect.driver in ("pymysql", "asyncmy"):
        parameters["password"] = password.encode()  # the drivers would encode it as Latin-1
    elif isinstance(password, str) and dialect.driver == "aiomysql":
        parameters["password"] = password.encode().decode("latin-1")  # and this one takes no bytes
    certificates = parameters.get("ssl")
    if dialect.is_async and isinstance(certificates, dict):  # the async drivers want a context
        context = ssl.create_default_context(cafile=certificates.get("ca"), capath=certificates.get("capath"))
        if "cert" in certificates:
            context.load_cert_chain(certificates["cert"], certificates.get("key"))
        parameters["ssl"] = context


def _hang_up(connection: DBAPIConnection) -> None:
    """Close a connection of asyncmy or aiomysql without an await."""
    getattr(connection, "driver_connection", connection).close()


class _NamedLock(ServerLock):
    """A named lock, which is the connection's until it is released or the connection ends.

    https://mariadb.com/docs/server/reference/sql-functions/secondary-functions/miscellaneous-functions/get_lock
    """

    @cached_property
    def _name(self) -> str:
        name = f"sqlhelpers:{self._ask('SELECT DATABASE()')}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        return name if len(name) <= _LONGEST_NAME else f"sqlhelpers:{digest[:48]}"

    def _ask(self, sql: str, **values: Any) -> Any:
        found = self.connection.scalar(text(sql), values)
        self.connection.rollback()
        return found

    def try_once(self) -> bool:
        if "_name" not in vars(self):
            self.connection.exec_driver_sql("SET SESSION wait_timeout = 604800")  # a week: it will be idle
        return bool(self._ask("SELECT GET_LOCK(:name, 0)", name=self._name))

    def probe(self) -> None:
        with self.or_stop():
            held = self._ask("SELECT IS_USED_LOCK(:name) = CONNECTION_ID()", name=self._name)
        if not held:
            raise DatabaseFailure("the lock was lost, so this run stops")

    def release(self) -> None:
        self._ask("SELECT RELEASE_LOCK(:name)", name=self._name)

    def session(self, connection: Connection) -> Any:
        number = connection.scalar(text("SELECT CONNECTION_ID()"))
        connection.rollback()
        return number

    def abort(self, statement_of: Any) -> None:
        with suppress(SQLAlchemyError):
            limit_commands(self.connection, ONE_ANSWER, "lock_timeout")
            self.connection.exec_driver_sql(f"KILL CONNECTION {int(statement_of)}")

    def held_by(self) -> str:
        with suppress(DBAPIError):
            found = self._ask("SELECT IS_USED_LOCK(:name)", name=self._name)
            if found:
                query = "SELECT concat(user, ' at ', host) FROM information_schema.processlist WHERE id = :id"
                who = self._ask(query, id=found)
                return f"connection {found}" + (f" of {who}" if who else "")
        return ""


class _Limits(RevisionLimits):
    """Limits that the server keeps too, for the session."""

    def tell_server(self) -> None:
        lock, statement = self.current
        seconds = math.ceil(lock) or _LONGEST_WAIT
        told = {"lock_wait_timeout": seconds, "innodb_lock_wait_timeout": seconds}
        if getattr(self.connection.dialect, "is_mariadb", False):  # pragma: no branch  # tests have no MySQL
            told["max_statement_time"] = math.ceil(statement)
        settings = ", ".join(f"SESSION {name} = {value}" for name, value in told.items())
        self.connection.exec_driver_sql(f"SET {settings}")
