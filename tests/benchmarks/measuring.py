"""How two ways to do the same are told apart: the median of each, its spread, and the median of the rounds' ratios."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCALES = {"s": (1000, "ms"), "MiB": (1, "MiB"), "instructions": (1e-6, "M instr."), "ratio": (1, "x")}


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


def spread(seconds: Sequence[float], digits: int = 1) -> str:
    """Return the median, and the middle half, in milliseconds."""
    low, middle, high = (each * 1000 for each in statistics.quantiles(seconds, n=4))
    return f"{middle:8.{digits}f} ms ({low:.{digits}f} to {high:.{digits}f})"


def ratio(ours: Sequence[float], by_hand: Sequence[float]) -> str:
    """Return the median of the rounds' ratios, and the lowest and the highest."""
    ratios = [one / other for one, other in zip(ours, by_hand, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"


def sure_ratio(ours: Sequence[float], by_hand: Sequence[float]) -> str:
    """Return the median of the rounds' ratios, and between what it is with 95 % confidence, by their ranks alone."""
    ratios = sorted(one / other for one, other in zip(ours, by_hand, strict=True))
    rank = max(0, int(len(ratios) / 2 - 0.98 * len(ratios) ** 0.5))
    return f"{statistics.median(ratios):.3f} ({ratios[rank]:.3f} to {ratios[-1 - rank]:.3f})"


def compared(title: str, ours: Sequence[float], by_hand: Sequence[float], limit: float) -> str:
    """Return a line about both, and the most that the ratio should be."""
    both = f"ours {spread(ours)}  by hand {spread(by_hand)}"
    return f"{title:52} {both}  ratio {ratio(ours, by_hand)[:-1]}; at most {limit})"
