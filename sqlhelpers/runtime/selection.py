"""Which apps of which databases are meant by what was written, and which revisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlhelpers.exceptions import AppError
from sqlhelpers.migrations.revisions import known_names, knows
from sqlhelpers.suggestions import unknown_app

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlhelpers.migrations.state import History

_EVERYWHERE = frozenset(("", "base", "head", "heads"))


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was meant.

    Attributes:
        apps: for each database that has any of them the names of the apps, in the order of a sync.
        revisions: the revisions, as they were written.
        dependents: apps in the same databases that need some of these, and are not among them.
    """

    apps: Mapping[str, tuple[str, ...]]
    revisions: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()


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
    if words and words[0] in _names(histories):
        return _holding(histories, {words[0]}, words[1:])
    able = {each.name for found in histories.values() for each in found if each.revisions is not None}
    parts = [part for word in words for part in word.split(":")]
    if not _EVERYWHERE.issuperset(parts):
        able = _knowing(histories, words, parts)
    return _holding(histories, able, words)


def select_app(histories: Mapping[str, Sequence[History]], app: str | None) -> Selection:
    """Return what is meant by ``[APP]``: all apps that have migrations where there is none.

    Raises:
        AppError: there is no such app.
    """
    if app is not None and app not in _names(histories):
        raise _no_app(histories, app)
    return select(histories, [] if app is None else [app])


def _names(histories: Mapping[str, Sequence[History]]) -> list[str]:
    return sorted({each.name for found in histories.values() for each in found})


def _no_app(histories: Mapping[str, Sequence[History]], app: str, **more: Any) -> AppError:
    bind = next(iter(histories)) if len(histories) == 1 else None
    return unknown_app(app, _names(histories), bind=bind, **more)


def _knowing(histories: Mapping[str, Sequence[History]], words: Sequence[str], parts: Sequence[str]) -> set[str]:
    """Return the only app that can be meant by some revisions.

    Raises:
        AppError: there is none, or more than one.
    """
    able = [each for found in histories.values() for each in found if each.revisions is not None]
    graphs = [(each.name, each.revisions.graph) for each in able if each.revisions is not None]
    found = {name for name, graph in graphs if all(knows(graph, part) for part in parts)}
    if len(found) == 1:
        return found
    if found:
        raise AppError(f"{' '.join(words)} can be meant for several apps: name one of {', '.join(sorted(found))}")
    if len(words) > 1 and not any(knows(graph, words[0]) for _, graph in graphs):
        raise _no_app(histories, words[0])
    known = [name for _, graph in graphs for name in known_names(graph)]
    raise _no_app(histories, " ".join(words), kinds="app and no revision", others=known)


def _holding(histories: Mapping[str, Sequence[History]], names: set[str], revisions: Sequence[str]) -> Selection:
    found = {bind: tuple(each.name for each in apps if each.name in names) for bind, apps in histories.items()}
    held = {bind: apps for bind, apps in found.items() if apps}
    dependents = {
        each.name for bind in held for each in histories[bind] if each.name not in names and names & set(each.needs)
    }
    return Selection(apps=held, revisions=tuple(revisions), dependents=tuple(sorted(dependents)))
