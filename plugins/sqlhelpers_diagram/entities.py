"""What there is to draw of tables: columns, keys, and how many rows of one go with how many of another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Column, Enum, Index, TypeDecorator, UniqueConstraint
from sqlalchemy.dialects import registry
from sqlalchemy.exc import CompileError, NoReferencedColumnError, NoReferencedTableError

from sqlhelpers.backends import Naming, TableName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ForeignKeyConstraint, Table
    from sqlalchemy.types import TypeEngine

Columns = Literal["all", "keys", "none"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One column.

    Attributes:
        name: its name.
        type: its type as SQL has it.
        is_primary: whether it is in the primary key.
        is_foreign: whether it is in a foreign key.
        is_unique: whether it is unique by itself, and not the primary key.
        is_nullable: whether it can be NULL.
        unique_with: the columns that it is unique together with, for each constraint of several.
    """

    name: str
    type: str
    is_primary: bool
    is_foreign: bool
    is_unique: bool
    is_nullable: bool
    unique_with: tuple[tuple[str, ...], ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """``PK``, ``FK`` and ``UK``, as far as they are right."""
        found = (("PK", self.is_primary), ("FK", self.is_foreign), ("UK", self.is_unique))
        return tuple(mark for mark, is_right in found if is_right)


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One table.

    Attributes:
        app: the app that it belongs to; None if no app is known to have it.
        name: its name, with its schema if it has one.
        fields: the columns to draw.
        is_outside: whether it is there because others refer to it only.
    """

    app: str | None
    name: str
    fields: tuple[Field, ...] = ()
    is_outside: bool = False

    @property
    def key(self) -> tuple[str | None, str]:
        """What no other entity of a drawing has."""
        return self.app, self.name


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One foreign key.

    Attributes:
        child: the key of the entity that has it.
        parent: the key of the entity that it refers to.
        columns: its columns.
        referred: the columns that they refer to.
        is_optional: whether a row of the child can be without a parent.
        is_single: whether a parent can have one child only.
        is_identifying: whether the parent is a part of what the child is: its columns are in the primary key.
    """

    child: tuple[str | None, str]
    parent: tuple[str | None, str]
    columns: tuple[str, ...]
    referred: tuple[str, ...]
    is_optional: bool
    is_single: bool
    is_identifying: bool


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """What there is to draw: the entities, those of one app after another, and how they refer to each other."""

    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]


def diagram_of(
    tables: Mapping[str, Sequence[Table]],
    apps: Collection[str] | None = None,
    columns: Columns = "all",
    namings: Mapping[str, Naming] | None = None,
) -> Diagram:
    """Return what there is to draw.

    Args:
        tables: the tables of each app.
        apps: the apps to draw; None for all. Tables of others are drawn, by name, where foreign keys refer to them.
        columns: which columns to draw.
        namings: of each app, which names mean the same table in its database.
    """
    owners = _Owners(tables, namings or {})
    drawn = {name: owned for name, owned in tables.items() if apps is None or name in apps}
    inside = [
        Entity(app=app, name=table.fullname, fields=tuple(_fields(table, columns)))
        for app, owned in drawn.items()
        for table in owned
    ]
    relations = [
        _relation((app, table.fullname), table, constraint, owners.of(app, *_target(constraint)))
        for app, owned in drawn.items()
        for table in owned
        for constraint in sorted(table.foreign_key_constraints, key=lambda each: (each.column_keys, _target(each)))
    ]
    known = {entity.key for entity in inside}
    outside = {relation.parent for relation in relations} - known
    order = [*tables, None]
    strangers = sorted(outside, key=lambda key: (order.index(key[0]), key[1]))
    added = [Entity(app=app, name=name, is_outside=True) for app, name in strangers]
    entities = sorted([*inside, *added], key=lambda entity: order.index(entity.app))
    return Diagram(entities=tuple(entities), relations=tuple(relations))


def _fields(table: Table, columns: Columns) -> Iterator[Field]:
    if columns == "none":
        return
    primary = tuple(column.name for column in table.primary_key)
    uniques = [names for names in _uniques(table) if set(names) != set(primary)]
    for column in table.columns:
        together = [tuple(name for name in names if name != column.name) for names in uniques if column.name in names]
        field = Field(
            name=column.name,
            type=type_of(column.type),
            is_primary=column.primary_key,
            is_foreign=bool(column.foreign_keys),
            is_unique=() in together,
            is_nullable=bool(column.nullable),
            unique_with=tuple(names for names in together if names),
        )
        if columns == "all" or field.marks or field.unique_with:
            yield field


def _uniques(table: Table) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each constraint or index that lets no two rows have the same in them."""
    found = {tuple(each.name for each in one.columns) for one in table.constraints if isinstance(one, UniqueConstraint)}
    found |= {tuple(each.name for each in index.columns) for index in table.indexes if _is_unique(index)}
    yield from sorted(found)


def _is_unique(index: Index) -> bool:
    """Tell whether an index is unique over whole columns, and over all rows."""
    is_plain = all(isinstance(expression, Column) for expression in index.expressions)
    is_partial = any(name.endswith("_where") and value is not None for name, value in index.dialect_kwargs.items())
    return bool(index.unique) and is_plain and not is_partial


def type_of(kind: TypeEngine[Any]) -> str:
    """Return a type as SQL has it: in the dialect that it belongs to, or in none."""
    if isinstance(kind, TypeDecorator):
        return type_of(kind.impl_instance)
    if isinstance(kind, Enum):
        return f"ENUM({', '.join(kind.enums)})"
    dialect = re.match(r"sqlalchemy\.dialects\.(\w+)", type(kind).__module__)
    try:
        return kind.compile(dialect=registry.load(dialect[1])()) if dialect else str(kind)
    except CompileError:  # it cannot be said
        return type(kind).__name__


def _target(constraint: ForeignKeyConstraint) -> tuple[str, tuple[str, ...]]:
    """Return the full name of the table that a foreign key refers to, and the columns there."""
    try:
        found = [key.column for key in constraint.elements]
        return found[0].table.fullname, tuple(column.name for column in found)
    except (NoReferencedTableError, NoReferencedColumnError):  # it is in another MetaData, or nowhere
        names = [key.target_fullname.rpartition(".") for key in constraint.elements]
        return names[0][0], tuple(name for _, _, name in names)


@dataclass(frozen=True)
class _Owners:
    """Whose the tables are that foreign keys refer to."""

    tables: Mapping[str, Sequence[Table]]
    namings: Mapping[str, Naming]

    def of(self, app: str, name: str, columns: tuple[str, ...]) -> tuple[tuple[str | None, str], tuple[str, ...]]:
        """Return which table a name means, seen from an app: its own, another app's, or one that is not known."""
        wanted = self._naming(app).normalised(TableName.parsed(name))
        for each in (app, *self.tables):
            for table in self.tables[each]:
                if table.fullname == name or self._naming(each).of(table) == wanted:  # a name may have a dot
                    return (each, table.fullname), columns
        return (None, name), columns

    def _naming(self, app: str) -> Naming:
        return self.namings.get(app, Naming())


def _relation(
    child: tuple[str, str],
    table: Table,
    constraint: ForeignKeyConstraint,
    target: tuple[tuple[str | None, str], tuple[str, ...]],
) -> Relation:
    columns = tuple(constraint.columns)
    names = {column.name for column in columns}
    primary = {column.name for column in table.primary_key}
    keys = [set(unique) for unique in _uniques(table)] + ([primary] if primary else [])
    return Relation(
        child=child,
        parent=target[0],
        columns=tuple(column.name for column in columns),
        referred=target[1],
        is_optional=any(column.nullable for column in columns),
        is_single=any(key <= names for key in keys),
        is_identifying=names <= primary,
    )
