"""What it takes to change a column's type: nothing, a rewrite, or values that do not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.exc import CompileError
from sqlalchemy.types import to_instance

from sqlhelpers_lint.rules import MYSQL, POSTGRESQL, kind_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

#: ``free`` changes no row, ``rewrite`` all of them, ``narrower`` may find values that do not fit.
Change = Literal["free", "rewrite", "narrower"]

_ENDLESS = 2**62
#: What a type is a kind of, and its size if it says none: characters, bytes, or digits before the point.
_KINDS = {
    **dict.fromkeys(("VARCHAR", "CHARACTER VARYING", "NVARCHAR", "TEXT"), ("VARCHAR", _ENDLESS)),
    **dict.fromkeys(("CHAR", "CHARACTER", "NCHAR"), ("CHAR", 1)),
    **dict.fromkeys(("NUMERIC", "DECIMAL"), ("NUMERIC", _ENDLESS)),
    **dict.fromkeys(("TIMESTAMP", "DATETIME"), ("MOMENT", 0)),
    "TINYINT": ("INTEGER", 1),
    "SMALLINT": ("INTEGER", 2),
    "MEDIUMINT": ("INTEGER", 3),
    "INT": ("INTEGER", 4),
    "INTEGER": ("INTEGER", 4),
    "BIGINT": ("INTEGER", 8),
    "REAL": ("FLOAT", 4),
    "FLOAT": ("FLOAT", 8),
    "DOUBLE": ("FLOAT", 8),
    "DOUBLE PRECISION": ("FLOAT", 8),
}
_KINDS_OF_MYSQL = {
    **_KINDS,
    "TINYTEXT": ("TEXT", 2**8),
    "TEXT": ("TEXT", 2**16),
    "MEDIUMTEXT": ("TEXT", 2**24),
    "LONGTEXT": ("TEXT", 2**32),
    "FLOAT": ("FLOAT", 4),
    "REAL": ("FLOAT", 8),
}
_CHARACTERS = ("VARCHAR", "CHAR", "TEXT")
_SHORT = 63  # characters of up to four bytes: MariaDB and MySQL keep the length in one byte


def in_words(kind: TypeEngine[Any] | type[TypeEngine[Any]], dialect: Dialect) -> str:
    """Return a type as the dialect writes it; its Python form where that cannot be told."""
    instance = to_instance(kind)
    try:
        return str(dialect.type_compiler_instance.process(instance)).upper()
    except CompileError:
        return repr(instance)


def change_of(old: str, new: str, dialect: str) -> Change:
    """Return what it takes to change a column from one type to another.

    Args:
        old: the type as the dialect writes it.
        new: the other.
        dialect: SQLAlchemy's name of the dialect.
    """
    if old == new:
        return "free"
    before, after = _parsed(old, dialect), _parsed(new, dialect)
    if _is_narrower(before, after):
        return "narrower"
    if kind_of(dialect) == POSTGRESQL:
        is_free = _is_free_on_postgresql(before, after)
    else:
        is_free = kind_of(dialect) == MYSQL and _is_free_on_mysql(before, after)
    return "free" if is_free else "rewrite"


_Parsed = tuple[str, int, int]  # the kind, its size, and the digits behind the point


def _parsed(written: str, dialect: str) -> _Parsed:
    match = re.match(r"([A-Z ]+?) ?(?:\((\d+)(?:, ?(\d+))?\)|(?= WITH|$))(.*)", written)
    name, size, scale, rest = match.groups() if match else (written, None, None, "")
    kind, usual = (_KINDS_OF_MYSQL if kind_of(dialect) == MYSQL else _KINDS).get(name, (written, 0))
    if kind == "NUMERIC":
        return (kind, int(size) - int(scale or 0), int(scale or 0)) if size else (kind, usual, _ENDLESS)
    if kind in _CHARACTERS:
        return kind, int(size or usual), 0
    return kind + (rest if kind == "MOMENT" and "WITH TIME" in rest else ""), usual, 0


def _is_narrower(before: _Parsed, after: _Parsed) -> bool:
    (old, old_size, old_scale), (new, size, scale) = before, after
    if old in _CHARACTERS and new in _CHARACTERS:
        return size < old_size
    if old == new:
        return size < old_size or scale < old_scale
    if old.startswith("MOMENT"):
        return new == "DATE"
    return new == "INTEGER" and old in ("NUMERIC", "FLOAT")


def _is_free_on_postgresql(before: _Parsed, after: _Parsed) -> bool:
    (old, _, old_scale), (new, _, scale) = before, after
    return old == new and (old == "VARCHAR" or (old == "NUMERIC" and scale in (old_scale, _ENDLESS)))


def _is_free_on_mysql(before: _Parsed, after: _Parsed) -> bool:
    return before[0] == after[0] == "VARCHAR" and (after[1] <= _SHORT or before[1] > _SHORT)
