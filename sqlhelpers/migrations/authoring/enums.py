"""PostgreSQL's enumerated types in revisions: made, extended, dropped, and written as text."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from alembic.autogenerate import renderers
from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateTableOp,
    DropColumnOp,
    DropTableOp,
    MigrateOperation,
    ModifyTableOps,
)
from sqlalchemy import Column, Enum, TypeDecorator, inspect

from sqlhelpers.backends import PostgreSQL, TableName, backend_of, built_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import MigrationScript
    from sqlalchemy.engine import Connection

    from sqlhelpers.backends import Naming
    from sqlhelpers.migrations.state import History

    _Key = tuple[str | None, str]  # schema and name


class TypeNames:
    """Writes types that Alembic cannot write for itself; leaves all else to Alembic.

    Attributes:
        existing: enumerations, by schema and name, whose types PostgreSQL has already when the revision runs.
    """

    def __init__(self) -> None:
        self.existing: set[tuple[str | None, str]] = set()

    def __call__(self, kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
        """Return a type as it is written in a revision, or False.

        A type that is not SQLAlchemy's gets the import that it needs. If it cannot be made from what it says of itself,
        it is written as the type that it decorates.
        """
        if kind != "type":
            return False
        key = enumeration_key(item)
        if key in self.existing and built_in(context.dialect.name).has_enum_types:
            context.imports.add("from sqlalchemy.dialects import postgresql")
            schema = f", schema={item.schema!r}" if item.schema else ""
            return f"postgresql.ENUM({', '.join(map(repr, item.enums))}, name={item.name!r}{schema}, create_type=False)"
        module = type(item).__module__
        if module.startswith("sqlalchemy."):
            return False
        text = f"{module}.{item!r}"
        if _makes_the_same(text, item):
            context.imports.add(f"import {module}")
            return text
        return _render_impl(item, context) if isinstance(item, TypeDecorator) else False


def enumeration_key(type_: Any) -> tuple[str | None, str] | None:
    """Return the schema and the name of an enumeration that may be a type of its own; None for anything else."""
    is_named = isinstance(type_, Enum) and type_.native_enum and type_.name
    return (type_.schema, str(type_.name)) if is_named else None


def _makes_the_same(text: str, item: Any) -> bool:
    module = type(item).__module__
    try:
        names = {module.partition(".")[0]: importlib.import_module(module.partition(".")[0])}
        made = eval(text, names)  # noqa: S307  # the representation of a type of the app, which the revision will run
    except Exception:  # noqa: BLE001  # of whatever kind: it cannot be used
        return False
    return type(made) is type(item)


def _render_impl(item: Any, context: AutogenContext) -> str:
    from alembic.autogenerate.render import _repr_type

    return _repr_type(item.impl_instance, context)


class _TypeOp(MigrateOperation):
    """Makes the type of an enumeration, or drops it. Where a column spells its values out, neither does anything."""

    def __init__(self, type_: Enum, *, makes: bool) -> None:
        self.type = type_
        self.makes = makes

    def reverse(self) -> _TypeOp:
        return _TypeOp(self.type, makes=not self.makes)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("add_type" if self.makes else "remove_type", self.type)


class _LabelOp(MigrateOperation):
    """Adds a value to the type of an enumeration, which cannot be taken back."""

    def __init__(self, type_: Enum, label: str | None, before: str | None = None) -> None:
        self.type = type_
        self.label = label
        self.before = before

    def reverse(self) -> _LabelOp:
        return _LabelOp(self.type, None)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("add_label", self.type, self.label)


@renderers.dispatch_for(_TypeOp)
def _render_type(context: AutogenContext, op: _TypeOp) -> str:
    type_ = op.type
    labels = [*map(repr, type_.enums)] if op.makes else []
    options = [f"name={type_.name!r}", *([f"schema={type_.schema!r}"] if type_.schema else [])]
    verb = "create" if op.makes else "drop"
    prefix = context.opts["sqlalchemy_module_prefix"]
    return f"{prefix}Enum({', '.join([*labels, *options])}).{verb}(op.get_bind())"


@renderers.dispatch_for(_LabelOp)
def _render_label(_: AutogenContext, op: _LabelOp) -> list[str]:
    if op.label is None:
        return [f"# the values that were added to {op.type.name} stay: PostgreSQL cannot take them out of a type"]
    quoted = ".".join(f'"{part}"' for part in (op.type.schema, op.type.name) if part)
    place = f" BEFORE {_text(op.before)}" if op.before else ""
    statement = f"ALTER TYPE {quoted} ADD VALUE IF NOT EXISTS {_text(op.label)}{place}"
    return PostgreSQL().lines_of_revision(statement)


def _text(label: str) -> str:
    doubled = label.replace("'", "''")
    return f"'{doubled}'"


class _Place(NamedTuple):
    """A column of a table, and its type."""

    table: TableName
    column: str
    type: Any

    @property
    def key(self) -> _Key | None:
        """The schema and the name of the enumeration, if it is one that may be a type of its own."""
        return enumeration_key(self.type)


def tend(connection: Connection, history: History, script: MigrationScript, existing: set[_Key]) -> tuple[str, ...]:
    """Add to a proposed revision what it has to do about enumerations; return what the author should know of them.

    ``existing`` takes those whose types are there already when the revision runs, or is undone.
    """
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    backend = backend_of(connection)
    naming, has_enum_types = backend.naming(connection), backend.has_enum_types
    used = [_Place(naming.of(table), each.name, each.type) for table in history.tables for each in table.columns]
    added, created, dropped = _changes(script.upgrade_ops.ops, naming, alters=has_enum_types)
    coming = {each[:2] for each in (*added, *created)}
    settled = {each.key for each in used if each[:2] not in coming}
    by_tables = _types(created, settled)
    by_columns = _types(added, settled | by_tables.keys())
    gone = _types(dropped, {each.key for each in used}) if has_enum_types else {}
    remade_by_tables = _types(_changes(script.downgrade_ops.ops, naming, alters=False)[1], set())
    existing.update(_types((*used, *dropped), {*by_tables, *by_columns, *gone}))
    upgrade, downgrade = script.upgrade_ops.ops, script.downgrade_ops.ops
    upgrade[:0] = [_TypeOp(type_, makes=True) for type_ in by_columns.values()]
    upgrade += [_TypeOp(type_, makes=False) for type_ in gone.values()]
    downgrade[:0] = [_TypeOp(type_, makes=True) for key, type_ in gone.items() if key not in remade_by_tables]
    downgrade += [_TypeOp(type_, makes=False) for type_ in {**by_tables, **by_columns}.values()]
    return tuple(_tend_labels(connection, used, script)) if has_enum_types else ()


def _types(places: Iterable[_Place], known: Collection[_Key | None]) -> dict[_Key, Enum]:
    return {each.key: each.type for each in places if each.key is not None and each.key not in known}


def _changes(
    operations: Iterable[Any], naming: Naming, *, alters: bool
) -> tuple[list[_Place], list[_Place], list[_Place]]:
    """Return the columns that come to tables that are there, those of new tables, and those that go.

    Args:
        operations: what is done.
        naming: which names mean the same table.
        alters: whether a column that gets another type counts: only PostgreSQL tells which enumeration it had.
    """
    added: list[_Place] = []
    created: list[_Place] = []
    dropped: list[_Place] = []
    for op in flat(operations):
        table = naming.normalised(TableName(getattr(op, "schema", None), getattr(op, "table_name", "")))
        if isinstance(op, AddColumnOp):
            added.append(_Place(table, op.column.name, op.column.type))
        elif isinstance(op, AlterColumnOp) and op.modify_type is not None and alters:
            added.append(_Place(table, op.column_name, op.modify_type))
            dropped.append(_Place(table, op.column_name, op.existing_type))
        elif isinstance(op, CreateTableOp):
            created += [_Place(table, each.name, each.type) for each in op.columns if isinstance(each, Column)]
        elif isinstance(op, DropColumnOp):
            dropped.append(_Place(table, op.column_name, op.to_column().type))
        elif isinstance(op, DropTableOp):
            dropped += [_Place(table, each.name, each.type) for each in op.to_table().columns]
    return added, created, dropped


def flat(operations: Iterable[Any]) -> Iterator[Any]:
    """Yield operations; those on one table, which stand together, one by one."""
    for op in operations:
        if isinstance(op, ModifyTableOps):
            yield from op.ops
        else:
            yield op


def _tend_labels(connection: Connection, used: Iterable[_Place], script: MigrationScript) -> Iterator[str]:
    """Add the values that have come to an enumeration, and yield those that have gone."""
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    default = connection.dialect.default_schema_name
    inspector: Any = inspect(connection)  # that of PostgreSQL
    found = {(each["schema"], each["name"]): each["labels"] for each in inspector.get_enums("*")}
    for key, type_ in _types(used, set()).items():
        labels = found.get((key[0] or default, key[1]))
        if labels is None:
            continue
        wanted = list(type_.enums)
        coming = [
            _LabelOp(type_, label, next((each for each in wanted[place:] if each in labels), None))
            for place, label in enumerate(wanted)
            if label not in labels
        ]
        script.upgrade_ops.ops[:0] = coming
        script.downgrade_ops.ops += [each.reverse() for each in coming[:1]]
        leaving = [label for label in labels if label not in wanted]
        if leaving:
            yield f"the values {', '.join(leaving)} of {key[1]} are not in the models; they stay in PostgreSQL's type"
