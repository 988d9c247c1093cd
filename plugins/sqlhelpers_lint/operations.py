"""What the rules find in Alembic's operations."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

from alembic.operations import ops
from sqlalchemy import CheckConstraint, Computed, Identity, Integer

from sqlhelpers_lint.columntypes import change_of, in_words
from sqlhelpers_lint.findings import Hit
from sqlhelpers_lint.names import qualified
from sqlhelpers_lint.rules import POSTGRESQL, kind_of, unless_copied
from sqlhelpers_lint.sqltext import hits_in, is_volatile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column
    from sqlalchemy.engine import Dialect

    from sqlhelpers_lint.recording import Step
    from sqlhelpers_lint.scope import Scope


@singledispatch
def hits_of(operation: object, scope: Scope, dialect: Dialect, *, step: Step) -> Iterator[Hit]:  # noqa: ARG001
    """Yield what the rules find in an operation, and note in the scope what it makes.

    Args:
        operation: the operation; of one that is not known, or of none, the SQL is read.
        scope: what the revision has made before.
        dialect: the dialect.
        step: the step that the operation is of.
    """
    for sql in step.sql:
        yield from hits_in(sql, scope, in_transaction=step.in_transaction)


@hits_of.register(ops.CreateTableOp)
def _create_table(operation: ops.CreateTableOp, scope: Scope, *_: Any, **__: Any) -> Iterator[Hit]:
    scope.created.append(qualified(operation.table_name, operation.schema))
    yield from ()


@hits_of.register(ops.DropTableOp)
def _drop_table(operation: ops.DropTableOp, scope: Scope, *_: Any, **__: Any) -> Iterator[Hit]:
    table = qualified(operation.table_name, operation.schema)
    yield Hit("drop-table", f"drops table {table}", table)
    scope.dropped.append(table)


@hits_of.register(ops.RenameTableOp)
def _rename_table(operation: ops.RenameTableOp, scope: Scope, *_: Any, **__: Any) -> Iterator[Hit]:
    table, new = qualified(operation.table_name, operation.schema), operation.new_table_name
    hit = Hit("rename-table", f"renames table {table} to {new}", table)
    yield hit
    if scope.has_made(hit):
        scope.created.append(qualified(new, operation.schema))


@hits_of.register(ops.DropColumnOp)
def _drop_column(operation: ops.DropColumnOp, *_: Any, **__: Any) -> Iterator[Hit]:
    table, name = qualified(operation.table_name, operation.schema), operation.column_name
    yield Hit("drop-column", f"drops column {table}.{name}", table, name.lower())


@hits_of.register(ops.AddColumnOp)
def _add_column(operation: ops.AddColumnOp, scope: Scope, dialect: Dialect, **__: Any) -> Iterator[Hit]:
    table, column = qualified(operation.table_name, operation.schema), operation.column
    subject = f"adds column {table}.{column.name}"
    if not column.nullable and not _has_value(column):
        yield Hit("not-null-without-default", f"{subject} NOT NULL without a server_default", table)
    if _is_volatile(column, dialect):
        yield Hit("volatile-default", f"{subject} with a value for each row", table)
    if column.foreign_keys:
        yield Hit(unless_copied("foreign-key-not-valid", dialect.name), f"{subject} with a foreign key", table)
    if any(isinstance(each, CheckConstraint) for each in column.constraints):
        yield Hit(unless_copied("check-not-valid", dialect.name), f"{subject} with a CHECK constraint", table)
    if column.unique and not column.index:
        yield Hit("unique-constraint", f"{subject} with a UNIQUE constraint", table)
    if column.index:
        yield Hit("index-not-concurrent", f"{subject} with an index", table)
    scope.columns.append((table, str(column.name).lower()))


def _has_value(column: Column[Any]) -> bool:
    is_counted = column.primary_key and isinstance(column.type, Integer)  # SERIAL, AUTO_INCREMENT
    return column.server_default is not None or is_counted


def _is_volatile(column: Column[Any], dialect: Dialect) -> bool:
    default = column.server_default
    if isinstance(default, Computed):
        return default.persisted is not False
    if isinstance(default, Identity):
        return True
    if default is None:
        return bool(column.primary_key) and isinstance(column.type, Integer)
    value = getattr(default, "arg", "")
    written = value if isinstance(value, str) else str(value.compile(dialect=dialect))
    return is_volatile(written)


@hits_of.register(ops.AlterColumnOp)
def _alter_column(operation: ops.AlterColumnOp, _: Scope, dialect: Dialect, **__: Any) -> Iterator[Hit]:
    table, name = qualified(operation.table_name, operation.schema), operation.column_name
    column = f"column {table}.{name}"
    if operation.modify_name is not None:
        yield Hit("rename-column", f"renames {column} to {operation.modify_name}", table, name.lower())
    if operation.modify_nullable is False:
        yield Hit("set-not-null", f"makes {column} NOT NULL", table)
    if operation.modify_type is not None:
        yield from _change_type(operation, table, column, dialect)
    forgets = operation.modify_nullable is None and operation.existing_nullable is None
    changes = operation.modify_type is not None or operation.modify_comment is not False
    if forgets and (changes or operation.modify_name is not None):
        yield Hit("modify-forgets-not-null", f"changes {column}", table)


def _change_type(operation: ops.AlterColumnOp, table: str, column: str, dialect: Dialect) -> Iterator[Hit]:
    rewrites = unless_copied("type-change", dialect.name)
    assert operation.modify_type is not None
    new = in_words(operation.modify_type, dialect)
    if operation.existing_type is None:
        yield Hit(rewrites, f"changes {column} to {new} (existing_type does not say from what)", table)
        return
    old = in_words(operation.existing_type, dialect)
    change, subject = change_of(old, new, dialect.name), f"changes {column} from {old} to {new}"
    if change == "narrower":
        yield Hit("type-narrowing", subject, table)
    elif change == "rewrite" or operation.kw.get("postgresql_using"):
        yield Hit(rewrites, subject, table)


@hits_of.register(ops.CreateIndexOp)
def _create_index(operation: ops.CreateIndexOp, scope: Scope, *_: Any, step: Step) -> Iterator[Hit]:
    table, name = qualified(operation.table_name, operation.schema), operation.index_name or ""
    subject = f"creates index {name} on {table}".replace("  ", " ")
    if not operation.kw.get("postgresql_concurrently"):
        yield Hit("index-not-concurrent", subject, table)
    elif step.in_transaction:
        yield Hit("concurrently-in-transaction", subject)
    scope.indexes.append(str(name).lower())


@hits_of.register(ops.DropIndexOp)
def _drop_index(operation: ops.DropIndexOp, _: Scope, *__: Any, step: Step) -> Iterator[Hit]:
    table = qualified(operation.table_name, operation.schema) if operation.table_name else ""
    subject = f"drops index {operation.index_name}" + (f" on {table}" if table else "")
    if not operation.kw.get("postgresql_concurrently"):
        yield Hit("index-not-concurrent", subject, table, str(operation.index_name).lower())
    elif step.in_transaction:
        yield Hit("concurrently-in-transaction", subject)


@hits_of.register(ops.CreateForeignKeyOp)
def _create_foreign_key(operation: ops.CreateForeignKeyOp, scope: Scope, *_: Any, **__: Any) -> Iterator[Hit]:
    table = qualified(operation.source_table, operation.kw.get("source_schema"))
    if not operation.kw.get("postgresql_not_valid") or kind_of(scope.dialect) != POSTGRESQL:
        subject = f"adds a foreign key from {table} to {operation.referent_table}"
        yield Hit(unless_copied("foreign-key-not-valid", scope.dialect), subject, table)


@hits_of.register(ops.CreateCheckConstraintOp)
def _create_check(operation: ops.CreateCheckConstraintOp, scope: Scope, *_: Any, **__: Any) -> Iterator[Hit]:
    table = qualified(operation.table_name, operation.schema)
    if not operation.kw.get("postgresql_not_valid") or kind_of(scope.dialect) != POSTGRESQL:
        yield Hit(unless_copied("check-not-valid", scope.dialect), f"adds a CHECK constraint to {table}", table)


@hits_of.register(ops.CreateUniqueConstraintOp)
def _create_unique(operation: ops.CreateUniqueConstraintOp, *_: Any, **__: Any) -> Iterator[Hit]:
    table = qualified(operation.table_name, operation.schema)
    yield Hit("unique-constraint", f"adds a UNIQUE constraint to {table}", table)


@hits_of.register(ops.CreatePrimaryKeyOp)
def _create_primary_key(operation: ops.CreatePrimaryKeyOp, *_: Any, **__: Any) -> Iterator[Hit]:
    table = qualified(operation.table_name, operation.schema)
    yield Hit("unique-constraint", f"adds a primary key to {table}", table)
