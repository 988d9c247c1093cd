"""What differs from one dialect to the next: new connections, transactions around DDL, hidden tables, failures."""

from __future__ import annotations

import logging
import re
import secrets
import ssl
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util.concurrency import await_only

from sqlhelpers import urls
from sqlhelpers.engines import sqlite
from sqlhelpers.exceptions import DatabaseFailure, PoolerNotSet, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import URL, Connection, Dialect, Engine, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

E = TypeVar("E", "Engine", "AsyncEngine")

_DRIVERS = frozenset(("asyncpg", "psycopg", "pymysql", "asyncmy", "aiomysql", "sqlite3", "aiosqlite"))


def for_sessions(engine: E) -> E:
    """Return the engine as sessions should use it.

    On SQLite they begin as writers do. Otherwise one that reads before it writes fails, without having waited, if
    another has written meanwhile: https://www.sqlite.org/isolation.html.
    """
    return engine.execution_options(**{sqlite.BEGIN: "IMMEDIATE"}) if engine.dialect.name == "sqlite" else engine


def prepare_mysql(engine: Engine) -> None:
    """Send passwords as UTF-8, and be quiet about what the server notes."""
    event.listen(engine, "do_connect", _connect_to_mysql)
    logging.getLogger("asyncmy").addHandler(_SILENCE)  # it would print every note of the server


_SILENCE = logging.NullHandler()


def _connect_to_mysql(dialect: Dialect, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
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


def name_failures_to_connect(engine: Engine) -> None:
    """Let a server that cannot be reached be an ``OperationalError`` with async drivers too.

    Some of them raise what the socket raised, which nobody could tell from an error of the application.
    """
    connect, dialect = engine.dialect.connect, engine.dialect

    def named(*arguments: Any, **options: Any) -> Any:
        try:
            return connect(*arguments, **options)
        except Exception as error:
            driver = type(error).__module__.partition(".")[0]
            if isinstance(error, dialect.loaded_dbapi.Error) or not (isinstance(error, OSError) or driver in _DRIVERS):
                raise
            failure: Any = dialect.loaded_dbapi.OperationalError(f"{type(error).__name__}: {error}")
            failure.sqlstate = getattr(error, "sqlstate", None)
            raise failure from error

    dialect.connect = named  # type: ignore[method-assign]  # the event would keep others of its kind from being told


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
def asyncpg_connection_class() -> type[Any]:
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


def number_statements(connection: Any, _: object) -> None:
    """Let psycopg count its prepared statements from a number that no other process uses."""
    prepared = getattr(getattr(connection, "driver_connection", connection), "_prepared", None)
    if prepared is not None and hasattr(prepared, "_prepared_idx"):
        prepared._prepared_idx = secrets.randbits(48)


_WITHOUT_ROWS = re.compile(
    r"\s*(alter|cluster|comment|create|drop|grant|refresh|reindex|revoke|vacuum)\b", re.IGNORECASE
)


def execute_at_once(_: object, statement: str, parameters: Any, context: Any) -> bool:
    """Execute DDL outside a transaction in one message of asyncpg: between two a pooler can change servers."""
    connection = context.root_connection.connection.dbapi_connection
    if parameters or not connection.autocommit or not _WITHOUT_ROWS.match(statement):
        return False
    try:
        await_only(connection.driver_connection.execute(statement))
    except Exception as error:  # noqa: BLE001  # the adapter makes one of the DBAPI's of it, and raises that
        connection._handle_exception(error)
    return True


@contextmanager
def schema_transaction(connection: Connection, patience: float) -> Iterator[None]:
    """Run the block in a transaction in which the schema may be changed; roll back all of it on an error.

    What the block runs may end this transaction and begin another, as Alembic's ``autocommit_block`` does.

    Args:
        connection: a connection that is in no transaction.
        patience: how many seconds to wait for another writer on SQLite.

    Raises:
        LockTimeout: the other writer took longer.
        IntegrityError: the block left rows behind whose parents are gone.
    """
    if connection.dialect.name != "sqlite":
        with _transaction(connection), warnings.catch_warnings():
            # the async drivers warn of what the server notes; only SQLAlchemy's own names are behind this one
            warnings.filterwarnings("ignore", "Name '.*' ignored for PRIMARY key")
            yield
        return
    with sqlite.schema_transaction(connection, patience):
        yield


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def undoes_ddl(connection: Connection) -> bool:
    """Tell whether a rollback undoes changes of the schema."""
    return connection.dialect.name in ("sqlite", "postgresql", "mssql")


def refuse_hidden_tables(connection: Connection, names: Iterable[str]) -> None:
    """Raise if a schema on PostgreSQL's search path holds one of the tables but may not be used.

    Without this, a missing permission would look like an empty database.

    Raises:
        PermissionError: there is such a schema, or none in which a table could be made.
    """
    if connection.dialect.name != "postgresql":
        return
    hidden = connection.execute(text(_HIDDEN), {"names": list(names)}).first()
    if hidden is not None:
        raise PermissionError(f"the role {hidden.role!r} may not use the schema {hidden.schema!r} (GRANT USAGE)")
    if connection.scalar(text("SELECT current_schema()")) is None:
        path = connection.scalar(text("SELECT current_setting('search_path')"))
        raise PermissionError(f"no schema of the search path ({path}) can be used by this role, or none exists")


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


def is_absent(url: URL) -> bool:
    """Tell whether the URL is that of a SQLite file which is not there or has no bytes, in a folder that is there."""
    file = urls.sqlite_file(url)
    return (
        file is not None
        and file.parent.is_dir()
        and (not file.exists() or (file.is_file() and not file.stat().st_size))
    )


@contextmanager
def connected_once(engine: Engine) -> Iterator[Connection]:
    """Connect with an engine that nobody else uses, and dispose of it at the end."""
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def empty_database() -> Iterator[Connection]:
    """Connect to an empty SQLite database in memory: what a file that is not there would be."""
    engine = create_engine("sqlite+pysqlite://")
    sqlite.prepare(engine)
    with connected_once(engine) as connection:
        yield connection


@contextmanager
def failures_named(bind: str, url: URL) -> Iterator[None]:
    """Turn what a database or its driver raises in the block into one line that names the database.

    Raises:
        DatabaseFailure: without secrets in its text; the cause is chained.
    """
    try:
        yield
    except Exception as error:
        driver = type(error).__module__.partition(".")[0].lstrip("_")
        if isinstance(error, SQLAlchemyError | OSError) or driver in _DRIVERS:
            raise DatabaseFailure(f"database {bind!r} ({urls.mask(url)}): {_reason(error, url)}") from error
        if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
            where = f"setting databases.{bind}.sqlalchemy.url ({urls.mask(url)})"
            raise SettingsError([f"{where}: the driver does not know a part of its query: {error}"]) from error
        raise


def _reason(error: Exception, url: URL) -> str:
    file = urls.sqlite_file(url)
    if file is not None and not file.parent.is_dir():
        return f"the folder {file.parent} does not exist"
    if file is not None and file.is_dir():
        return "this is a folder, not a file"
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {urls.scrub(str(original), url)}"
