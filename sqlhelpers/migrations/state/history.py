"""``History``: one app's tables and revisions, and in which state a database is compared with them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, MetaData, String, Table, inspect, select

from sqlhelpers.backends import TableName, backend_of
from sqlhelpers.exceptions import AppError, Refused, StateRefused
from sqlhelpers.migrations.state.journal import JOURNAL, Journal
from sqlhelpers.reports import AppReport, DatabaseReport, DatabaseStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy.engine import URL, Connection

    from sqlhelpers.backends import Naming
    from sqlhelpers.config import Bootstrap
    from sqlhelpers.migrations.revisions import Revisions
    from sqlhelpers.reports import JournalEntry


class ExistingTables:
    """The tables that a database has when it is asked for the first time."""

    def __init__(self, connection: Connection) -> None:
        self.naming: Naming = backend_of(connection).naming(connection)
        self._inspector = inspect(connection)
        self._hides_tables = backend_of(connection).hides_tables
        self._tables: dict[str | None, dict[TableName, TableName]] = {}
        self._views: dict[str | None, dict[TableName, TableName]] = {}

    def names(self, schema: str | None = None) -> Iterable[TableName]:
        """Return the tables in a schema, None for the connection's, as the database calls them."""
        return self._listed(self._tables, self._inspector.get_table_names, schema).values()

    def _listed(
        self,
        known: dict[str | None, dict[TableName, TableName]],
        names: Callable[[str | None], Iterable[str]],
        schema: str | None,
    ) -> dict[TableName, TableName]:
        """Return what there is in a schema as it is called, by the one name of each."""
        if schema not in known:
            called = self.schema_called(schema)
            found = (TableName(called, name) for name in names(called))
            known[schema] = {self.naming.normalised(name): name for name in found}
        return known[schema]

    def schema_called(self, schema: str | None) -> str | None:
        """Return how the database itself calls a schema, if it is there."""
        if schema is None or schema == self.naming.folded(schema):
            return schema
        there = self._inspector.get_schema_names()
        return next((name for name in there if self.naming.folded(name) == self.naming.folded(schema)), schema)

    def called(self, name: TableName) -> TableName | None:
        """Return how the database itself calls a table, in the schema that the name says; None if it is not there."""
        listed = self._listed(self._tables, self._inspector.get_table_names, name.schema)
        return listed.get(self.naming.normalised(name))

    def has(self, name: TableName) -> bool:
        """Tell whether there is such a table."""
        if self.called(name):
            return True
        # MySQL leaves out what the role may not read, which is an error when it is asked for by name
        return self._hides_tables and self._inspector.has_table(name.name, name.schema)

    def reflectable(self, table: Table) -> TableName | None:
        """Return how the database calls a model's table, or a view in its place; None if there is neither."""
        name = TableName.of(table)
        views = partial(self._listed, self._views, self._inspector.get_view_names)
        found = self.called(name) or views(name.schema).get(self.naming.normalised(name))
        return found or (name if self.has(name) else None)

    def taken(self, tables: Iterable[Table]) -> list[Table]:
        """Return those of the tables whose names are taken, by a table or by a view."""
        return [table for table in tables if self.reflectable(table)]


#: The version table of an app that does not have one of its own.
ALEMBICS_OWN = "alembic_version"
_PREFIX = "alembic_version_"
#: The name of a history that belongs to no app.
NO_APP = "-"


def version_table_of(app: str) -> str:
    """Return the name of the table that holds an app's position, unless it is set."""
    return f"{_PREFIX}{app}"


def apps_of_version_tables(names: Iterable[str]) -> dict[str, str]:
    """Return those of the tables which hold positions of apps, each with the name of its app."""
    return {name: name.removeprefix(_PREFIX) for name in sorted(names) if name.startswith(_PREFIX)}


@dataclass(frozen=True, kw_only=True)
class History:
    """One app's tables and revisions, and where a database records its position among them.

    Attributes:
        app: the app's name; None for a manager that was made without apps.
        package: the app's import package, if it has one.
        tables: the tables that the app owns.
        modules: the module that defines each of them, as far as it is known.
        revisions: its revisions; None if it has no migrations.
        version_table: where the position is recorded.
        version_table_schema: the schema of that table; None for the connection's.
        bootstrap: how an empty database gets the tables.
        shares_alembics_own: whether another app of this database has its position in ``alembic_version``; rows
            there are then that app's, even where revisions of this one have the same names.
        url: the database's URL for an ``env.py`` that connects for itself.
        journaled: whether the journal is kept.
        strict: whether a revision file that was edited after it ran is refused.
        needs: the names of the apps that come before this one.
        several_heads: whether several heads are no mistake, because somebody says which way to go.
    """

    app: str | None = None
    package: str | None = None
    tables: tuple[Table, ...] = field(default=(), repr=False)
    modules: Mapping[Table, str] = field(default_factory=dict, repr=False)
    revisions: Revisions | None = field(default=None, repr=False)
    version_table: str = ALEMBICS_OWN
    version_table_schema: str | None = None
    bootstrap: Bootstrap = "models"
    shares_alembics_own: bool = False
    url: URL | None = field(default=None, repr=False)
    journaled: bool = True
    strict: bool = False
    needs: tuple[str, ...] = ()
    several_heads: bool = False

    @property
    def name(self) -> str:
        """What the app is called where it has to be called something: ``-`` where there is no app."""
        return self.app or NO_APP

    def require_revisions(self) -> Revisions:
        """Return the revisions.

        Raises:
            AppError: the app has no migrations.
        """
        if self.revisions is None:
            raise AppError(f"app {self.app!r} has no migrations")
        return self.revisions

    def heads(self) -> tuple[str, ...]:
        """Return the newest revisions; none without migrations.

        Raises:
            MultipleHeads: there are several, and that is a mistake.
            MigrationsNotFound: there is none.
        """
        if self.revisions is None:
            return ()
        return self.revisions.heads() if self.several_heads else (self.revisions.head(),)

    @property
    def position(self) -> TableName:
        """The name of the version table."""
        return TableName(self.version_table_schema, self.version_table)

    @property
    def journal(self) -> Journal:
        """The app's entries in the journal."""
        return Journal(self.version_table_schema, self.app, [str(TableName.of(table)) for table in self.tables])

    @property
    def metadatas(self) -> dict[MetaData, list[Table]]:
        """The tables by the ``MetaData`` that they are in."""
        found: dict[MetaData, list[Table]] = defaultdict(list)
        for table in self.tables:
            found[table.metadata].append(table)
        return found

    @property
    def creates_from_models(self) -> bool:
        """Whether an empty database gets the tables from the models. Without models only revisions can tell."""
        return bool(self.tables) and (self.revisions is None or self.bootstrap == "models")

    def options(self) -> dict[str, Any]:
        """Return what Alembic's ``configure`` needs to know of this history."""
        return {
            # a list hides the naming convention from op.create_table()
            "target_metadata": next(iter(self.metadatas)) if len(self.metadatas) == 1 else list(self.metadatas),
            "version_table": self.version_table,
            "version_table_schema": self.version_table_schema,
            "compare_type": True,
            "compare_server_default": True,
        }


def refuse_shared(naming: Naming, bind: str, histories: Sequence[History]) -> None:
    """Raise if two apps of a database mean one table, whatever each calls it.

    Args:
        naming: which names mean the same table there.
        bind: the name of the database.
        histories: the apps.

    Raises:
        AppError: naming both apps.
    """
    if len(histories) < 2:  # noqa: PLR2004  # it takes two
        return
    from sqlhelpers.discovery import Claim, shared_tables  # which a manager without apps does not need

    definitions = (
        (naming.of(table), table.fullname, Claim(history.name, history.modules.get(table, "?"), bind))
        for history in histories
        for table in history.tables
    )
    for error in shared_tables(definitions):
        raise error
    places = [naming.normalised(history.position) for history in histories]
    for history, place in zip(histories, places, strict=True):
        if places.count(place) > 1:
            raise AppError(f"two histories in database {bind!r} share the version table {history.version_table}")


def current_revisions(
    connection: Connection,
    history: History,
    existing: ExistingTables | None = None,
) -> tuple[str, ...]:
    """Return the revisions that a database is at, sorted; empty if none is recorded."""
    existing = existing or ExistingTables(connection)
    if not existing.has(history.position):
        return ()
    rows = version_rows(history.version_table, history.version_table_schema)
    return tuple(sorted(connection.scalars(select(rows.c.version_num))))


def single_revision(revisions: Sequence[str]) -> str | None:
    """Return the only revision, or None for none.

    Raises:
        AppError: there are several.
    """
    if len(revisions) > 1:
        raise AppError(f"the database is at several revisions: {', '.join(revisions)}")
    return revisions[0] if revisions else None


def version_rows(version_table: str, schema: str | None) -> Table:
    """Return a version table, whether it is there or not."""
    return Table(version_table, MetaData(), Column("version_num", String(32)), schema=schema)


def read_status(connection: Connection, bind: str, url: str, histories: Sequence[History]) -> DatabaseReport:
    """Return the state of every app in a database, and change nothing.

    Args:
        connection: a connection to the database.
        bind: the name of the database.
        url: its URL as it may be shown.
        histories: the apps in the order in which they are synced.

    Raises:
        AppError: two apps define one table of this database.
        MultipleHeads: an app's history has several heads.
        PermissionError: tables are hidden from the role that is connected.
    """
    names = {table.name for history in histories for table in history.tables}
    backend_of(connection).refuse_hidden_tables(connection, names | {history.version_table for history in histories})
    existing = ExistingTables(connection)
    refuse_shared(existing.naming, bind, histories)
    reports = tuple(read_app(connection, history, existing) for history in histories)
    folded = existing.naming.folded
    known = {folded(history.version_table) for history in histories}
    versions = apps_of_version_tables(each.name for each in existing.names())
    orphaned_version_tables = tuple(name for name in versions if folded(name) not in known)
    return DatabaseReport(bind=bind, url=url, apps=reports, orphaned_version_tables=orphaned_version_tables)


def read_app(connection: Connection, history: History, existing: ExistingTables | None = None) -> AppReport:
    """Return the state of one app in a database, and change nothing."""
    existing = existing or ExistingTables(connection)
    heads = history.heads()
    current = current_revisions(connection, history, existing)
    blank = AppReport(
        app=history.app,
        status=DatabaseStatus.NO_INFO,
        current=current,
        heads=heads,
        tables=len(history.tables),
    )
    has_journal = history.journaled and existing.has(TableName(history.version_table_schema, JOURNAL))
    journal = history.journal if has_journal else None
    entry = journal.interrupted(connection) if journal else None
    if entry is not None:
        return replace(blank, status=DatabaseStatus.INTERRUPTED, detail=_why_interrupted(history, entry))
    if current:
        then = journal.ran(connection) if journal else {}
        return _read_files(history, then, _read_versioned(history, blank))
    found = [table.fullname for table in existing.taken(history.tables)]
    if history.revisions is None:
        complete = len(found) == len(history.tables)
        return replace(blank, status=DatabaseStatus.UP_TO_DATE) if complete else blank
    reason = _why_unversioned(history, found, misplaced(connection, history, existing))
    if reason:
        return replace(blank, status=DatabaseStatus.UNVERSIONED, detail=reason)
    return replace(blank, pending=history.revisions.between((), "heads"))


def _read_versioned(history: History, report: AppReport) -> AppReport:
    name = history.app or "the installed code"
    unknown = history.revisions.unknown(report.current) if history.revisions else report.current
    if unknown or history.revisions is None:
        detail = (
            f"the database is at revision {', '.join(unknown)}, which {name} does not have: "
            f"install the version of {name} that has it, or downgrade with that version"
        )
        return replace(report, status=DatabaseStatus.AHEAD, detail=detail)
    pending = history.revisions.between(report.current, "heads")
    status = DatabaseStatus.UPGRADE_AVAILABLE if pending else DatabaseStatus.UP_TO_DATE
    return replace(report, status=status, pending=pending)


def _why_interrupted(history: History, entry: JournalEntry) -> str:
    what = f"{entry.action} of revision {entry.revision}" if entry.action != "create" else "creation of its tables"
    repair = f"`sqlhelpers repair {history.app or ''}".rstrip()
    return (
        f"the {what} was begun at {entry.begun:%Y-%m-%d %H:%M:%S} UTC by {entry.who} and has not been finished: "
        f"unless it is still under way, complete by hand what it has begun and run {repair} --applied`, "
        f"or undo it and run {repair} --rolled-back`"
    )


def _read_files(history: History, then: Mapping[str, str], report: AppReport) -> AppReport:
    """Add to a report which revision files are not as they were when they ran; ``then`` has their checksums."""
    known = history.revisions.files() if history.revisions and then else {}
    edited = tuple(each for each, was in then.items() if each in known and known[each].checksum != was)
    if edited and history.strict and not report.detail:
        files = ", ".join(known[revision].path for revision in edited)
        detail = f"edited after it ran here (strict): {files}; put it back as it was, and write a new revision"
        return replace(report, edited=edited, detail=detail)
    return replace(report, edited=edited)


def misplaced(
    connection: Connection,
    history: History,
    existing: ExistingTables | None = None,
) -> tuple[str, ...]:
    """Return the revisions of a history that are recorded in Alembic's own version table, not in the history's."""
    if history.version_table == ALEMBICS_OWN or history.shares_alembics_own:
        return ()
    rows = current_revisions(connection, replace(history, version_table=ALEMBICS_OWN), existing)
    unknown = history.require_revisions().unknown(rows)
    return tuple(row for row in rows if row not in unknown)


def _why_unversioned(history: History, found: Sequence[str], ours: Sequence[str]) -> str:
    """Return why tables or positions that are there must not be taken for this history's; empty if there are none."""
    if ours:
        return (
            f"its revision {', '.join(ours)} is recorded in {ALEMBICS_OWN}, not in "
            f"{history.version_table}: `sqlhelpers adopt {history.app}` moves it, "
            f"`version_table = {ALEMBICS_OWN!r}` under tool.sqlhelpers.apps.{history.app} leaves it there"
        )
    if found:
        shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")  # noqa: PLR2004
        way_out = f"`sqlhelpers adopt {history.app}`" if history.app else "`sqlhelpers adopt`"
        return (
            f"its tables are there ({shown}) but no revision is recorded in {history.version_table}: "
            f"{way_out} compares them with the models and records it"
        )
    return ""


def refuse_doubtful(report: DatabaseReport) -> None:
    """Raise if an app in the database is in a state that only a person can resolve.

    Raises:
        StateRefused: with one line for each such app.
    """
    doubtful = [app for app in report.apps if app.detail]
    if doubtful:
        where = f"database {report.bind!r} ({report.url})"
        raise StateRefused([Refused(f"{where}: app {app.app or '-'}: {app.detail}") for app in doubtful])
