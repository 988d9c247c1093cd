"""``Database``: what both managers do, as synchronous functions over an ``Engine`` or a ``Connection``."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers import journal, locks, urls
from sqlhelpers.configured import ConfiguredDatabase
from sqlhelpers.descriptions import named, position, traces
from sqlhelpers.dialects import empty_database, refuse_hidden_tables
from sqlhelpers.exceptions import AppError
from sqlhelpers.histories import History, current_revisions, read_status
from sqlhelpers.server_locks import Lock
from sqlhelpers.settled import settled_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.configured import Apps
    from sqlhelpers.offline import Script
    from sqlhelpers.report import DatabaseReport, Finding, JournalEntry, Position, Trace
    from sqlhelpers.runs import Progress, Run

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Database(ConfiguredDatabase):
    """One configured database, and what both managers do with it, over an ``Engine`` or a ``Connection``.

    An async manager hands over the sync ones below its own, within ``greenlet_spawn``.
    """

    def sync(self, engine: Engine, histories: Sequence[History], progress: Progress | None = None) -> DatabaseReport:
        """Bring the database to the state that the code expects. Without a lock, if it is seen at once to be there."""
        settled = settled_report(engine, self.bind, self.shown, histories, self.hooks)
        if settled:
            return settled
        from sqlhelpers.migrations import sync_database  # here and below: what a run without work can do without

        return self.change(engine, progress, sync_database, histories)

    def change(
        self,
        engine: Engine,
        progress: Progress | None,
        work: Callable[Concatenate[Connection, Run, P], R],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> R:
        """Do work that changes the database, on a connection of its own, while nobody else's run does.

        The ``work`` gets the connection, the run, and what follows.

        Raises:
            LockTimeout: another run did not end in time.
        """
        where = f"database {self.bind!r} ({self.shown})"
        with (
            locks.only_run(engine, where, self.settings.lock_timeout) as lock,
            locks.connected(engine, lock) as connection,
        ):
            return work(connection, self._run(connection, lock, progress), *arguments, **options)

    def change_nothing(
        self,
        work: Callable[Concatenate[Connection, Run, P], R],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> R:
        """Do work that changes what is there, where there is no database yet."""
        with empty_database() as connection:
            return work(connection, self._run(connection, Lock()), *arguments, **options)

    def _run(self, connection: Connection, lock: Lock, progress: Progress | None = None) -> Run:
        from sqlhelpers.runs import Run
        from sqlhelpers.schema_limits import SchemaLimits

        alembic = self.settings.alembic
        limits = SchemaLimits(
            connection,
            alembic.ddl_lock_timeout,
            alembic.ddl_statement_timeout,
            is_pooled=self.settings.pooler is not None,
        )
        return Run(self.bind, self.shown, self.hooks, lock, limits, self.settings.lock_timeout, progress)

    def alembic_alone(self) -> AbstractContextManager[None]:
        """Keep other runs of this process out, which would use the same Alembic."""
        return locks.alembic_alone(f"database {self.bind!r}", self.settings.lock_timeout)

    @contextmanager
    def scratch(self, engine: Engine) -> Iterator[tuple[Connection, Run]]:
        """Connect to an empty database on the same server, with a run on it."""
        from sqlhelpers.scratch import scratch_database

        with scratch_database(engine, self.bind, self.settings, self.hooks) as connection:
            yield connection, self._run(connection, Lock())

    def positions(self, connection: Connection, app: Apps = None) -> tuple[Position, ...]:
        """Return where the database is in the history of one app or several, or of every app that has migrations."""
        histories = self.chosen(app)
        refuse_hidden_tables(connection, [history.version_table for history in histories])
        return tuple(position(connection, self.bind, history) for history in histories)

    def traces(self, connection: Connection, revision: str, app: str | None = None) -> tuple[Trace, ...]:
        """Return what the database knows of a revision, or of each of the several that its name stands for."""
        history = self.history(app)
        names = [info.revision for info in named(history, revision)]
        refuse_hidden_tables(connection, [history.version_table])
        entries = [each for each in self.journal(connection) if each.app == history.app]
        return traces(connection, self.bind, history, names, entries)

    def current(self, connection: Connection, app: str | None = None) -> tuple[str, ...]:
        """Return the revisions that the database is at."""
        history = self.history(app)
        refuse_hidden_tables(connection, [history.version_table])
        return current_revisions(connection, history)

    def read(self, connection: Connection) -> DatabaseReport:
        """Return the state of every app."""
        return read_status(connection, self.bind, self.shown, self.histories)

    def journal(self, connection: Connection, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to ``app``, or to every app, the oldest first."""
        places = {None, *(history.version_table_schema for history in self.load_histories())}
        found = (entry for place in places for entry in journal.read(connection, place))
        return tuple(entry for entry in found if app is None or entry.app == app)

    def adopt(self, connection: Connection, run: Run, history: History, revision: str | None) -> tuple[str, ...]:
        """Record the position of tables that are there already; return what differs if that is wrong."""
        from sqlhelpers import decisions

        return decisions.adopt(connection, run, history, revision, self._differences_at)

    def _differences_at(self, connection: Connection, history: History, revision: str) -> tuple[str, ...]:
        from sqlhelpers import checks

        others = [each for each in self.histories if each.app != history.app]
        scratch = partial(self.scratch, connection.engine)
        try:
            return checks.compare_with_revision(connection, history, revision, others, scratch)
        except (SQLAlchemyError, OSError) as error:
            reason = urls.scrub(str(getattr(error, "orig", None) or error), self.url)
            _log.warning("adopted %s on your word: no scratch database to compare with: %s", revision, reason)
            return ()

    def retire(self, connection: Connection, run: Run, app: str, *, drop_tables: bool) -> None:
        """Remove the record of an app that is not installed."""
        from sqlhelpers import decisions

        self.refuse_installed(app)
        decisions.retire(connection, run, app, self.histories, drop_tables=drop_tables)

    def refuse_installed(self, app: str) -> None:
        """Raise if ``app`` is installed, and so cannot be retired."""
        if any(history.app == app for history in self.histories):
            raise AppError(f"app {app!r} is installed: `sqlhelpers drop {app}` removes its tables and their record")

    def sql(self, wanted: Script | None = None, app: Apps = None) -> str:
        """Return what revisions of apps do to a database, each under a comment; nothing is connected to.

        Args:
            wanted: from where to where; None for all that an empty database gets.
            app: the app or the apps; None for every one that has migrations.
        """
        from sqlhelpers.offline import Script, all_as_sql

        script = wanted or Script(targets=("head",))
        histories = self.chosen(app, several_heads=script.targets != ("head",))
        with self.alembic_alone():
            return all_as_sql(self.bind, histories, self.url.get_backend_name(), script)

    def check(self, connection: Connection) -> tuple[Finding, ...]:
        """Return what is wrong with the database."""
        from sqlhelpers import checks

        with self.alembic_alone():
            return checks.check(connection, self.histories, partial(self.scratch, connection.engine))
