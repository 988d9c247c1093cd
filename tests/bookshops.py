"""The example bookshop, served over HTTP on a database of a test."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services import Service, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "examples" / "bookshop"


def environment(url: str) -> dict[str, str]:
    """Return the variables that let the bookshop use a database."""
    return {"DATABASE_URL": url, "SQLHELPERS_ENABLE_APPS": "bookshop,countries"}


def run(url: str, *words: str) -> str:
    """Run a module in the bookshop's folder, and return what it prints."""
    command = [sys.executable, "-m", *words]
    variables = {**os.environ, **environment(url)}
    return subprocess.run(command, cwd=FOLDER, env=variables, stdout=subprocess.PIPE, text=True, check=True).stdout


@contextmanager
def bookshop(url: str, output: Path) -> Iterator[Service]:
    """Sync the database, add the sample rows, and serve the API.

    Args:
        url: where the database is.
        output: the folder for what the server prints.
    """
    run(url, "sqlhelpers", "run-sync")
    run(url, "bookshop")
    with serving("bookshop.api:app", FOLDER, environment(url), output / "bookshop") as service:
        yield service
