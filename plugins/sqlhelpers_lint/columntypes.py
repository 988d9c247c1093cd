"""What it takes to change a column's type: nothing, a rewrite, or values that do not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from sqlalchemy.exc import CompileError, UnsupportedCompilationError

from sqlhelpers_lint.rules import MYSQL, POSTGRESQL, kind_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

#: ``free`` changes no row, ``rewrite`` all of them, ``narrower`` may find values that do not fit.
Change = Literal["free", "rewrite", "narrower"]

_INTEGERS = {"TINYINT": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INT": 4, "INTEGER": 4, "BIGINT": 8}
_FLOATS = {"REAL": 4, "FLOAT": 8, "DOUBLE": 8, "DOUBLE PRECISION": 8}
_TEXTS = {"TINYTEXT": 255, "TEXT": 65_535, "MEDIUMTEXT": 2**24, "LONGTEXT": 2**32}
_ENDLESS = 2**62
_SHORT = 63  # characters of up to four bytes, whose length MariaDB and MySQL keep in one byte


def in_words(kind: TypeEngine[object], dialect: Dialect) -> str:
    """Return a type as the dialect writes it; its Python form where that cannot be told."""
    try:
        return str(dialect.type_compiler_instance.process(kind)).upper()
    except (CompileError, UnsupportedCompilationError):
        return repr(kind)


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
    if match is None:
        return written, 0, 0
    name, size, scale = match[1], match[2], int(match[3] or 0)
    if name in ("VARCHAR", "CHARACTER VARYING", "NVARCHAR"):
        return "VARCHAR", int(size or _ENDLESS), 0
    if name in ("CHAR", "CHARACTER", "NCHAR"):
        return "CHAR", int(size or 1), 0
    if name in _TEXTS:
        is_endless = kind_of(dialect) != MYSQL
        return "VARCHAR" if is_endless else "TEXT", _ENDLESS if is_endless else _TEXTS[name], 0
    if name in ("NUMERIC", "DECIMAL"):
        whole = int(size) - scale if size else _ENDLESS
        return "NUMERIC", whole, scale if size else _ENDLESS
    if name in ("TIMESTAMP", "DATETIME"):
        return f"MOMENT{match[4]}" if "WITH TIME" in match[4] else "MOMENT", 0, 0
    for kind, sizes in (("INTEGER", _INTEGERS), ("FLOAT", _FLOATS)):
        if name in sizes:
            return kind, sizes[name], 0
    return written, 0, 0


_CHARACTERS = ("VARCHAR", "CHAR", "TEXT")


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
