"""What Alembic proposes for an app, sorted, completed and with notes for the author."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import RevisionContext
from alembic.operations.ops import AddColumnOp, CreateTableOp, DropColumnOp, DropIndexOp, DropTableOp, ModifyTableOps
from alembic.runtime.environment import EnvironmentContext

from sqlhelpers.backends import TableName, backend_of
from sqlhelpers.migrations.authoring import enums
from sqlhelpers.migrations.authoring.enums import TypeNames
from sqlhelpers.migrations.revisions import alembic_config
from sqlhelpers.migrations.state import comparison_options, primary_keys, settle_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from alembic.operations.ops import MigrationScript
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Connection

    from sqlhelpers.backends import Naming
    from sqlhelpers.migrations.state import History


def tidy(script: MigrationScript, naming: Naming) -> None:
    """Order what Alembic proposes; the ``naming`` says which names mean the same table.

    Tables are dropped last, when nothing refers to them any more, and each before those that it refers to. Their
    indexes go with them: MariaDB does not drop an index alone that a foreign key needs.
    """
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    ops = script.upgrade_ops.ops
    for op in ops:
        if isinstance(op, ModifyTableOps):
            op.ops[:] = _with_columns_sorted(op.ops)
    drops = [op for op in ops if isinstance(op, DropTableOp)]
    ops[:] = [*(op for op in ops if not isinstance(op, DropTableOp)), *_children_first(drops, naming)]
    script.upgrade_ops.reverse_into(script.downgrade_ops)
    for container in (script.upgrade_ops, script.downgrade_ops):
        container.ops[:] = list(_without_indexes_of_dropped(container.ops, naming))


def _with_columns_sorted(ops: list[Any]) -> Iterable[Any]:
    """Return the operations on one table, with the columns that go at the end, as Alembic has them, but sorted."""
    kept = (op for op in ops if not isinstance(op, DropColumnOp))
    return chain(kept, sorted((op for op in ops if isinstance(op, DropColumnOp)), key=lambda op: op.column_name))


def _children_first(drops: list[Any], naming: Naming) -> list[Any]:
    by_name = {_name(op, naming): op for op in sorted(drops, key=lambda op: str(_name(op, naming)))}
    sorter: TopologicalSorter[Any] = TopologicalSorter()
    for name, op in by_name.items():
        sorter.add(name)
        for key in op.to_table().foreign_keys:
            parent = naming.normalised(TableName.parsed(key.target_fullname.rpartition(".")[0]))
            if parent in by_name and parent != name:
                sorter.add(parent, name)
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError:
        return [*by_name.values()]


def _name(op: Any, naming: Naming) -> TableName:
    return naming.normalised(TableName(op.schema, str(op.table_name)))


def _without_indexes_of_dropped(ops: list[Any], naming: Naming) -> Iterator[Any]:
    dropped = {_name(op, naming) for op in ops if isinstance(op, DropTableOp)}
    for op in ops:
        is_of_dropped = isinstance(op, ModifyTableOps) and _name(op, naming) in dropped
        if not is_of_dropped or not all(isinstance(each, DropIndexOp) for each in op.ops):
            yield op


@dataclass(frozen=True)
class Proposal:
    """What a revision would do.

    Attributes:
        context: Alembic's, which writes the files.
        operations: what it would do, a line for each.
        notes: what its author should know.
    """

    context: RevisionContext
    operations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def autogenerate_options(
    connection: Connection,
    history: History,
    droppable: Collection[TableName] = (),
    *,
    blind: bool = False,
) -> dict[str, Any]:
    """Return the options by which Alembic compares an app's tables with its models.

    Args:
        connection: a connection to the database that is compared.
        history: the app.
        droppable: tables that no model defines, and that the app's own revisions have made.
        blind: see no table at all, as if the database was empty.
    """
    naming = backend_of(connection).naming(connection)
    known = {*map(naming.of, history.tables), *droppable}
    schemas = {name.schema for name in known}

    def is_included_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return naming.schema(name) in schemas
        table = TableName(parents.get("schema_name"), str(name if kind == "table" else parents.get("table_name")))
        return not blind and naming.normalised(table) in known

    return {
        **comparison_options(connection, history, droppable),
        "include_name": is_included_name,
        "render_as_batch": True,
        "render_item": TypeNames(),
        "dont_mutate": True,  # comparing makes no version table
    }


def propose(
    connection: Connection,
    history: History,
    writer: ScriptDirectory,
    arguments: dict[str, Any],
    droppable: Collection[TableName] = (),
    *,
    blind: bool = False,
) -> Proposal:
    """Return what a revision has to do, so that the tables are as the models say.

    The app is at its newest revisions; ``arguments`` are those of Alembic's ``revision`` command, the last two those of
    ``autogenerate_options``.
    """
    revisions, notes = history.require_revisions(), list[str]()
    config = alembic_config(revisions.folder)
    options = autogenerate_options(connection, history, droppable, blind=blind)

    context = RevisionContext(config, writer, arguments, adjusted(connection, history, options, notes))
    heads = revisions.heads()

    def compare(_: object, migration_context: Any) -> list[Any]:
        context.run_autogenerate(heads, migration_context)
        return []

    if revisions.has_environment:
        _through_environment(connection, writer, config, context, compare)
    else:
        environment = EnvironmentContext(config, writer)
        environment.configure(connection=connection, **options)
        settle_defaults(environment.get_context())
        compare((), environment.get_context())
    if not blind:
        notes += [
            f"{line}; Alembic does not write that, so write it by hand" for line in primary_keys(connection, history)
        ]
    return Proposal(context, tuple(_operations(context.generated_revisions)), tuple(notes))


def adjusted(
    connection: Connection,
    history: History,
    options: dict[str, Any],
    notes: list[str],
) -> Callable[[Any, Any, list[Any]], None]:
    """Return what Alembic calls with what it proposes: it adds what is missing, and takes out what is not the app's.

    The ``options`` are those of ``autogenerate_options``; ``notes`` takes what the author should know.
    """
    naming = backend_of(connection).naming(connection)

    def adjust(_: object, __: object, scripts: list[MigrationScript]) -> None:
        for script in scripts:
            _leave_alone(script, options["include_object"])
            tidy(script, naming)
            notes.extend(enums.tend(connection, history, script, options["render_item"].existing))
            notes.extend(_doubts(script))

    return adjust


def _through_environment(
    connection: Connection,
    writer: ScriptDirectory,
    config: Any,
    context: RevisionContext,
    compare: Callable[..., Any],
) -> None:
    config.attributes["connection"] = connection
    connection.commit()  # what env.py opens for itself must not wait for us
    options: dict[str, Any] = {"template_args": context.template_args, "revision_context": context}
    with EnvironmentContext(config, writer, fn=compare, as_sql=False, dont_mutate=True, **options):
        writer.run_env()


def _leave_alone(script: MigrationScript, is_included: Callable[..., bool]) -> None:
    """Take out of a proposal what an ``env.py`` has let in of tables that are not the app's."""
    for container in (script.upgrade_ops, script.downgrade_ops):
        assert container is not None
        container.ops[:] = [op for op in container.ops if _is_ours(op, is_included)]


def _is_ours(op: Any, is_included: Callable[..., bool]) -> bool:
    name, schema = getattr(op, "table_name", None), getattr(op, "schema", None)
    return name is None or is_included(_Named(name, schema), name, "table")


@dataclass(frozen=True)
class _Named:
    name: str
    schema: str | None


def _doubts(script: MigrationScript) -> Iterator[str]:
    """Yield what Alembic cannot know: what was renamed, and where rows would be in the way."""
    assert script.upgrade_ops is not None
    for op in script.upgrade_ops.ops:
        if isinstance(op, ModifyTableOps):
            added = [each.column for each in op.ops if isinstance(each, AddColumnOp)]
            dropped = [each for each in op.ops if isinstance(each, DropColumnOp)]
            for gone in dropped:
                alike = {str(each.name) for each in added if _are_alike(each.type, gone.to_column().type)}
                for new in get_close_matches(gone.column_name, sorted(alike), 1, cutoff=0):
                    yield (
                        f"{op.table_name}: {gone.column_name} goes and {new} comes, with all values lost; if it was "
                        f"renamed, write batch_op.alter_column({gone.column_name!r}, new_column_name={new!r}) instead"
                    )
            for column in added:
                if not column.nullable and column.server_default is None:
                    yield (
                        f"{op.table_name}.{column.name} may not be NULL and has no server default, so it cannot be "
                        "added where there are rows, nor on SQLite: add it as nullable, fill it, then alter it"
                    )
    created = [op for op in script.upgrade_ops.ops if isinstance(op, CreateTableOp)]
    for gone_table in (op for op in script.upgrade_ops.ops if isinstance(op, DropTableOp)):
        names = {column.name for column in gone_table.to_table().columns}
        for new_table in created:
            if {column.name for column in new_table.to_table().columns} == names:
                yield (
                    f"table {gone_table.table_name} goes and {new_table.table_name} with the same columns comes; "
                    f"if it was renamed, write op.rename_table({gone_table.table_name!r}, {new_table.table_name!r})"
                )


def _are_alike(one: Any, other: Any) -> bool:
    return one._type_affinity is other._type_affinity


def _operations(scripts: list[MigrationScript]) -> Iterator[str]:
    for script in scripts:
        assert script.upgrade_ops is not None
        for difference in script.upgrade_ops.as_diffs():
            for verb, *subject in difference if isinstance(difference, list) else [difference]:
                yield f"{verb.replace('_', ' ')} {_subject(subject)}"


def _subject(subject: list[Any]) -> str:
    if len(subject) > 2 and isinstance(subject[1], str):  # noqa: PLR2004  # of a column: schema, table, and the column or its name
        return f"{subject[1]}.{getattr(subject[2], 'name', subject[2])}"
    item = subject[0]
    table = getattr(item, "table", None)
    shown = f"{getattr(item, 'name', None) or ''}" + (f" on {table.fullname}" if table is not None else "")
    return f"{subject[1]!r} to {shown}" if len(subject) > 1 else shown
