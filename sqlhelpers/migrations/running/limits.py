"""Time limits of the statements of revisions, which the server is told as well."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from sqlhelpers.engines import limit_commands
from sqlhelpers.exceptions import DatabaseFailure

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


class SchemaLimits:
    """How long statements of revisions may wait for locks and run, on a connection that does not go back to a pool.

    The server is told as well, so that it stops by itself, and, on PostgreSQL, looks every second whether
    anybody still waits for its answer.

    Args:
        connection: a connection that is in no transaction.
        lock: how long to wait for the lock of a table or a row, in seconds; 0 for no limit.
        statement: how long one statement may take; 0 for no limit.
        is_pooled: whether the server's connection is lent for a transaction at a time.
    """

    def __init__(self, connection: Connection, lock: float, statement: float, *, is_pooled: bool) -> None:
        self._connection = connection
        self._is_pooled = is_pooled
        self._default = self._current = (lock, statement)
        if connection.dialect.name == "postgresql":
            told = _TELL_POSTGRES + (_TELL_POSTGRES_14 if _can_watch_its_client(connection) else "")
            self._for_transaction, self._for_session = told, told.replace("true)", "false)")
            event.listen(connection, "begin", self._tell_postgres)  # as long as a transaction: autocommit_block ends it
        self._tell()
        connection.rollback()

    def apply(self, lock: float | None = None, statement: float | None = None) -> None:
        """Set other limits until they are set again; None for those that the connection began with."""
        wanted = (self._default[0] if lock is None else lock, self._default[1] if statement is None else statement)
        if wanted != self._current:
            self._current = wanted
            self._tell()

    def _tell(self) -> None:
        lock, statement = self._current
        dialect = self._connection.dialect.name
        limit_commands(self._connection, statement and statement + _GRACE, "ddl_statement_timeout")
        if dialect == "postgresql" and self._connection.in_transaction():
            self._tell_postgres(self._connection)
        elif dialect in ("mysql", "mariadb"):
            seconds = math.ceil(lock) or _LONGEST_WAIT
            told = {"lock_wait_timeout": seconds, "innodb_lock_wait_timeout": seconds}
            if getattr(self._connection.dialect, "is_mariadb", False):  # pragma: no branch  # tests have no MySQL
                told["max_statement_time"] = math.ceil(statement)
            settings = ", ".join(f"SESSION {name} = {value}" for name, value in told.items())
            self._connection.exec_driver_sql(f"SET {settings}")

    def _tell_postgres(self, connection: Connection) -> None:
        lock, statement = (f"{math.ceil(seconds * 1000)}" for seconds in self._current)
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.execute(text(self._for_transaction), {"lock": lock, "statement": statement})
        elif not self._is_pooled:  # where what is set for the session would reach others
            # no limit for locks: CREATE INDEX CONCURRENTLY waits for all transactions, and would leave a broken index
            connection.execute(text(self._for_session), {"lock": "0", "statement": statement})


class NoLimits(SchemaLimits):
    """None beside those that the connection has: it is somebody else's."""

    def __init__(self) -> None:
        """Leave the connection alone."""

    def apply(self, lock: float | None = None, statement: float | None = None) -> None:
        """Do nothing."""


def _can_watch_its_client(connection: Connection) -> bool:
    """Tell whether a server of PostgreSQL can find out during a statement that its client has gone."""
    if (connection.dialect.server_version_info or ()) < _WATCHES_ITS_CLIENT:
        return False
    try:
        connection.execute(text(f"SELECT 1{_TELL_POSTGRES_14}"))
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


_GRACE = 0.5  # seconds by which the server is to be quicker than we
_LONGEST_WAIT = 31_536_000  # seconds
_WATCHES_ITS_CLIENT = (14,)
_TELL_POSTGRES = "SELECT set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true)"
_TELL_POSTGRES_14 = ", set_config('client_connection_check_interval', '1000', true)"
