"""Writing revisions: empty ones, those that merge heads, and those that Alembic proposes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlhelpers.exceptions import AppError, MigrationsNotFound, MultipleHeads, NothingToWrite, Refused
from sqlhelpers.migrations.authoring import ownership
from sqlhelpers.migrations.state import read_app
from sqlhelpers.reports import DatabaseStatus, WrittenRevision
from sqlhelpers.suggestions import unknown_app

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Connection

    from sqlhelpers.migrations.authoring.autogenerate import Proposal
    from sqlhelpers.migrations.authoring.ownership import AuthorsDatabase
    from sqlhelpers.migrations.state import History
    from sqlhelpers.reports import AppReport


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a revision should be like: arguments of ``DatabaseManager.revision``, under the same names."""

    message: str
    app: str | None = None
    head: str | Sequence[str] | None = None
    splice: bool = False
    branch_label: str | None = None
    depends_on: str | Sequence[str] | None = None
    rev_id: str | None = None
    from_scratch: bool = False
    force: bool = False

    def named(self) -> tuple[str, ...]:
        """Return the revisions that it has to do with, as they were written."""
        return (*_several(self.head), *_several(self.depends_on))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of Alembic's ``revision`` command."""
        from alembic.util import rev_id

        return {
            "message": self.message,
            "head": self.head or "head",
            "splice": self.splice,
            "branch_label": self.branch_label,
            "depends_on": list(_several(self.depends_on)) or None,
            "rev_id": self.rev_id or rev_id(),
            "version_path": None,
            "sql": False,
        }


def _several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


@dataclass(frozen=True)
class Draft:
    """A revision that is yet to be written."""

    database: AuthorsDatabase
    history: History
    proposal: Proposal

    def write(self) -> WrittenRevision:
        """Write the file.

        Raises:
            Refused: there is such a revision or such a file already, or the folder may not be written.
            AppError: an option cannot be used, or what was written cannot: the file stays, and is named.
        """
        from alembic.util import to_tuple

        (self.history.require_revisions().folder / "versions").mkdir(exist_ok=True)
        with self.database.alembic_alone():
            *_, script = self.proposal.context.generate_scripts()
        assert script is not None
        return WrittenRevision(
            bind=self.database.bind,
            app=self.history.app,
            revision=script.revision,
            path=script.path,
            down_revisions=to_tuple(script.down_revision, default=()),
            message=self.proposal.context.command_args["message"],
            operations=self.proposal.operations,
            notes=self.proposal.notes,
        )


def blank(database: AuthorsDatabase, wanted: Wanted) -> Draft:
    """Return an empty revision, to be filled by hand; nothing is connected to."""
    from alembic.autogenerate import RevisionContext

    from sqlhelpers.migrations.authoring.autogenerate import Proposal
    from sqlhelpers.migrations.revisions import alembic_config

    history = authored(database, wanted)
    config = alembic_config(history.require_revisions().folder)
    return Draft(database, history, Proposal(RevisionContext(config, _writer(database, history), wanted.arguments())))


def merged(database: AuthorsDatabase, wanted: Wanted, revisions: Sequence[str]) -> Draft:
    """Return a revision that merges others, all heads if none are named.

    Raises:
        Refused: there is nothing to merge.
    """
    history = authored(database, wanted, several_heads=True)
    heads = tuple(revisions) or history.require_revisions().heads()
    if len(heads) < 2:  # noqa: PLR2004  # it takes two
        raise NothingToWrite(
            f"{_name(history.app)} has one head, {', '.join(heads) or 'none'}: there is nothing to merge"
        )
    return blank(database, replace(wanted, head=heads))


def draft_revision(connection: Connection, database: AuthorsDatabase, wanted: Wanted) -> Draft:
    """Return a revision after which the tables are as the models say.

    Raises:
        NothingToWrite: the tables are as the models say already.
        Refused: the database is not at the app's newest revision, or the files are not yours.
    """
    history = authored(database, wanted)
    writer = _writer(database, history)
    with database.alembic_alone():
        proposal = _proposed(connection, database, history, writer, wanted)
    scripts = proposal.context.generated_revisions
    if not scripts or all(script.upgrade_ops is None or script.upgrade_ops.is_empty() for script in scripts):
        notes = "".join(f"; {note}" for note in proposal.notes)
        raise NothingToWrite(
            f"{_name(history.app)}: the tables are as the models say, so there is nothing to write "
            f"(--empty writes a revision to fill by hand){notes}"
        )
    return Draft(database, history, proposal)


def _proposed(
    connection: Connection,
    database: AuthorsDatabase,
    history: History,
    writer: ScriptDirectory,
    wanted: Wanted,
) -> Proposal:
    from sqlhelpers.migrations.authoring.autogenerate import propose

    if not history.tables:  # it would drop all that its revisions have made
        where = f": write them in {history.package}.models" if history.package else ""
        raise NothingToWrite(
            f"{_name(history.app)} has no models to compare with{where}, or say --empty for a revision to fill by hand"
        )
    arguments = wanted.arguments()
    if not history.require_revisions().heads():  # they make nothing
        return propose(connection, history, writer, arguments, blind=True)
    report = read_app(connection, history)
    if not wanted.from_scratch and report.status is DatabaseStatus.UP_TO_DATE:
        droppable, notes = ownership.droppable(connection, database, history)
        proposal = propose(connection, history, writer, arguments, droppable)
        return replace(proposal, notes=(*proposal.notes, *notes))
    if not wanted.from_scratch and report.status is not DatabaseStatus.NO_INFO:
        raise Refused(_why_not_comparable(database, report))
    target = wanted.head if isinstance(wanted.head, str) else "heads"
    with ownership.migrated(connection, database, history, target) as (scratch, made):
        droppable, notes = ownership.without_defined(history, made)
        proposal = propose(scratch, history, writer, arguments, droppable)
    return replace(proposal, notes=(_FROM_SCRATCH, *proposal.notes, *notes))


_FROM_SCRATCH = "the models were compared with what the revisions make of an empty database"


def _why_not_comparable(database: AuthorsDatabase, report: AppReport) -> str:
    state = report.detail or (
        f"the database is not at the newest revision {', '.join(report.heads)}: "
        f"`sqlhelpers run-sync -d {database.bind}` brings it there"
    )
    return (
        f"database {database.bind!r}: {_name(report.app)} cannot be compared with the models, because {state}; "
        "or compare what the revisions make of an empty database: --from-scratch"
    )


def authored(database: AuthorsDatabase, wanted: Wanted, *, several_heads: bool = False) -> History:
    """Return the history that a revision is for.

    Raises:
        AppError: there is no such app or revision, or it has no migrations folder.
        MultipleHeads: it has several heads, may not have them, and none of them was named.
        Refused: the folder is not yours.
    """
    if not wanted.message.strip():
        raise AppError("a revision needs a message that says what it is about (-m)")
    history = _named(database, wanted.app)
    if history.revisions is None:
        raise MigrationsNotFound(f"{_name(history.app)} has no migrations folder; {init_hint(history.app)}")
    if not wanted.force:
        refuse_installed(history.revisions.folder, history.app)
    history.revisions.check(*wanted.named())
    heads = history.revisions.heads()
    if len(heads) > 1 and not several_heads and not wanted.head:
        raise MultipleHeads(history.app, [(head, history.revisions.path(head)) for head in heads])
    return history


def _named(database: AuthorsDatabase, app: str | None) -> History:
    histories = database.histories_for_authors()
    found = [each for each in histories if (each.name == app if app else each.revisions)]
    if len(found) == 1:
        return found[0]
    names = [each.name for each in histories]
    if app:
        raise unknown_app(app, names, bind=database.bind)
    raise AppError(f"database {database.bind!r}: name one app that has migrations (apps: {', '.join(names) or 'none'})")


def _name(app: str | None) -> str:
    return f"app {app!r}" if app else "the migrations folder"


def init_hint(app: str | None) -> str:
    """Return how a migrations folder is made."""
    return f"`sqlhelpers init {app or ''}".rstrip() + "` makes one"


def refuse_installed(folder: Path, app: str | None) -> None:
    """Raise if a migrations folder belongs to an installed package, which the next installation would replace.

    Raises:
        Refused: it does, or it may not be written.
    """
    parts = {part.lower() for part in folder.resolve().parts}
    if parts & {"site-packages", "dist-packages"}:
        raise Refused(
            f"{_name(app)} is installed in {folder}: a revision there would be lost with the next installation; "
            "write it in the sources of the app, installed as editable (or say --force)"
        )
    there = next(place for place in (folder / "versions", folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK):
        raise Refused(f"{_name(app)}: {there} may not be written")


def _writer(database: AuthorsDatabase, history: History) -> ScriptDirectory:
    from sqlhelpers.migrations.authoring.alembic_config import style_of
    from sqlhelpers.migrations.authoring.files import RevisionWriter

    revisions = history.require_revisions()
    return RevisionWriter(revisions, style_of(revisions.folder, database.settings.alembic))
