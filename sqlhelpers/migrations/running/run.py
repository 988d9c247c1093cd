"""Runs revisions through Alembic: bounded, reported, and written into the journal, under the lock of the database.

No ``env.py`` is needed; a migrations folder that has one is honoured.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import PendingRollbackError, SQLAlchemyError

from sqlhelpers import interrupts
from sqlhelpers.backends import backend_of
from sqlhelpers.exceptions import AppError, DatabaseFailure, MigrationFailed, SqlhelpersError
from sqlhelpers.migrations.state import current_revisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from sqlalchemy.engine import Connection

    from sqlhelpers.backends import Lock, RevisionLimits
    from sqlhelpers.discovery import Hooks
    from sqlhelpers.migrations.state import History

    #: Told before each revision runs: the app, the revision, its place among those to run (from 1), their number.
    Progress = Callable[[str | None, str, int, int], None]
    #: Given where the database is, returns the steps to take.
    Plan = Callable[[Any], Sequence[RevisionStep]]


def run_in(environment: EnvironmentContext, connection: Connection, steps: Steps, options: dict[str, Any]) -> None:
    """Run what an environment of Alembic is for, within ``schema_transaction``.

    Args:
        environment: the environment, which is not configured yet.
        connection: a connection, within ``schema_transaction``.
        steps: told of each revision that was run.
        options: for ``configure``.
    """
    if not backend_of(connection).undoes_ddl:
        connection.commit()  # Alembic then commits after each revision, as its DDL does
        environment.configure(connection=connection, on_version_apply=steps.applied, **options)
    else:
        whole = _Whole(connection)
        environment.configure(
            connection=connection,
            transactional_ddl=True,
            on_version_apply=(steps.applied, whole.keep_what_was_committed),  # type: ignore[arg-type]  # or several
            **options,
        )
        whole.lend_to(environment.get_context())
    with environment.begin_transaction():
        environment.run_migrations()


class _Whole:
    """The transaction of a run, which a revision may end and replace by ``autocommit_block()``.

    ``schema_transaction()`` began it, and commits whichever is open at the end.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open = connection.get_transaction()

    def lend_to(self, context: MigrationContext) -> None:
        """Let Alembic end the transaction; one that is under way when it starts it would take for a foreign one."""
        context._transaction = self._open

    def keep_what_was_committed(self, ctx: MigrationContext, *_: object, **__: object) -> None:
        """Commit the position of a revision together with what its ``autocommit_block()`` has committed already.

        Otherwise a later failure would undo the position alone, and the revision would be run again.
        """
        if self._connection.get_transaction() is not self._open:
            self._connection.commit()
            self._open = self._connection.begin()
            self.lend_to(ctx)


@dataclass(frozen=True)
class Run:
    """What belongs to one run, beside its connection.

    Attributes:
        bind: the name of the database.
        url: its URL as it may be shown.
        hooks: the plugins to ask and to tell.
        lock: the lock that the run holds.
        limits: how long statements of revisions may take.
        patience: how many seconds to wait for another writer on SQLite.
        progress: told of every revision before it runs.
        tag: what ``context.get_tag_argument()`` returns in revisions and in an ``env.py``.
        x: what ``context.get_x_argument()`` returns there.
    """

    bind: str
    url: str
    hooks: Hooks
    lock: Lock
    limits: RevisionLimits
    patience: float
    progress: Progress | None = None
    tag: str | None = None
    x: tuple[str, ...] = ()

    def checkpoint(self) -> None:
        """Go no further if the lock may be lost, or if a signal that should have ended the run was swallowed."""
        interrupts.raise_again()
        self.lock.probe()


def take_steps(connection: Connection, history: History, run: Run, action: str, plan: Plan) -> tuple[str, ...]:
    """Take the steps of a plan through Alembic.

    Args:
        connection: a connection, within ``schema_transaction``.
        history: the app.
        run: the run.
        action: ``upgrade`` or ``downgrade``, for the journal.
        plan: returns the steps.

    Returns:
        the revisions, in the order in which they were run.

    Raises:
        MigrationFailed: a revision raised.
        DatabaseFailure: the database did not let us, before any revision began.
        AppError: there is no such revision, or the folder's ``env.py`` failed to do it.
    """
    steps, before = Steps(connection, history, run, action), current_revisions(connection, history)
    pending: Sequence[RevisionStep] = ()
    try:
        pending = plan(before)
        with steps.counted():
            _through_alembic(connection, history, run, steps, lambda heads, _: steps.watch(plan(heads)))
    except (Exception, SystemExit) as raised:
        error = _behind(raised)
        if isinstance(error, SqlhelpersError) and steps.running is None:
            raise
        if not isinstance(error, Exception | SystemExit):
            raise error from None
        raise steps.explain(error) from error
    if pending and current_revisions(connection, history) == before:
        file, table = history.require_revisions().script.env_py_location, history.version_table
        raise AppError(f"{file} has not run the revisions with this database: {table} is as it was")
    return tuple([step.revision.revision for step in pending])


def _behind(error: BaseException) -> BaseException:
    """Return what has happened in an ``autocommit_block()``, whose end stumbles over a connection that is gone."""
    while isinstance(error, PendingRollbackError) and error.__context__ is not None:
        error = error.__context__
    return error


class Steps:
    """Goes through the revisions of one run of an app, and knows which is running when something fails.

    Where a rollback does not undo DDL, the journal's entries are committed: that a revision has begun before
    it begins, and that it is done together with the position that it leads to.
    """

    def __init__(self, connection: Connection, history: History, run: Run, action: str) -> None:
        self._connection = connection
        self._history = history
        self._run = run
        self.action = action
        self.running: Any = None
        self._entry: int | None = None
        self._statements = 0
        self._commits = not backend_of(connection).undoes_ddl
        self._foreign = history.require_revisions().has_environment  # it may use a connection of its own
        self._late: list[Any] = []

    def watch(self, steps: Sequence[RevisionStep]) -> Iterator[RevisionStep]:
        """Yield the steps; Alembic takes each before it asks for the next."""
        for position, step in enumerate(steps, 1):
            revision: Any = step.revision
            self._run.checkpoint()
            if self._run.progress:
                self._run.progress(self._history.app, revision.revision, position, len(steps))
            if not self._foreign:
                self._run.limits.apply(*self._limits_of(revision))
            self._begin(revision)
            self.running, self._statements = revision, 0
            yield step
            if self._foreign:
                self._late.append(revision)
                self._finish()
            self.running = None

    def _limits_of(self, revision: Any) -> Iterator[float | None]:
        for name in ("ddl_lock_timeout", "ddl_statement_timeout"):
            value = getattr(revision.module, name, None)
            if value is not None and (not isinstance(value, int | float) or value < 0):
                raise AppError(f"{revision.path}: {name} = {value!r} should be a number of seconds, or 0 for no limit")
            yield value

    def _begin(self, revision: Any) -> None:
        if not self._history.journaled or (self._foreign and not self._commits):
            return
        journal = self._history.journal
        self._entry = journal.begin(self._connection, self.action, revision.revision, str(revision.path))
        if self._commits:
            self._connection.commit()

    def _finish(self) -> None:
        if self._entry is not None:
            self._history.journal.finish(self._connection, self._entry)
            self._entry = None
            if self._foreign:
                self._connection.commit()

    def applied(self, ctx: MigrationContext, *_: object, **__: object) -> None:  # noqa: ARG002  # Alembic's signature
        """Write that a revision is done, in the transaction that has recorded the position."""
        self._finish()

    def write_late(self) -> None:
        """Write what an ``env.py`` has done, where nothing could be written while it used the database."""
        if self._history.journaled and not self._commits:
            for revision in self._late:
                journal = self._history.journal
                entry = journal.begin(self._connection, self.action, revision.revision, str(revision.path))
                journal.finish(self._connection, entry)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Take the entry of a revision back if its first statement failed, and so nothing was changed."""
        if not self._commits or self._foreign:
            yield
            return
        event.listen(self._connection, "after_cursor_execute", self._count)
        try:
            yield
        except Exception as error:
            event.remove(self._connection, "after_cursor_execute", self._count)
            if self._entry is not None and self.running and not self._statements and not self._is_unsure(error):
                with suppress(SQLAlchemyError):
                    self._connection.rollback()
                    self._history.journal.discard(self._connection, self._entry)
                    self._connection.commit()
            raise
        event.remove(self._connection, "after_cursor_execute", self._count)

    def _is_unsure(self, error: Exception) -> bool:
        """Tell whether the server may go on with the statement, because it was the connection that failed."""
        return self._connection.invalidated or bool(getattr(error, "connection_invalidated", False))

    def _count(self, *_: object) -> None:
        self._statements += 1

    def explain(self, error: BaseException) -> SqlhelpersError:
        """Return the error to raise, which names the revision or the app."""
        reason = " ".join(f"{type(error).__name__}: {getattr(error, 'orig', None) or error}".split())
        reason += next((f" ({setting})" for words, setting in _LIMITS.items() if words in reason.lower()), "")
        if self.running is not None:
            return MigrationFailed(self._history.app, self.running.revision, str(self.running.path), reason)
        owner = f"app {self._history.app!r}" if self._history.app else "the migrations folder"
        if isinstance(error, SQLAlchemyError | OSError):
            return DatabaseFailure(f"database {self._run.bind!r} ({self._run.url}): {owner}: {reason}")
        if str(error) == _AMBIGUOUS:
            reason = "several can be meant, because of a merge or a branch: name one; `sqlhelpers history` lists them"
        return AppError(f"{owner}: {reason}")


_AMBIGUOUS = "Ambiguous walk"  # so Alembic says of steps that lead to several revisions


#: How servers say that a statement has outlasted a limit of ours.
_LIMITS = {
    "due to lock timeout": "ddl_lock_timeout",
    "lock wait timeout": "ddl_lock_timeout",
    "due to statement timeout": "ddl_statement_timeout",
    "max_statement_time exceeded": "ddl_statement_timeout",
}


def _through_alembic(
    connection: Connection,
    history: History,
    run: Run,
    steps: Steps,
    plan: Callable[..., Any],
) -> None:
    from alembic.runtime.environment import EnvironmentContext

    from sqlhelpers.migrations.revisions import alembic_config

    revisions = history.require_revisions()
    config = alembic_config(revisions.folder, run.x)
    config.attributes["connection"] = connection
    script, options = revisions.script, history.options()
    if revisions.has_environment:
        connection.commit()  # what env.py opens for itself must not wait for us
        assert history.url is not None
        url = history.url.render_as_string(hide_password=False)
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        with kept(), EnvironmentContext(config, script, fn=plan, tag=run.tag, **options):
            script.run_env()
        connection.commit()  # to see what it did on another connection
        steps.write_late()
        return
    with EnvironmentContext(config, script, fn=plan, tag=run.tag) as environment:
        run_in(environment, connection, steps, options)


@contextmanager
def kept() -> Iterator[None]:
    """Put all loggers back at the end of the block, which may configure logging, as an ``env.py`` can."""
    before = [(logger, dict(vars(logger)), list(logger.handlers), list(logger.filters)) for logger in _all_loggers()]
    try:
        yield
    finally:
        for logger, state, handlers, filters in before:
            logger.setLevel(state["level"])  # which also forgets what loggers have remembered of it
            logger.propagate, logger.disabled = state["propagate"], state["disabled"]
            logger.handlers[:], logger.filters[:] = handlers, filters


def _all_loggers() -> Iterator[logging.Logger]:
    yield logging.getLogger()
    yield from [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]
