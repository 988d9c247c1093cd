"""The connections that code under test gets: each looks like one of the driver's, and all share the one of the test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy.util.concurrency import await_only, in_greenlet

from sqlhelpers_pytest.errors import Entangled, IsolationLost, NotIsolated
from sqlhelpers_pytest.nesting import Kind, Nest, kind_of
from sqlhelpers_pytest.rules import Rules, rules_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from sqlalchemy.engine import Dialect

    from sqlhelpers_pytest.homes import Home

_ITS_OWN = ("isolation_level", "read_only", "readonly", "deferrable")  # settings of a transaction: there is only one
_WRITING = ("callproc", "copy", "copy_expert", "executescript")


class SharedConnection:
    """The one connection of a database, and the transaction around the test.

    Args:
        home: where it is used.
        is_open: tells whether a test is running that may use it.
    """

    def __init__(self, home: Home, is_open: Callable[[], bool]) -> None:
        self.home = home
        self.is_open = is_open
        self.lock: threading.RLock = threading.RLock()
        self.tests: int = 0
        self.is_winding_up: bool = False  # whether the test is over, and only has to close what it has opened
        self._proxied = home.connect()
        self.real: Any = self._proxied.dbapi_connection
        with home.engine.connect() if not home.is_async else home.call(home.engine.connect) as connection:
            self.rules: Rules = home.call(rules_for, connection)
            home.call(connection.close)
        home.call(home.engine.dialect.set_isolation_level, self.real, "AUTOCOMMIT")  # we begin for ourselves
        self.nest: Nest = Nest(self._send, self.rules.begin)

    @property
    def driver(self) -> Any:
        """The driver's own connection, which an async one is an adapter of."""
        return getattr(self.real, "driver_connection", None) or getattr(self.real, "_connection", self.real)

    def _send(self, *statements: str) -> None:
        joined = ["; ".join(statements)] if self.home.engine.driver == "psycopg" else statements
        try:
            for statement in joined:
                self.ask(statement)
        except Exception as error:
            if self.nest.has_begun and not self.rules.is_in_transaction(self.driver):
                raise IsolationLost(_LOST) from error
            raise

    def ask(self, statement: str) -> Sequence[Any]:
        """Execute a statement of ours, and return its rows."""
        cursor = self.real.cursor()
        try:
            self.home.call(cursor.execute, statement)
            return cursor.fetchall() if cursor.description else ()
        finally:
            cursor.close()

    def end_test(self) -> None:
        """Undo all that the test did.

        Raises:
            IsolationLost: something has ended the transaction before, so that not all could be undone.
        """
        with self.lock:
            self.tests += 1
            self.is_winding_up = False
            has_begun, self.nest = self.nest.has_begun, Nest(self._send, self.rules.begin)
            if not has_begun:
                return
            is_lost = not self.rules.is_in_transaction(self.driver)
            self.ask("ROLLBACK") if not is_lost else None
        if is_lost:
            raise IsolationLost(_LOST)

    def commit(self, owner: VirtualConnection) -> None:
        """Commit a transaction of the code, or raise what the database would."""
        mine = [frame for frame in self.nest.frames if frame.owner is owner]
        if mine and mine[-1].has_failed:
            self.nest.rollback(owner)
            return
        if any(frame.has_written for frame in mine):
            try:
                self.rules.check_deferred(self.ask)
            except Exception:
                self.nest.rollback(owner)
                raise
        self.nest.commit(owner)

    def close(self) -> None:
        """Close it."""
        self.home.call(self._proxied.invalidate)
        self.home.close()


_LOST = (
    "the transaction around this test has ended before the test: a statement that commits by itself was run (DDL on"
    " MariaDB and MySQL, executescript() on SQLite), or the connection was lost. Tests that need this ask for the"
    " fixture fresh_db, which gives them a database of their own"
)
_OUTSIDE = "the database is used outside of a test; ask for db_session, db_manager, sqlhelpers_runtime or fresh_db"
_STALE = "a session of an earlier test is still in its transaction; close every session in the test that opened it"


class VirtualConnection:
    """A connection with a transaction of its own, as far as the code can tell.

    Args:
        shared: the connection that it stands for.
        dialect: the dialect that uses it, whose errors it raises.
    """

    def __init__(self, shared: SharedConnection, dialect: Dialect) -> None:
        vars(self).update(shared=shared, dialect=dialect, autocommit=False, _since=None)

    shared: SharedConnection
    dialect: Dialect
    autocommit: bool
    _since: int | None

    def enter(self) -> Any:
        """Return the frame for the next statement.

        Raises:
            NotIsolated: no test is running, or its transaction is that of an earlier test.
        """
        if not self.shared.is_open():
            raise NotIsolated(_OUTSIDE)
        if self._since not in (None, self.shared.tests):
            raise NotIsolated(_STALE)
        self._since = self.shared.tests
        return self.shared.nest.enter(self)

    def cursor(self, *arguments: Any, server_side: bool = False, **options: Any) -> VirtualCursor:  # noqa: ARG002
        """Open a cursor; asyncpg keeps one in the server only within a transaction that it has begun itself."""
        named = [each for each in arguments if not isinstance(each, type)]  # the class of another driver's cursors
        return VirtualCursor(self, self.shared.real.cursor(*named, **options))

    def commit(self) -> None:
        """Commit what was done on this connection, in the savepoints that hold it."""
        with self.shared.lock:
            self._since = None
            try:
                self.shared.commit(self)
            except Exception as error:  # noqa: BLE001  # it is raised as another
                self.raise_translated(error)

    def rollback(self) -> None:
        """Roll back what was done on this connection."""
        with self.shared.lock:
            self._since = None
            if self.autocommit:
                self.shared.commit(self)
                return
            try:
                self.shared.nest.rollback(self)
            except Entangled:
                if not self.shared.is_winding_up:
                    raise

    def close(self) -> None:
        """Leave the shared connection as it is."""
        with self.shared.lock:
            try:
                self.rollback()
            except Entangled:
                return  # a close raises nothing; all is rolled back after the test

    stop = close  # what closes connections of async drivers without an await
    terminate = close

    def raise_translated(self, error: Exception) -> None:
        """Raise an error of the shared driver as one that the dialect knows."""
        errors: Any = self.dialect.loaded_dbapi
        kind = getattr(errors, type(error).__name__, None)
        if isinstance(error, errors.Error) or not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise error
        raise kind(*error.args) from error

    def set_autocommit(self, value: bool) -> None:  # noqa: FBT001  # as psycopg has it
        """Let every statement be committed at once, as far as the code can tell."""
        self.autocommit = value

    def __getattr__(self, name: str) -> Any:
        if name == "_connection":
            return self.shared.driver
        return self.shared.home.wrapped(getattr(self.shared.real, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("autocommit", "_since"):
            vars(self)[name] = value
        elif name not in _ITS_OWN:
            setattr(self.shared.real, name, value)


async def _nothing() -> None: ...


class VirtualCursor:
    """A cursor of the shared connection, which sees to it that each statement is in the transaction it belongs to."""

    __slots__ = ("_connection", "_cursor")

    def __init__(self, connection: VirtualConnection, cursor: Any) -> None:
        object.__setattr__(self, "_connection", connection)
        object.__setattr__(self, "_cursor", cursor)

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> Self:
        """Execute a statement."""
        self._run("execute", statement, *arguments, **options)
        return self

    def executemany(self, statement: Any, *arguments: Any, **options: Any) -> Self:
        """Execute a statement many times."""
        self._run("executemany", statement, *arguments, **options)
        return self

    def _run(self, method: str, statement: Any, *arguments: Any, **options: Any) -> None:
        connection, shared = self._connection, self._connection.shared
        if connection.dialect.is_async and in_greenlet():
            await_only(_nothing())  # SQLAlchemy refuses a statement of an async connection that has awaited nothing
        kind, name = kind_of(statement) if isinstance(statement, str) else (Kind.WRITES, "")
        with shared.lock:
            if kind is Kind.BEGINS:
                return
            if kind is Kind.COMMITS or kind is Kind.ROLLS_BACK:
                (connection.commit if kind is Kind.COMMITS else connection.rollback)()
                return
            frame = connection.enter()
            if name:
                statement = shared.nest.savepoint(frame, kind, name)
            frame.has_written = frame.has_written or kind is Kind.WRITES
            try:
                shared.home.call(getattr(self._cursor, method), statement, *arguments, **options)
            except Exception as error:  # noqa: BLE001  # the same
                frame.has_failed = shared.rules.fails_whole
                connection.raise_translated(error)

    async def _async_soft_close(self) -> None:
        """Do nothing: SQLAlchemy awaits this after each statement of an async engine."""

    def __getattr__(self, name: str) -> Any:
        if name in _WRITING:
            self._connection.enter().has_written = True
        return self._connection.shared.home.wrapped(getattr(self._cursor, name))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cursor, name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()
