"""SQLite: connections, transactions that are explicit, one in which the schema may be changed, and a lock."""

from __future__ import annotations

import sqlite3
import string
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import StaticPool

from sqlhelpers.backends.base import Backend
from sqlhelpers.backends.clients import Client, found_program
from sqlhelpers.backends.errors import Meaning
from sqlhelpers.backends.limits import NoLimits, pause
from sqlhelpers.backends.locks import Lock, connected_once, process_identity
from sqlhelpers.backends.tables import Naming
from sqlhelpers.exceptions import ConfigurationError, DatabaseFailure, LockTimeout
from sqlhelpers.urls import Drivers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import URL, Connection, Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import PoolProxiedConnection

    from sqlhelpers.backends.base import EngineSettings
    from sqlhelpers.backends.limits import RevisionLimits

E = TypeVar("E", "Engine", "AsyncEngine")

#: The execution option that says how SQLite begins a transaction: ``""``, ``"IMMEDIATE"``, ``"EXCLUSIVE"``.
BEGIN = "sqlhelpers_begin"

_PAUSE = 0.05  # seconds between two attempts to write
_STOPPING = 0.25  # seconds: longer only if it waits for another writer
_SHORTLY = 0.01
_DAY = 86_400.0  # seconds

#: The letters whose case means nothing in names: https://www.sqlite.org/faq.html#q18.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class SQLite(Backend):
    """SQLite, in a file or in memory."""

    names: ClassVar[tuple[str, ...]] = ("sqlite",)
    drivers: ClassVar[Drivers] = Drivers(sync=("pysqlite",), aio=("aiosqlite",))
    packages: ClassVar[Mapping[str, tuple[str, str | None]]] = {
        "pysqlite": ("sqlite3", None),
        "aiosqlite": ("aiosqlite", "sqlite"),
    }
    has_server: ClassVar[bool] = False
    undoes_ddl: ClassVar[bool] = True
    has_schemas: ClassVar[bool] = False
    has_if_not_exists: ClassVar[bool] = True
    meanings: ClassVar[Mapping[Meaning, frozenset[str | int]]] = {
        Meaning.UNIQUE: frozenset((1555, 2067, 2579)),  # SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE and _ROWID
        Meaning.UNAVAILABLE: frozenset((5, 14)),  # SQLITE_BUSY and _CANTOPEN
        Meaning.LOCKED: frozenset((5, 6)),  # SQLITE_BUSY, SQLITE_LOCKED
    }

    def file(self, url: URL) -> Path | None:
        """Return the file of a URL; None for a database in memory."""
        if url.get_backend_name() not in self.names:
            return None
        name = url.database or ":memory:"
        if name.startswith("file:"):
            name = name.removeprefix("file:").partition("?")[0]
            if url.query.get("mode") == "memory":
                return None
        return None if name in {":memory:", ""} else Path(name)

    def is_absent(self, url: URL) -> bool:
        """Tell whether the file is not there or has no bytes, in a folder that is there."""
        file = self.file(url)
        return (
            file is not None
            and file.parent.is_dir()
            and (not file.exists() or (file.is_file() and not file.stat().st_size))
        )

    def engine_options(self, url: URL, settings: EngineSettings) -> dict[str, Any]:
        """Bound how long a writer waits for another one; return one shared connection for a database in memory."""
        options: dict[str, Any] = {"connect_args": {"timeout": settings.command_timeout or _DAY}}
        if self.file(url) is None:
            options["poolclass"] = StaticPool
            options["connect_args"]["check_same_thread"] = False
        return options

    def prepare(self, engine: Engine, bind: str, settings: EngineSettings) -> None:
        """Make transactions explicit, let foreign keys hold, and set the pragmas of the settings."""
        prepare(engine)
        if settings.sqlite_pragmas:
            event.listen(engine, "connect", lambda connection, _: set_pragmas(connection, settings.sqlite_pragmas))

    def for_sessions(self, engine: E) -> E:
        """Return an engine whose transactions begin as writers do.

        Otherwise one that reads before it writes fails, without having waited, if another has written meanwhile:
        https://www.sqlite.org/isolation.html.
        """
        return engine.execution_options(**{BEGIN: "IMMEDIATE"})

    def without_waiting(self, connection: Connection) -> AbstractContextManager[None]:
        """Let statements of the block fail at once where another process is in the way."""
        return without_waiting(connection)

    def close_idle(self, connection: Connection) -> None:
        """Close a connection, but none of aiosqlite: its thread may outlive the loop, if nobody waits for its end."""
        if connection.dialect.driver != "aiosqlite":
            super().close_idle(connection)

    def schema_transaction(self, connection: Connection, patience: float) -> AbstractContextManager[None]:
        """Run the block in a transaction in which nobody else writes, and foreign keys are not enforced."""
        return schema_transaction(connection, patience)

    @contextmanager
    def lock(self, engine: Engine, seconds: float) -> Iterator[Lock]:
        """Return a lock on a file beside the database; none for one in memory, which is this process's own."""
        file = self.file(engine.url)
        lock = _FileLock(file.resolve()) if file is not None else Lock()
        try:
            yield lock
        finally:
            lock.release()

    def lock_holder(self, connection: Connection) -> str:
        """Read the name in the file, if it is held: a process that was killed has left its name there."""
        file = self.file(connection.engine.url)
        if file is None:
            return ""
        lock = _FileLock(file.resolve())
        return "" if lock.is_free() else lock.held_by()

    def may_look_first(self, engine: Engine) -> bool:
        """Tell whether there is a file, and nobody seems to hold its lock, who might keep a reader waiting."""
        file = self.file(engine.url)
        return file is None or (_size(file) > 0 and _size(_beside(file.resolve())) == 0)

    def revision_limits(self, *_: object, **__: object) -> RevisionLimits:
        """Return none: nobody else writes, and a statement can be interrupted."""
        return NoLimits()

    @contextmanager
    def scratch(
        self,
        engine: Engine,
        name: str,
        make: Callable[[str | None], Engine],
        failed: Callable[[str], None],
    ) -> Iterator[Connection]:
        """Connect to an empty database in memory."""
        with connected_once(make(None)) as connection:
            yield connection

    def means(self, error: DBAPIError, codes: set[Any]) -> frozenset[Meaning]:
        """Return what an error means; that there is no table has a text only."""
        found = super().means(error, codes)
        return found | {Meaning.NO_TABLE} if "no such table" in str(error.orig) else found

    def naming_by_url(self, url: URL) -> Naming:  # as the others
        """Return the same as for a connection: the default schema is always ``main``."""
        return Naming("main", self.folded)

    def folded(self, name: str) -> str:
        """Return a name with ASCII letters in lower case."""
        return str(name).translate(_LOWER)

    def client(
        self, bind: str, url: URL, connect_args: Mapping[str, Any], arguments: Sequence[str]
    ) -> Client:  # as the others
        """Return sqlite3, with foreign keys enforced."""
        file = self.file(url)
        if file is None:
            raise ConfigurationError(f"database {bind!r} is in memory, and ends with the process that has it")
        if not file.exists():
            raise DatabaseFailure(f"database {bind!r}: {file} is not there yet; `sqlhelpers run-sync` creates it")
        program = found_program(["sqlite3"], "apt install sqlite3, brew install sqlite, or sqlite.org/download.html")
        names, options = url.set(drivername="sqlite+pysqlite").get_dialect()().create_connect_args(url)
        name = str(names[0]) if options.get("uri") else str(file.absolute())
        return Client(program, ("-cmd", "PRAGMA foreign_keys=1", name, *arguments))


BACKEND = SQLite()


def prepare(engine: Engine) -> None:
    """Make the transactions of an engine explicit, and its foreign keys hold."""
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    _end_what_cannot_be_committed(engine.dialect)
    if engine.driver == "aiosqlite":
        # a cancelled statement's connection keeps its locks until it is closed, and who cancels may cancel that too
        engine.dialect.do_terminate = _stop  # type: ignore[assignment,method-assign]
        event.listen(engine, "do_connect", _open_to_the_end)


@contextmanager
def empty_database() -> Iterator[Connection]:
    """Connect to an empty database in memory: what a file that is not there would be."""
    engine = create_engine("sqlite+pysqlite://")
    prepare(engine)
    with connected_once(engine) as connection:
        yield connection


def is_sqlite(bind: Engine | Connection) -> bool:
    """Tell whether the database is SQLite. For use in revisions: ``is_sqlite(op.get_bind())``."""
    return bind.dialect.name == "sqlite"


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
                pause(_PAUSE)
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


def _beside(database: Path) -> Path:
    return Path(f"{database}-lock")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it is not there, or nobody may know
        return 0


class _FileLock(Lock):
    """A lock on a file beside the database, which the operating system frees when its holder ends, however it ends."""

    def __init__(self, database: Path) -> None:
        if not database.parent.is_dir():  # the lock would make it
            raise FileNotFoundError(f"the folder {database.parent} does not exist")
        from filelock import FileLock

        self._file = _beside(database)
        self._lock = FileLock(self._file, timeout=0)

    def try_acquire(self) -> bool:
        if not self._acquire():
            return False
        self._file.write_text(process_identity(), "utf-8")
        return True

    def _acquire(self) -> bool:
        from filelock import Timeout

        try:
            self._lock.acquire()
        except Timeout:
            return False
        return True

    def is_free(self) -> bool:
        """Tell whether nobody holds it: a process that was killed has left its name in the file."""
        if self._file.exists():  # trying would make it
            if not self._acquire():
                return False
            self._lock.release()
        return True

    def release(self) -> None:
        if self._lock.is_locked:
            self._file.write_text("", "utf-8")
            self._lock.release()

    def held_by(self) -> str:
        name = self._file.read_text("utf-8").strip() if self._file.exists() else ""
        return f"{name} ({self._file})" if name else ""
