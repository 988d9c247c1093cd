"""Creating, upgrading and downgrading: synchronous functions over a ``Connection``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import NoReferencedTableError, SQLAlchemyError

from sqlhelpers.backends import backend_of
from sqlhelpers.exceptions import AppError, DatabaseFailure
from sqlhelpers.migrations.running.locks import may_look_first
from sqlhelpers.migrations.running.run import take_steps
from sqlhelpers.migrations.state import ExistingTables, current_revisions, read_app, read_status, refuse_doubtful
from sqlhelpers.reports import DatabaseStatus, Movement, SyncResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.discovery import Hooks
    from sqlhelpers.migrations.running.run import Run
    from sqlhelpers.migrations.state import History
    from sqlhelpers.reports import AppReport, DatabaseReport


def report_if_up_to_date(
    engine: Engine, bind: str, url: str, histories: Sequence[History], hooks: Hooks
) -> DatabaseReport | None:
    """Look at a database once, and return what a sync would report if it is sure that it would change nothing.

    Whoever gets None takes the lock, and looks again.
    """
    takes_part = hooks.implements("sqlhelpers_before_sync", "sqlhelpers_after_sync")
    if takes_part or not histories or not may_look_first(engine):
        return None
    with engine.connect() as connection:
        found = _read(connection, bind, url, histories)
        if found is None or any(each.status is not DatabaseStatus.UP_TO_DATE or each.detail for each in found.apps):
            return None
        backend_of(connection).close_idle(connection)  # of many databases, it would stay open until the last is done
    return replace(found, apps=tuple(replace(each, result=SyncResult.ALREADY_UP_TO_DATE) for each in found.apps))


def _read(connection: Connection, bind: str, url: str, histories: Sequence[History]) -> DatabaseReport | None:
    """Return what is found; None if it cannot be read, which is for a run to tell of, or to wait for."""
    if not backend_of(connection).undoes_ddl and not all(each.revisions for each in histories):
        return None  # another run may be about to make the indexes of tables that are there
    try:
        with backend_of(connection).without_waiting(connection):
            return read_status(connection, bind, url, histories)
    except (SQLAlchemyError, OSError):
        return None


def sync_database(connection: Connection, run: Run, histories: Sequence[History]) -> DatabaseReport:
    """Bring a database to the state that the installed code expects.

    Where a rollback undoes DDL, everything, what plugins add included, is one transaction.

    Args:
        connection: a connection that is in no transaction.
        run: the run, which holds the lock.
        histories: the apps in the order in which they are synced.

    Raises:
        StateRefused: an app is in a state that only a person can resolve; nothing was changed.
        MigrationFailed: a revision raised.
    """
    with backend_of(connection).schema_transaction(connection, run.patience):
        found = _undoubted(connection, run, histories)
        run.hooks.before_sync(run.bind, connection, found)
        done = []
        for history, report in zip(histories, found.apps, strict=True):
            done.append(replace(report, result=_sync_app(connection, run, history, report)))
        result = replace(found, apps=tuple(done))
        run.hooks.after_sync(run.bind, connection, result)
        run.checkpoint()  # or another run may have begun meanwhile
        return result


def _sync_app(connection: Connection, run: Run, history: History, report: AppReport) -> SyncResult:
    if report.status is DatabaseStatus.UP_TO_DATE:
        return SyncResult.ALREADY_UP_TO_DATE
    if report.status is DatabaseStatus.NO_INFO:
        bootstrap(connection, run, history)
        return SyncResult.CREATED
    upgrade(connection, run, history)
    return SyncResult.UPGRADED


def create_database(connection: Connection, run: Run, histories: Sequence[History]) -> None:
    """Create the tables of every app that has none, and record its newest revision.

    Raises:
        StateRefused: there are tables already, and no revision says in which shape.
    """
    with backend_of(connection).schema_transaction(connection, run.patience):
        report = _undoubted(connection, run, histories)
        for history, app in zip(histories, report.apps, strict=True):
            if app.status is DatabaseStatus.NO_INFO:
                bootstrap(connection, run, history)
        run.checkpoint()


def upgrade_database(
    connection: Connection,
    run: Run,
    histories: Sequence[History],
    target: str,
    installed: Sequence[History] = (),
    *,
    tag: str | None = None,
    x: Sequence[str] = (),
) -> tuple[Movement, ...]:
    """Run the revisions up to ``target``, of every history that is given, and tell how far each was moved.

    Args:
        connection: a connection that is in no transaction.
        run: the run, which holds the lock.
        histories: the apps in the order in which they are synced.
        target: the revision.
        installed: all apps of the database; those that are needed and behind are told of.
        tag: what ``context.get_tag_argument()`` returns.
        x: what ``context.get_x_argument()`` returns.

    Raises:
        StateRefused: an app is in a state that only a person can resolve; nothing was changed.
        MigrationFailed: a revision raised.
    """
    run = replace(run, tag=tag, x=tuple(x))
    with backend_of(connection).schema_transaction(connection, run.patience):
        _undoubted(connection, run, histories)
        moved = [_move(connection, run, history, "upgrade", target) for history in histories]
        reached = tuple(replace(each, behind=_behind(connection, each, histories, installed)) for each in moved)
        run.checkpoint()
        return reached


def _behind(
    connection: Connection,
    moved: Movement,
    histories: Sequence[History],
    installed: Sequence[History],
) -> tuple[str, ...]:
    """Return the apps that one needs, and that were not moved with it although they are not at their heads."""
    needs = {need for history in histories if history.app == moved.app for need in history.needs}
    missing = needs - {history.app for history in histories}
    found = [replace(history, several_heads=True) for history in installed if history.app in missing]
    states = [read_app(connection, history) for history in found]
    return tuple(str(state.app) for state in states if state.status is not DatabaseStatus.UP_TO_DATE)


def downgrade_database(
    connection: Connection,
    run: Run,
    histories: Sequence[History],
    target: str,
    *,
    tag: str | None = None,
    x: Sequence[str] = (),
) -> tuple[Movement, ...]:
    """Undo the revisions after ``target``, of the last history first; otherwise as ``upgrade_database``."""
    run = replace(run, tag=tag, x=tuple(x))
    with backend_of(connection).schema_transaction(connection, run.patience):
        _undoubted(connection, run, histories)
        moved = [_move(connection, run, history, "downgrade", target) for history in reversed(histories)]
        run.checkpoint()
        return tuple(moved)


def _undoubted(connection: Connection, run: Run, histories: Sequence[History]) -> DatabaseReport:
    report = read_status(connection, run.bind, run.url, histories)
    refuse_doubtful(report)
    return report


def bootstrap(connection: Connection, run: Run, history: History) -> None:
    """Make the tables of a history in a database that has none of them."""
    if history.creates_from_models:
        create_tables(connection, run, history)
    else:
        upgrade(connection, run, history)


def create_tables(connection: Connection, run: Run, history: History) -> None:
    """Create the tables of a history that are not there, and record its newest revision.

    Raises:
        AppError: a foreign key points to a table that no app defines.
        DatabaseFailure: a revision was recorded while the tables were being created.
    """
    head = history.revisions.head() if history.revisions and history.revisions.heads() else None
    entry = None
    run.limits.apply()
    if history.journaled and head:
        entry = history.journal.begin(connection, "create", head)
        if not backend_of(connection).undoes_ddl:
            connection.commit()
    existing = ExistingTables(connection)
    try:
        for metadata, tables in history.metadatas.items():
            taken = existing.taken(tables)
            missing = [table for table in tables if table not in taken]
            metadata.create_all(connection, tables=missing, checkfirst=_unless_a_type_is_there())
    except NoReferencedTableError as error:
        raise AppError(f"app {history.app!r}: {error}") from error
    if head:
        if current_revisions(connection, history):  # its tables may have another shape than ours
            raise DatabaseFailure(
                f"another run has recorded a revision in {history.version_table} meanwhile; run again"
            )
        stamp(connection, history, head)
    if entry is not None:
        history.journal.finish(connection, entry)


def _unless_a_type_is_there() -> Any:
    """Return what ``create_all`` should look for: not for tables, each of which would cost a query."""
    try:
        from sqlalchemy.schema import CheckFirst
    except ImportError:  # pragma: no cover  # before SQLAlchemy 2.1 it is all or nothing
        return True
    return CheckFirst.SEQUENCES | CheckFirst.TYPES


def stamp(connection: Connection, history: History, *revisions: str) -> None:
    """Record that a database is at ``revisions``, without running anything."""
    from alembic.runtime.migration import MigrationContext

    assert history.revisions
    context = MigrationContext.configure(connection, opts=history.options())
    context.stamp(history.revisions.script, revisions)  # type: ignore[arg-type]  # several are taken as well


def upgrade(connection: Connection, run: Run, history: History, target: str = "heads") -> None:
    """Run the revisions that lead from where the database is to ``target``.

    Raises:
        MigrationFailed: a revision raised.
        AppError: ``target`` is not a revision of this history, or the folder's ``env.py`` failed to do it.
    """
    _move(connection, run, history, "upgrade", target)


def _move(connection: Connection, run: Run, history: History, action: str, target: str) -> Movement:
    if history.revisions is None:
        raise AppError(f"app {history.app!r} has no migrations")
    with history.revisions.told(target):
        script = history.revisions.script
    before = current_revisions(connection, history)
    find = script._upgrade_revs if action == "upgrade" else script._downgrade_revs
    revisions = take_steps(connection, history, run, action, lambda heads: find(target, heads))
    after = current_revisions(connection, history) if revisions else before
    return Movement(
        bind=run.bind, app=history.app, action=action, before=before, after=after, revisions=tuple(revisions)
    )
