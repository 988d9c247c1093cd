"""What SQLite needs: new connections, transactions that are explicit, and one in which the schema may be changed."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError

from sqlhelpers.engines import timeouts
from sqlhelpers.exceptions import LockTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy.engine import Connection, Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import PoolProxiedConnection

#: The execution option that says how SQLite begins a transaction: ``""``, ``"IMMEDIATE"``, ``"EXCLUSIVE"``.
BEGIN = "sqlhelpers_begin"

_PAUSE = 0.05  # seconds between two attempts to write
_STOPPING = 0.25  # seconds: longer only if it waits for another writer
_SHORTLY = 0.01


def prepare(engine: Engine) -> None:
    """Make the transactions of an engine explicit, and its foreign keys hold."""
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    _end_what_cannot_be_committed(engine.dialect)
    if engine.driver == "aiosqlite":
        # a cancelled statement's connection keeps its locks until it is closed, and who cancels may cancel that too
        engine.dialect.do_terminate = _stop  # type: ignore[assignment,method-assign]
        event.listen(engine, "do_connect", _open_to_the_end)


def _end_what_cannot_be_committed(dialect: Dialect) -> None:
    """Roll back when a commit fails: SQLite leaves the transaction open, and SQLAlchemy takes it to be over.

    The connection would go back to the pool with its lock and its rows: https://sqlite.org/lang_transaction.html.
    """
    commit = dialect.do_commit

    def do_commit(connection: PoolProxiedConnection) -> None:
        try:
            commit(connection)
        except Exception:
            with suppress(Exception):  # that of the commit is the one to tell
                dialect.do_rollback(connection)
            raise

    dialect.do_commit = do_commit  # type: ignore[assignment,method-assign]  # no event comes after a failed commit


def _open_to_the_end(_dialect: Dialect, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
    """Let aiosqlite's thread end before a file that cannot be opened is told of: it reports to the event loop."""
    import aiosqlite

    async def opened(*arguments: Any, **options: Any) -> aiosqlite.Connection:
        connection = aiosqlite.connect(*arguments, **options)
        connection._thread.daemon = True  # as SQLAlchemy sets it
        try:
            return await connection
        except sqlite3.Error:
            connection._thread.join(_STOPPING)  # it has nothing else to do
            raise

    parameters.setdefault("async_creator_fn", opened)


def _stop(connection: DBAPIConnection) -> None:
    """Let the thread of a connection of aiosqlite stop what it does, and close it."""
    driver = getattr(connection, "driver_connection", connection)
    using, deadline = driver._connection, time.monotonic() + _STOPPING
    if using is not None:  # pragma: no branch  # it may have closed itself just before
        driver._tx.put_nowait((None, using.rollback))  # or a statement that is not finished keeps the lock
    driver.stop()
    while using is not None and driver._thread.is_alive() and time.monotonic() < deadline:
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            using.interrupt()  # what has only just begun does not hear of it
        driver._thread.join(_SHORTLY)  # without an await, which could be cancelled too


def _prepare_connection(connection: DBAPIConnection, _record: object) -> None:
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


def _begin(connection: Connection) -> None:
    """Begin a transaction, as ``schema_transaction`` wants it."""
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"BEGIN {options.get(BEGIN, '')}")


@contextmanager
def schema_transaction(connection: Connection, patience: float) -> Iterator[None]:
    """Run the block in a transaction in which no other process writes and foreign keys are not enforced.

    A batch rebuild drops a table, and would take its child rows along. Keys are checked before the commit.

    Raises:
        LockTimeout: another process was in the way for longer than ``patience`` seconds.
        IntegrityError: the block left rows behind whose parents are gone.
    """
    connection.execution_options(**{BEGIN: "IMMEDIATE"})
    enforced = _pragma(connection, "foreign_keys")
    _pragma(connection, "foreign_keys=0")
    try:
        _patiently(connection, patience, connection.begin)
        before = _orphans(connection)
        yield
        _refuse_new_orphans(_orphans(connection) - before)
        _patiently(connection, patience, lambda: connection.exec_driver_sql("COMMIT"))
        connection.commit()  # what SQLAlchemy knows of it
    except BaseException:
        connection.rollback()
        raise
    finally:
        _pragma(connection, f"foreign_keys={enforced}")
        connection.execution_options(**{BEGIN: ""})


def _refuse_new_orphans(lost: Counter[tuple[str, str]]) -> None:
    if lost:
        broken = ", ".join(f"{count} in {child} without {parent}" for (child, parent), count in lost.items())
        raise IntegrityError(f"rows would lose their parents: {broken}", None, Exception(broken))


@contextmanager
def without_waiting(connection: Connection) -> Iterator[None]:
    """Let statements of the block fail at once where another process is in the way."""
    usual = _pragma(connection, "busy_timeout")
    _pragma(connection, "busy_timeout=0")
    try:
        yield
    finally:
        _pragma(connection, f"busy_timeout={usual}")


def _patiently(connection: Connection, patience: float, step: Callable[[], object]) -> None:
    """Begin or commit on SQLite as soon as no other process is in the way; between attempts, signals are heard."""
    deadline = time.monotonic() + patience
    with without_waiting(connection):
        while True:
            try:
                step()
            except OperationalError as error:
                if "locked" not in str(error.orig):
                    raise
                if time.monotonic() > deadline:
                    file = connection.engine.url.database
                    raise LockTimeout(
                        f"another process has been using {file} for {patience:g} s (lock_timeout)",
                    ) from error
                timeouts.pause(_PAUSE)
            else:
                return


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
    """Count the rows without a parent, by their table and the parent's."""
    tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    found: Counter[tuple[str, str]] = Counter()
    for table in tables:
        quoted = table.replace('"', '""')
        try:
            rows = connection.exec_driver_sql(f'PRAGMA foreign_key_check("{quoted}")').all()
        except OperationalError as error:  # a key that points to nothing which could be a parent
            found[table, str(error.orig)] += 1
        else:
            found.update((row[0], row[2]) for row in rows)
    return found
