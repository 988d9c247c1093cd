"""What is told of revisions: what their files say, how they stand among each other, and where a database is among them.

No file is run for that.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from sqlhelpers.migrations.revisions import docstring, split_range
from sqlhelpers.migrations.state.history import current_revisions
from sqlhelpers.reports import Position, RevisionInfo, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

    from sqlhelpers.migrations.revisions import RevisionFile, Revisions
    from sqlhelpers.migrations.state.history import History
    from sqlhelpers.reports import JournalEntry


def newest_first(
    histories: Iterable[History],
    between: str | None = None,
    current: Sequence[str] = (),
) -> tuple[RevisionInfo, ...]:
    """Return the revisions of each history, the newest first, as Alembic orders them.

    Args:
        histories: the apps; those without migrations have none.
        between: the only ones: ``START:END``, ends included, in Alembic's words; None for all.
        current: the revisions that ``current`` stands for in it.

    Raises:
        AppError: there is no such revision, or no such range.
    """
    start, end = split_range(between) if between is not None else ("", "")
    found: list[RevisionInfo] = []
    for history in histories:
        if history.revisions is not None:
            found += describe(history.revisions, history.revisions.walk(start, end, current))
    return tuple(found)


def heads(histories: Iterable[History], *, resolve_dependencies: bool = False) -> tuple[RevisionInfo, ...]:
    """Return the newest revisions of each history; with ``resolve_dependencies`` none that another one depends on."""
    with_migrations = (history.revisions for history in histories if history.revisions is not None)
    found = [info for each in with_migrations for info in describe(each, each.heads())]
    return tuple(info for info in found if not (resolve_dependencies and info.needed_by))


def named(history: History, revision: str) -> tuple[RevisionInfo, ...]:
    """Return what is to be told of the revisions that a name stands for.

    Raises:
        AppError: there is no such revision, or the app has no migrations.
    """
    revisions = history.require_revisions()
    return describe(revisions, revisions.resolve(revision))


def position(connection: Connection, bind: str, history: History) -> Position:
    """Return where a database is in a history.

    Raises:
        AppError: the app has no migrations.
    """
    revisions, current = history.require_revisions(), current_revisions(connection, history)
    unknown = revisions.unknown(current)
    known = current if unknown else revisions.all_current(current)
    return Position(bind=bind, app=history.app, current=known, heads=revisions.heads(), unknown=unknown)


def traces(
    connection: Connection,
    bind: str,
    history: History,
    names: Sequence[str],
    entries: Sequence[JournalEntry],
) -> tuple[Trace, ...]:
    """Return what a database knows of some revisions of a history; ``entries`` are those of its journal."""
    current = position(connection, bind, history).current
    applied = history.require_revisions().applied(current)
    return tuple(
        Trace(
            bind=bind,
            is_applied=name in applied,
            is_current=name in current,
            entries=tuple(each for each in entries if name in each.revision.split(", ")),
        )
        for name in names
    )


def describe(revisions: Revisions, names: Iterable[str]) -> tuple[RevisionInfo, ...]:
    """Return what is to be told of some revisions of a history, in the order of the names."""
    files = revisions.files()
    owners = {label: file.revision for file in files.values() for label in file.branch_labels}
    following, needed_by = defaultdict(list), defaultdict(list)
    for file in files.values():
        for each in file.down_revisions:
            following[each].append(file.revision)
        for each in file.depends_on:
            needed_by[owners.get(each, each)].append(file.revision)
    return tuple(
        _described(revisions.app, files[name], tuple(following[name]), tuple(needed_by[name])) for name in names
    )


def _described(
    app: str | None, file: RevisionFile, following: tuple[str, ...], needed_by: tuple[str, ...]
) -> RevisionInfo:
    doc = docstring(Path(file.path).read_bytes())
    date = _DATE.search(doc)
    return RevisionInfo(
        app=app,
        revision=file.revision,
        down_revisions=file.down_revisions,
        next_revisions=following,
        depends_on=file.depends_on,
        needed_by=needed_by,
        branch_labels=file.branch_labels,
        message=" ".join(_TECHNICAL.sub("", doc).strip().partition("\n\n")[0].split()),
        doc=doc,
        date=date[1].strip() if date else "",
        path=file.path,
    )


def text_of(info: RevisionInfo) -> str:
    """Return the docstring without the lines that Alembic's template writes into it."""
    return _TECHNICAL.sub("", info.doc).strip()


_TECHNICAL = re.compile(r"^(?:Revision ID|Revises|Create Date):.*\n?", re.MULTILINE)
_DATE = re.compile(r"^Create Date:(.*)$", re.MULTILINE)
