"""``Migrations``: what looks at the schema of a database and changes it, once for both managers."""

from __future__ import annotations

import asyncio
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy.util import greenlet_spawn
from sqlalchemy.util.concurrency import await_only, in_greenlet

from sqlhelpers.backends import backend_of
from sqlhelpers.managers.cancellation import to_the_end
from sqlhelpers.migrations.authoring import Wanted, blank, draft_revision, merged
from sqlhelpers.migrations.running import report_if_up_to_date
from sqlhelpers.migrations.state import current_revisions, heads, named, newest_first, position, read_status, traces

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from sqlalchemy import orm
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncSession

    from sqlhelpers.managers.database import Apps, Database
    from sqlhelpers.migrations.running import Progress, Script
    from sqlhelpers.reports import (
        DatabaseReport,
        Finding,
        JournalEntry,
        Movement,
        Position,
        RevisionInfo,
        Trace,
        WrittenRevision,
    )

P = ParamSpec("P")
R = TypeVar("R")


class Migrations:
    """The methods that look at the schema of a database, change it, and write revisions.

    Args:
        database: the database.
        engine: returns its engine, the sync one also of an async manager.
    """

    def __init__(self, database: Database, engine: Callable[[], Engine]) -> None:
        self.database = database
        self._engine = engine

    def _read(self, session: orm.Session | AsyncSession | None, work: Callable[..., R], *arguments: Any) -> R:
        return self.database.read(self._engine, session, work, *arguments)

    def _change(self, work: Callable[..., R], *arguments: Any, progress: Progress | None = None, **options: Any) -> R:
        changed: R = self.database.change(self._engine(), progress, work, *arguments, **options)
        return changed

    def _change_existing(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        """Do as ``_change``, and make no database where there is none."""
        if self.database.is_absent:
            return self.database.change_nothing(work, *arguments, **options)
        return self._change(work, *arguments, **options)

    # where the database is

    def get_report(self, session: orm.Session | AsyncSession | None = None) -> DatabaseReport:
        """Return the state of every app in the database."""
        database = self.database
        return self._read(
            session, lambda connection: read_status(connection, database.bind, database.masked_url, database.histories)
        )

    def get_current_revisions(
        self, session: orm.Session | AsyncSession | None = None, app: str | None = None
    ) -> tuple[str, ...]:
        """Return all the revisions that the database is at; empty if none is recorded.

        Args:
            session: the session to ask with; None to connect for it.
            app: the app to ask about; may be left out where there is only one.
        """

        def work(connection: Connection) -> tuple[str, ...]:
            history = self.database.history(app)
            backend_of(connection).refuse_hidden_tables(connection, [history.version_table])
            return current_revisions(connection, history)

        return self._read(session, work)

    def get_positions(
        self, session: orm.Session | AsyncSession | None = None, app: Apps = None
    ) -> tuple[Position, ...]:
        """Return where the database is in the history of one app or several, or of every app that has migrations."""

        def work(connection: Connection) -> tuple[Position, ...]:
            histories = self.database.histories_of(app)
            backend_of(connection).refuse_hidden_tables(connection, [history.version_table for history in histories])
            return tuple(position(connection, self.database.bind, history) for history in histories)

        return self._read(session, work)

    def get_traces(self, revision: str, app: str | None = None) -> tuple[Trace, ...]:
        """Return what the database knows of a revision, or of each of the several that its name stands for."""

        def work(connection: Connection) -> tuple[Trace, ...]:
            history = self.database.history(app)
            names = [info.revision for info in named(history, revision)]
            backend_of(connection).refuse_hidden_tables(connection, [history.version_table])
            entries = [each for each in self.database.read_journal(connection) if each.app == history.app]
            return traces(connection, self.database.bind, history, names, entries)

        return self._read(None, work)

    def journal(self, app: str | None = None) -> tuple[JournalEntry, ...]:
        """Return what was done to one app or to all, the oldest first."""
        return self._read(None, self.database.read_journal, app)

    def check(self) -> tuple[Finding, ...]:
        """Return what is wrong with the database compared with what the installed code expects; nothing is changed.

        Scratch databases are made on the same server, to compare what models and revisions make.
        """
        from sqlhelpers.migrations import check_database

        def work(connection: Connection) -> tuple[Finding, ...]:
            self.database.refuse_shared(connection)
            with self.database.alembic_alone():
                scratch = partial(self.database.scratch, connection.engine)
                return check_database(connection, self.database.histories, scratch)

        return self._read(None, work)

    # what the revisions are

    def get_heads(self, app: Apps = None, *, resolve_dependencies: bool = False) -> tuple[RevisionInfo, ...]:
        """Return the newest revisions of one app or several, or of every app that has migrations.

        Args:
            app: the app or the apps.
            resolve_dependencies: leave out those that another revision depends on.
        """
        return heads(self.database.histories_of(app), resolve_dependencies=resolve_dependencies)

    def get_history(
        self,
        app: Apps = None,
        between: str | None = None,
        current: Sequence[str] = (),
    ) -> tuple[RevisionInfo, ...]:
        """Return the revisions of one app or several, or of every app that has migrations, the newest first.

        Args:
            app: the app or the apps.
            between: the only ones, ends included: ``START:END``, ``-3:current``; None for all.
            current: the revisions that ``current`` stands for in it, as ``get_current_revisions()`` returns them.
        """
        return newest_first(self.database.histories_of(app), between, current)

    def get_revisions(self, revision: str, app: str | None = None) -> tuple[RevisionInfo, ...]:
        """Return what is to be told of a revision, or of the several that its name stands for.

        Args:
            revision: in Alembic's words: an identifier or the beginning of it, ``head``, ``label@head``.
            app: the app; may be left out where there is only one.
        """
        return named(self.database.history(app), revision)

    def sql(self, script: Script | None = None, app: Apps = None) -> str:
        """Return what revisions do as SQL; nothing is connected to, and no secret is in it.

        Args:
            script: from where to where; None for all that an empty database gets.
            app: the app or the apps; None for every one that has migrations.
        """
        from sqlhelpers.migrations.running import Script, all_as_sql

        wanted = script or Script(targets=("head",))
        histories = self.database.histories_of(app, several_heads=wanted.targets != ("head",))
        with self.database.alembic_alone():
            return all_as_sql(self.database.bind, histories, self.database.url.get_backend_name(), wanted)

    # changes

    def sync(self, progress: Progress | None = None) -> DatabaseReport:
        """Bring the database to the state that the code expects, and return what was found and done for every app.

        Without a lock, if it is seen at once to be there.

        Args:
            progress: called before each revision runs, with the app, the revision, its place and their number.

        Raises:
            StateRefused: the database is in a state that only a person can resolve; nothing was changed.
            MigrationFailed: a revision raised.
        """
        database, histories = self.database, self.database.checked_histories()
        report = report_if_up_to_date(self._engine(), database.bind, database.masked_url, histories, database.hooks)
        if report:
            return report
        from sqlhelpers.migrations.running import sync_database  # what a run without work can do without

        return self._change(sync_database, histories, progress=progress)

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

        histories = self.database.histories_of(app, several_heads=target != "head")
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

        histories, options = self.database.histories_of(app or self.database.history().name), {"tag": tag, "x": x}
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

        histories = self.database.histories_of(app or self.database.history().name)
        revisions = (revision,) if isinstance(revision, str) else tuple(revision)
        return self._change(stamp_position, histories, revisions, purge=purge)

    # what a person decides

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
        from sqlhelpers.migrations import adopt

        history = self.database.history(app)
        return self._change_existing(adopt, history, revision, self.database.differences_at)

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

        self._change_existing(drop, self.database.histories if app is None else [self.database.history(app)])

    def retire(self, app: str, *, drop_tables: bool = False) -> None:
        """Remove the position and the journal of an app that is not installed any more, and its tables if you say so.

        Raises:
            Refused: nothing here belongs to such an app, or the journal does not know its tables.
        """
        from sqlhelpers.migrations import retire

        self.database.refuse_installed(app)
        self._change_existing(retire, app, self.database.histories, drop_tables=drop_tables)

    # writing revisions

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
        return _aside(draft.write)

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
        return _aside(merged(self.database, wanted, revisions).write)


def _aside(work: Callable[[], R]) -> R:
    """Do work that takes long without the database; below an async manager in a thread, so that the loop goes on."""
    return await_only(asyncio.to_thread(work)) if in_greenlet() else work()


def awaited(
    method: Callable[Concatenate[Migrations, P], R],
) -> Callable[Concatenate[AsyncMigrations, P], Coroutine[Any, Any, R]]:
    """Return the twin of a method, which runs it on the sync engine in a greenlet: nothing blocks the event loop.

    When its task is cancelled, what the method does is rolled back first.
    """

    @wraps(method)
    async def twin(self: AsyncMigrations, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await to_the_end(greenlet_spawn(partial(method, self.below, *args, **kwargs)))

    return twin


class AsyncMigrations:
    """``Migrations`` with ``await``.

    Args:
        below: the sync methods, on the sync engine of an async one.
    """

    def __init__(self, below: Migrations) -> None:
        self.below = below

    get_report: Final = awaited(Migrations.get_report)
    get_current_revisions: Final = awaited(Migrations.get_current_revisions)
    get_positions: Final = awaited(Migrations.get_positions)
    get_traces: Final = awaited(Migrations.get_traces)
    journal: Final = awaited(Migrations.journal)
    check: Final = awaited(Migrations.check)
    get_heads: Final = awaited(Migrations.get_heads)
    get_history: Final = awaited(Migrations.get_history)
    get_revisions: Final = awaited(Migrations.get_revisions)
    sql: Final = awaited(Migrations.sql)
    sync: Final = awaited(Migrations.sync)
    create: Final = awaited(Migrations.create)
    upgrade: Final = awaited(Migrations.upgrade)
    downgrade: Final = awaited(Migrations.downgrade)
    stamp: Final = awaited(Migrations.stamp)
    adopt: Final = awaited(Migrations.adopt)
    repair: Final = awaited(Migrations.repair)
    drop: Final = awaited(Migrations.drop)
    retire: Final = awaited(Migrations.retire)
    revision: Final = awaited(Migrations.revision)
    merge: Final = awaited(Migrations.merge)
