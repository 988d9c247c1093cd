"""What a person decides about a database: to adopt, stamp, repair, drop or retire.

Each decision is carried out on a connection that is in no transaction, by a run that holds the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import MetaData, inspect

from sqlhelpers.backends import TableName, backend_of
from sqlhelpers.exceptions import AppError, Refused
from sqlhelpers.migrations.running import stamp
from sqlhelpers.migrations.state import (
    ALEMBICS_OWN,
    JOURNAL,
    ExistingTables,
    Journal,
    current_revisions,
    differences,
    misplaced,
    read_app,
    version_rows,
    version_table_of,
)
from sqlhelpers.reports import DatabaseStatus, Movement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from sqlhelpers.migrations.running import Run
    from sqlhelpers.migrations.state import History
    from sqlhelpers.reports import AppReport, JournalEntry

    #: Returns how the tables of a database differ from those that a revision makes.
    Comparison = Callable[[Connection, History, str], tuple[str, ...]]


def adopt(
    connection: Connection,
    run: Run,
    history: History,
    revision: str | None,
    compare: Comparison,
) -> tuple[str, ...]:
    """Record a revision for tables that are there already, if they are as it makes them.

    A position that stands in ``alembic_version`` is moved into the history's own table instead. Without a ``revision``
    it is the newest, whose tables are those of the models.

    Returns:
        the differences; empty if the revision was recorded.

    Raises:
        Refused: the history has no tables in the database, or a revision is recorded already.
        AppError: there is no such revision.
    """
    revisions = history.require_revisions()
    if revision is not None:
        named = revisions.resolve(revision)
        if len(named) != 1:
            raise AppError(f"app {history.app!r}: tables are at one revision, and {revision!r} is {len(named)}")
        revision = named[0]
    found = compare(connection, history, revision) if revision else ()  # in a database of its own
    connection.rollback()
    with backend_of(connection).schema_transaction(connection, run.patience):
        report = read_app(connection, history)
        if report.status is not DatabaseStatus.UNVERSIONED:
            raise Refused(_nothing_to_adopt(report))
        elsewhere = misplaced(connection, history)
        if elsewhere:
            _move_position(connection, history, elsewhere)
            return ()
        if revision is None:
            found = differences(connection, history)
        if not found:
            wanted = revision or revisions.head()
            stamp(connection, history, wanted)
            _write(connection, history, "adopt", wanted)
        return found


def stamp_position(
    connection: Connection,
    run: Run,
    histories: Sequence[History],
    revisions: Sequence[str],
    *,
    purge: bool,
) -> tuple[Movement, ...]:
    """Record revisions on a person's word: nothing is run, and nothing is compared.

    They are in Alembic's words, ``base`` for none. With ``purge``, what is recorded is forgotten first, also what the
    code does not know.

    Raises:
        Refused: a revision was interrupted, is recorded elsewhere, or is unknown; nothing was changed.
        AppError: there is no such revision.
    """
    with backend_of(connection).schema_transaction(connection, run.patience):
        found = [_refuse_stamp(connection, history, purge=purge) for history in histories]
        moved = []
        for history, before in zip(histories, found, strict=True):
            with history.require_revisions().told(*revisions):
                if purge and before:
                    connection.execute(version_rows(history.version_table, history.version_table_schema).delete())
                stamp(connection, history, *revisions)
            after = current_revisions(connection, history)
            _write(connection, history, "stamp", ", ".join(after)[:255] or "base")
            moved.append(Movement(bind=run.bind, app=history.app, action="stamp", before=before, after=after))
        run.checkpoint()
        return tuple(moved)


def _refuse_stamp(connection: Connection, history: History, *, purge: bool) -> tuple[str, ...]:
    """Return what is recorded, if it may be changed."""
    revisions = history.require_revisions()
    backend_of(connection).refuse_hidden_tables(connection, [history.version_table])
    report = read_app(connection, history)
    unknown = revisions.unknown(report.current)
    is_elsewhere = not report.current and misplaced(connection, history)
    if report.status is DatabaseStatus.INTERRUPTED or is_elsewhere:
        raise Refused(f"app {history.name}: {report.detail}")
    if unknown and not purge:
        raise Refused(f"app {history.name}: {report.detail}; or --purge, which forgets it")
    return report.current


def _move_position(connection: Connection, history: History, revisions: Sequence[str]) -> None:
    stamp(connection, history, *revisions)
    old = version_rows(ALEMBICS_OWN, history.version_table_schema)
    connection.execute(old.delete().where(old.c.version_num.in_(revisions)))
    _write(connection, history, "adopt", ", ".join(revisions))


def _write(connection: Connection, history: History, action: str, revision: str) -> None:
    if history.journaled:
        entry = history.journal.begin(connection, action, revision)
        history.journal.finish(connection, entry)


def _nothing_to_adopt(report: AppReport) -> str:
    name = f"app {report.app!r}" if report.app else "this database"
    if report.status is DatabaseStatus.NO_INFO:
        return f"{name} has no tables to adopt; `sqlhelpers run-sync` creates them"
    if report.status is DatabaseStatus.INTERRUPTED:
        return f"{name}: {report.detail}"
    return (
        f"{name} has a revision recorded: {', '.join(report.current)}; {report.detail or 'there is nothing to adopt'}"
    )


def repair(connection: Connection, run: Run, history: History, *, applied: bool) -> tuple[str, ...]:
    """Take a person's word about a revision that was begun and not finished.

    It is that all that the revision does was ``applied`` by hand, or that all that it had done was undone.

    Returns:
        the differences between the tables and the models, if it was their creation that was interrupted and they
        are not all there; empty if the word was taken.

    Raises:
        Refused: nothing was interrupted.
    """
    with backend_of(connection).schema_transaction(connection, run.patience):
        place = TableName(history.version_table_schema, JOURNAL)
        is_there = history.journaled and ExistingTables(connection).has(place)
        entry = history.journal.interrupted(connection) if is_there else None
        if entry is None:
            name = f"of app {history.app!r} " if history.app else ""
            raise Refused(f"no revision {name}was interrupted in this database, so there is nothing to repair")
        if applied:
            found = differences(connection, history) if entry.action == "create" else ()
            if found:
                return found
            stamp(connection, history, *_position_after(history, entry))
        history.journal.finish(connection, entry.id, "applied" if applied else "rolled back")
        return ()


def _position_after(history: History, entry: JournalEntry) -> tuple[str, ...]:
    revisions = history.require_revisions()
    if revisions.unknown([entry.revision]):
        raise AppError(f"revision {entry.revision} is not in {revisions.folder} any more")
    return revisions.before(entry.revision) if entry.action == "downgrade" else (entry.revision,)


def drop(connection: Connection, run: Run, histories: Sequence[History]) -> None:
    """Drop the record of the histories' positions, their tables and their journal, and nothing else.

    In this order: where DDL cannot be undone, a drop that is interrupted leaves tables without a revision, which no
    run takes for a database that is up to date.

    Raises:
        AppError: a history has migrations but no models, so nobody knows its tables.
        Refused: other tables refer to some of them.
    """
    for history in histories:
        if history.revisions and not history.tables:
            raise AppError(f"{history.revisions.folder} has no models beside it that would tell what to drop")
    with backend_of(connection).schema_transaction(connection, run.patience):
        _refuse_referenced(connection, [table for history in histories for table in history.tables])
        for history in histories:
            _forget_position(connection, history)
        for history in reversed(histories):
            for metadata, tables in history.metadatas.items():
                metadata.drop_all(connection, tables=tables)
            history.journal.forget(connection)
        run.checkpoint()


def _refuse_referenced(connection: Connection, tables: Collection[Table]) -> None:
    """Raise before anything is dropped if tables that stay have foreign keys to those that go."""
    naming = backend_of(connection).naming(connection)
    going = {naming.of(table) for table in tables}
    for schema in {None, *(name.schema for name in going)}:
        for place, keys in inspect(connection).get_multi_foreign_keys(schema=schema).items():
            child = TableName(*place)
            for key in keys if naming.normalised(child) not in going else ():
                parent = TableName(key["referred_schema"], key["referred_table"])
                if naming.normalised(parent) in going:
                    raise Refused(
                        f"table {child.name} has a foreign key to {parent.name}: drop the table or the key first"
                    )


def _forget_position(connection: Connection, history: History) -> None:
    """Remove a history's rows from its version table, and the table if no one else has a row in it."""
    versions = version_rows(history.version_table, history.version_table_schema)
    rows = current_revisions(connection, history)
    if rows and history.revisions is not None:
        foreign = history.revisions.unknown(rows) if history.version_table == ALEMBICS_OWN else ()
        if foreign:
            connection.execute(versions.delete().where(versions.c.version_num.not_in(foreign)))
            return
    versions.drop(connection, checkfirst=True)


def retire(connection: Connection, run: Run, app: str, installed: Sequence[History], *, drop_tables: bool) -> None:
    """Remove what records the position of an app that is not installed any more.

    With ``drop_tables`` its tables go as well, which the journal knows; those of ``installed`` apps are never dropped.

    Raises:
        Refused: nothing here belongs to such an app, or the journal does not know its tables.
    """
    version_table = version_table_of(app)
    with backend_of(connection).schema_transaction(connection, run.patience):
        naming = backend_of(connection).naming(connection)
        schemas = sorted({None, *(naming.schema(each.version_table_schema) for each in installed)}, key=str)
        found = [schema for schema in schemas if inspect(connection).has_table(version_table, schema)]
        journals = [journal for schema in schemas if (journal := Journal(schema, app)).entries(connection)]
        if not found and not journals:
            raise Refused(f"there is no trace of an app {app!r} in this database")
        if drop_tables:
            if not journals:
                raise Refused(f"the journal does not know which tables app {app!r} had; drop them by hand")
            kept = {naming.of(table) for each in installed for table in each.tables}
            kept |= {naming.normalised(each.position) for each in installed}
            names = [TableName.parsed(name) for journal in journals for name in journal.entries(connection)[-1].tables]
            _drop_by_name(connection, {naming.normalised(name) for name in names} - kept)
        for schema in found:
            version_rows(version_table, schema).drop(connection)
        for journal in journals:
            journal.forget(connection)
        run.checkpoint()


def _drop_by_name(connection: Connection, names: Iterable[TableName]) -> None:
    found, existing = MetaData(), ExistingTables(connection)
    for schema, name in names:
        # a search path may find a table of the same name in another schema
        called = existing.called(TableName(schema or existing.naming.default_schema, name))
        if called:
            found.reflect(connection, schema=called.schema, only=[called.name], resolve_fks=False)
    _refuse_referenced(connection, found.tables.values())
    found.drop_all(connection)
