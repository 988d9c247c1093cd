"""``stream`` reads many rows and holds few, with every driver."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import streaming

ROWS = 50_000  # of 250 bytes, and about 70 MB as instances


@pytest.fixture
def reading(url):
    """What reads all rows in a process of its own, and returns their number and the memory that it took, in MiB."""
    streaming.fill(url, ROWS)

    def read(kind):
        command = [sys.executable, "-W", "error", streaming.__file__, kind, url]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(streaming.__file__).parent)
        rows, kilobytes = map(int, done.stdout.split())
        return rows, kilobytes / 1024

    return read


def test_memory(reading, url):
    """A few MiB, where all rows at once take many; asyncmy keeps what it has read for a while."""
    everything = reading("all")

    assert everything[0] == ROWS
    assert everything[1] > 40

    for kind in ("sync", "async"):
        rows, megabytes = reading(kind)

        assert rows == ROWS
        assert megabytes < (32 if kind == "async" and url.startswith("mariadb") else 16), kind
