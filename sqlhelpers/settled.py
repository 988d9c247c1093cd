"""Whether a sync has nothing to do: then it takes no lock, and its process imports little."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers import locks, sqlite
from sqlhelpers.dialects import undoes_ddl
from sqlhelpers.histories import read_status
from sqlhelpers.report import DatabaseStatus, SyncResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.histories import History
    from sqlhelpers.hooks import Hooks
    from sqlhelpers.report import DatabaseReport


def settled_report(
    engine: Engine, bind: str, url: str, histories: Sequence[History], hooks: Hooks
) -> DatabaseReport | None:
    """Look at a database once, and return what a sync would report if it is sure that it would change nothing.

    Whoever gets None takes the lock, and looks again.
    """
    takes_part = hooks.implements("sqlhelpers_before_sync", "sqlhelpers_after_sync")
    if takes_part or not histories or not locks.may_look_first(engine):
        return None
    with engine.connect() as connection:
        found = _read(connection, bind, url, histories)
        if found is None or any(each.status is not DatabaseStatus.UP_TO_DATE or each.detail for each in found.apps):
            return None
        if connection.dialect.driver != "aiosqlite":  # its thread may outlive the loop, if nobody waits for its end
            locks.close(connection)  # of many databases, it would stay open until the last is done
    return replace(found, apps=tuple(replace(each, result=SyncResult.ALREADY_UP_TO_DATE) for each in found.apps))


def _read(connection: Connection, bind: str, url: str, histories: Sequence[History]) -> DatabaseReport | None:
    """Return what is found; None if it cannot be read, which is for a run to tell of, or to wait for."""
    if not undoes_ddl(connection) and not all(each.revisions for each in histories):
        return None  # another run may be about to make the indexes of tables that are there
    try:
        with sqlite.without_waiting(connection) if connection.dialect.name == "sqlite" else nullcontext():
            return read_status(connection, bind, url, histories)
    except (SQLAlchemyError, OSError):
        return None
