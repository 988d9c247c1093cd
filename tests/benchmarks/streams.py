"""How much memory ``stream`` takes for many rows.

``python tests/benchmarks/streams.py [full]``, or ``make bench`` with all the others.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import streaming
from measuring import Figure
from servers import MariadbServer, PostgresServer
from throwaway import ServerAbsent, running

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure(url: str, number: int) -> Iterator[Figure]:
    """Read all rows with both twins, each in a process of its own."""
    streaming.fill(url, number)
    for kind in ("sync", "async"):
        done = subprocess.run(
            [sys.executable, streaming.__file__, kind, url], check=True, capture_output=True, text=True
        )
        rows, kilobytes = map(int, done.stdout.split())
        assert rows == number
        yield Figure(f"{url.partition(':')[0]}, {kind}: stream() of {rows:,} rows", [kilobytes / 1024], "MiB", 64)


def figures(*, full: bool) -> Iterator[Figure]:
    """Measure a hundred thousand rows on SQLite, or a million, also on PostgreSQL and MariaDB where they are."""
    number = 1_000_000 if full else 100_000
    with tempfile.TemporaryDirectory() as folder:
        yield from measure(f"sqlite:///{folder}/bench.db", number)
    for kind in (PostgresServer, MariadbServer) if full else ():
        try:
            kind.require()
        except ServerAbsent as absent:
            print(absent)
            continue
        with running(kind) as server, server.fresh_database() as url:
            yield from measure(url, number)


if __name__ == "__main__":
    for figure in figures(full="full" in sys.argv):
        print("  ".join(figure.row()), flush=True)
