"""The full order of a query's rows: what it is ordered by, then the primary key; and what comes after a given row."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import (
    REAL,
    Column,
    Double,
    Enum,
    Float,
    Integer,
    Label,
    Select,
    Table,
    UnaryExpression,
    and_,
    cast,
    false,
    literal,
    literal_column,
    or_,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.sql import operators

from sqlhelpers.exceptions import InvalidCursor
from sqlhelpers.queries.statements import is_condensed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Dialect
    from sqlalchemy.sql.selectable import GenerativeSelect


@dataclass(frozen=True)
class Key:
    """One of the expressions that rows are ordered by.

    Attributes:
        expression: the expression.
        dialect: the name of the database's dialect.
        descending: whether the greatest value comes first.
        nulls_first: whether NULLs come first; None where the statement does not say.
        nullable: whether there can be NULLs.
    """

    expression: Any
    dialect: str
    descending: bool = False
    nulls_first: bool | None = None
    nullable: bool = True

    @property
    def reversed(self) -> Key:
        """The key of the same rows in the opposite order."""
        nulls_first = None if self.nulls_first is None else not self.nulls_first
        return replace(self, descending=not self.descending, nulls_first=nulls_first)

    @cached_property
    def exact(self) -> Any:
        """The expression, as what its values can be compared with.

        A float of 4 bytes is not what it is read as, and MySQL orders an ENUM by number, but compares it as a text.
        """
        kind = self.expression.type
        is_mysql = self.dialect in ("mysql", "mariadb")
        if isinstance(kind, REAL) and self.dialect == "postgresql":
            return cast(self.expression, Double)
        if isinstance(kind, Float) and not isinstance(kind, Double) and is_mysql:
            return type_coerce(self.expression * literal_column("1e0"), Double)
        if isinstance(kind, Enum) and kind.native_enum and is_mysql:
            return type_coerce(self.expression, Integer) + literal_column("0", Integer)
        return self.expression

    @property
    def has_nulls_first(self) -> bool:
        """Whether NULLs come first: for PostgreSQL and Oracle they are greater than all, for others less."""
        if self.nulls_first is not None:
            return self.nulls_first
        return self.descending if self.dialect in ("postgresql", "oracle") else not self.descending

    def clauses(self) -> Iterator[ColumnElement[Any]]:
        """Yield what to ORDER BY."""
        directed = self.expression.desc() if self.descending else self.expression.asc()
        if self.nulls_first is None or not self.nullable:
            yield directed
        elif self.dialect in ("mysql", "mariadb"):  # they have no NULLS FIRST
            is_null = self.expression.is_(None)
            yield is_null.desc() if self.nulls_first else is_null.asc()
            yield directed
        else:
            yield directed.nulls_first() if self.nulls_first else directed.nulls_last()

    def same(self, value: Any) -> ColumnElement[bool]:
        """Return the condition of the rows that have this value."""
        found: ColumnElement[bool] = self.exact.is_(None) if value is None else self.exact == self.bound(value)
        return found

    def after(self, value: Any) -> ColumnElement[bool]:
        """Return the condition of the rows that come after those that have this value."""
        if value is None:
            return self.exact.is_not(None) if self.has_nulls_first else false()
        bound = self.bound(value)
        beyond: ColumnElement[bool] = self.exact < bound if self.descending else self.exact > bound
        return or_(beyond, self.exact.is_(None)) if self.nullable and not self.has_nulls_first else beyond

    def from_on(self, value: Any) -> ColumnElement[bool]:
        """Return a condition of the rows that have this value or come after it, which an index can serve."""
        if value is None or (self.nullable and not self.has_nulls_first):
            return true()
        found: ColumnElement[bool] = (
            self.exact <= self.bound(value) if self.descending else self.exact >= self.bound(value)
        )
        return found

    def bound(self, value: Any) -> Any:
        """Return a parameter for a value."""
        return literal(value, self.exact.type)

    def plain(self, value: Any) -> Any:
        """Return a value of the database as a cursor can hold it."""
        return value.name if isinstance(value, enum.Enum) and self._members is not None else value

    def rich(self, value: Any) -> Any:
        """Return a value from a cursor as the database takes it.

        Raises:
            InvalidCursor: it is the name of a member that the enumeration no longer has.
        """
        if self._members is None or value is None:
            return value
        try:
            return self._members[value]
        except KeyError as error:
            raise InvalidCursor(f"this cursor has the value {value!r}, which there is no more") from error

    @property
    def _members(self) -> Any:
        return getattr(self.exact.type, "enum_class", None)

    def __str__(self) -> str:
        return f"{self.expression} {self.descending} {self.has_nulls_first}"


def after(keys: Sequence[Key], values: Sequence[Any], *, inclusive: bool = False) -> ColumnElement[bool]:
    """Return the condition of the rows that come after the one that has these values.

    Args:
        keys: the full order.
        values: the values of the row, one for each key.
        inclusive: whether the row itself is wanted too.
    """
    directions = {key.descending for key in keys}
    comparable = keys[0].dialect in ("postgresql", "sqlite") and not any(key.nullable for key in keys)
    if comparable and len(directions) == 1 and len(keys) > 1:  # an index serves it best
        left = tuple_(*(key.exact for key in keys))
        right = tuple_(*(key.bound(value) for key, value in zip(keys, values, strict=True)))
        if keys[0].descending:
            return left <= right if inclusive else left < right
        return left >= right if inclusive else left > right
    condition: ColumnElement[bool] = true() if inclusive else false()
    for key, value in reversed([*zip(keys, values, strict=True)]):
        condition = or_(key.after(value), and_(key.same(value), condition))
    return and_(keys[0].from_on(values[0]), condition) if len(keys) > 1 else condition


def keys_of(statement: Select[Any], dialect: Dialect) -> tuple[Key, ...]:
    """Return the full order of a statement's rows.

    Raises:
        ValueError: it is ordered by a text, or what it selects from has no primary key.
    """
    if is_condensed(statement):
        raise ValueError("the rows of GROUP BY or DISTINCT have no primary key: make it a subquery, or use paginate")
    missing = _missing_primary_keys(statement)
    if not missing and not _order_by(statement):
        raise ValueError("what is selected has no primary key, so its rows have no order of their own: use paginate")
    froms = statement.get_final_froms()
    is_plain = len(froms) == 1 and isinstance(froms[0], Table)  # an outer join makes NULLs
    keys = []
    for clause in (*_order_by(statement), *missing):
        expression, descending, nulls_first = _parsed(clause)
        if _is_text(expression):
            raise ValueError(f"order by columns, not by the text {expression.element!r}")
        nullable = not (is_plain and isinstance(expression, Column) and not expression.nullable)
        keys.append(Key(expression, dialect.name, descending, nulls_first, nullable))
    return tuple(keys)


def in_full_order(statement: GenerativeSelect) -> GenerativeSelect:
    """Return the statement with the primary key behind what it is ordered by, as far as there is one."""
    if not isinstance(statement, Select) or is_condensed(statement):
        return statement
    return statement.order_by(*_missing_primary_keys(statement))


def _order_by(statement: GenerativeSelect) -> tuple[ColumnElement[Any], ...]:
    return statement._order_by_clauses  # noqa: SLF001  # there is no public name


def _missing_primary_keys(statement: Select[Any]) -> list[Any]:
    """Return the columns of the primary keys that the statement is not ordered by yet."""
    present = [_parsed(clause)[0] for clause in _order_by(statement)]
    found: list[Any] = []
    entities = list(dict.fromkeys(each["entity"] for each in statement.column_descriptions if each.get("entity")))
    for entity in entities:
        mapper = sqlalchemy.inspect(entity).mapper
        found += (getattr(entity, mapper.get_property_by_column(column).key) for column in mapper.primary_key)
    if not entities:
        found += (column for source in statement.columns_clause_froms for column in source.primary_key)
    plain = [sqlalchemy.inspect(each).expression if hasattr(each, "__clause_element__") else each for each in found]
    return [each for each in plain if not any(not _is_text(known) and each.compare(known) for known in present)]


def _parsed(clause: Any) -> tuple[Any, bool, bool | None]:
    """Return the expression of an ORDER BY clause, whether it is descending, and whether NULLs come first."""
    descending, nulls_first = False, None
    while True:
        if isinstance(clause, UnaryExpression) and clause.modifier in _MODIFIERS:
            if clause.modifier in (operators.nulls_first_op, operators.nulls_last_op):
                nulls_first = clause.modifier is operators.nulls_first_op
            else:
                descending = clause.modifier is operators.desc_op
            clause = clause.element
        elif isinstance(clause, Label) or type(clause).__name__ == "_label_reference":
            clause = clause.element
        else:
            return clause, descending, nulls_first


def _is_text(clause: Any) -> bool:
    return type(clause).__name__ == "_textual_label_reference"


_MODIFIERS = (operators.asc_op, operators.desc_op, operators.nulls_first_op, operators.nulls_last_op)
