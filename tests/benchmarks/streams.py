"""How much memory ``stream`` takes for a million rows: ``make bench``, or ``python tests/benchmarks/streams.py``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import streaming
from servers import MariadbServer, PostgresServer
from throwaway import ServerAbsent, running

ROWS = 1_000_000


def measure(url: str) -> None:
    """Read all rows with both twins, each in a process of its own."""
    streaming.fill(url, ROWS)
    for kind in ("sync", "async"):
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, streaming.__file__, kind, url], check=True, capture_output=True, text=True
        )
        rows, kilobytes = map(int, done.stdout.split())
        took = time.monotonic() - start
        print(
            f"{url.partition(':')[0]}, {kind}: {rows} rows, {kilobytes / 1024:.1f} MiB (at most 64), {took:.1f} s",
            flush=True,
        )


def main() -> None:
    """Measure on SQLite, and on PostgreSQL and MariaDB where they are installed."""
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{folder}/bench.db")
    for kind in (PostgresServer, MariadbServer):
        try:
            kind.require()
        except ServerAbsent as absent:
            print(absent)
            continue
        with running(kind) as server, server.fresh_database() as url:
            measure(url)


if __name__ == "__main__":
    main()
