"""What differs from one dialect to the next: new connections, transactions around DDL, hidden tables, failures."""

from __future__ import annotations

import ssl
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from sqlhelpers import timeouts, urls
from sqlhelpers.exceptions import DatabaseFailure, LockTimeout, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy.engine import URL, Connection, Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine

E = TypeVar("E", "Engine", "AsyncEngine")

#: The execution option that says how SQLite begins a transaction: ``""``, ``"IMMEDIATE"``, ``"EXCLUSIVE"``.
BEGIN = "sqlhelpers_begin"

_PAUSE = 0.05  # seconds between two attempts to write
_DRIVERS = frozenset(("asyncpg", "psycopg", "pymysql", "asyncmy", "aiomysql", "sqlite3", "aiosqlite"))


def prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Set up a new connection to SQLite; put a new file into WAL mode, and leave an existing one as it is."""
    connection.isolation_level = None  # SQLAlchemy begins, by the listener below; the driver's habit is to begin late
    cursor = connection.cursor()
    cursor.execute("PRAGMA page_count")
    is_new = cursor.fetchone() == (0,)
    cursor.close()
    set_pragmas(connection, {"foreign_keys": 1, "journal_mode": "wal"} if is_new else {"foreign_keys": 1})


def set_pragmas(connection: DBAPIConnection, pragmas: Mapping[str, str | int]) -> None:
    """Set pragmas on a connection to SQLite."""
    cursor = connection.cursor()
    for name, value in pragmas.items():
        cursor.execute(f"PRAGMA {name}={value}")
        cursor.fetchall()
    cursor.close()


def begin_sqlite(connection: Connection) -> None:
    """Begin a transaction, as ``schema_transaction`` wants it."""
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"BEGIN {options.get(BEGIN, '')}")


def for_sessions(engine: E) -> E:
    """Return the engine as sessions should use it.

    On SQLite they begin as writers do. Otherwise one that reads before it writes fails, without having waited, if
    another has written meanwhile: https://www.sqlite.org/isolation.html.
    """
    return engine.execution_options(**{BEGIN: "IMMEDIATE"}) if engine.dialect.name == "sqlite" else engine


def prepare_mysql(dialect: Dialect, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
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


@contextmanager
def schema_transaction(connection: Connection, patience: float) -> Iterator[None]:
    """Run the block in a transaction in which the schema may be changed; roll back all of it on an error.

    What the block runs may end this transaction and begin another, as Alembic's ``autocommit_block`` does.

    On SQLite, no other process can write meanwhile, and foreign keys are not enforced: a batch rebuild
    drops a table and would take its child rows along. They are checked before the commit.

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
    connection.execution_options(**{BEGIN: "IMMEDIATE"})
    enforced = _pragma(connection, "foreign_keys")
    _pragma(connection, "foreign_keys=0")
    try:
        _begin_writing(connection, patience)
        with _transaction(connection):
            before = _orphans(connection)
            yield
            lost = _orphans(connection) - before
            if lost:
                broken = ", ".join(f"{count} in {child} without {parent}" for (child, parent), count in lost.items())
                raise IntegrityError(f"rows would lose their parents: {broken}", None, Exception(broken))
    finally:
        _pragma(connection, f"foreign_keys={enforced}")
        connection.execution_options(**{BEGIN: ""})


def _begin_writing(connection: Connection, patience: float) -> None:
    """Begin a transaction as soon as no other process writes; between attempts, signals are heard."""
    deadline = time.monotonic() + patience
    usual = _pragma(connection, "busy_timeout")
    _pragma(connection, "busy_timeout=0")
    while True:
        try:
            connection.begin()
        except OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            if time.monotonic() > deadline:
                file = connection.engine.url.database
                raise LockTimeout(
                    f"another process has been writing to {file} for {patience:g} s (lock_timeout)"
                ) from error
            timeouts.pause(_PAUSE)
        else:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={usual}")
            return


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    if not connection.in_transaction():
        connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _pragma(connection: Connection, text_: str) -> Any:
    """Run a pragma outside any transaction, where alone ``foreign_keys`` has an effect."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(f"PRAGMA {text_}")
        row = cursor.fetchone()
    finally:
        cursor.close()
    return row[0] if row else None


def _orphans(connection: Connection) -> Counter[tuple[str, str]]:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check")
    return Counter((row[0], row[2]) for row in rows)


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
def empty_database() -> Iterator[Connection]:
    """Connect to an empty SQLite database in memory: what a file that is not there would be."""
    engine = create_engine("sqlite+pysqlite://")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


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
