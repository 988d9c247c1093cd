"""What the user has asked of the kit: options of the command line, and of pytest's configuration."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_KINDS = ("postgresql", "mariadb")
_DRIVERS = ("sync", "async")


@dataclass
class Options:
    """The options of a run.

    Attributes:
        folder: where files of SQLite are.
        worker: the worker of pytest-xdist that this process is; empty without.
        driver: ``sync`` or ``async`` where that was chosen: whose connection isolated tests share.
        rebuilds: whether all databases are built anew.
        server: the URL of a throwaway server; None for the configured one.
        run: names the run, for all of its processes.
    """

    folder: Path
    worker: str = ""
    driver: str = ""
    rebuilds: bool = False
    server: str | None = None
    run: str = field(default_factory=lambda: os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:16] or secrets.token_hex(8))

    def server_url(self, url: URL) -> URL:
        """Return a URL as it is on the throwaway server, if there is one."""
        if self.server is None:
            return url
        from sqlalchemy.engine import make_url

        name = Path(url.database or "main").stem if url.get_backend_name() == "sqlite" else url.database
        return make_url(self.server).set(database=name or "main")


def add_options(parser: pytest.Parser) -> None:
    """Add the options of the kit."""
    group = parser.getgroup("sqlhelpers", "databases for tests, from the settings of sqlhelpers")
    group.addoption(
        "--sqlhelpers-server",
        choices=_KINDS,
        help="Start a server from installed programs for the tests, and remove it afterwards.",
    )
    group.addoption(
        "--sqlhelpers-rebuild",
        action="store_true",
        help="Build the databases for tests anew, also if nothing has changed.",
    )
    group.addoption("--sqlhelpers-migrations", action="store_true", help="Test the migrations of every app.")
    parser.addini("sqlhelpers_driver", "the driver whose connection isolated tests share: sync, async", default="")
    parser.addini("sqlhelpers_all_tests", "isolate every test, not only those that ask", type="bool", default=False)
    parser.addini("sqlhelpers_irreversible", "revisions that cannot be undone", type="args", default=[])


def read_options(config: pytest.Config, server: str | None) -> Options:
    """Return the options.

    Raises:
        pytest.UsageError: one has a value that is not known.
    """
    driver = str(config.getini("sqlhelpers_driver"))
    if driver and driver not in _DRIVERS:
        raise pytest.UsageError(f"sqlhelpers_driver is {driver!r}; it may be {' or '.join(_DRIVERS)}")
    return Options(
        folder=_folder(config),
        worker=os.environ.get("PYTEST_XDIST_WORKER", ""),
        driver=driver,
        rebuilds=bool(config.getoption("sqlhelpers_rebuild")),
        server=server,
    )


def _folder(config: pytest.Config) -> Path:
    """Return where files are kept between runs; without pytest's cache there is no such place."""
    if config.pluginmanager.has_plugin("cacheprovider") and hasattr(config, "cache") and config.cache is not None:
        return config.cache.mkdir("sqlhelpers")
    name = hashlib.sha256(str(config.rootpath).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sqlhelpers-pytest-{name}"
