"""Which apps of which databases are meant by what was written, and which revisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlhelpers import revision_names
from sqlhelpers.exceptions import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlhelpers.histories import History

_EVERYWHERE = frozenset(("", "base", "head", "heads"))


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was meant.

    Attributes:
        apps: for each database that has any of them the names of the apps, in the order of a sync.
        revisions: the revisions, as they were written.
        is_named: whether an app was named, or only one can be meant.
    """

    apps: Mapping[str, tuple[str, ...]]
    revisions: tuple[str, ...]
    is_named: bool


def select(histories: Mapping[str, Sequence[History]], words: Sequence[str]) -> Selection:
    """Return what is meant by ``[APP] [REVISION]...``.

    Where no app is named, it is the only one that knows the revisions; it is all that have migrations where there is
    no revision, or one that is everywhere: ``head``, ``heads``, ``base``.

    Args:
        histories: the apps of each database in question, in the order of a sync.
        words: what was written; revisions can be ranges.

    Raises:
        AppError: there is no such app or revision, or it is not clear which app is meant.
    """
    names = {each.name for found in histories.values() for each in found}
    if words and words[0] in names:
        return Selection(apps=_holding(histories, {words[0]}), revisions=tuple(words[1:]), is_named=True)
    able = {each.name for found in histories.values() for each in found if each.revisions is not None}
    parts = [part for word in words for part in word.split(":")]
    if not _EVERYWHERE.issuperset(parts):
        able = _knowing(histories, words, parts)
    return Selection(apps=_holding(histories, able), revisions=tuple(words), is_named=len(able) == 1)


def _knowing(histories: Mapping[str, Sequence[History]], words: Sequence[str], parts: Sequence[str]) -> set[str]:
    """Return the only app that can be meant by some revisions.

    Raises:
        AppError: there is none, or more than one.
    """
    able = [each for found in histories.values() for each in found if each.revisions is not None]
    graphs = [(each.name, each.revisions.graph) for each in able if each.revisions is not None]
    found = {name for name, graph in graphs if all(revision_names.knows(graph, part) for part in parts)}
    if len(found) == 1:
        return found
    names = sorted({each.name for found in histories.values() for each in found})
    shown = ", ".join(names) or "none"
    if found:
        raise AppError(f"{' '.join(words)} can be meant for several apps: name one of {', '.join(sorted(found))}")
    known = {each for _, graph in graphs for each in graph.by_revision}
    known |= {label for _, graph in graphs for file in graph.files for label in file.branch_labels}
    first = words[0]
    if len(words) > 1 and not any(revision_names.knows(graph, first) for _, graph in graphs):
        raise AppError(f"there is no app {first!r} (apps: {shown}){revision_names.near(first, tuple(names))}")
    near = revision_names.near(first, (*names, *sorted(known)))
    raise AppError(f"there is no app and no revision {' '.join(words)!r} (apps: {shown}){near}")


def _holding(histories: Mapping[str, Sequence[History]], names: set[str]) -> dict[str, tuple[str, ...]]:
    found = {bind: tuple(each.name for each in apps if each.name in names) for bind, apps in histories.items()}
    return {bind: apps for bind, apps in found.items() if apps}
