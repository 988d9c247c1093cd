"""What a manager does for the author of revisions. The async twin is in ``aiowriting``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers.managers.migrating import MigratingManager
from sqlhelpers.migrations.authoring import Wanted, blank, merged
from sqlhelpers.migrations.authoring import draft as draft_revision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlhelpers.reports import WrittenRevision


class WritingManager(MigratingManager):
    """The methods of ``DatabaseManager`` that write revision files."""

    def revision(
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
        """Write a revision after which the tables of an app are as its models say.

        Only tables that the app owns are looked at: those of its models, and those that its own revisions have made.

        Args:
            message: what it is about.
            app: the app; may be left out where only one has migrations.
            empty: write it without anything to do, to be filled by hand; nothing is connected to.
            from_scratch: compare the models with what the revisions make of an empty database on the same server,
                not with this one. A database in which the app has no tables yet is compared so in any case.
            head: the revision that it follows; None for the newest.
            splice: whether ``head`` may be one that others follow already.
            branch_label: a name for the branch that begins with it.
            depends_on: revisions that have to be run before it.
            rev_id: its identifier; None for a random one.
            force: write it also if the app is not in a folder of yours, but installed.

        Raises:
            NothingToWrite: it would do nothing.
            Refused: the database is not at the newest revision, or the files are not yours.
            AppError: there is no such app, or a model module cannot be imported.
        """
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
        draft = blank(self.database, wanted) if empty else self._read(None, draft_revision, self.database, wanted)
        return draft.write()

    def merge(
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
        """Write a revision that merges the heads of an app; nothing is connected to.

        Args:
            message: what it is about.
            app: the app; may be left out where only one has migrations.
            revisions: those to merge; all heads if empty.
            branch_label: a name for the branch that begins with it.
            rev_id: its identifier; None for a random one.
            splice: whether revisions may be merged that others follow already.
            force: write it also if the app is not in a folder of yours, but installed.

        Raises:
            NothingToWrite: there are no two heads.
        """
        wanted = Wanted(message=message, app=app, branch_label=branch_label, rev_id=rev_id, splice=splice, force=force)
        return merged(self.database, wanted, revisions).write()
