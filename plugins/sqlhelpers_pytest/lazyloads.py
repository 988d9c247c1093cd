"""Finds relationships that are loaded row by row, where one query could have loaded them for all rows."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from sqlhelpers_pytest.callers import calling_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import ORMExecuteState

    #: Whose loads are watched.
    Target = Session | AsyncSession | None


@dataclass(frozen=True)
class LazyLoad:
    """What was loaded for one row when it was looked at.

    Attributes:
        attribute: the relationship, ``Book.authors``; the model alone if columns were loaded that were deferred, or
            have expired with a commit.
        caller: file and line of the code that looked at it.
        is_relationship: whether it is a relationship.
    """

    attribute: str
    caller: str
    is_relationship: bool

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.is_relationship:
            return f"add .options(selectinload({self.attribute})) to the query"
        return "undefer its columns in the query, or query all the rows again after a commit"


@contextmanager
def record_lazy_loads(target: Target = None) -> Iterator[list[LazyLoad]]:
    """Record what the block loads lazily.

    Args:
        target: a session, sync or async; None for all sessions of the process.
    """
    found: list[LazyLoad] = []

    def note(state: ORMExecuteState) -> None:
        if (load := _lazy_load(state)) is not None:
            found.append(load)

    session: Any = Session if target is None else getattr(target, "sync_session", target)
    event.listen(session, "do_orm_execute", note)
    try:
        yield found
    finally:
        event.remove(session, "do_orm_execute", note)


@contextmanager
def assert_no_lazy_loads(target: Target = None, *, at_most: int = 1) -> Iterator[list[LazyLoad]]:
    """Fail if the block loads one relationship lazily for row after row, and say how to load it with the query.

    Args:
        target: a session, sync or async; None for all sessions of the process.
        at_most: how often each relationship may be loaded; 0 for not at all.

    Raises:
        AssertionError: one was loaded more often.
    """
    with record_lazy_loads(target) as found:
        yield found
    lines = [
        f"{load.attribute} was loaded lazily {number} times at {load.caller}: {load.remedy}"
        for load, number in Counter(found).items()
        if sum(each.attribute == load.attribute for each in found) > at_most
    ]
    if lines:
        raise AssertionError("\n".join(lines))


def _lazy_load(state: ORMExecuteState) -> LazyLoad | None:
    """Return the lazy load that a query of the ORM is, if it is one."""
    if state.lazy_loaded_from is not None and state.loader_strategy_path is not None:
        relationship: Any = state.loader_strategy_path[-1]
        return LazyLoad(
            f"{relationship.parent.class_.__name__}.{relationship.key}", calling_line(), is_relationship=True
        )
    if state.is_column_load and state.bind_mapper is not None:
        return LazyLoad(state.bind_mapper.class_.__name__, calling_line(), is_relationship=False)
    return None
