"""Compares tables with models, through Alembic, and with the tables of another database, and says what differs."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, MetaData, Table, inspect
from sqlalchemy.exc import NoReferencedTableError

from sqlhelpers.backends import TableName, backend_of, built_in
from sqlhelpers.migrations.state.history import ExistingTables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.engine import Connection
    from sqlalchemy.engine.reflection import Inspector

    from sqlhelpers.backends import Naming
    from sqlhelpers.migrations.state.history import History


#: How Alembic tells an empty text that SQLite has as a default.
_EMPTY = {"('')": "''"}


def differences(connection: Connection, history: History) -> tuple[str, ...]:
    """Return how a history's tables differ from its models, types and server defaults included, a line for each."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    if not history.tables:
        return ()
    options = comparison_options(connection, history)
    context = MigrationContext.configure(connection, opts=options)
    settle_defaults(context)
    found = compare_metadata(context, options["target_metadata"])
    return (*(line for difference in found for line in _worded(difference)), *primary_keys(connection, history))


def comparison_options(connection: Connection, history: History, others: Collection[TableName] = ()) -> dict[str, Any]:
    """Return the options by which Alembic compares a history's tables in a database with its models.

    Args:
        connection: a connection to the database.
        history: the app.
        others: more tables to look at, by their one names.
    """
    naming = backend_of(connection).naming(connection)
    seen = {*map(naming.of, history.tables), *others}

    def is_seen(schema_object: Any, _: str | None, kind: str, *__: object) -> bool:
        return naming.of(schema_object if kind == "table" else schema_object.table) in seen

    found = _as_called(connection, history)
    return {
        **history.options(),
        "target_metadata": found[0] if len(found) == 1 else found,
        "include_object": is_seen,
        "include_schemas": any(name.schema for name in seen),
    }


def _as_called(connection: Connection, history: History) -> list[MetaData]:
    """Return the models' metadata; copies of those whose tables the database calls by names in another case.

    Alembic takes such a table for two: one that is missing, and one to be dropped.
    """
    existing, found = ExistingTables(connection), []
    for metadata in history.metadatas:
        names = {
            key: existing.called(TableName.of(table)) or TableName(existing.schema_called(table.schema), table.name)
            for key, table in metadata.tables.items()
        }
        is_same = all(TableName.of(metadata.tables[key]) == name for key, name in names.items())
        found.append(metadata if is_same else _renamed(metadata, names))
    return found


def _renamed(metadata: MetaData, names: Mapping[str, TableName]) -> MetaData:
    copy = MetaData(naming_convention=metadata.naming_convention)
    copies = {key: table.to_metadata(copy) for key, table in metadata.tables.items()}
    for key in (each for table in copies.values() for each in table.foreign_keys):
        with suppress(NoReferencedTableError):
            _ = key.column  # SQLAlchemy remembers it, and would not find it by another name
    for name, table in copies.items():
        copy.remove(table)
        table.schema, table.name = names[name]
        table.fullname = str(names[name])
        copy._add_table(table.name, table.schema, table)  # no public way gives a table another name
    return copy


def settle_defaults(context: MigrationContext) -> None:
    """Let Alembic see that server defaults are the same in other words, where it takes them for different ones.

    What the settings of a context could be told would be called for generated columns too, and fail there.
    """
    impl, usual = context.impl, context.impl.compare_server_default
    backend = built_in(context.dialect.name)

    def differs(found_column: Any, column: Any, wanted: str | None, found: str | None) -> bool:
        if found and wanted and backend.is_same_default(found, wanted):
            return False
        text = getattr(column.server_default, "arg", None)
        if found and isinstance(text, str) and (not text or "'" in text.strip("'")):
            literal = _LITERAL.match(_EMPTY.get(found, found))
            return literal is None or literal[1].replace("''", "'").replace("\\'", "'") != text
        return bool(usual(found_column, column, wanted, found))  # type: ignore[no-untyped-call]  # Alembic's

    impl.compare_server_default = differs  # type: ignore[method-assign]  # of this object only
    if not context.dialect.supports_identity_columns:  # a column that counts upwards is one that does not say so
        impl._compare_identity_default = lambda *_: (set(), set(), False)  # type: ignore[method-assign]


_LITERAL = re.compile(r"'((?:[^'\\]|''|\\.)*)'(?:::.*)?$", re.DOTALL)


def primary_keys(connection: Connection, history: History) -> Iterator[str]:
    """Yield how primary keys differ, which Alembic does not compare."""
    inspector, existing = inspect(connection), ExistingTables(connection)
    for table in history.tables:
        called = existing.reflectable(table)
        if called:
            found = inspector.get_pk_constraint(called.name, called.schema)["constrained_columns"]
            wanted = [column.name for column in table.primary_key]
            if set(found) != set(wanted):
                shown = ", ".join(found) or "missing"
                yield f"primary key of {table.fullname} is {shown}, and {', '.join(wanted)} in the models"


def _worded(difference: Any) -> Iterator[str]:
    """Say what one of Alembic's differences means, which is what it would do to the database."""
    if isinstance(difference, list):  # the changes of one column come together
        for change in difference:
            yield from _worded(change)
        return
    verb, *subject = difference
    action, _, kind = verb.partition("_")
    if action == "modify":
        _, table, column, _, found, wanted = subject
        yield f"column {table}.{column}: {kind} is {_shown(found)}, and {_shown(wanted)} in the models"
    elif kind == "column":
        yield f"column {subject[1]}.{subject[2].name} {_where(action)}"
    else:
        yield f"{kind.replace('fk', 'foreign key')} {_name(subject[0])} {_where(action)}"


def _where(action: str) -> str:
    return "is missing" if action == "add" else "is not in the models"


def _name(item: Any) -> str:
    if isinstance(item, Table):
        return item.fullname
    columns = ", ".join(each.name for each in getattr(item, "columns", ()) if isinstance(each, Column))
    table = getattr(item, "table", None)
    return f"{item.name or 'without a name'} on {table.fullname if table is not None else '?'} ({columns})"


def _shown(value: Any) -> str:
    """Return a type, a flag or a server default as text."""
    argument = getattr(value, "arg", value)
    return str(getattr(argument, "text", argument))


def shape(connection: Connection, tables: Iterable[Table]) -> dict[str, str]:
    """Return what those of the tables that are there look like, part by part, to be compared on the same server."""
    inspector, existing = inspect(connection), ExistingTables(connection)
    there = [(table.fullname, called) for table in tables if (called := existing.reflectable(table))]
    return {part: look for name, called in there for part, look in _parts(inspector, name, called, existing.naming)}


def _parts(inspector: Inspector, name: str, called: TableName, naming: Naming) -> Iterator[tuple[str, str]]:
    where = (called.name, called.schema)
    yield f"table {name}", "there"
    for column in inspector.get_columns(*where):
        default = f" default {column['default']}" if column.get("default") is not None else ""
        yield (
            f"column {name}.{column['name']}",
            f"{column['type']!r}{'' if column['nullable'] else ' not null'}{default}",
        )
    yield f"primary key of {name}", _listed(inspector.get_pk_constraint(*where)["constrained_columns"])
    for key in inspector.get_foreign_keys(*where):
        parent = naming.normalised(TableName(key["referred_schema"], key["referred_table"]))
        to = f"{parent} {_listed(key['referred_columns'])} {key.get('options') or ''}".strip()
        yield f"foreign key {_listed(key['constrained_columns'])} of {name}", f"{key['name']} to {to}"
    for unique in inspector.get_unique_constraints(*where):
        yield f"unique constraint {_listed(unique['column_names'])} of {name}", str(unique["name"])
    for index in inspector.get_indexes(*where):
        kind = "unique " if index["unique"] else ""
        yield f"index {index['name']} of {name}", f"{kind}{_listed(index.get('expressions') or index['column_names'])}"
    for check in inspector.get_check_constraints(*where):
        yield f"check constraint {check['name'] or check['sqltext']} of {name}", check["sqltext"]


def _listed(names: Iterable[str | None]) -> str:
    return f"({', '.join(map(str, names))})"


def shape_differences(found: Mapping[str, str], wanted: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Return how ``found`` differs from what is ``wanted``, one line for each part; ``where`` says what is wanted."""
    lines = [f"{part} is missing" for part in wanted if part not in found]
    lines += [f"{part} is not {where}" for part in found if part not in wanted]
    both = [part for part in wanted if part in found and found[part] != wanted[part]]
    return (*lines, *(f"{part} is {found[part]}, and {wanted[part]} {where}" for part in both))
