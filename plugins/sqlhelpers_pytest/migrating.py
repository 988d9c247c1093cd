"""``MigratedDatabase``: a database of a test's own, empty at first, that is migrated step by step."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import MetaData, Table, select

from sqlhelpers_pytest.access import connected, with_manager
from sqlhelpers_pytest.schemas import schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from sqlhelpers import App, Runtime
    from sqlhelpers.reports import DatabaseReport, Finding
    from sqlhelpers_pytest.kit import Kit

R = TypeVar("R")


class MigratedDatabase:
    """A database in which revisions are run.

    Args:
        kit: the kit.
        app: the app whose revisions are meant; those of the apps before it are run when it is made.

    Attributes:
        app: the app.
        revisions: its revisions, in the order in which they run.
    """

    def __init__(self, kit: Kit, app: str) -> None:
        self.app: App = kit.runtime.apps[app]
        self._runtime: Runtime = kit.runtime
        self._place = kit.databases[self.app.bind]
        self._database = kit.runtime.database(self.app.bind)
        self._url = self._place.make_empty("migrations")
        for other in self._before():
            self._make(other)
        self.revisions: tuple[str, ...] = self._pending(app)

    def _before(self) -> list[App]:
        here = [each for each in self._runtime.apps.values() if each.bind == self.app.bind]
        return here[: here.index(self.app)]

    def _make(self, app: App) -> None:
        if app.migrations is not None:
            self.upgrade(app=app.name)
            return
        for table in self._runtime.tables[app.name]:
            self.connected(partial(table.metadata.create_all, tables=[table]))

    def _pending(self, app: str) -> tuple[str, ...]:
        return next(report.pending for report in self.report().apps if report.app == app)

    def _manage(self, method: str, *arguments: Any) -> Any:
        def call(manager: Any) -> Any:
            return getattr(manager.migrations, method)(*arguments)

        return with_manager(self._database, self._url, call, call)

    def upgrade(self, revision: str = "heads", app: str | None = None) -> None:
        """Run the revisions up to one, or to the newest."""
        self._manage("upgrade", revision, app or self.app.name)

    def downgrade(self, revision: str, app: str | None = None) -> None:
        """Undo the revisions after one; ``base`` for all."""
        self._manage("downgrade", revision, app or self.app.name)

    def report(self) -> DatabaseReport:
        """Return the state of every app."""
        found: DatabaseReport = self._manage("get_report")
        return found

    def check(self) -> Sequence[Finding]:
        """Return what is wrong once all apps are migrated."""
        for app in self._runtime.apps.values():
            if app.bind == self.app.bind and app not in self._before():
                self._make(app)
        found: Sequence[Finding] = self._manage("check")
        return found

    def connected(self, work: Callable[[Connection], R]) -> R:
        """Return what ``work`` returns for a connection, and commit."""
        return connected(self._database, self._url, work)

    def schema(self) -> dict[str, str]:
        """Return all that there is but bookkeeping, part by part."""
        tables = [app.version_table for app in self._runtime.apps.values() if app.version_table]
        return self.connected(lambda connection: schema_of(connection, tables))

    def insert(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Insert rows into tables as they are now, in the order of the tables given."""

        def work(connection: Connection) -> None:
            for name, values in rows.items():
                connection.execute(_table(connection, name).insert(), [dict(each) for each in values])

        self.connected(work)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table as it is now, in the order of its primary key."""

        def work(connection: Connection) -> list[dict[str, Any]]:
            found = _table(connection, table)
            return [dict(row) for row in connection.execute(select(found).order_by(*found.primary_key)).mappings()]

        return self.connected(work)

    def drop(self) -> None:
        """Drop it."""
        self._place.drop(self._url)


def _table(connection: Connection, name: str) -> Table:
    schema, _, table = name.rpartition(".")
    return Table(table, MetaData(), schema=schema or None, autoload_with=connection)
