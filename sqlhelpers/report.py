"""What was found in a database and what was done there, as values."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class DatabaseStatus(enum.Enum):
    """The state of an app's tables, or of a whole database, beside what the installed code expects."""

    UP_TO_DATE = enum.auto()
    """The schema is at the newest revisions."""
    NO_INFO = enum.auto()
    """There is nothing yet: no table, no revision."""
    UPGRADE_AVAILABLE = enum.auto()
    """There are revisions to run."""
    UNVERSIONED = enum.auto()
    """There are tables, but no revision says in which shape they are."""
    AHEAD = enum.auto()
    """The database is at a revision that the installed code does not know."""


class SyncResult(enum.Enum):
    """What a sync did."""

    ALREADY_UP_TO_DATE = enum.auto()
    """Nothing had to be done."""
    CREATED = enum.auto()
    """The tables were created."""
    UPGRADED = enum.auto()
    """Revisions were run."""


@dataclass(frozen=True, kw_only=True)
class AppReport:
    """One app in one database.

    Attributes:
        app: its name; None for a manager that was made without apps.
        status: what was found.
        result: what was done about it; None if nothing was asked for.
        current: the revisions that the database was at when it was found.
        heads: the newest revisions that the code knows.
        pending: the revisions between the two, in the order in which they run.
        tables: how many tables the models of the app define.
        detail: why the state is as it is, and the way out, where it must not be touched.
    """

    app: str | None
    status: DatabaseStatus
    result: SyncResult | None = None
    current: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    tables: int = 0
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class DatabaseReport:
    """All the apps in one database.

    Attributes:
        bind: the name of the database.
        url: its URL without secrets.
        apps: one report for each app, in the order in which they are synced.
        left_alone: version tables of apps that are not installed.
    """

    bind: str
    url: str
    apps: tuple[AppReport, ...]
    left_alone: tuple[str, ...] = ()

    def __contains__(self, app: object) -> bool:
        return any(report.app == app for report in self.apps)

    @property
    def status(self) -> DatabaseStatus:
        """The state of the whole database: that of its apps, where they agree."""
        found = {report.status for report in self.apps}
        for worst in (DatabaseStatus.AHEAD, DatabaseStatus.UNVERSIONED):
            if worst in found:
                return worst
        if len(found) == 1:
            return found.pop()
        return DatabaseStatus.UPGRADE_AVAILABLE if found else DatabaseStatus.UP_TO_DATE

    @property
    def result(self) -> SyncResult:
        """What was done to the whole database."""
        done = {report.result for report in self.apps} - {None, SyncResult.ALREADY_UP_TO_DATE}
        if not done:
            return SyncResult.ALREADY_UP_TO_DATE
        everywhere = all(report.result is SyncResult.CREATED for report in self.apps)
        return SyncResult.CREATED if everywhere else SyncResult.UPGRADED
