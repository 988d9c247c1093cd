"""``check``: everything about a database that is not as the installed code expects."""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from sqlhelpers.backends import backend_of
from sqlhelpers.engines import make_scratch_engine
from sqlhelpers.exceptions import MultipleHeads, Refused, SqlhelpersError
from sqlhelpers.migrations.running import create_tables, upgrade
from sqlhelpers.migrations.state import differences, read_app, shape, shape_differences
from sqlhelpers.reports import DatabaseStatus, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.discovery import Hooks
    from sqlhelpers.migrations.running import Run
    from sqlhelpers.migrations.state import History
    from sqlhelpers.reports import AppReport

    #: Opens an empty database, with a run on it.
    Scratch = Callable[[], AbstractContextManager[tuple[Connection, Run]]]

_log = logging.getLogger(__name__)

#: How the names of scratch databases begin.
PREFIX = "sqlhelpers_scratch_"


@contextmanager
def scratch_database(engine: Engine, bind: str, settings: DatabaseSettings, hooks: Hooks) -> Iterator[Connection]:
    """Connect to an empty database on the server of ``engine``; for SQLite it is in memory.

    Raises:
        SQLAlchemyError: the role may not create databases.
    """
    name = PREFIX + secrets.token_hex(6)

    def make(database: str | None) -> Engine:
        aio = database is not None and engine.dialect.is_async
        return make_scratch_engine(bind, settings, hooks, database, aio=aio)

    def failed(reason: str) -> None:
        _log.warning("the scratch database %s could not be dropped: %s", name, reason)

    with backend_of(engine).scratch(engine, name, make, failed) as connection:
        yield connection


def create_schemas(connection: Connection, histories: Iterable[History]) -> None:
    """Create the schemas that tables and positions of the histories are in, which revisions find there as a rule.

    Raises:
        Refused: a schema is a database, so that revisions would change the one that is in use.
    """
    backend = backend_of(connection)
    found = {table.schema for history in histories for table in history.tables}
    names = sorted(filter(None, found | {history.version_table_schema for history in histories}))
    if names and backend.schemas_are_databases:
        raise Refused(f"what names its database ({', '.join(names)}) is not made in an empty one")
    for name in names if backend.has_schemas else ():
        connection.execute(CreateSchema(name, if_not_exists=True))
    connection.commit()


def check_database(connection: Connection, histories: Sequence[History], scratch: Scratch) -> tuple[Finding, ...]:
    """Return what is wrong with a database; ``scratch`` opens empty ones, to create the tables in, and to migrate."""
    findings: list[Finding] = []
    for history in histories:
        try:
            report = read_app(connection, history)
        except MultipleHeads as error:
            findings.append(Finding(app=history.app, kind="heads", text=str(error)))
            continue
        findings += _of_state(report, history)
        if report.status is DatabaseStatus.UP_TO_DATE:
            found = differences(connection, history)
            findings += (Finding(app=history.app, kind="drift", text=line) for line in found)
    if not any(finding.kind == "heads" for finding in findings):
        findings += _of_fresh_and_migrated(histories, scratch)
    return tuple(findings)


def _of_state(report: AppReport, history: History) -> Iterator[Finding]:
    kinds = {
        DatabaseStatus.AHEAD: "unknown",
        DatabaseStatus.UNVERSIONED: "unversioned",
        DatabaseStatus.INTERRUPTED: "interrupted",
    }
    if report.status in kinds:
        yield Finding(app=report.app, kind=kinds[report.status], text=report.detail)
    elif report.status is DatabaseStatus.NO_INFO:
        yield Finding(
            app=report.app, kind="unapplied", text="its tables are not there yet; `sqlhelpers run-sync` creates them"
        )
    elif report.status is DatabaseStatus.UPGRADE_AVAILABLE:
        text = f"not run yet: {', '.join(report.pending)}; `sqlhelpers run-sync` runs them"
        yield Finding(app=report.app, kind="unapplied", text=text)
    for revision in report.edited:
        file = history.require_revisions().path(revision)
        text = f"revision {revision} was edited after it ran here ({file})"
        yield Finding(app=report.app, kind="edited", text=text)


def _of_fresh_and_migrated(histories: Sequence[History], scratch: Scratch) -> Iterator[Finding]:
    """Yield how a database that is created from the models differs from one that is migrated from nothing."""
    compared = [history for history in histories if _is_comparable(history)]
    for history in histories:
        if history.tables and history.revisions and history not in compared:
            text = "created and migrated tables were not compared: the folder's env.py may use another database"
            yield Finding(app=history.app, kind="skipped", text=text)
    if not compared:
        return
    try:
        created = _shapes(histories, scratch, by_revisions=())
        migrated = _shapes(histories, scratch, by_revisions=compared)
    except (SQLAlchemyError, OSError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        text = f"created and migrated tables were not compared: no scratch database can be made: {reason}"
        yield Finding(app=None, kind="skipped", text=text)
        return
    except Refused as error:
        yield Finding(app=None, kind="skipped", text=f"created and migrated tables were not compared: {error}")
        return
    except SqlhelpersError as error:
        yield Finding(app=None, kind="missing_revision", text=f"an empty database cannot be set up: {error}")
        return
    for history, found, wanted in zip(histories, migrated, created, strict=True):
        for line in shape_differences(found, wanted, "in the models"):
            yield Finding(app=history.app, kind="missing_revision", text=f"after all revisions, {line}")


def _is_comparable(history: History) -> bool:
    return bool(history.tables and history.revisions and not history.revisions.has_environment)


def _shapes(histories: Sequence[History], scratch: Scratch, by_revisions: Sequence[History]) -> list[dict[str, str]]:
    with scratch() as (connection, run):
        create_schemas(connection, histories)
        with backend_of(connection).schema_transaction(connection, run.patience):
            for history in histories:
                if history in by_revisions:
                    upgrade(connection, run, history)
                elif history.tables:
                    create_tables(connection, run, replace(history, revisions=None))
            return [shape(connection, history.tables) for history in histories]


def compare_with_revision(
    connection: Connection,
    history: History,
    revision: str,
    others: Sequence[History],
    scratch: Scratch,
) -> tuple[str, ...]:
    """Return how the tables in a database differ from those that the revisions up to ``revision`` make.

    These are run where ``scratch`` opens an empty database; ``others`` are the apps that their tables may refer to.
    """
    with scratch() as (empty, run):
        create_schemas(empty, [history, *others])
        with backend_of(empty).schema_transaction(empty, run.patience):
            for other in others:
                create_tables(empty, run, replace(other, revisions=None))
            upgrade(empty, run, history, revision)
            wanted = shape(empty, history.tables)
    return shape_differences(shape(connection, history.tables), wanted, f"at revision {revision}")
