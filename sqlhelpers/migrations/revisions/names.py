"""What people write for revisions: whole and partial identifiers, labels, ``head``, ``+2``, ``label@head``, ranges.

The words are Alembic's, which also follows them. Here is found what is wrong with them, and what was meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlhelpers.exceptions import AppError
from sqlhelpers.suggestions import suggest

if TYPE_CHECKING:
    from sqlhelpers.migrations.revisions.graph import RevisionGraph

#: What stands for revisions in every history.
SYMBOLS = frozenset(("head", "heads", "base", "current"))

_RELATIVE = re.compile(r"(?:(?P<branch>.+?)@)?(?P<start>\w+)?(?P<steps>[+-]\d+)")  # as Alembic's
_LEAST = 4  # characters of a revision that can be written in part, as Alembic has it


def words_of(target: str) -> tuple[str, ...]:
    """Return the revisions and branch labels that a target names; none for a symbol, or steps from where one is."""
    return tuple(word for word in _parts(target) if word and word not in SYMBOLS)


def _parts(target: str) -> tuple[str, str]:
    match = _RELATIVE.match(target)
    if match:
        return match["branch"] or "", match["start"] or ""
    branch, _, rest = target.rpartition("@")
    return branch, rest


def matching(graph: RevisionGraph, word: str) -> tuple[str, ...]:
    """Return what a revision, a branch label, or the beginning of one can stand for, sorted."""
    labels = _labels(graph)
    if word in graph.by_revision or word in labels:
        return (word,)
    return tuple(sorted(each for each in known_names(graph) if len(each) >= _LEAST and each.startswith(word)))


def knows(graph: RevisionGraph, target: str) -> bool:
    """Tell whether all that a target names is in a history."""
    return all(matching(graph, word) for word in words_of(target))


def check_name(graph: RevisionGraph, target: str, owner: str) -> None:
    """Raise if a target names what is not there, or more than one thing.

    Args:
        graph: the history.
        target: what was written.
        owner: whose history it is, for the message.

    Raises:
        AppError: with the near name, or all that was found.
    """
    branch, _ = _parts(target)
    for word in words_of(target):
        found = matching(graph, word)
        if not found:
            raise AppError(f"{owner}: there is no revision {word!r}{suggest(word, known_names(graph))}")
        if len(found) > 1 and not branch:  # a branch may leave one of them
            raise AppError(f"{owner}: {word!r} is the beginning of several revisions: {', '.join(found)}")


def split_range(between: str) -> tuple[str, str]:
    """Return the start and the end of a range; either may be empty.

    Raises:
        AppError: it is no range.
    """
    start, colon, end = between.partition(":")
    if not colon or ":" in end:
        raise AppError(f"{between!r} is no range of revisions: write START:END, START: or :END")
    return start, end


def known_names(graph: RevisionGraph) -> tuple[str, ...]:
    """Return all that revisions of a history are called: their identifiers, and the labels of branches."""
    return (*graph.by_revision, *_labels(graph))


def _labels(graph: RevisionGraph) -> tuple[str, ...]:
    return tuple(label for file in graph.files for label in file.branch_labels)
