"""The transactions of a test's code, nested as savepoints in the one transaction around the test.

A transaction of the code owns *frames*: savepoints that hold what it did while no other transaction did anything. As
long as the transactions of a test follow each other, there is one frame at a time. Where two are open at once, their
frames lie on each other. The database can only undo them from the top; so a transaction may be rolled back if nothing
that another one has written lies on what it has written itself, and that is refused otherwise.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlhelpers_pytest.errors import Entangled

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(enum.Enum):
    """What a statement means for the transaction that it is in."""

    READS = enum.auto()
    WRITES = enum.auto()
    BEGINS = enum.auto()
    COMMITS = enum.auto()
    ROLLS_BACK = enum.auto()
    SETS_SAVEPOINT = enum.auto()
    RELEASES = enum.auto()
    ROLLS_BACK_TO = enum.auto()


_SAVEPOINT = re.compile(
    r"\s*(?:(SAVEPOINT)|(RELEASE)(?:\s+SAVEPOINT)?|(ROLLBACK)\s+TO(?:\s+SAVEPOINT)?)\s+([^\s;]+)\s*;?\s*", re.IGNORECASE
)
_WHOLE = re.compile(r"\s*(?:(BEGIN|START\s+TRANSACTION)|(COMMIT|END)|(ROLLBACK))\b", re.IGNORECASE)
_READS = re.compile(r"[\s(]*(?:SELECT|SHOW|EXPLAIN|PRAGMA|VALUES|TABLE|SET|DECLARE|FETCH|CLOSE)\b", re.IGNORECASE)
_WITH = re.compile(r"\s*WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE|MERGE)\b)", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=1024)
def kind_of(statement: str) -> tuple[Kind, str]:
    """Return what a statement means for its transaction, and the name of the savepoint that it is about."""
    if found := _SAVEPOINT.fullmatch(statement):
        which = (Kind.SETS_SAVEPOINT, Kind.RELEASES, Kind.ROLLS_BACK_TO)
        return next(kind for kind, word in zip(which, found.groups(), strict=False) if word), found[4]
    if found := _WHOLE.match(statement):
        return (Kind.BEGINS if found[1] else Kind.COMMITS if found[2] else Kind.ROLLS_BACK), ""
    return (Kind.READS if _READS.match(statement) or _WITH.match(statement) else Kind.WRITES), ""


@dataclass(eq=False)
class Mark:
    """A savepoint that the code itself has set."""

    name: str
    real: str
    is_crossed: bool = False  # another transaction has committed since


@dataclass(eq=False)
class Frame:
    """A savepoint of ours.

    Attributes:
        name: what the database calls it.
        owner: the transaction that it belongs to; None once that was committed.
        has_written: whether it may have changed anything.
        holds: whether it holds what another transaction has committed.
        has_failed: whether the database waits for a rollback.
        marks: the savepoints that its owner has set in it.
    """

    name: str
    owner: object | None
    has_written: bool = False
    holds: bool = False
    has_failed: bool = False
    marks: list[Mark] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost if it goes."""
        return not (self.has_written or self.holds or self.marks)


class Nest:
    """The frames of one connection.

    Args:
        send: executes statements of ours.
        begin: what begins the transaction around the test.
    """

    def __init__(self, send: Callable[..., None], begin: str = "BEGIN") -> None:
        self._send = send
        self._begin = begin
        self.frames: list[Frame] = []
        self.has_begun: bool = False

    def enter(self, owner: object) -> Frame:
        """Return the frame for the next statement of a transaction."""
        top = self.frames[-1] if self.frames else None
        if top is not None and top.owner is owner:
            return top
        if top is not None and top.has_failed:
            self._revive(top)
        frame = Frame(f"sqlhelpers_{len(self.frames)}", owner)
        opening = f"SAVEPOINT {frame.name}"
        self._send(opening) if self.has_begun else self._send(self._begin, opening)
        self.has_begun = True
        self.frames.append(frame)
        return frame

    def _revive(self, frame: Frame) -> None:
        """Let others go on where a statement of one transaction has failed. It has to roll back anyway."""
        self._send(f"ROLLBACK TO SAVEPOINT {frame.marks[-1].real if frame.marks else frame.name}")
        frame.has_failed = False

    def savepoint(self, frame: Frame, kind: Kind, name: str) -> str:
        """Return the statement about a savepoint of the code's own, with a name that no other transaction uses."""
        if kind is Kind.SETS_SAVEPOINT:
            mark = Mark(name, f"{frame.name}_{len(frame.marks)}")
            frame.marks.append(mark)
            return f"SAVEPOINT {mark.real}"
        place = next((place for place, mark in reversed([*enumerate(frame.marks)]) if mark.name == name), None)
        if place is None:
            return self._elsewhere(frame, kind, name)
        mark = frame.marks[place]
        if kind is Kind.RELEASES:
            del frame.marks[place:]
            frame.has_written = True  # what was in it is now in the frame
            return f"RELEASE SAVEPOINT {mark.real}"
        if mark.is_crossed:
            raise Entangled(_ENTANGLED)
        del frame.marks[place + 1 :]
        frame.has_failed = False
        return f"ROLLBACK TO SAVEPOINT {mark.real}"

    def _elsewhere(self, frame: Frame, kind: Kind, name: str) -> str:
        """Return the same for a savepoint below the frames of others, which must not have written."""
        lower = [each for each in self.frames if each.owner is frame.owner and any(m.name == name for m in each.marks)]
        if not lower:
            return f"{'RELEASE' if kind is Kind.RELEASES else 'ROLLBACK TO'} SAVEPOINT {name}"  # which is an error
        above = self.frames[self.frames.index(lower[-1]) + 1 :]
        if any(not each.is_clean and each.owner is not frame.owner for each in above):
            if kind is Kind.RELEASES:
                return "SELECT 1"  # it stays until the whole is committed
            raise Entangled(_ENTANGLED)
        del self.frames[self.frames.index(lower[-1]) + 1 :]
        return self.savepoint(lower[-1], kind, name)

    def commit(self, owner: object) -> None:
        """Make what a transaction did part of what is around it."""
        for frame in self.frames:
            if frame.owner is owner:
                frame.owner = None
        self._settle()

    def _settle(self) -> None:
        """Release the frames on top whose transactions are committed, and those between that hold nothing."""
        lowest = len(self.frames)
        while lowest and (self.frames[lowest - 1].owner is None or self.frames[lowest - 1].is_clean):
            lowest -= 1
        top = self.frames[lowest:]
        if all(frame.owner is not None for frame in top):
            return
        if self.frames[-1].has_failed:
            self._revive(self.frames[-1])
        self._send(f"RELEASE SAVEPOINT {top[0].name}")
        del self.frames[lowest:]
        if self.frames and not all(frame.is_clean for frame in top):
            below = self.frames[-1]
            below.holds = True
            for mark in below.marks:
                mark.is_crossed = True

    def rollback(self, owner: object) -> None:
        """Undo what a transaction did.

        Raises:
            Entangled: others have written since. Nothing is undone then.
        """
        mine = [place for place, frame in enumerate(self.frames) if frame.owner is owner]
        if not mine:
            return None
        written = [place for place in mine if self.frames[place].has_written or self.frames[place].marks]
        lowest = written[0] if written else mine[-1]
        above = self.frames[lowest:]
        if not written and any(not frame.is_clean for frame in above):
            return self.commit(owner)  # there is nothing to undo
        if any(frame.holds or (frame.owner is not owner and not frame.is_clean) for frame in above):
            self.commit(owner)
            raise Entangled(_ENTANGLED)
        name = self.frames[lowest].name
        self._send(f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}")
        del self.frames[lowest:]
        return self.commit(owner)  # what it has below holds nothing


_ENTANGLED = (
    "two sessions wrote by turns in this test, so that one cannot be rolled back without the other: all share the one"
    " connection that is rolled back after the test. Commit the one before the other writes, or ask for the fixture"
    " fresh_db, which gives the test a database of its own and real commits"
)
