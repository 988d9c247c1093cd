"""What a query is about: a model, a Core table or a statement, and what is unique about its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import CompoundSelect, FromClause, Select, select
from sqlalchemy.engine import result_tuple
from sqlalchemy.orm import Mapper

if TYPE_CHECKING:
    from sqlalchemy import Executable, Row


def as_select(source: Any) -> Select[Any] | CompoundSelect[Any]:
    """Return the statement that selects ``source``, which may be one already.

    Raises:
        ArgumentError: it is neither a model, nor a table, nor a SELECT.
    """
    if isinstance(source, Select | CompoundSelect):
        return source
    return select(source)  # which says what it cannot select


def is_single(source: type[Any] | FromClause | Executable) -> bool:
    """Tell whether each row of ``source`` is one thing: an instance, or a value. A Core table has rows."""
    if isinstance(source, FromClause | CompoundSelect):
        return False
    return not isinstance(source, Select) or len(source.column_descriptions) == 1


def mapper_of(model: object) -> Mapper[Any] | None:
    """Return the mapper of a mapped class; None for anything else."""
    found = sqlalchemy.inspect(model, raiseerr=False)
    return found if isinstance(found, Mapper) else None


def primary_key_of(model: Any) -> tuple[Any, ...]:
    """Return the columns of the primary key of a mapped class or of a table."""
    mapper = mapper_of(model)
    return tuple(model.primary_key) if mapper is None else mapper.primary_key


def bind_arguments(model: Any) -> dict[str, Any]:
    """Return the arguments with which a session finds the database of ``model``."""
    mapper = mapper_of(model)
    return {"clause": model} if mapper is None else {"mapper": mapper}


def narrowed(row: Row[Any], width: int) -> Row[Any]:
    """Return the first columns of a row as a row."""
    return result_tuple(row._fields[:width])(row[:width])  # noqa: SLF001  # its documented name
