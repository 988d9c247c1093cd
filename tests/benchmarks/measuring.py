"""How two ways to do the same are told apart: the median of each, its spread, and the median of the rounds' ratios."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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
