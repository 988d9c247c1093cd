"""What a person decides about a database, and what is wrong with it; its rooms do the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.migrations.check import PREFIX as PREFIX
    from sqlhelpers.migrations.check import check_database as check_database
    from sqlhelpers.migrations.check import compare_with_revision as compare_with_revision
    from sqlhelpers.migrations.check import create_schemas as create_schemas
    from sqlhelpers.migrations.check import scratch_database as scratch_database
    from sqlhelpers.migrations.decisions import adopt as adopt
    from sqlhelpers.migrations.decisions import drop as drop
    from sqlhelpers.migrations.decisions import repair as repair
    from sqlhelpers.migrations.decisions import retire as retire
    from sqlhelpers.migrations.decisions import stamp_position as stamp_position

__all__ = [
    "PREFIX",
    "adopt",
    "check_database",
    "compare_with_revision",
    "create_schemas",
    "drop",
    "repair",
    "retire",
    "scratch_database",
    "stamp_position",
]

__getattr__: Final = lazily(
    __name__,
    {
        "check": ("PREFIX", "check_database", "compare_with_revision", "create_schemas", "scratch_database"),
        "decisions": ("adopt", "drop", "repair", "retire", "stamp_position"),
    },
)
