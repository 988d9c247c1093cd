"""Runs all benchmarks, prints one table with the targets, and writes it as JSON: ``make bench``, ``make bench FULL=1``.

Nothing fails because a target is missed.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import acquiring
import isolation
import migrating
import service
import startup
import streams
import throughput
from measuring import HEADINGS, Figure, lined_up

FILE = Path(__file__).parents[2] / "build" / "bench.json"
BENCHMARKS = (startup, migrating, acquiring, throughput, streams, service, isolation)
PACKAGES = ("sqlhelpers", "alembic", "SQLAlchemy", "pydantic")


def machine(*, full: bool, began: float) -> dict[str, Any]:
    """Return what the figures depend on beside the code."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **versions,
        "full": full,
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """Run them one after another; each line is also told as soon as it is known."""
    full, began = "full" in sys.argv, time.monotonic()
    found: list[Figure] = []
    for benchmark in BENCHMARKS:
        for figure in benchmark.figures(full=full):
            found.append(figure)
            print(f"{time.monotonic() - began:5.0f} s  {figure.what}", file=sys.stderr, flush=True)
    print("\n".join(lined_up([HEADINGS, *(figure.row() for figure in found)])))
    missed = sum(not figure.is_reached for figure in found)
    print(f"{len(found) - missed} of {len(found)} targets reached; written to {FILE.relative_to(Path.cwd())}")
    FILE.parent.mkdir(exist_ok=True)
    about = machine(full=full, began=began)
    FILE.write_text(json.dumps({"machine": about, "figures": [each.as_mapping() for each in found]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
