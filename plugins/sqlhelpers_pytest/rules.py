"""What differs from one database to the next for a transaction that is nested in another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Connection

_IN_TRANSACTION = 1  # a flag in the status of MySQL and MariaDB
_IDLE = 0  # the status of a connection of psycopg that is in no transaction


class Rules:
    """MariaDB and MySQL.

    Attributes:
        begin: what begins the transaction around a test.
        fails_whole: whether a statement that fails makes the whole transaction useless until a rollback.
    """

    begin = "BEGIN"
    fails_whole = False

    def __init__(self, connection: Connection) -> None:
        self.errors: Any = connection.dialect.loaded_dbapi

    def check_deferred(self, ask: Callable[[str], Sequence[Any]]) -> None:
        """Raise what a commit would, if a constraint that waits for it is violated."""

    def is_in_transaction(self, driver: Any) -> bool:
        """Tell whether the transaction around the test is still there."""
        return bool(driver.server_status & _IN_TRANSACTION)


class PostgresRules(Rules):
    """PostgreSQL, which checks deferred constraints when it is told that they are immediate."""

    fails_whole = True

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        found = connection.scalar(text("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE condeferrable)"))
        self._has_deferrable = bool(found)

    def check_deferred(self, ask: Callable[[str], Sequence[Any]]) -> None:
        """Check in a savepoint that is undone, so that the constraints are as deferred as they were."""
        if self._has_deferrable:
            ask("SAVEPOINT sqlhelpers_check")
            ask("SET CONSTRAINTS ALL IMMEDIATE")
            ask("ROLLBACK TO SAVEPOINT sqlhelpers_check")
            ask("RELEASE SAVEPOINT sqlhelpers_check")

    def is_in_transaction(self, driver: Any) -> bool:
        """Ask the driver, which the server tells after each statement."""
        if hasattr(driver, "is_in_transaction"):  # asyncpg
            return bool(driver.is_in_transaction())
        return bool(driver.info.transaction_status != _IDLE)


class SQLiteRules(Rules):
    """SQLite, which checks deferred foreign keys at the end of the whole transaction only."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        names = connection.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%INITIALLY DEFERRED%'"),
        )
        self._deferred = [name.replace('"', '""') for name in names]

    def check_deferred(self, ask: Callable[[str], Sequence[Any]]) -> None:
        """Look for rows without a parent in the tables that have such keys; in all, if the code has deferred keys."""
        broken = [row for name in self._deferred for row in ask(f'PRAGMA foreign_key_check("{name}")')]
        if ask("PRAGMA defer_foreign_keys")[0][0]:
            broken += ask("PRAGMA foreign_key_check")
            ask("PRAGMA defer_foreign_keys = 0")
        if broken:
            raise self.errors.IntegrityError("FOREIGN KEY constraint failed")

    def is_in_transaction(self, driver: Any) -> bool:
        """Ask the driver, which asks SQLite."""
        return bool(driver.in_transaction)


def rules_for(connection: Connection) -> Rules:
    """Return the rules of the database that is connected."""
    kinds: dict[str, type[Rules]] = {"postgresql": PostgresRules, "sqlite": SQLiteRules}
    return kinds.get(connection.dialect.name, Rules)(connection)
