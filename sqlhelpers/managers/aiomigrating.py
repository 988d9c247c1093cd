"""What an async manager does with the tables of its database, the asynchronous twin of ``migrating``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlhelpers.managers.base import BaseManager
from sqlhelpers.migrations.state import single_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

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


class AsyncMigratingManager(BaseManager):
    """The methods of ``AsyncDatabaseManager`` that look at the tables of a database, or change them."""

    async def _read(self, session: AsyncSession | None, work: Callable[..., R], *arguments: Any) -> R:
        """Call ``work`` with a connection, that of ``session`` if there is one, and return what it returns."""
        raise NotImplementedError

    async def _on_engine(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Call ``work`` with the engine, the sync one also of an async manager."""
        raise NotImplementedError

    async def _change(
        self,
        work: Callable[..., R],
        *arguments: Any,
        progress: Progress | None = None,
        **options: Any,
    ) -> R:
        """Call ``work`` with a connection and a ``Run``, which keeps other runs out meanwhile."""
        return await self._on_engine(self.database.change, progress, work, *arguments, **options)

    async def _change_existing(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Do as ``_change``, and make no database where there is none."""
        if self.database.backend.is_absent(self.database.url):  # connecting would make the file
            return self.database.change_nothing(work, *arguments, **options)
        return await self._change(work, *arguments, **options)

    async def get_current_revision(self, session: AsyncSession | None = None, app: str | None = None) -> str | None:
        """Return the revision that the database is at; None if none is recorded.

        See ``DatabaseManager.get_current_revision``.
        """
        return single_revision(await self.get_current_revisions(session, app))

    async def get_current_revisions(
        self,
        session: AsyncSession | None = None,
        app: str | None = None,
    ) -> tuple[str, ...]:
        """Return all the revisions that the database is at; empty if none is recorded."""
        return await self._read(session, self.database.current, app)

    async def get_positions(self, session: AsyncSession | None = None, app: Apps = None) -> tuple[Position, ...]:
        """Return where the database is in the history of one app or several, or of every app that has migrations."""
        return await self._read(session, self.database.positions, app)

    async def get_traces(self, revision: str, app: str | None = None) -> tuple[Trace, ...]:
        """Return what the database knows of a revision, or of each of the several that its name stands for."""
        return await self._read(None, self.database.traces, revision, app)

    async def get_status(self, session: AsyncSession | None = None) -> DatabaseStatus:
        """Return the state of the database beside what the installed code expects."""
        return (await self.get_report(session)).status

    async def get_report(self, session: AsyncSession | None = None) -> DatabaseReport:
        """Return the state of every app in the database."""
        return await self._read(session, self.database.read)

    async def sync(self) -> SyncResult:
        """Bring the database to the state that the code expects: create, upgrade, or leave it.

        See ``DatabaseManager.sync``.
        """
        return (await self.sync_apps()).result

    async def sync_apps(self, progress: Progress | None = None) -> DatabaseReport:
        """As ``sync``, and return what was found and done for every app. See ``DatabaseManager.sync_apps``."""
        return await self._on_engine(self.database.sync, self.database.checked_histories(), progress)

    async def create(self) -> None:
        """Create the tables, and record the newest revision. See ``DatabaseManager.create``."""
        from sqlhelpers.migrations.running import create_database

        await self._change(create_database, self.database.checked_histories())

    async def upgrade(
        self,
        target: str = "head",
        app: Apps = None,
        progress: Progress | None = None,
        *,
        tag: str | None = None,
        x: Sequence[str] = (),
    ) -> tuple[Movement, ...]:
        """Run the revisions up to ``target``, and return how far each app was moved.

        See ``DatabaseManager.upgrade``.
        """
        from sqlhelpers.migrations.running import upgrade_database

        histories = self.database.chosen(app, several_heads=target != "head")
        installed, options = self.database.histories, {"tag": tag, "x": x}
        return await self._change(upgrade_database, histories, target, installed, progress=progress, **options)

    async def downgrade(
        self,
        target: str,
        app: Apps = None,
        progress: Progress | None = None,
        *,
        tag: str | None = None,
        x: Sequence[str] = (),
    ) -> tuple[Movement, ...]:
        """Undo the revisions after ``target``, and return how far each app was moved.

        See ``DatabaseManager.downgrade``.
        """
        from sqlhelpers.migrations.running import downgrade_database

        histories, options = self.database.chosen(app or self.database.history().name), {"tag": tag, "x": x}
        return await self._change(downgrade_database, histories, target, progress=progress, **options)

    async def stamp(
        self,
        revision: str | Sequence[str] = "head",
        app: Apps = None,
        *,
        purge: bool = False,
    ) -> tuple[Movement, ...]:
        """Record revisions on your word, without running or comparing anything; ``adopt`` compares first.

        See ``DatabaseManager.stamp``.
        """
        from sqlhelpers.migrations import stamp_position

        histories = self.database.chosen(app or self.database.history().name)
        revisions = (revision,) if isinstance(revision, str) else tuple(revision)
        return await self._change(stamp_position, histories, revisions, purge=purge)

    async def adopt(self, app: str | None = None, revision: str | None = None) -> tuple[str, ...]:
        """Record a revision for tables that are there without one, if they are as it makes them.

        See ``DatabaseManager.adopt``.
        """
        return await self._change_existing(self.database.adopt, self.database.history(app), revision)

    async def repair(self, app: str | None = None, *, applied: bool) -> tuple[str, ...]:
        """Take your word about a revision that was begun and not finished, so that runs go on.

        See ``DatabaseManager.repair``.
        """
        from sqlhelpers.migrations import repair

        return await self._change_existing(repair, self.database.history(app), applied=applied)

    async def drop(self, app: str | None = None) -> None:
        """Drop the tables of one app or of all, with their positions and journal, and nothing else."""
        from sqlhelpers.migrations import drop

        histories = self.database.histories if app is None else [self.database.history(app)]
        await self._change_existing(drop, histories)

    async def retire(self, app: str, *, drop_tables: bool = False) -> None:
        """Remove the position and the journal of an app that is not installed any more, and its tables if you say so.

        See ``DatabaseManager.retire``.
        """
        await self._change_existing(self.database.retire, app, drop_tables=drop_tables)

    async def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the database beside what the installed code expects; nothing is changed.

        See ``DatabaseManager.check``.
        """
        return await self._read(None, self.database.check)

    async def journal(self, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to one app or to all, the oldest first."""
        return await self._read(None, self.database.journal, app)
