"""What callers and commands are told: values that say what was found, done or written."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


class DatabaseStatus(enum.Enum):
    """The state of an app's tables, or of a whole database, beside what the installed code expects."""

    UP_TO_DATE = enum.auto()
    """The schema is at the newest revisions."""
    NO_INFO = enum.auto()
    """There is nothing yet, neither a table nor a revision."""
    UPGRADE_AVAILABLE = enum.auto()
    """There are revisions to run."""
    UNVERSIONED = enum.auto()
    """There are tables, but no revision says in which shape they are."""
    AHEAD = enum.auto()
    """The database is at a revision that the installed code does not know."""
    INTERRUPTED = enum.auto()
    """A revision was begun and not finished, and what it did could not be rolled back."""


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
        edited: revisions whose files were edited after they ran here.
        detail: why the state is as it is, and the way out, where it must not be touched.
    """

    app: str | None
    status: DatabaseStatus
    result: SyncResult | None = None
    current: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    tables: int = 0
    edited: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class DatabaseReport:
    """All the apps in one database.

    Attributes:
        bind: the name of the database.
        url: its URL without secrets.
        apps: one report for each app, in the order in which they are synced.
        orphaned_version_tables: version tables of apps that are not installed.
    """

    bind: str
    url: str
    apps: tuple[AppReport, ...]
    orphaned_version_tables: tuple[str, ...] = ()

    def __contains__(self, app: object) -> bool:
        return any(report.app == app for report in self.apps)

    @property
    def status(self) -> DatabaseStatus:
        """The state of the whole database: that of its apps, where they agree."""
        found = {report.status for report in self.apps}
        for worst in (DatabaseStatus.INTERRUPTED, DatabaseStatus.AHEAD, DatabaseStatus.UNVERSIONED):
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


@dataclass(frozen=True, kw_only=True)
class Movement:
    """How far an app was moved in a database.

    Attributes:
        bind: the name of the database.
        app: the app; None for a manager that was made without apps.
        action: ``upgrade``, ``downgrade`` or ``stamp``.
        before: the revisions that the database was at.
        after: those that it is at now.
        revisions: those that were run, in their order; none for a stamp.
        behind: apps that this one needs, whose newest revisions have not been run here.
    """

    bind: str
    app: str | None
    action: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    revisions: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a database is in the history of one app.

    Attributes:
        bind: the name of the database.
        app: the app; None for a manager that was made without apps.
        current: the revisions that are recorded, and those on other branches that they depend on.
        heads: the newest revisions that the code knows.
        unknown: those of ``current`` that the code does not know.
    """

    bind: str
    app: str | None
    current: tuple[str, ...]
    heads: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def is_at_heads(self) -> bool:
        """Whether the database is at all the newest revisions, and at nothing else."""
        return set(self.current) == set(self.heads)


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """What was done to an app in a database: a line of the journal.

    Attributes:
        id: its number; later entries have higher ones.
        app: the app; None for a manager that was made without apps.
        action: ``create``, ``upgrade``, ``downgrade``, ``adopt``, ``stamp``.
        revision: the revision that was run or recorded.
        checksum: of the revision's file when it ran; None if there was none to read.
        begun: when it began, in UTC.
        finished: when it ended, in UTC; None if it did not.
        outcome: ``done``, or what a person has said about it: ``applied``, ``rolled back``; None if it did not end.
        who: the user, host and process that did it.
        version: the version of sqlhelpers.
        tables: the tables that the app had then.
    """

    id: int
    app: str | None
    action: str
    revision: str
    checksum: str | None
    begun: datetime
    finished: datetime | None
    outcome: str | None
    who: str
    version: str
    tables: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it did not end."""
        return (self.finished - self.begun).total_seconds() if self.finished else None


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a database knows of a revision.

    Attributes:
        bind: the name of the database.
        is_applied: whether the database is at the revision, or past it.
        is_current: whether it is at the revision.
        entries: what the journal has of it, the oldest first.
    """

    bind: str
    is_applied: bool
    is_current: bool
    entries: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that ``check`` has found to be wrong.

    Attributes:
        app: the app that it is about; None for a manager that was made without apps.
        kind: ``heads``, ``unapplied``, ``unknown``, ``unversioned``, ``interrupted``, ``edited``, ``drift`` or
            ``missing_revision``.
        text: what is wrong, in one line.
    """

    app: str | None
    kind: str
    text: str


#: How many seconds a probe has, unless it is told otherwise.
PROBE_WITHIN = 2.0


@dataclass(frozen=True)
class Readiness:
    """Whether one database can serve the installed code.

    Attributes:
        bind: the name of the database.
        is_ready: whether requests that need it should come here.
        detail: why, in a word or two of the table in ``managers.readiness``; it tells no URL, host or secret.
    """

    bind: str
    is_ready: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class RevisionInfo:
    """What a revision file says of itself, and how it stands among the others.

    Attributes:
        app: the app; None for a manager that was made without apps.
        revision: its identifier.
        down_revisions: the revisions that it follows.
        next_revisions: the revisions that follow it.
        depends_on: the revisions that have to be run before it, beside those.
        needed_by: the revisions that depend on it.
        branch_labels: the labels that it gives to its branch.
        message: the first sentence of its docstring.
        doc: the whole docstring.
        date: when it was written, as its docstring has it; empty if it has not.
        path: its file.
    """

    app: str | None
    revision: str
    down_revisions: tuple[str, ...]
    next_revisions: tuple[str, ...]
    depends_on: tuple[str, ...]
    needed_by: tuple[str, ...]
    branch_labels: tuple[str, ...]
    message: str
    doc: str
    date: str
    path: str

    @property
    def marks(self) -> tuple[str, ...]:
        """What stands out: ``base``, ``head`` or ``effective head``, ``branchpoint``, ``mergepoint``."""
        found = {
            "base": not self.down_revisions,
            "head": not self.next_revisions and not self.needed_by,
            "effective head": not self.next_revisions and bool(self.needed_by),
            "branchpoint": len(self.next_revisions) > 1,
            "mergepoint": len(self.down_revisions) > 1,
        }
        return tuple(mark for mark, is_so in found.items() if is_so)


@dataclass(frozen=True, kw_only=True)
class WrittenRevision:
    """A revision file that was written.

    Attributes:
        bind: the name of the database.
        app: the app; None for a manager that was made without apps.
        revision: its identifier.
        path: the file.
        down_revisions: the revisions that it follows.
        message: what it is about.
        operations: what it does, a line for each.
        notes: what the author should know: tables that were left alone, columns that may have been renamed.
    """

    bind: str
    app: str | None
    revision: str
    path: str
    down_revisions: tuple[str, ...]
    message: str
    operations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


#: How bad it is. What is ``ok`` or a ``note`` leaves the exit status at 0.
Level = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing that was examined, and what was found.

    Attributes:
        database: the name of the database; None for what concerns all of them.
        subject: what was examined, in one word: ``connection``, ``permissions``.
        level: ``ok``, ``note``, ``warning`` or ``error``.
        text: what was found, in one line.
        advice: what to do about it; empty if nothing is to be done.
        exit_status: what a command ends with that has found nothing worse.
    """

    database: str | None = None
    subject: str
    level: Level
    text: str
    advice: str = ""
    exit_status: int = 0
