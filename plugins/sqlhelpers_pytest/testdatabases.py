"""``TestDatabase``: the databases that stand in for one configured database while tests run."""

from __future__ import annotations

import getpass
import hashlib
import tempfile
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from sqlalchemy import Column, MetaData, String, Table, inspect, select

from sqlhelpers.urls import mask
from sqlhelpers_pytest.access import at, connected, with_manager
from sqlhelpers_pytest.connections import SharedConnection
from sqlhelpers_pytest.errors import IsolationLost, NotOurs
from sqlhelpers_pytest.fingerprints import fingerprint
from sqlhelpers_pytest.homes import Home, LoopHome
from sqlhelpers_pytest.makers import Maker, maker_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import URL, Connection

    from sqlhelpers import Runtime
    from sqlhelpers_pytest.options import Options

MARK = "sqlhelpers_pytest"  # the table that says who made a database, and from what
_MARKS = Table(MARK, MetaData(), Column("fingerprint", String(64), nullable=False))
_DRIVERS = {"postgresql": "asyncpg"}  # the async driver that can be at home in a loop of ours; others are not needed
_PATIENCE = 600.0  # seconds until another process has built the template


class TestDatabase:
    """What stands in for a configured database.

    There is a template, which is built from the models or the revisions; a copy of it in which all isolated tests are
    rolled back, for each process that runs tests; and copies that tests have for themselves.

    Args:
        runtime: the configuration.
        binds: the names that the database has in it.
        url: its URL.
        options: what was asked for.

    Attributes:
        is_isolated: whether a test is running whose transactions are nested in one that is rolled back.
    """

    __test__ = False  # pytest

    def __init__(self, runtime: Runtime, binds: Sequence[str], url: URL, options: Options) -> None:
        self.binds: tuple[str, ...] = tuple(binds)
        self.configured = url
        self._runtime = runtime
        self._options = options
        self._database = runtime.database(binds[0])
        self._base = options.server_url(url)
        self.is_isolated: bool = False
        self._fresh: str | None = None
        self._beginning = threading.Lock()
        self._prepared: set[str] = set()

    def __repr__(self) -> str:
        return f"<TestDatabase {', '.join(self.binds)} {mask(self.url)}>"

    @cached_property
    def maker(self) -> Maker:
        """What makes its databases."""
        return maker_for(self._database, self._base, self._options.folder)

    @cached_property
    def is_async(self) -> bool:
        """Whether isolated tests share a connection of the async driver."""
        if self._base.get_backend_name() not in _DRIVERS or self._options.driver == "sync":
            return False
        return self._options.driver == "async" or not self._database.hooks.has_sync_driver(self._base)

    @property
    def template(self) -> str:
        """The name of the template."""
        return f"{self.maker.base_name}_template"

    @cached_property
    def work(self) -> str:
        """The name of the database that isolated tests share; no other process that runs now has it."""
        name = self.maker.base_name + (f"_{self._options.worker}" if self._options.worker else "")
        number = 1
        while True:
            candidate = name if number == 1 else f"{name}_{number}"
            lock = FileLock(lock_file(self.maker.url(candidate)), timeout=0)
            with suppress(Timeout):
                lock.acquire()
                self._lock = lock
                return candidate
            number += 1

    @property
    def name(self) -> str:
        """The name of the database that the test uses."""
        return self._fresh or self.work

    @property
    def url(self) -> URL:
        """The URL of the database for isolated tests, with a driver that all its engines can share."""
        url = self.maker.url(self.work)
        if self.is_async:
            return url.set(drivername=f"{url.get_backend_name()}+{_DRIVERS[url.get_backend_name()]}")
        if url.get_backend_name() == "postgresql" and "+psycopg2" not in url.drivername:
            return url.set(drivername="postgresql+psycopg")  # sync and async
        return url

    @cached_property
    def fingerprint(self) -> str:
        """What the databases are built from."""
        return fingerprint(self._runtime, self.binds, self.maker.url("").get_dialect()())

    @cached_property
    def shared(self) -> SharedConnection:
        """The connection that isolated tests share."""
        url = self.url
        if url.get_backend_name() == "sqlite":
            url = url.set(drivername="sqlite+pysqlite")  # the same library, without a thread of its own
            home = Home(at(self._database, url, check_same_thread=False))
        else:
            home = (LoopHome if self.is_async else Home)(at(self._database, url))
        return SharedConnection(home, lambda: self.is_isolated)

    def prepare(self, mode: str) -> None:
        """Make sure that what tests of a mode need is there and as the code expects it; once in a run."""
        if mode not in self._prepared:
            if mode == "fresh":
                self._with_template(lambda: None)
            else:
                if not self._is_current(self.work):
                    self._copy_to(self.work)
                self.shared  # noqa: B018  # threads of the test might come for it at once
            self._prepared.add(mode)

    def begin_fresh(self) -> None:
        """Give the test a database of its own, unless it has one."""
        with self._beginning:
            if self._fresh is None:
                name = f"{self.work}_fresh"
                self._copy_to(name)
                self._fresh = name

    def end_fresh(self) -> None:
        """Drop it."""
        if self._fresh is not None:
            name, self._fresh = self._fresh, None
            self.maker.drop(name)

    def make_empty(self, name: str) -> URL:
        """Make an empty database, and return its URL."""
        name = f"{self.work}_{name}"
        self._drop(name)
        self.maker.create(name)
        self._write_mark(name, "")
        return self.maker.url(name)

    def drop(self, url: URL) -> None:
        """Drop a database that ``make_empty`` has made."""
        self.maker.drop(Path(url.database or "").stem if url.get_backend_name() == "sqlite" else str(url.database))

    def wind_up(self) -> None:
        """Let sessions be closed in any order."""
        if "shared" in vars(self):
            self.shared.is_winding_up = True

    def end_isolated(self) -> None:
        """Undo what it did."""
        self.is_isolated = False
        try:
            self.shared.end_test()
        except IsolationLost:
            self.shared.close()
            del self.shared
            self._prepared.clear()
            self._write_mark(self.work, "")  # built anew before it is used again
            raise

    def close(self) -> None:
        """Close connections; what was made stays for the next run."""
        if "shared" in vars(self):
            self.shared.close()
        if "work" in vars(self):
            self._lock.release()

    def _copy_to(self, name: str) -> None:
        def copy() -> None:
            self._drop(name)
            self.maker.clone(self.template, name)

        self._with_template(copy)

    def _with_template(self, work: Callable[[], None]) -> None:
        with FileLock(lock_file(self.maker.url(self.template)), timeout=_PATIENCE):
            if not self._is_current(self.template):
                self.rebuild()
            work()

    def _is_current(self, name: str) -> bool:
        """Tell whether a database is as the code expects it, and of this run if all are to be built anew."""
        found, _, run = (self._mark_of(name) or "").partition(" ")
        return found == self.fingerprint and (run == self._options.run or not self._options.rebuilds)

    def rebuild(self) -> None:
        """Build the template anew."""
        self._drop(self.template)
        self.maker.create(self.template)
        self._write_mark(self.template, "")
        for bind in self.binds:
            database = self._runtime.database(bind)
            with_manager(
                database, self.maker.url(self.template), lambda m: m.migrations.sync(), lambda m: m.migrations.sync()
            )
        self._write_mark(self.template, f"{self.fingerprint} {self._options.run}")

    def _drop(self, name: str) -> None:
        """Drop a database if it is there.

        Raises:
            NotOurs: it was not made by the kit.
        """
        if self.maker.exists(name):
            if self._mark_of(name) is None and connected(self._database, self.maker.url(name), _has_tables):
                raise NotOurs(
                    f"the database {mask(self.maker.url(name))} has tables and was not made by the testing kit, which"
                    f" needs this name: rename it, or drop it yourself",
                )
            self.maker.drop(name)

    def _mark_of(self, name: str) -> str | None:
        """Return the fingerprint of a database; None if it was not made by the kit, or is not there."""
        return connected(self._database, self.maker.url(name), _read_mark) if self.maker.exists(name) else None

    def _write_mark(self, name: str, mark: str) -> None:
        def write(connection: Connection) -> None:
            _MARKS.create(connection, checkfirst=True)
            connection.execute(_MARKS.delete())
            connection.execute(_MARKS.insert(), {"fingerprint": mark})

        connected(self._database, self.maker.url(name), write)


def _read_mark(connection: Connection) -> str | None:
    if not inspect(connection).has_table(MARK):
        return None
    return connection.scalar(select(_MARKS.c.fingerprint)) or ""


def _has_tables(connection: Connection) -> bool:
    return bool(inspect(connection).get_table_names())


def lock_file(url: URL) -> Path:
    """Return the file that keeps processes of this user apart that would use one database."""
    where = f"{url.get_backend_name()} {url.host} {url.port} {url.database} {getpass.getuser()}"
    name = hashlib.sha256(where.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sqlhelpers-pytest-{name}.lock"
