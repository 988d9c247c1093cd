"""What an async manager does for the author of revisions. The sync twin is in ``writing``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlhelpers.managers.aiomigrating import AsyncMigratingManager
from sqlhelpers.migrations.authoring import Wanted, blank, merged
from sqlhelpers.migrations.authoring import draft as draft_revision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlhelpers.reports import WrittenRevision


class AsyncWritingManager(AsyncMigratingManager):
    """The methods of ``AsyncDatabaseManager`` that write revision files."""

    async def revision(
        self,
        message: str,
        app: str | None = None,
        *,
        empty: bool = False,
        from_scratch: bool = False,
        head: str | Sequence[str] | None = None,
        splice: bool = False,
        branch_label: str | None = None,
        depends_on: str | Sequence[str] | None = None,
        rev_id: str | None = None,
        force: bool = False,
    ) -> WrittenRevision:
        """Write a revision after which the tables of an app are as its models say. See ``DatabaseManager.revision``."""
        wanted = Wanted(
            message=message,
            app=app,
            from_scratch=from_scratch,
            head=head,
            splice=splice,
            branch_label=branch_label,
            depends_on=depends_on,
            rev_id=rev_id,
            force=force,
        )
        draft = blank(self.database, wanted) if empty else await self._read(None, draft_revision, self.database, wanted)
        return await asyncio.to_thread(draft.write)

    async def merge(
        self,
        message: str,
        app: str | None = None,
        revisions: Sequence[str] = (),
        *,
        branch_label: str | None = None,
        rev_id: str | None = None,
        splice: bool = False,
        force: bool = False,
    ) -> WrittenRevision:
        """Write a revision that merges the heads of an app; nothing is connected to. See ``DatabaseManager.merge``."""
        wanted = Wanted(message=message, app=app, branch_label=branch_label, rev_id=rev_id, splice=splice, force=force)
        return await asyncio.to_thread(merged(self.database, wanted, revisions).write)
