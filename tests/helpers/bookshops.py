"""The example bookshop, served over HTTP on a database of a test."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from processes import Children
from projects import Finished, run
from services import Service, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "examples" / "bookshop"


@dataclass(frozen=True)
class Bookshop:
    """A bookshop whose API is served.

    Attributes:
        database: the URL of its database.
        service: what serves it.
    """

    database: str
    service: Service

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.service.url

    @property
    def env(self) -> dict[str, str]:
        """The variables that let a process use its database."""
        return environment(self.database)

    def run(self, *words: str) -> Finished:
        """Run a module of Python."""
        return run([sys.executable, "-m", *words], FOLDER, self.env)

    def client(self, **options: Any) -> httpx.Client:
        """Return a client of the API."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)

    @contextmanager
    def workers(self, output: Path) -> Iterator[Children]:
        """Start processes in the block; those that still run at its end are killed."""
        children = Children(FOLDER, output)
        try:
            yield children
        finally:
            children.end()


def environment(database: str) -> dict[str, str]:
    """Return the variables that let a process use a database for a bookshop."""
    return {"DATABASE_URL": database, "SQLHELPERS_ENABLE_APPS": "bookshop,countries", "PYTHONWARNINGS": "error"}


@contextmanager
def bookshop(database: str, output: Path) -> Iterator[Bookshop]:
    """Sync a database, add the sample rows, and serve the API.

    Args:
        database: its URL.
        output: the folder for what the server prints.
    """
    for words in (["sqlhelpers", "run-sync"], ["bookshop"]):
        done = run([sys.executable, "-m", *words], FOLDER, environment(database))
        assert not done.status, done.output
    with serving("bookshop.api:app", FOLDER, environment(database), output / "bookshop") as service:
        yield Bookshop(database, service)
