"""What a manager does with the tables of its database. The async twin is in ``aiomigrating``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlhelpers.managers.base import BaseManager
from sqlhelpers.migrations.state import single_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import orm

    from sqlhelpers.managers.database import Apps
    from sqlhelpers.migrations.running import Progress
    from sqlhelpers.reports import (
        DatabaseReport,
        DatabaseStatus,
        Finding,
        JournalEntry,
        Movement,
        Position,
        SyncResult,
        Trace,
    )

R = TypeVar("R")


class MigratingManager(BaseManager):
    """The methods of ``DatabaseManager`` that look at the tables of a database, or change them."""

    def _read(self, session: orm.Session | None, work: Callable[..., R], *arguments: Any) -> R:
        """Call ``work`` with a connection, that of ``session`` if there is one, and return what it returns."""
        raise NotImplementedError

    def _on_engine(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Call ``work`` with the engine, the sync one also of an async manager."""
        raise NotImplementedError

    def _change(self, work: Callable[..., R], *arguments: Any, progress: Progress | None = None, **options: Any) -> R:
        """Call ``work`` with a connection and a ``Run``, which keeps other runs out meanwhile."""
        changed: R = self._on_engine(self.database.change, progress, work, *arguments, **options)
        return changed

    def _change_existing(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Do as ``_change``, and make no database where there is none."""
        if self.database.backend.is_absent(self.database.url):  # connecting would make the file
            return self.database.change_nothing(work, *arguments, **options)
        return self._change(work, *arguments, **options)

    def get_current_revision(self, session: orm.Session | None = None, app: str | None = None) -> str | None:
        """Return the revision that the database is at; None if none is recorded.

        Args:
            session: the session to ask with; None to connect for it.
            app: the app to ask about; may be left out where there is only one.
        """
        return single_revision(self.get_current_revisions(session, app))

    def get_current_revisions(self, session: orm.Session | None = None, app: str | None = None) -> tuple[str, ...]:
        """Return all the revisions that the database is at; empty if none is recorded."""
        return self._read(session, self.database.current, app)

    def get_positions(self, session: orm.Session | None = None, app: Apps = None) -> tuple[Position, ...]:
        """Return where the database is in the history of one app or several, or of every app that has migrations."""
        return self._read(session, self.database.positions, app)

    def get_traces(self, revision: str, app: str | None = None) -> tuple[Trace, ...]:
        """Return what the database knows of a revision, or of each of the several that its name stands for."""
        return self._read(None, self.database.traces, revision, app)

    def get_status(self, session: orm.Session | None = None) -> DatabaseStatus:
        """Return the state of the database beside what the installed code expects."""
        return self.get_report(session).status

    def get_report(self, session: orm.Session | None = None) -> DatabaseReport:
        """Return the state of every app in the database."""
        return self._read(session, self.database.read)

    def sync(self) -> SyncResult:
        """Bring the database to the state that the code expects: create, upgrade, or leave it.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        return self.sync_apps().result

    def sync_apps(self, progress: Progress | None = None) -> DatabaseReport:
        """As ``sync``, and return what was found and done for every app.

        Args:
            progress: called before each revision runs, with the app, the revision, its place and their number.
        """
        return self._on_engine(self.database.sync, self.database.checked_histories(), progress)

    def create(self) -> None:
        """Create the tables, and record the newest revision.

        Raises:
            StateRefused: there are tables already, and no revision says in which shape.
        """
        from sqlhelpers.migrations.running import create_database

        self._change(create_database, self.database.checked_histories())

    def upgrade(
        self,
        target: str = "head",
        app: Apps = None,
        progress: Progress | None = None,
        *,
        tag: str | None = None,
        x: Sequence[str] = (),
    ) -> tuple[Movement, ...]:
        """Run the revisions up to ``target``, and return how far each app was moved.

        Args:
            target: a revision in Alembic's words: its identifier or the beginning of it, ``+1``, ``label@head``;
                ``head`` for the newest, of which there must be one, ``heads`` for all of them.
            app: the app or the apps; None for all that have migrations.
            progress: called before each revision runs, with the app, the revision, its place and their number.
            tag: what ``context.get_tag_argument()`` returns in revisions.
            x: what ``context.get_x_argument()`` returns there.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        from sqlhelpers.migrations.running import upgrade_database

        histories = self.database.chosen(app, several_heads=target != "head")
        installed, options = self.database.histories, {"tag": tag, "x": x}
        return self._change(upgrade_database, histories, target, installed, progress=progress, **options)

    def downgrade(
        self,
        target: str,
        app: Apps = None,
        progress: Progress | None = None,
        *,
        tag: str | None = None,
        x: Sequence[str] = (),
    ) -> tuple[Movement, ...]:
        """Undo the revisions after ``target``, and return how far each app was moved.

        Args:
            target: a revision in Alembic's words, ``-1`` to undo the last one, ``base`` to undo all.
            app: the app or the apps, of which the last is the first to go; may be left out where there is only one.
            progress: called before each revision is undone.
            tag: what ``context.get_tag_argument()`` returns in revisions.
            x: what ``context.get_x_argument()`` returns there.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        from sqlhelpers.migrations.running import downgrade_database

        histories, options = self.database.chosen(app or self.database.history().name), {"tag": tag, "x": x}
        return self._change(downgrade_database, histories, target, progress=progress, **options)

    def stamp(
        self,
        revision: str | Sequence[str] = "head",
        app: Apps = None,
        *,
        purge: bool = False,
    ) -> tuple[Movement, ...]:
        """Record revisions on your word, without running or comparing anything; ``adopt`` compares first.

        Args:
            revision: the revision or the revisions, in Alembic's words; ``base`` for none.
            app: the app or the apps; may be left out where there is only one.
            purge: forget first what is recorded, also what the code does not know.

        Raises:
            Refused: a revision was interrupted, is recorded elsewhere, or is unknown; nothing was changed.
        """
        from sqlhelpers.migrations import stamp_position

        histories = self.database.chosen(app or self.database.history().name)
        revisions = (revision,) if isinstance(revision, str) else tuple(revision)
        return self._change(stamp_position, histories, revisions, purge=purge)

    def adopt(self, app: str | None = None, revision: str | None = None) -> tuple[str, ...]:
        """Record a revision for tables that are there without one, if they are as it makes them.

        Args:
            app: the app; may be left out where there is only one.
            revision: the revision that the tables are at; None for the newest, whose tables are those of the models.

        Returns:
            the differences, if there are any; nothing was then recorded.

        Raises:
            Refused: there is nothing to adopt, because the app has no tables here or a revision is recorded.
        """
        return self._change_existing(self.database.adopt, self.database.history(app), revision)

    def repair(self, app: str | None = None, *, applied: bool) -> tuple[str, ...]:
        """Take your word about a revision that was begun and not finished, so that runs go on.

        Args:
            app: the app; may be left out where there is only one.
            applied: you have completed what it does; False if you have undone what it had done.

        Returns:
            the differences between tables and models, if the creation of the tables was interrupted and they are
            not as the models say; nothing was then recorded.

        Raises:
            Refused: nothing was interrupted.
        """
        from sqlhelpers.migrations import repair

        return self._change_existing(repair, self.database.history(app), applied=applied)

    def drop(self, app: str | None = None) -> None:
        """Drop the tables of one app or of all, with their positions and journal, and nothing else."""
        from sqlhelpers.migrations import drop

        histories = self.database.histories if app is None else [self.database.history(app)]
        self._change_existing(drop, histories)

    def retire(self, app: str, *, drop_tables: bool = False) -> None:
        """Remove the position and the journal of an app that is not installed any more, and its tables if you say so.

        Raises:
            Refused: nothing here belongs to such an app, or the journal does not know its tables.
        """
        self._change_existing(self.database.retire, app, drop_tables=drop_tables)

    def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the database beside what the installed code expects; nothing is changed.

        Scratch databases are made on the same server, to compare what models and revisions make.
        """
        return self._read(None, self.database.check)

    def journal(self, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to one app or to all, the oldest first."""
        return self._read(None, self.database.journal, app)
