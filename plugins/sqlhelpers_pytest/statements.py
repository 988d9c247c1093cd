"""Counts the statements that code sends to a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from sqlalchemy import Engine, event

from sqlhelpers_pytest.callers import calling_line

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

    from sqlhelpers import DatabaseManager
    from sqlhelpers.aio import AsyncDatabaseManager

    #: Whose statements are counted.
    Target = DatabaseManager | AsyncDatabaseManager | Session | AsyncSession | Engine | AsyncEngine | None

_SAVEPOINTS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT", "BEGIN")
_SHOWN = 300  # characters of a statement


@dataclass(frozen=True)
class Statement:
    """A statement that was executed.

    Attributes:
        sql: its text, without parameters.
        caller: file and line of the code that it comes from.
        many: whether it was executed for many sets of parameters at once.
    """

    sql: str
    caller: str
    many: bool = False

    def __str__(self) -> str:
        text = " ".join(self.sql.split())
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class Statements(Sequence[Statement]):
    """The statements of a block, in their order."""

    def __init__(self) -> None:
        self._found: list[Statement] = []

    @overload
    def __getitem__(self, index: int) -> Statement: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Statement]: ...
    def __getitem__(self, index: int | slice) -> Statement | Sequence[Statement]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def add(self, statement: Statement) -> None:
        """Add a statement."""
        self._found.append(statement)

    def __str__(self) -> str:
        """All of them, those that are equal and from one line together."""
        counts = Counter((str(each), each.caller) for each in self)
        return "\n".join(f"{number:4} x  {sql}\n          {caller}" for (sql, caller), number in counts.items())


@contextmanager
def record_statements(target: Target = None) -> Iterator[Statements]:
    """Record the statements of the block.

    BEGIN, COMMIT and savepoints are not among them.

    Args:
        target: a manager, a session or an engine, sync or async; None for all engines of the process.
    """
    found = Statements()

    def note(_: Connection, __: object, sql: str, ___: object, ____: object, many: bool) -> None:  # noqa: FBT001
        if not sql.lstrip().upper().startswith(_SAVEPOINTS):
            found.add(Statement(sql, calling_line(), many))

    engine = _engine_of(target)
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def assert_statements(
    target: Target = None, *, at_most: int | None = None, exactly: int | None = None
) -> Iterator[Statements]:
    """Fail if the block sends more statements than it may; the message lists them with the lines that they come from.

    Args:
        target: a manager, a session or an engine, sync or async; None for all engines of the process.
        at_most: how many there may be.
        exactly: how many there have to be.

    Raises:
        AssertionError: there were others.
    """
    if (at_most is None) == (exactly is None):
        raise TypeError("say how many statements: assert_statements(at_most=3), or exactly=3")
    with record_statements(target) as found:
        yield found
    if (at_most is not None and len(found) > at_most) or (exactly is not None and len(found) != exactly):
        allowed = f"at most {at_most}" if exactly is None else f"exactly {exactly}"
        raise AssertionError(f"{len(found)} statements, and there should be {allowed}:\n{found}")


def _engine_of(target: Any) -> Any:
    """Return what SQLAlchemy's events know: the class of all engines, or a sync engine."""
    if target is None:
        return Engine
    found = getattr(target, "sync_session", target)
    bind = found.get_bind() if hasattr(found, "get_bind") else getattr(found, "engine", found)
    return getattr(bind, "sync_engine", bind)
