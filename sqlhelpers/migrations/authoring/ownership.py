"""Whose the tables in a database are: a revision of one app drops nothing that another may need."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers import urls
from sqlhelpers.backends import TableName, backend_of
from sqlhelpers.exceptions import DatabaseFailure, Refused, SqlhelpersError
from sqlhelpers.migrations import create_schemas
from sqlhelpers.migrations.running import create_tables, upgrade
from sqlhelpers.migrations.state import ALEMBICS_OWN, JOURNAL, ExistingTables, read_journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import URL, Connection, Engine

    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.migrations.running import Run
    from sqlhelpers.migrations.state import History


class AuthorsDatabase(Protocol):
    """What the author of a revision needs of a database."""

    @property
    def bind(self) -> str:
        """Its name in the settings."""
        ...

    @property
    def settings(self) -> DatabaseSettings:
        """Its settings."""
        ...

    @property
    def url(self) -> URL:
        """Its URL, not yet resolved to a driver."""
        ...

    def histories_for_authors(self) -> Sequence[History]:
        """Return the histories, those included that have no revisions yet."""
        ...

    def alembic_alone(self) -> AbstractContextManager[None]:
        """Keep other runs of this process out, which would use the same Alembic."""
        ...

    def scratch(self, engine: Engine) -> AbstractContextManager[tuple[Connection, Run]]:
        """Connect to an empty database on the same server, with a run on it."""
        ...


@contextmanager
def migrated(
    connection: Connection,
    database: AuthorsDatabase,
    history: History,
    target: str = "heads",
) -> Iterator[tuple[Connection, frozenset[TableName]]]:
    """Connect to a scratch database in which the revisions of an app were run, up to ``target``.

    Yields:
        the connection, and the tables that the revisions have made and no model defines.

    Raises:
        Refused: the folder has an ``env.py`` of its own, which may use another database.
        DatabaseFailure: no scratch database can be made.
    """
    revisions = history.require_revisions()
    if revisions.has_environment:
        raise Refused(
            f"{revisions.folder}: its env.py may use another database than an empty one; "
            f"`sqlhelpers run-sync -d {database.bind}` brings the database to the newest revision to compare with"
        )
    histories = database.histories_for_authors()
    before = histories[: next(place for place, each in enumerate(histories) if each.app == history.app)]
    try:
        with database.scratch(connection.engine) as (empty, run):
            create_schemas(empty, [*before, history])
            with backend_of(empty).schema_transaction(empty, run.patience):
                for other in before:  # whose tables those of the app may refer to
                    create_tables(empty, run, replace(other, revisions=None))
                there = _unowned(empty, histories)
                upgrade(empty, run, history, target)
                made = _unowned(empty, histories) - there
            yield empty, frozenset(made)
    except SQLAlchemyError as error:
        reason = urls.scrub(str(getattr(error, "orig", None) or error), database.url)
        raise DatabaseFailure(f"database {database.bind!r}: no scratch database can be made: {reason}") from error


def droppable(
    connection: Connection,
    database: AuthorsDatabase,
    history: History,
) -> tuple[frozenset[TableName], tuple[str, ...]]:
    """Return the tables that no model defines and the app's revisions have made; and what is left alone, and why."""
    strangers = _unowned(connection, database.histories_for_authors())
    if not strangers:
        return frozenset(), ()
    try:
        with migrated(connection, database, history) as (_, made):
            known = frozenset(made & strangers)
        reason = ""
    except SqlhelpersError as error:
        known, reason = frozenset(), f" ({error})"
    known, notes = without_defined(history, known)
    left = [f"{line}: left alone{reason}" for line in _told(connection, database, strangers - known)]
    return known, (*left, *notes)


def without_defined(history: History, tables: Iterable[TableName]) -> tuple[frozenset[TableName], tuple[str, ...]]:
    """Return the tables that no module of the app's package seems to define, and a line for each other one.

    A model that is in no model module, and so was not imported, must not cost its table.
    """
    dropped, notes = set(tables), []
    for table in sorted(tables, key=str):
        file = _defining_file(history.package, table.name)
        if file is not None:
            dropped.discard(table)
            notes.append(
                f"{table.name}: left alone: {file} seems to define it, and is no model module of app {history.app!r} "
                f"(`models` under [tool.sqlhelpers.apps.{history.app}] names them)"
            )
    return frozenset(dropped), tuple(notes)


def _defining_file(package: str | None, name: str) -> Path | None:
    quoted = rf"[\"']{re.escape(name)}[\"']"
    of_sqlmodel = rf"(?i:class\s+{re.escape(name)}\([^)]*\btable\s*=\s*True)"
    defining = rf"__tablename__\b[^\n=]*=\s*(?i:{quoted})|\bTable\(\s*(?i:{quoted})|{of_sqlmodel}"
    pattern = re.compile(defining)
    folders = getattr(sys.modules.get(package or ""), "__path__", ())
    files = (file for folder in folders for file in sorted(Path(folder).rglob("*.py")) if "versions" not in file.parts)
    return next((file for file in files if pattern.search(file.read_text("utf-8", errors="replace"))), None)


def _unowned(connection: Connection, histories: Iterable[History]) -> set[TableName]:
    """Return the tables that no installed app defines, and that hold no position and no journal."""
    existing, there = ExistingTables(connection), inspect(connection).get_schema_names()
    naming = existing.naming
    known = {naming.of(table) for history in histories for table in history.tables}
    known |= {naming.normalised(history.position) for history in histories}
    schemas = {None, *(name.schema for name in known)} & {None, *map(naming.schema, there)}
    found = {naming.normalised(name) for schema in schemas for name in existing.names(schema)}
    return {name for name in found - known if name.name != JOURNAL and not name.name.startswith(ALEMBICS_OWN)}


def _told(connection: Connection, database: AuthorsDatabase, tables: Iterable[TableName]) -> Iterator[str]:
    """Yield a line for each app that is not installed, and one for the tables of nobody."""
    histories = database.histories_for_authors()
    installed = {history.app for history in histories}
    naming = backend_of(connection).naming(connection)
    places = {None, *(naming.schema(history.version_table_schema) for history in histories)}
    entries = (entry for place in places for entry in read_journal(connection, place))
    owners = {naming.normalised(TableName.parsed(name)): entry.app for entry in entries for name in entry.tables}
    by_owner: dict[str | None, list[str]] = {}
    for name in sorted(tables, key=str):
        owner = owners.get(name)
        by_owner.setdefault(owner if owner not in installed else None, []).append(str(name))
    for owner, names in by_owner.items():
        whose = f"of app {owner!r}, which is not installed" if owner else "of no installed app"
        yield f"{', '.join(names)} {whose}"
