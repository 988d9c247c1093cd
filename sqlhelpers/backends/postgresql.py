"""PostgreSQL."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import await_only

from sqlhelpers.backends.base import Backend
from sqlhelpers.backends.clients import Client, driver_arguments, found_program
from sqlhelpers.backends.errors import Meaning
from sqlhelpers.backends.limits import RevisionLimits
from sqlhelpers.backends.locks import ServerLock, held_in_server, process_identity
from sqlhelpers.backends.tables import Naming
from sqlhelpers.exceptions import DatabaseFailure, PoolerNotSet
from sqlhelpers.urls import Drivers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import URL, Connection, Dialect, Engine, ExceptionContext

    from sqlhelpers.backends.base import EngineSettings
    from sqlhelpers.backends.locks import Lock

_KEY = int.from_bytes(hashlib.sha256(b"sqlhelpers").digest()[:8], "big", signed=True)
_FORCES = (13,)  # the version that can drop a database which a pooler still has a connection to

#: What libpq reads from a URL and asyncpg reads only from a DSN, which it parses as libpq does.
_LIBPQ = frozenset(
    """
    application_name gsslib krbsrvname options passfile service sslcert sslcrl sslkey sslmode sslnegotiation
    sslpassword sslrootcert ssl_max_protocol_version ssl_min_protocol_version target_session_attrs
    """.split(),  # noqa: SIM905  # a list of words reads better than a list of strings
)


#: The first schema of a search path in the options of a URL.
_SEARCH_PATH = re.compile(r"""(?:-c\s*|--)search_path=(?:"([^"]+)"|([^\s,"]+))""")


class PostgreSQL(Backend):
    """PostgreSQL, and what speaks its protocol and has its catalogue."""

    names: ClassVar[tuple[str, ...]] = ("postgresql",)
    drivers: ClassVar[Drivers] = Drivers(sync=("psycopg",), aio=("asyncpg", "psycopg"))
    packages: ClassVar[Mapping[str, tuple[str, str | None]]] = {
        "psycopg": ("psycopg", "postgres"),
        "asyncpg": ("asyncpg", "postgres"),
    }
    undoes_ddl: ClassVar[bool] = True
    has_enum_types: ClassVar[bool] = True
    has_if_not_exists: ClassVar[bool] = True
    meanings: ClassVar[Mapping[Meaning, frozenset[str | int]]] = {
        Meaning.UNIQUE: frozenset(("23505",)),
        # the server starts, stops, or has no slot left; connections, and resources
        Meaning.UNAVAILABLE: frozenset(("57P01", "57P02", "57P03", "57P05", "08", "53")),
        Meaning.NO_TABLE: frozenset(("42P01", "3F000")),  # undefined_table, invalid_schema_name
    }

    def translate(self, url: URL) -> tuple[URL, dict[str, Any]]:
        """Hand asyncpg what it reads from a DSN only, and psycopg libpq's word for asyncpg's ``ssl``."""
        driver, query, arguments = url.get_driver_name(), dict(url.query), dict[str, Any]()
        if driver == "asyncpg":
            if "connect_timeout" in query:
                arguments["timeout"] = float(str(query.pop("connect_timeout")))
            moved = {name: query.pop(name) for name in tuple(query) if name in _LIBPQ}
            if moved:
                arguments["dsn"] = f"postgresql://?{urlencode(moved, doseq=True)}"
            if "host" in query and "port" not in query:
                hosts = ",".join([query["host"]] if isinstance(query["host"], str) else query["host"]).split(",")
                query["host"] = tuple(host if ":" in host else f"{host}:5432" for host in hosts)
        elif driver == "psycopg" and "ssl" in query:
            query.setdefault("sslmode", query.pop("ssl"))
        return url.set(query=query), arguments

    def engine_options(self, url: URL, settings: EngineSettings) -> dict[str, Any]:
        """Let the names of asyncpg's prepared statements be this process's own, unless the pooler is known of."""
        options = super().engine_options(url, settings)
        if settings.pooler is None and url.get_driver_name() == "asyncpg":
            options["connect_args"]["connection_class"] = _asyncpg_connection_class()
        return options

    def connect_arguments(self, url: URL, seconds: float) -> dict[str, Any]:
        """Return asyncpg's limit for all hosts, or libpq's for each."""
        driver = url.get_driver_name()
        if driver == "asyncpg":
            return {"timeout": seconds}
        if driver not in ("psycopg", "psycopg2"):
            return {}
        hosts = url.query.get("host", "")
        number = len(hosts) if isinstance(hosts, tuple) else 1 + hosts.count(",")
        return {"connect_timeout": max(2, math.ceil(seconds / number))}  # libpq waits two seconds at least

    def without_prepared_statements(self, url: URL) -> dict[str, Any]:
        """Return what keeps either driver from naming statements."""
        if url.get_driver_name() == "asyncpg":
            return {
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": str,  # the empty name: an unnamed statement
            }
        return {"prepare_threshold": None} if url.get_driver_name() == "psycopg" else {}

    def prepare(self, engine: Engine, bind: str, settings: EngineSettings) -> None:
        """Tell of a pooler that the settings do not know of; behind one that they know, send DDL in one message."""
        if settings.pooler is None:
            event.listen(engine, "handle_error", partial(suspect_pooler, bind))
            event.listen(engine, "connect", _number_statements)
        elif engine.driver == "asyncpg":
            event.listen(engine, "do_execute", _execute_at_once)

    def lock(self, engine: Engine, seconds: float) -> AbstractContextManager[Lock]:
        """Return an advisory lock."""
        return held_in_server(_AdvisoryLock, engine, seconds)

    def lock_holder(self, connection: Connection) -> str:
        """Ask the server."""
        return _AdvisoryLock(connection, 0).held_by()

    def revision_limits(
        self, connection: Connection, lock: float, statement: float, *, is_pooled: bool
    ) -> RevisionLimits:
        """Return limits that the server keeps too, as long as a transaction."""
        return _Limits(connection, lock, statement, is_pooled=is_pooled)

    def refuse_hidden_tables(self, connection: Connection, names: Iterable[str]) -> None:
        """Raise if a schema on the search path holds one of the tables but may not be used."""
        hidden = connection.execute(text(_HIDDEN), {"names": list(names)}).first()
        if hidden is not None:
            raise PermissionError(f"the role {hidden.role!r} may not use the schema {hidden.schema!r} (GRANT USAGE)")
        if connection.scalar(text("SELECT current_schema()")) is None:
            path = connection.scalar(text("SELECT current_setting('search_path')"))
            raise PermissionError(f"no schema of the search path ({path}) can be used by this role, or none exists")

    def naming_by_url(self, url: URL) -> Naming:
        """Return the naming by the first schema of a ``search_path`` in the URL; else a role may have another one."""
        written = url.query.get("options", "")
        found = _SEARCH_PATH.findall(written if isinstance(written, str) else " ".join(written))
        quoted, plain = found[-1] if found else ("", "")
        schema = quoted or plain.lower()
        is_certain = bool(schema) and schema != "$user"
        return Naming(schema if is_certain else "public", self.folded, is_certain=is_certain)

    def folded(self, name: str) -> str:
        """Return a name as the server has it: SQLAlchemy quotes it unless it is told not to."""
        return name.lower() if getattr(name, "quote", None) is False else name

    def drop_database(self, connection: Connection, name: str) -> str:
        """Return a statement that ends the connections which a pooler may still keep to the database."""
        forces = (connection.dialect.server_version_info or ()) >= _FORCES
        return f"{super().drop_database(connection, name)}{' WITH (FORCE)' if forces else ''}"

    def prepare_offline(self, dialect: Dialect) -> None:
        """Let backslashes be: SQLAlchemy believes the server, once it is connected."""
        vars(dialect)["_backslash_escapes"] = False

    def client(
        self, bind: str, url: URL, connect_args: Mapping[str, Any], arguments: Sequence[str]
    ) -> Client:  # as the others
        """Return psql, with its password in a variable."""
        program = found_program(
            ["psql"], "apt install postgresql-client, brew install libpq, or postgresql.org/download"
        )
        given = driver_arguments(url, "postgresql+psycopg", connect_args)
        ssl = given.pop("ssl", None)  # asyncpg's word
        if isinstance(ssl, str):
            given.setdefault("sslmode", "require" if ssl.lower() == "true" else ssl)
        password = given.pop("password", None)
        words = [f"{name}={_quoted(value)}" for name, value in given.items() if name in _OF_CLIENT]
        environment = {"PGPASSWORD": str(password)} if password else {}
        return Client(program, (f"--dbname={' '.join(words)}", *arguments), environment)


BACKEND = PostgreSQL()


#: What libpq knows, but for what is secret, and what only a driver can use.
_OF_CLIENT = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts options passfile port require_auth requirepeer service sslcert sslcertmode sslcompression
    sslcrl sslcrldir sslkey sslmode sslnegotiation sslrootcert sslsni ssl_max_protocol_version
    ssl_min_protocol_version target_session_attrs tcp_user_timeout user
    """.split(),  # noqa: SIM905  # a list of words reads better than a list of strings
)


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return text if text and text.isalnum() else f"'{text}'"


_HIDDEN = """
SELECT current_user AS role, n.nspname AS schema
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY(:names) AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
AND n.nspname IN (
    SELECT replace(btrim(btrim(part), '"'), '$user', current_user)
    FROM unnest(string_to_array(current_setting('search_path'), ',')) AS part
)
LIMIT 1
"""


def suspect_pooler(bind: str, context: ExceptionContext) -> PoolerNotSet | None:
    """Say what to set if an error of PostgreSQL is about a prepared statement, which drivers name for themselves."""
    error = context.original_exception
    if (getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)) not in _LOST_STATEMENT:
        return None
    reason = " ".join(str(error).split())
    advice = (
        f'if a pooler such as PgBouncer lends connections by transaction, set databases.{bind}.pooler = "transaction"'
    )
    return PoolerNotSet(f"database {bind!r}: {reason}; {advice}")


_LOST_STATEMENT = ("26000", "42P05")  # there is none of this name; there is one already


@cache
def _asyncpg_connection_class() -> type[Any]:
    """Return a class of asyncpg's connections whose prepared statements have names that no other process uses.

    The drivers count from one in every process. Behind a pooler that the settings do not know of, one process
    would then run what another has prepared under the same name.
    """
    import asyncpg  # type: ignore[import-untyped]

    class Connection(asyncpg.Connection):  # type: ignore[misc]  # it has no types
        __slots__ = ()

        def _get_unique_id(self, prefix: str) -> str:
            return f"__sqlhelpers_{prefix}_{secrets.token_hex(8)}__"

    return Connection


def _number_statements(connection: Any, _: object) -> None:
    """Let psycopg count its prepared statements from a number that no other process uses."""
    prepared = getattr(getattr(connection, "driver_connection", connection), "_prepared", None)
    if prepared is not None and hasattr(prepared, "_prepared_idx"):
        prepared._prepared_idx = secrets.randbits(48)


_WITHOUT_ROWS = re.compile(
    r"\s*(alter|cluster|comment|create|drop|grant|refresh|reindex|revoke|vacuum)\b", re.IGNORECASE
)


def _execute_at_once(_: object, statement: str, parameters: Any, context: Any) -> bool:
    """Execute DDL outside a transaction in one message of asyncpg: between two a pooler can change servers."""
    connection = context.root_connection.connection.dbapi_connection
    if parameters or not connection.autocommit or not _WITHOUT_ROWS.match(statement):
        return False
    try:
        await_only(connection.driver_connection.execute(statement))
    except Exception as error:  # noqa: BLE001  # the adapter makes one of the DBAPI's of it, and raises that
        connection._handle_exception(error)
    return True


class _AdvisoryLock(ServerLock):
    """An advisory lock in a transaction of its own, so that it is right behind a transaction pooler too.

    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS. It is asked for and never waited
    for: who waits inside the server holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that.
    """

    def try_once(self) -> bool:
        taken = bool(self.connection.scalar(text(_TRY_LOCK), {"key": _KEY, "me": f"sqlhelpers {process_identity()}"}))
        if not taken:
            self.connection.rollback()
        return taken

    def probe(self) -> None:
        with self.or_stop():
            # a utility statement: after a SELECT, its open portal would keep a snapshot
            self.connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    def release(self) -> None:
        self.connection.rollback()

    def held_by(self) -> str:
        with suppress(DBAPIError):
            row = self.connection.execute(text(_POSTGRES_HOLDER), {"key": _KEY}).first()
            if row is not None:
                where = row.client_addr or "this host"
                return f"process {row.pid} {row.application_name!r} of role {row.usename} at {where}"
        return ""


#: The server finds out within half a minute that the host of the holder has vanished, instead of after two hours.
_TRY_LOCK = """
SELECT CASE WHEN pg_try_advisory_xact_lock(:key) THEN
    set_config('application_name', left(:me, 63), true) IS NOT NULL
    AND set_config('tcp_keepalives_idle', '10', true) IS NOT NULL
    AND set_config('tcp_keepalives_interval', '5', true) IS NOT NULL
    AND set_config('tcp_keepalives_count', '4', true) IS NOT NULL
    ELSE false END
"""

_POSTGRES_HOLDER = """
SELECT a.pid, a.application_name, a.usename, a.client_addr
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
AND (l.classid::bigint << 32) | l.objid::bigint = :key
"""


class _Limits(RevisionLimits):
    """Limits that the server keeps too; it looks every second whether anybody still waits for its answer."""

    def begin(self) -> None:
        told = _TELL + (_TELL_14 if _can_watch_its_client(self.connection) else "")
        self._for_transaction, self._for_session = told, told.replace("true)", "false)")
        event.listen(self.connection, "begin", self._tell_in)  # as long as a transaction: autocommit_block ends it

    def tell_server(self) -> None:
        if self.connection.in_transaction():
            self._tell_in(self.connection)

    def _tell_in(self, connection: Connection) -> None:
        lock, statement = (f"{math.ceil(seconds * 1000)}" for seconds in self.current)
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.execute(text(self._for_transaction), {"lock": lock, "statement": statement})
        elif not self.is_pooled:  # where what is set for the session would reach others
            # no limit for locks: CREATE INDEX CONCURRENTLY waits for all transactions, and would leave a broken index
            connection.execute(text(self._for_session), {"lock": "0", "statement": statement})


def _can_watch_its_client(connection: Connection) -> bool:
    """Tell whether a server of PostgreSQL can find out during a statement that its client has gone."""
    if (connection.dialect.server_version_info or ()) < _WATCHES_ITS_CLIENT:
        return False
    try:
        connection.execute(text(f"SELECT 1{_TELL_14}"))
    except DBAPIError as error:
        if isinstance(error.orig, TimeoutError):
            raise DatabaseFailure(
                f"{error.orig}: the lock was obtained, but there was no second connection; "
                "if a pooler is in front of the database, a run needs two of its connections",
            ) from error
        return False  # its operating system does not tell
    finally:
        connection.rollback()
    return True


_WATCHES_ITS_CLIENT = (14,)  # the version
_TELL = "SELECT set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true)"
_TELL_14 = ", set_config('client_connection_check_interval', '1000', true)"
