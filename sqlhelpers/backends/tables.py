"""``TableName`` and ``Naming``: what tables are called, and which names mean the same. Nothing else compares tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table


class TableName(NamedTuple):
    """The name of a table, and of its schema; None for the schema that the connection uses."""

    schema: str | None
    name: str

    @classmethod
    def of(cls, table: Table) -> TableName:
        """Return the name of a table as its model says it, which ``Naming`` makes comparable."""
        return cls(table.schema, table.name)

    @classmethod
    def parsed(cls, text: str) -> TableName:
        """Return a name that was written as text, as ``str`` writes it."""
        schema, _, name = text.rpartition(".")
        return cls(schema or None, name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class Naming:
    """Which names mean the same table in one database.

    Attributes:
        default_schema: the schema of a table whose name has none, as far as it is known.
        folded: returns the one form of all names of tables and schemas that differ in case only, where they are one.
        is_certain: whether the default schema is known from the server, or cannot be any other.
    """

    default_schema: str | None = None
    folded: Callable[[str], str] = str
    is_certain: bool = True

    def without_guess(self) -> Naming:
        """Return what is certain of it."""
        return self if self.is_certain else Naming(is_certain=False)

    def schema(self, schema: str | None) -> str | None:
        """Return the one name of a schema; None for the default schema, whether it is named or not."""
        folded = self.folded(schema) if schema else None
        is_default = folded is not None and self.default_schema and folded == self.folded(self.default_schema)
        return None if is_default else folded

    def normalised(self, name: TableName) -> TableName:
        """Return the one name that a table has among all the names that mean it."""
        return TableName(self.schema(name.schema), self.folded(name.name))

    def of(self, table: Table) -> TableName:
        """Return the one name of a model's table."""
        return self.normalised(TableName.of(table))
