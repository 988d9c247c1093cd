"""What there is in a database, as values that can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect

from sqlhelpers.backends import backend_of
from sqlhelpers_pytest.testdatabases import MARK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sqlalchemy.engine import Connection
    from sqlalchemy.engine.reflection import Inspector

_BOOKKEEPING = (MARK, "sqlhelpers_journal", "alembic_version")
_SYSTEM = ("information_schema", "pg_")


def schema_of(connection: Connection, bookkeeping: Collection[str] = ()) -> dict[str, str]:
    """Return the parts of all tables, and views, sequences and types, each with its looks.

    Args:
        connection: a connection to the database.
        bookkeeping: the names of more tables that are not looked at.
    """
    inspector, naming = inspect(connection), backend_of(connection).naming(connection)
    is_postgres = connection.dialect.name == "postgresql"
    names = [name for name in inspector.get_schema_names() if not name.startswith(_SYSTEM)] if is_postgres else [None]
    found: dict[str, str] = {}
    for schema in names:
        prefix = f"{schema}." if naming.schema(schema) else ""
        for table in inspector.get_table_names(schema):
            if table not in bookkeeping and not table.startswith(_BOOKKEEPING):
                found.update(_parts(inspector, table, schema, prefix))
        found.update((f"view {prefix}{view}", "") for view in inspector.get_view_names(schema))
        if is_postgres:
            reader: Any = inspector
            sequences = (name for name in inspector.get_sequence_names(schema) if not name.startswith(_BOOKKEEPING))
            found.update((f"sequence {prefix}{name}", "") for name in sequences)
            found.update((f"type {prefix}{each['name']}", str(each["labels"])) for each in reader.get_enums(schema))
    return found


def _parts(inspector: Inspector, table: str, schema: str | None, prefix: str) -> Iterator[tuple[str, str]]:
    name = f"{prefix}{table}"
    yield f"table {name}", ""
    for column in inspector.get_columns(table, schema):
        null = "" if column["nullable"] else " NOT NULL"
        default = f" DEFAULT {column['default']}" if column.get("default") is not None else ""
        yield f"column {name}.{column['name']}", f"{column['type']!r}{null}{default}"
    key = inspector.get_pk_constraint(table, schema)
    yield f"primary key of {name}", f"{key.get('name')} {key['constrained_columns']}"
    for each in inspector.get_foreign_keys(table, schema):
        to = f"{each['referred_table']} {each['referred_columns']} {each.get('options') or ''}"
        yield f"foreign key {each['name'] or ''} {each['constrained_columns']} of {name}", to
    for unique in inspector.get_unique_constraints(table, schema):
        yield f"unique constraint {unique['name']} of {name}", str(unique["column_names"])
    for index in inspector.get_indexes(table, schema):
        kind = "unique " if index["unique"] else ""
        yield f"index {index['name']} of {name}", f"{kind}{index.get('expressions') or index['column_names']}"
    for check in inspector.get_check_constraints(table, schema):
        yield f"check constraint {check['name'] or ''} of {name}", check["sqltext"]


def differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Return how one schema differs from another, a line for each part."""
    lines = [f"{part} is missing" for part in wanted if part not in found]
    lines += [f"{part} is left" for part in found if part not in wanted]
    both = (part for part in wanted if part in found and found[part] != wanted[part])
    return lines + [f"{part} is {found[part]}, and was {wanted[part]}" for part in both]
