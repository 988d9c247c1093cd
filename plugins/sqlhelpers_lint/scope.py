"""``Scope``: what a revision has made itself, about which nothing has to be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlhelpers_lint.names import is_same

if TYPE_CHECKING:
    from sqlhelpers_lint.findings import Hit


@dataclass
class Scope:
    """What one revision has done so far, as far as it matters to what comes after.

    Attributes:
        dialect: SQLAlchemy's name of the dialect.
        created: the tables that it has made.
        dropped: those that it has dropped.
        columns: the columns that it has added, by table.
        indexes: the indexes that it has made.
        validated: the tables of which it has validated a constraint.
        views: the views that it has made.
    """

    dialect: str
    created: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    columns: list[tuple[str, str]] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    validated: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)

    def has_made(self, hit: Hit) -> bool:
        """Tell whether a hit is about something that the revision itself has made before."""
        if _is_among(hit.table, self.created):
            return True
        if hit.rule in ("drop-column", "rename-column"):
            return any(hit.name == name and is_same(hit.table, table) for table, name in self.columns)
        if hit.rule == "index-not-concurrent":
            return bool(hit.name) and hit.name in self.indexes
        return hit.rule == "set-not-null" and _is_among(hit.table, self.validated)

    def has_settled(self, hit: Hit) -> bool:
        """Tell whether something that the revision did later makes a hit void."""
        if hit.rule == "rename-table":
            return _is_among(hit.table, self.views)
        return hit.rule != "drop-table" and _is_among(hit.table, self.dropped)


def _is_among(table: str, tables: list[str]) -> bool:
    return bool(table) and any(is_same(table, each) for each in tables)
