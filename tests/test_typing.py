"""Type checkers know what the query functions return: ``tests/typing`` holds what they have to agree with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_agree(checker):
    """``await Book.get_one(session, isbn="x")`` is a ``Book``, and so on; and what is wrong is found."""
    pytest.importorskip(checker)
    options = ["--cache-dir", ".mypy_cache/typing"] if checker == "mypy" else ["--pythonpath", sys.executable]
    command = [sys.executable, "-m", checker, *options, "tests/typing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
