"""Where a database is beside the installed code: revisions, drift, what was left behind, a run that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect

from sqlhelpers.migrations.state import apps_of_version_tables, differences
from sqlhelpers.reports import DatabaseStatus, Diagnosis
from sqlhelpers_doctor import mysql, postgresql
from sqlhelpers_doctor.findings import UNDECIDED, Examined, counted, error, listed, note, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection

    from sqlhelpers.migrations.state import History
    from sqlhelpers.reports import AppReport

#: What is asked of the servers of each dialect.
SERVERS = {"postgresql": postgresql, "mysql": mysql, "mariadb": mysql}

_SHOWN = 5  # lines of drift


def examine_lock(holder: str) -> Iterator[Diagnosis]:
    """Yield whether a run is under way."""
    if holder:
        yield note("lock", f"a run is under way: {holder}", "wait for its end, and run `sqlhelpers doctor` again")
    else:
        yield ok("lock", "no run is under way")


def examine_states(states: Sequence[tuple[History, AppReport]], holder: str) -> Iterator[Diagnosis]:
    """Yield for each app which revision its tables are at, and what a run would do about it."""
    for history, report in states:
        app = report.app or "-"
        at = f" at {', '.join(report.current)}" if report.current else ""
        if report.detail:
            text, _, step = report.detail.partition(": ")
            if holder and report.status is DatabaseStatus.INTERRUPTED:
                yield note("revisions", f"{app}: {text}", "it may be the run that is under way")
            else:
                yield error("revisions", f"{app}: {text}", step, UNDECIDED)
        elif report.status is DatabaseStatus.NO_INFO:
            yield note("revisions", f"{app}: its tables are not there yet", "sqlhelpers run-sync")
        elif report.status is DatabaseStatus.UPGRADE_AVAILABLE:
            pending = f"{counted(len(report.pending), 'revision')} to run ({listed(report.pending)})"
            yield note("revisions", f"{app}: behind{at}: {pending}", "sqlhelpers run-sync")
        else:
            yield ok("revisions", f"{app}: up to date{at}, {counted(report.tables, 'table')}")
        for revision in report.edited if not history.strict else ():
            file = history.require_revisions().path(revision)
            said = f"{app}: revision {revision} was edited after it ran here ({file})"
            yield warning("revisions", said, "put the file back as it was, and write a new revision")


def examine_drift(connection: Connection, states: Sequence[tuple[History, AppReport]]) -> Iterator[Diagnosis]:
    """Yield how the tables of the apps that are up to date differ from their models."""
    compared = [history for history, report in states if report.status is DatabaseStatus.UP_TO_DATE and history.tables]
    found = [(history, line) for history in compared for line in differences(connection, history)]
    for history, line in found[:_SHOWN]:
        step = "write a revision, or correct the model; `sqlhelpers check` compares more"
        yield warning("drift", f"{history.app or '-'}: {line}", step)
    if len(found) > _SHOWN:
        yield warning("drift", f"and {len(found) - _SHOWN} more differences", "`sqlhelpers check` lists all of them")
    if compared and not found:
        yield ok("drift", "none: the tables are as the models have them")


def examine_leftovers(connection: Connection, examined: Examined) -> Iterator[Diagnosis]:
    """Yield what apps that are gone, and checks that were killed, have left behind."""
    known = {history.version_table for history in examined.histories}
    for table, app in apps_of_version_tables(inspect(connection).get_table_names()).items():
        if table in known or app in examined.unusable:
            continue
        step = f"install the app again, or `sqlhelpers retire {app} -d {examined.bind}`"
        yield note("leftovers", f"{table} belongs to an app that is not installed", step)
    server = SERVERS.get(connection.dialect.name)
    for name in server.scratch_databases(connection) if server else ():
        step = f"DROP DATABASE {name}, unless `sqlhelpers check` runs just now"
        yield note("leftovers", f"the scratch database {name} was left by a check that was killed", step)
