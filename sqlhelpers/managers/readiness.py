"""Whether a database can serve the installed code: what a readiness probe asks, at the cost of one small query.

A probe comes every few seconds from every pod, so it reads the positions of all apps with one SELECT, and the revision
files only when one of them has changed. It changes nothing, and waits for no run that is under way.

============== ========= ==========================================================================================
detail         is ready  found
============== ========= ==========================================================================================
up to date     yes       every app is at its newest revisions
ahead          yes       a revision that the installed code does not have
behind         no        revisions that have not been run
not set up     no        an app's version table is missing or empty, or the file of SQLite is
pool exhausted no        no connection of the pool became free in time
locked         no        another process has locked the file of SQLite
timed out      no        no answer in the time that the probe has
unreachable    no        the server cannot be reached, or lets nobody in
failed         no        the server refused the query
misconfigured  no        settings, plugins or revision files cannot be used
============== ========= ==========================================================================================

Why "ahead" is ready: in a rolling deployment the new image migrates first, and the old pods serve until they are
replaced. If they were not ready then, nobody would serve. A migration that old code cannot live with should be
written in two steps. "behind" is not ready: the code would ask for columns that are not there yet.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, column, exc, literal_column, select, table, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import await_only, in_greenlet

from sqlhelpers.backends import Meaning, meanings_of
from sqlhelpers.engines import failures_named, http_error_for
from sqlhelpers.exceptions import DatabaseFailure, SqlhelpersError
from sqlhelpers.reports import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.engine import Connection

    from sqlhelpers.managers.database import Database
    from sqlhelpers.migrations.revisions import RevisionGraph
    from sqlhelpers.migrations.state import History

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Expected:
    """What the installed code expects of a database.

    Attributes:
        query: reads the positions of all apps; each row has the place of an app below, and a revision.
        heads: the newest revisions of each app.
        known: all the revisions of each app.
    """

    query: Executable
    heads: tuple[frozenset[str], ...] = ()
    known: tuple[frozenset[str], ...] = ()

    @classmethod
    def of(cls, histories: Iterable[History]) -> Expected:
        """Read the revision files. An app without migrations has no position, and needs no query."""
        versioned = [(each, each.revisions) for each in histories if each.revisions is not None]
        if not versioned:
            return cls(select(literal_column("1")))
        queries: list[Any] = []
        for place, (history, _) in enumerate(versioned):
            rows = table(history.version_table, column("version_num"), schema=history.version_table_schema)
            queries.append(select(literal_column(str(place), Integer).label("app"), rows.c.version_num))
        return cls(
            union_all(*queries) if len(queries) > 1 else queries[0],
            tuple(frozenset(revisions.heads()) for _, revisions in versioned),
            tuple(frozenset(revisions.files()) for _, revisions in versioned),
        )


def read_readiness(connection: Connection, bind: str, expected: Expected) -> Readiness:
    """Return whether a database can serve, with one SELECT."""
    try:
        rows: Sequence[Any] = connection.execute(expected.query).all()
    except DBAPIError as error:
        if Meaning.NO_TABLE not in meanings_of(error):
            raise
        return Readiness(bind, is_ready=False, detail="not set up")
    details = {"up to date"}
    for place, (heads, known) in enumerate(zip(expected.heads, expected.known, strict=True)):
        current = {row[1] for row in rows if row[0] == place}
        if not current:
            details.add("not set up")
        elif current - known:
            details.add("ahead")
        elif current != heads:
            details.add("behind")
    detail = next(each for each in ("not set up", "behind", "ahead", "up to date") if each in details)
    return Readiness(bind, detail in ("ahead", "up to date"), detail)


class Probe:
    """Asks one database whether it can serve, and remembers what it has read in revision files."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: tuple[list[RevisionGraph], Expected] | None = None
        self._asked: Future[Readiness] | None = None
        self._asking = threading.Lock()

    def expected(self) -> Expected:
        """Return what the code expects. Files that have changed are read in a thread if an event loop runs.

        Raises:
            SqlhelpersError: the apps or their revision files cannot be used.
        """
        remembered = self._remembered
        if remembered is not None and all(graph.is_current() for graph in remembered[0]):
            return remembered[1]
        return await_only(asyncio.to_thread(self._read_files)) if in_greenlet() else self._read_files()

    def _read_files(self) -> Expected:
        histories = self._database.histories
        graphs = [each.revisions.graph for each in histories if each.revisions is not None]
        if self._remembered is None or self._remembered[0] != graphs:
            self._remembered = graphs, Expected.of(histories)
        return self._remembered[1]

    def read(self, connection: Connection, expected: Expected) -> Readiness:
        """Return whether the database can serve."""
        return read_readiness(connection, self._database.bind, expected)

    def failed(self, error: Exception) -> Readiness:
        """Return what an error means for the readiness; log its reason, which the answer does not tell.

        Raises:
            Exception: it is none of the database, its driver, the settings, or the apps.
        """
        bind = self._database.bind
        if isinstance(error, TimeoutError) and not error.args:
            error = TimeoutError("no answer in time; the server is silent, or all connections of the pool are in use")
        try:
            with failures_named(bind, self._database.url):
                raise error
        except SqlhelpersError as named:
            detail = _detail(error)
            _log.warning("not ready, %s: %s", detail, " ".join(str(named).split()))
            return Readiness(bind, is_ready=False, detail=detail)

    def ask(self, work: Callable[[], Readiness], timeout: float | None) -> Readiness:
        """Do ``work`` and return its result, or that it has timed out.

        It goes on in a thread then, until the limits of the database end it. One runs at a time: a probe that comes
        meanwhile waits for that one.
        """
        if timeout is None:
            return work()
        with self._asking:
            asked = self._asked
            if asked is None or asked.done():
                asked = self._asked = Future()
                threading.Thread(target=_fulfil, args=(asked, work), name="sqlhelpers-probe", daemon=True).start()
        try:
            return asked.result(timeout)
        except TimeoutError as error:
            return self.failed(error)


def _fulfil(asked: Future[Readiness], work: Callable[[], Readiness]) -> None:
    try:
        asked.set_result(work())
    except BaseException as error:  # noqa: BLE001  # it is raised where the result is waited for
        asked.set_exception(error)


def _detail(error: Exception) -> str:
    if isinstance(error, SqlhelpersError):
        return "failed" if isinstance(error, DatabaseFailure) else "misconfigured"
    if isinstance(error, exc.TimeoutError):
        return "pool exhausted"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, DBAPIError):
        if Meaning.LOCKED in meanings_of(error):
            return "locked"
        if error.statement is not None and http_error_for(error) is None:
            return "failed"
    return "unreachable"
