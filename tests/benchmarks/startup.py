"""What whole processes cost beside ``alembic``: their CPU and their memory; ``--help``, and when nothing is to be done.

``python tests/benchmarks/startup.py [full]``, or ``make bench`` with all the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from longhistory import write_project
from measuring import Figure, taken

if TYPE_CHECKING:
    from collections.abc import Iterator

LAUNCHER = Path(__file__).with_name("launch.py")
TARGETS = {10: 1.0, 1000: 0.7, 5000: 0.3}
OTHERS = "countries,bookshop"  # the examples that the development environment has installed


def run(folder: Path, program: str, *arguments: str) -> tuple[float, float]:
    """Run a program of this environment, and return its CPU seconds and the most memory that it had, in MiB."""
    command = [sys.executable, "-I", "-S", LAUNCHER, Path(sys.executable).with_name(program), *arguments]
    variables = {"SQLHELPERS_DISABLE_PLUGINS": OTHERS, "XDG_CACHE_HOME": str(folder / "cache")}
    keeping = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as installed
    done = subprocess.run(command, cwd=folder, env={**keeping, **variables}, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{done.stderr.decode()}")
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def up_to_date(folder: Path, revisions: int, rounds: int) -> Iterator[Figure]:
    """Compare both where nothing is to be done."""
    write_project(folder, revisions)
    run(folder, "sqlhelpers", "run-sync")
    run(folder, "alembic", "stamp", "head")
    memory: tuple[list[float], list[float]] = ([], [])

    def timed(which: int, *command: str) -> float:
        seconds, most = run(folder, *command)
        memory[which].append(most)
        return seconds

    ours, theirs = taken(
        rounds,
        lambda: timed(0, "sqlhelpers", "run-sync"),
        lambda: timed(1, "alembic", "upgrade", "head"),
    )
    what, beside = f"up-to-date run-sync at {revisions:,}", "alembic upgrade head"
    yield Figure(f"{what}, CPU", ours, "s", TARGETS[revisions], beside, theirs, "CPU of an up-to-date run", revisions)
    if revisions == max(TARGETS):
        yield Figure(f"{what}, peak memory", memory[0], "MiB", 0.8, beside, memory[1])


def figures(*, full: bool) -> Iterator[Figure]:
    """Yield what was found."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ours, theirs = taken(
            25 if full else 7,
            lambda: run(root, "sqlhelpers", "--help")[0],
            lambda: run(root, "alembic", "--help")[0],
        )
        yield Figure("--help, CPU", ours, "s", 0.3, "alembic --help", theirs)
        for revisions, rounds in {10: 25 if full else 9, 1000: 15 if full else 5, 5000: 7 if full else 2}.items():
            yield from up_to_date(root / str(revisions), revisions, rounds)


if __name__ == "__main__":
    for figure in figures(full="full" in sys.argv):
        print("  ".join(figure.row()), flush=True)
