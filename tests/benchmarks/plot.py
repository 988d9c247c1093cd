"""Writes what ``make bench`` has found into the documentation: the table in docs/performance.md, and its plot.

``python tests/benchmarks/plot.py``, after ``make bench FULL=1``.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from everything import FILE
from measuring import HEADINGS, Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = FILE.parents[1] / "docs"
PAGE, PLOT = DOCS / "performance.md", DOCS / "performance.svg"
COLOURS = {"ours": "#2a9d70", "theirs": "#d0662f"}
GREY = "#768390"  # which can be read on a light page and on a dark one
WIDTH, HEIGHT, LEFT, TOP = 270, 200, 60, 40  # of one plot, and where it begins
STYLE = "text{font:15px sans-serif}"


def text(x: float, y: float, words: str, anchor: str = "middle", colour: str = GREY) -> str:
    """Return words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{colour}">{words}</text>'


def line(points: Sequence[tuple[float, float]], colour: str) -> str:
    """Return a line with its points."""
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def plot(title: str, figures: Sequence[dict[str, Any]], x: float) -> str:
    """Return one plot: seconds beside revisions, both from zero."""
    most_at = max(figure["at"] for figure in figures)
    both = {which: [(each["at"], statistics.median(each[which])) for each in figures] for which in COLOURS}
    most = max(seconds for points in both.values() for _, seconds in points)
    step = 10 ** math.floor(math.log10(most))
    step = step / 2 if most / step < 2 else step  # some two to nine lines
    bottom = TOP + HEIGHT
    parts = [text(x + WIDTH / 2, TOP - 12, title)]
    for number in range(int(most / step) + 1):
        y = bottom - number * step / most * HEIGHT
        parts.append(
            f'<line x1="{x}" y1="{y:.1f}" x2="{x + WIDTH}" y2="{y:.1f}" stroke="{GREY}" stroke-opacity="0.3"/>'
        )
        parts.append(text(x - 6, y + 4, f"{number * step:g} s", "end"))
    parts += (text(x + at / most_at * WIDTH, bottom + 18, f"{at:,}") for at, _ in both["ours"] if at >= most_at / 10)
    for which, colour in COLOURS.items():
        points = [(x + at / most_at * WIDTH, bottom - seconds / most * HEIGHT) for at, seconds in both[which]]
        parts.append(line(points, colour))
    return "\n".join(parts)


def svg(figures: Sequence[dict[str, Any]]) -> str:
    """Return a picture of all series, side by side."""
    series = list(dict.fromkeys(figure["series"] for figure in figures if figure["series"]))
    width, height = (WIDTH + LEFT + 20) * len(series), HEIGHT + TOP + 80
    plots = [
        plot(name, [figure for figure in figures if figure["series"] == name], LEFT + place * (WIDTH + LEFT + 20))
        for place, name in enumerate(series)
    ]
    legend = [
        text(width / 2 - 20, height - 14, "sqlhelpers", "end", COLOURS["ours"]),
        text(width / 2 + 20, height - 14, "Alembic", "start", COLOURS["theirs"]),
        text(width / 2, height - 38, "revisions in the history"),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *plots, *legend, "</svg>", ""])


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Return the table for the page."""
    fields = ("what", "ours", "unit", "target", "beside", "theirs")
    rows = [Figure(**{name: figure[name] for name in fields}).row() for figure in figures]
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace("--help", "`--help`")


def main() -> None:
    """Write both."""
    found = json.loads(FILE.read_text())
    about = found["machine"]
    versions = ", ".join(f"{name} {about[name]}" for name in ("alembic", "SQLAlchemy", "pydantic"))
    rounds = "all rounds" if about["full"] else "the quick mode"
    note = f"Python {about['python']}, {versions}, {about['system']}; {rounds}, {about['seconds']} s."
    block = f"<!-- figures -->\n{note}\n\n{table(found['figures'])}\n<!-- end -->"
    page = re.sub(r"<!-- figures -->.*<!-- end -->", lambda _: block, PAGE.read_text(), flags=re.DOTALL)
    PAGE.write_text(page)
    PLOT.write_text(svg(found["figures"]))


if __name__ == "__main__":
    main()
