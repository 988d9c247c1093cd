"""Puts the operations of a proposed revision into an order that every database takes, always the same one."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import TYPE_CHECKING, Any

from alembic.operations.ops import DropColumnOp, DropIndexOp, DropTableOp, ModifyTableOps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from alembic.operations.ops import MigrationScript


def tidy(script: MigrationScript) -> None:
    """Order what Alembic proposes.

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
    ops[:] = [*(op for op in ops if not isinstance(op, DropTableOp)), *_children_first(drops)]
    script.upgrade_ops.reverse_into(script.downgrade_ops)
    for container in (script.upgrade_ops, script.downgrade_ops):
        container.ops[:] = list(_without_indexes_of_dropped(container.ops))


def _with_columns_sorted(ops: list[Any]) -> Iterable[Any]:
    """Return the operations on one table, with the columns that go at the end, as Alembic has them, but sorted."""
    kept = (op for op in ops if not isinstance(op, DropColumnOp))
    return chain(kept, sorted((op for op in ops if isinstance(op, DropColumnOp)), key=lambda op: op.column_name))


def _children_first(drops: list[Any]) -> list[Any]:
    by_name = {_name(op): op for op in sorted(drops, key=lambda op: str(_name(op)))}
    sorter: TopologicalSorter[Any] = TopologicalSorter()
    for name, op in by_name.items():
        sorter.add(name)
        for key in op.to_table().foreign_keys:
            schema, _, table = key.target_fullname.rpartition(".")[0].rpartition(".")
            parent = (schema or None, table)
            if parent in by_name and parent != name:
                sorter.add(parent, name)
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError:
        return [*by_name.values()]


def _name(op: Any) -> tuple[str | None, str]:
    return op.schema, str(op.table_name)


def _without_indexes_of_dropped(ops: list[Any]) -> Iterator[Any]:
    dropped = {_name(op) for op in ops if isinstance(op, DropTableOp)}
    for op in ops:
        is_of_dropped = isinstance(op, ModifyTableOps) and _name(op) in dropped
        if not is_of_dropped or not all(isinstance(each, DropIndexOp) for each in op.ops):
            yield op
