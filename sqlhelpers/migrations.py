"""All that is done to a schema: synchronous functions over a ``Connection``, through Alembic.

No ``env.py`` is needed; a migrations folder that has one is honoured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import NoReferencedTableError

from sqlhelpers.comparison import differences
from sqlhelpers.dialects import schema_transaction, undoes_ddl
from sqlhelpers.exceptions import AppError, DatabaseFailure, MigrationFailed, Refused, SqlhelpersError
from sqlhelpers.histories import current_revisions, misplaced, read_app, read_status, refuse_doubtful
from sqlhelpers.report import DatabaseStatus, SyncResult
from sqlhelpers.revisions import alembic_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.runtime.migration import RevisionStep
    from sqlalchemy.engine import Connection

    from sqlhelpers.histories import History
    from sqlhelpers.hooks import Hooks
    from sqlhelpers.report import AppReport, DatabaseReport

    #: Told before each revision runs: the app, the revision, its place among those to run (from 1), their number.
    Progress = Callable[[str | None, str, int, int], None]


def sync_database(
    connection: Connection,
    bind: str,
    url: str,
    histories: Sequence[History],
    hooks: Hooks,
    progress: Progress | None = None,
) -> DatabaseReport:
    """Bring a database to the state that the installed code expects.

    Where a rollback undoes DDL, everything, what plugins add included, is one transaction.

    Args:
        connection: a connection that is in no transaction.
        bind: the name of the database.
        url: its URL as it may be shown.
        histories: the apps in the order in which they are synced.
        hooks: the plugins to ask before, and to tell after.
        progress: told of every revision before it runs.

    Raises:
        StateRefused: an app is in a state that only a person can resolve; nothing was changed.
        MigrationFailed: a revision raised.
    """
    with schema_transaction(connection):
        found = read_status(connection, bind, url, histories)
        refuse_doubtful(found)
        hooks.before_sync(bind, connection, found)
        done = []
        for history, report in zip(histories, found.apps, strict=True):
            done.append(replace(report, result=_sync_app(connection, history, report, progress)))
        result = replace(found, apps=tuple(done))
        hooks.after_sync(bind, connection, result)
        return result


def _sync_app(connection: Connection, history: History, report: AppReport, progress: Progress | None) -> SyncResult:
    if report.status is DatabaseStatus.UP_TO_DATE:
        return SyncResult.ALREADY_UP_TO_DATE
    if report.status is DatabaseStatus.NO_INFO:
        bootstrap(connection, history, progress)
        return SyncResult.CREATED
    upgrade(connection, history, report.heads[0], progress)
    return SyncResult.UPGRADED


def bootstrap(connection: Connection, history: History, progress: Progress | None = None) -> None:
    """Make the tables of a history in a database that has none of them."""
    if history.creates_from_models:
        create_tables(connection, history)
    else:
        upgrade(connection, history, "heads", progress)


def create_tables(connection: Connection, history: History) -> None:
    """Create the tables of a history that are not there, and record its newest revision.

    Raises:
        AppError: a foreign key points to a table that no app defines.
        DatabaseFailure: a revision was recorded while the tables were being created.
    """
    try:
        for metadata, tables in history.metadatas.items():
            metadata.create_all(connection, tables=tables)
    except NoReferencedTableError as error:
        raise AppError(f"app {history.app!r}: {error}") from error
    if history.revisions and history.revisions.heads():
        if current_revisions(connection, history):  # its tables may have another shape than ours
            raise DatabaseFailure(
                f"another run has recorded a revision in {history.version_table} meanwhile; run again"
            )
        stamp(connection, history, history.revisions.head())


def stamp(connection: Connection, history: History, *revisions: str) -> None:
    """Record that a database is at ``revisions``, without running anything."""
    assert history.revisions
    context = MigrationContext.configure(connection, opts=history.options())
    context.stamp(history.revisions.script, revisions)  # type: ignore[arg-type]  # several are taken as well


def upgrade(connection: Connection, history: History, target: str = "heads", progress: Progress | None = None) -> None:
    """Run the revisions that lead from where the database is to ``target``.

    Raises:
        MigrationFailed: a revision raised.
        AppError: ``target`` is not a revision of this history, or the folder's ``env.py`` failed to do it.
    """
    if history.revisions is None:
        raise AppError(f"app {history.app!r} has no migrations")
    script, before = history.revisions.script, current_revisions(connection, history)
    running = _Running(history, progress)
    try:
        pending = script._upgrade_revs(target, before)  # type: ignore[arg-type]  # several are taken as well
        _run(connection, history, lambda heads, _: running.watch(script._upgrade_revs(target, heads)))
    except (Exception, SystemExit) as error:
        raise running.explain(error) from error
    if pending and current_revisions(connection, history) == before:
        where = f"{history.version_table} is as it was"
        raise AppError(f"{script.env_py_location} has not run the revisions with this database: {where}")


class _Running:
    """Knows which revision is running, to tell it to the user and to name it when it fails."""

    def __init__(self, history: History, progress: Progress | None) -> None:
        self._history = history
        self._progress = progress
        self._revision: Any = None

    def watch(self, steps: Sequence[RevisionStep]) -> Iterator[RevisionStep]:
        for position, step in enumerate(steps, 1):
            self._revision = step.revision
            if self._progress:
                self._progress(self._history.app, step.revision.revision, position, len(steps))
            yield step
        self._revision = None

    def explain(self, error: BaseException) -> SqlhelpersError:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        if self._revision is not None:
            text = f"{type(error).__name__}: {reason}"
            return MigrationFailed(self._history.app, self._revision.revision, str(self._revision.path), text)
        owner = f"app {self._history.app!r}" if self._history.app else "the migrations folder"
        return AppError(f"{owner}: {type(error).__name__}: {reason}")


def _run(connection: Connection, history: History, steps: Callable[[Any, MigrationContext], Any]) -> None:
    assert history.revisions
    config = alembic_config(history.revisions.folder)
    config.attributes["connection"] = connection
    script, options = history.revisions.script, history.options()
    if history.revisions.has_environment:
        connection.commit()  # what env.py opens for itself must not wait for us
        if history.url is not None:
            url = history.url.render_as_string(hide_password=False)
            config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        with EnvironmentContext(config, script, fn=steps, **options):
            script.run_env()
        connection.commit()  # to see what it did on another connection
        return
    with EnvironmentContext(config, script, fn=steps) as environment:
        if not undoes_ddl(connection):
            connection.commit()  # Alembic then commits after each revision, as its DDL does
            environment.configure(connection=connection, **options)
        else:
            whole = _Whole(connection)
            environment.configure(
                connection=connection,
                transactional_ddl=True,
                on_version_apply=whole.keep_what_was_committed,
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


def adopt(connection: Connection, history: History) -> tuple[str, ...]:
    """Record the newest revision for tables that are there already, if they are as the models say.

    A position that stands in ``alembic_version`` is moved into the history's own table instead.

    Returns:
        the differences between tables and models; empty if the revision was recorded.

    Raises:
        Refused: the history has no tables in the database, or a revision is recorded already.
    """
    if history.revisions is None:
        raise AppError(f"app {history.app!r} has no migrations, so there is no revision to record")
    with schema_transaction(connection):
        report = read_app(connection, history)
        if report.status is not DatabaseStatus.UNVERSIONED:
            raise Refused(_nothing_to_adopt(report))
        revisions = misplaced(connection, history)
        if revisions:
            stamp(connection, history, *revisions)
            options = {"version_table_schema": history.version_table_schema}
            old = MigrationContext.configure(connection, opts=options)._version
            connection.execute(old.delete().where(old.c.version_num.in_(revisions)))
            return ()
        found = differences(connection, history)
        if not found:
            stamp(connection, history, history.revisions.head())
        return found


def _nothing_to_adopt(report: AppReport) -> str:
    name = f"app {report.app!r}" if report.app else "this database"
    if report.status is DatabaseStatus.NO_INFO:
        return f"{name} has no tables to adopt; `sqlhelpers run-sync` creates them"
    return (
        f"{name} has a revision recorded: {', '.join(report.current)}; {report.detail or 'there is nothing to adopt'}"
    )


def drop(connection: Connection, histories: Sequence[History]) -> None:
    """Drop the tables of the histories and the record of their positions, and nothing else.

    Raises:
        AppError: a history has migrations but no models, so nobody knows its tables.
    """
    for history in histories:
        if history.revisions and not history.tables:
            raise AppError(f"{history.revisions.folder} has no models beside it that would tell what to drop")
    with schema_transaction(connection):
        for history in reversed(histories):
            for metadata, tables in history.metadatas.items():
                metadata.drop_all(connection, tables=tables)
            context = MigrationContext.configure(connection, opts=history.options())
            context._version.drop(connection, checkfirst=True)
