"""What the errors of drivers mean, whichever driver has raised them."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

#: The packages of the drivers whose errors are told as the database's.
DRIVERS = frozenset(("asyncpg", "psycopg", "pymysql", "asyncmy", "aiomysql", "sqlite3", "aiosqlite"))


class Meaning(Enum):
    """What an error of a database means."""

    UNIQUE = auto()
    """A row with the same key is there already."""
    UNAVAILABLE = auto()
    """The server starts, stops, has no place left, or cannot be reached."""
    NO_TABLE = auto()
    """There is no such table, or no such schema."""
    LOCKED = auto()
    """Another process has locked the file."""


def codes_of(error: DBAPIError) -> set[Any]:
    """Return what the driver's error says that it is: an SQLSTATE of PostgreSQL, a number of MySQL or SQLite."""
    original: Any = error.orig
    code = getattr(original, "sqlite_errorcode", None)
    found = {code, code & 0xFF} if code else {getattr(original, "sqlstate", None), getattr(original, "pgcode", None)}
    if original is not None and original.args and isinstance(original.args[0], int):
        found.add(original.args[0])
    return found - {None}


def is_of_driver(error: BaseException) -> bool:
    """Tell whether a driver has raised an error by itself, which SQLAlchemy has not made one of its own."""
    return type(error).__module__.partition(".")[0].lstrip("_") in DRIVERS
