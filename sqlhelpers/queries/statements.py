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


def is_entity(statement: Select[Any] | CompoundSelect[Any]) -> bool:
    """Tell whether a statement selects a mapped class and nothing else."""
    if isinstance(statement, CompoundSelect) or len(statement.column_descriptions) != 1:
        return False
    described = statement.column_descriptions[0]
    return described.get("entity") is not None and described["expr"] is described["entity"]


def first_source(statement: Select[Any]) -> Any:
    """Return the first mapped class or table that a statement selects from; None if there is neither."""
    entities = [described["entity"] for described in statement.column_descriptions if described.get("entity")]
    return next(iter((*entities, *statement.columns_clause_froms)), None)


def refuse_limit(statement: Select[Any] | CompoundSelect[Any]) -> None:
    """Raise if a statement has a LIMIT or an OFFSET, which pages would put away.

    Raises:
        ValueError: it has.
    """
    if statement._limit_clause is not None or statement._offset_clause is not None:  # noqa: SLF001  # no public name
        raise ValueError("the statement has a LIMIT or an OFFSET of its own: make it a subquery")


def is_condensed(statement: Select[Any]) -> bool:
    """Tell whether a row of a statement stands for several: GROUP BY, DISTINCT."""
    return bool(statement._group_by_clauses or statement._distinct)  # noqa: SLF001  # there is no public name


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
    return result_tuple(row._fields[:width])(row[:width])
