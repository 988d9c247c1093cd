"""``TableName``: what a table is called. Tables are compared by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Table


class TableName(NamedTuple):
    """The name of a table, and of its schema; None for the schema that the connection uses."""

    schema: str | None
    name: str

    @classmethod
    def of(cls, table: Table) -> TableName:
        """Return the name of a table as its model says it, which ``Backend.normalised`` makes comparable."""
        return cls(table.schema, table.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name
