"""How two ways to do the same are told apart: the median of each, its spread, and the median of the rounds' ratios."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCALES = {"s": (1000, "ms"), "MiB": (1, "MiB"), "instructions": (1e-3, "k instructions"), "ratio": (1, "x")}


@dataclass(frozen=True)
class Figure:
    """What was found about one thing.

    Attributes:
        what: the thing.
        ours: what it took in each round, or once.
        unit: of the rounds; ``s`` for seconds.
        target: the most that the ratio to what runs beside it should be; the most of ``ours`` if nothing does.
        beside: what runs beside it, if anything does.
        theirs: what that took in the same rounds.
        series: what a plot draws a line through, if it is a point of one.
        at: where on that line it is.
    """

    what: str
    ours: Sequence[float]
    unit: str
    target: float
    beside: str = ""
    theirs: Sequence[float] = ()
    series: str = ""
    at: int = 0

    @property
    def values(self) -> list[float]:
        """What is held against the target, of each round: the ratio, or what it took."""
        if not self.theirs:
            return [each * SCALES[self.unit][0] for each in self.ours]
        return [one / other for one, other in zip(self.ours, self.theirs, strict=True)]

    @property
    def is_reached(self) -> bool:
        """Whether the median of the values is at most the target."""
        return statistics.median(self.values) <= self.target

    def as_mapping(self) -> dict[str, Any]:
        """Return all of it, as JSON can have it."""
        found = {"value": statistics.median(self.values), "low": min(self.values), "high": max(self.values)}
        return {**asdict(self), **found, "reached": self.is_reached}

    def row(self) -> list[str]:
        """Return the cells of a table: the thing, ours, theirs, the value with its spread, the target, the verdict."""
        unit = "x" if self.theirs else SCALES[self.unit][1]
        value = f"{_short(statistics.median(self.values))} {unit}"
        if len(self.values) > 1:
            value += f" ({_short(min(self.values))} to {_short(max(self.values))})"
        theirs = f"{self._median(self.theirs)}  {self.beside}" if self.theirs else self.beside
        verdict = "yes" if self.is_reached else "NO"
        return [self.what, self._median(self.ours), theirs, value, f"{self.target:g} {unit}", verdict]

    def _median(self, rounds: Sequence[float]) -> str:
        factor, unit = SCALES[self.unit]
        return f"{_short(statistics.median(rounds) * factor)} {unit}"


HEADINGS = ["what", "ours", "beside it", "median (lowest to highest)", "at most", "reached"]


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def taken(rounds: int, *ways: Callable[[], float], warm: int = 1) -> tuple[list[float], ...]:
    """Let several ways take turns, in changing order, and return what each says that it took.

    Args:
        rounds: how often each runs.
        ways: return what they took.
        warm: how many rounds come before, and are not counted.
    """
    found: tuple[list[float], ...] = tuple([] for _ in ways)
    for number in range(-warm, rounds):
        order = range(len(ways)) if number % 2 else reversed(range(len(ways)))
        for which in order:
            took = ways[which]()
            if number >= 0:
                found[which].append(took)
    return found


def lined_up(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, in columns."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
