"""Names of tables as SQL and Alembic write them, brought into one form."""

from __future__ import annotations

import re

_PART = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'

#: A pattern for a name in SQL, with or without its schema, quoted or not.
IN_SQL = rf"{_PART}(?:\s*\.\s*{_PART})*"


def plain(name: str) -> str:
    """Return a name from SQL without its quotes, in lower case."""
    return ".".join(part.strip('"`[]').lower() for part in re.findall(_PART, name))


def qualified(name: str, schema: str | None = None) -> str:
    """Return the same form of a name that Alembic has."""
    return (f"{schema}.{name}" if schema else str(name)).lower()


def is_same(one: str, other: str) -> bool:
    """Tell whether two names mean the same table; one without a schema may be in any."""
    if ("." in one) == ("." in other):
        return one == other
    return one.rpartition(".")[2] == other.rpartition(".")[2]
