"""``ExistingTables``: which tables a database has, asked once for each schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection


class ExistingTables:
    """The tables that a database has when it is asked for the first time."""

    def __init__(self, connection: Connection) -> None:
        self._inspector = inspect(connection)
        self._is_mysql = connection.dialect.name in ("mysql", "mariadb")
        self._by_schema: dict[str | None, frozenset[str]] = {}

    def names(self, schema: str | None = None) -> frozenset[str]:
        """Return the names of the tables in a schema; None for the connection's."""
        if schema not in self._by_schema:
            self._by_schema[schema] = frozenset(self._inspector.get_table_names(schema))
        return self._by_schema[schema]

    def has(self, name: str, schema: str | None = None) -> bool:
        """Tell whether there is such a table."""
        if name in self.names(schema):
            return True
        # MySQL leaves out what the role may not read, which is an error when it is asked for by name
        is_near = self._is_mysql or any(each.lower() == name.lower() for each in self.names(schema))
        return is_near and self._inspector.has_table(name, schema)  # the server knows whether that is the same name

    def taken(self, tables: Iterable[Table]) -> list[Table]:
        """Return those of the tables whose names are taken, by a table or by a view."""
        views: dict[str | None, frozenset[str]] = {}
        found = []
        for table in tables:
            if table.schema not in views:
                views[table.schema] = frozenset(self._inspector.get_view_names(table.schema))
            if self.has(table.name, table.schema) or table.name in views[table.schema]:
                found.append(table)
        return found
