"""The journal: one small table of ours beside a version table, which says what was run, and what was interrupted.

Alembic's version tables stay the truth about where a database is.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Text, TypeDecorator, inspect, select

from sqlhelpers.backends import built_in
from sqlhelpers.migrations.revisions import checksum_of
from sqlhelpers.reports import JournalEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection, Dialect, RowMapping
    from sqlalchemy.types import TypeEngine

#: The name of the table.
JOURNAL = "sqlhelpers_journal"


class _When(TypeDecorator[datetime]):
    """A time with microseconds. SQLAlchemy's ``with_variant`` would import MySQL's dialect for every database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(built_in(dialect.name).timestamp_type())


@cache
def table_in(schema: str | None) -> Table:
    """Return the journal's table in a schema; None for the connection's."""
    return Table(
        JOURNAL,
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("app", String(255), nullable=False),
        Column("action", String(20), nullable=False),
        Column("revision", String(255), nullable=False),
        Column("checksum", String(64)),
        Column("begun", _When, nullable=False),
        Column("finished", _When),
        Column("outcome", String(20)),
        Column("who", String(255), nullable=False),
        Column("version", String(50), nullable=False),
        Column("tables", Text, nullable=False),
        schema=schema,
    )


class Journal:
    """The entries of one app.

    Args:
        schema: the schema of the journal; None for the connection's.
        app: the app; None for a manager that was made without apps.
        tables: the names of its tables.
    """

    def __init__(self, schema: str | None, app: str | None, tables: Iterable[str] = ()) -> None:
        self._table = table_in(schema)
        self._app = app or ""
        self._tables = json.dumps(list(tables))

    def entries(self, connection: Connection) -> tuple[JournalEntry, ...]:
        """Return what was done to the app, the oldest first."""
        return tuple(entry for entry in read_journal(connection, self._table.schema) if (entry.app or "") == self._app)

    def interrupted(self, connection: Connection) -> JournalEntry | None:
        """Return the entry that was begun and not finished, if there is one; the journal's table must be there."""
        rows = select(self._table).where(self._table.c.app == self._app, self._table.c.outcome.is_(None))
        found = connection.execute(rows.order_by(self._table.c.id.desc()).limit(1)).mappings().first()
        return _entry(found) if found else None

    def ran(self, connection: Connection) -> dict[str, str]:
        """Return the checksum of every revision that ran here, as its file was when it ran the last time.

        The journal's table must be there.
        """
        entry = self._table.c
        done = (entry.app == self._app, entry.action == "upgrade", entry.outcome == "done", entry.checksum.is_not(None))
        rows = select(entry.revision, entry.checksum).where(*done).order_by(entry.id)
        return {revision: was for revision, was in connection.execute(rows)}  # noqa: C416  # rows are no tuples

    def begin(self, connection: Connection, action: str, revision: str, path: str | None = None) -> int:
        """Write that something begins, and return the number of the entry.

        Args:
            connection: a connection; the caller commits.
            action: what is done.
            revision: the revision that it is about.
            path: the file of the revision.
        """
        from sqlhelpers.backends import process_identity

        self._table.create(connection, checkfirst=True)
        result = connection.execute(
            self._table.insert().values(
                app=self._app,
                action=action,
                revision=revision,
                checksum=checksum(path) if path else None,
                begun=_now(),
                who=process_identity()[:255],
                version=version("sqlhelpers"),
                tables=self._tables,
            )
        )
        assert result.inserted_primary_key
        return int(result.inserted_primary_key[0])

    def finish(self, connection: Connection, number: int, outcome: str = "done") -> None:
        """Write that the entry ``number`` has ended."""
        changed = self._table.update().where(self._table.c.id == number)
        connection.execute(changed.values(finished=_now(), outcome=outcome))

    def discard(self, connection: Connection, number: int) -> None:
        """Take back an entry whose action has changed nothing."""
        connection.execute(self._table.delete().where(self._table.c.id == number))

    def forget(self, connection: Connection) -> None:
        """Remove the entries of the app, and the table if there are no others in it."""
        if _is_there(connection, self._table):
            connection.execute(self._table.delete().where(self._table.c.app == self._app))
            if connection.execute(select(self._table.c.id).limit(1)).first() is None:
                self._table.drop(connection)


def read_journal(connection: Connection, schema: str | None) -> tuple[JournalEntry, ...]:
    """Return what was done to every app whose journal is in ``schema``, the oldest first."""
    table = table_in(schema)
    if not _is_there(connection, table):
        return ()
    found = connection.execute(select(table).order_by(table.c.id)).mappings()
    return tuple(map(_entry, found))


def _entry(row: RowMapping) -> JournalEntry:
    return JournalEntry(**{**row, "app": row["app"] or None, "tables": tuple(json.loads(row["tables"]))})


def _is_there(connection: Connection, table: Table) -> bool:
    return inspect(connection).has_table(table.name, table.schema)


def checksum(path: str) -> str | None:
    """Return the checksum of a revision file, whatever its line ends are; None if it has no source."""
    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        return None
    return checksum_of(file.read_bytes())


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
