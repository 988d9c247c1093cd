"""``RevisionGraph``: how the revisions of a history follow each other."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class RevisionFile(NamedTuple):
    """One revision file: where it is, what it says it is, and the checksum of its text, whatever its line ends are."""

    path: str
    revision: str
    down_revisions: tuple[str, ...]
    branch_labels: tuple[str, ...]
    depends_on: tuple[str, ...]
    checksum: str


class RevisionGraph:
    """How revisions follow each other.

    Attributes:
        files: the files; those of a chain in its order, which is Alembic's quickest.
        by_revision: the files by their revisions.
        heads: the revisions that none follows, sorted.
        is_sound: whether every revision is there once, and after those that it needs.
        chain: all revisions from the first to the last, if each follows the one before and nothing else; or None.
    """

    def __init__(
        self,
        files: Sequence[RevisionFile],
        is_current: Callable[[RevisionGraph], bool] = lambda _: False,
    ) -> None:
        known = {each.revision: each for each in files}
        names = {label: each.revision for each in files for label in each.branch_labels}
        labels = sum(len(each.branch_labels) for each in files)
        order = _chained(files) or _in_order(files, names)
        self.by_revision = known
        followed = {down for each in files for down in each.down_revisions}
        self.heads: tuple[str, ...] = tuple(sorted(known.keys() - followed))
        self.is_sound: bool = len(files) == len(known) == len(order) and labels == len(names.keys() - known.keys())
        is_plain = not labels and not any(each.depends_on or len(each.down_revisions) > 1 for each in files)
        is_chain = self.is_sound and is_plain and len(self.heads) == 1
        self.chain: tuple[str, ...] | None = tuple(order) if is_chain else None
        self.files: Sequence[RevisionFile] = [known[each] for each in order] if is_chain else files
        self._is_current = is_current

    def doubles(self) -> dict[str, list[str]]:
        """Return the revisions that are there more than once, each with its files."""
        paths: dict[str, list[str]] = defaultdict(list)
        for each in self.files:
            paths[each.revision].append(each.path)
        return {revision: found for revision, found in paths.items() if len(found) > 1}

    def is_current(self) -> bool:
        """Tell whether it is sure that no file has changed since; none is read for that."""
        return self._is_current(self)

    def between(self, current: tuple[str, ...], target: str) -> tuple[str, ...] | None:
        """Return the revisions from ``current`` up to ``target``, in their order; None if that takes more to know."""
        if target == "heads" and len(self.heads) == 1:
            target = self.heads[0]
        if current == (target,):
            return ()
        if self.chain is None or len(current) > 1:
            return None
        places = {revision: place for place, revision in enumerate(self.chain, 1)}
        if target not in places or not all(each in places for each in current):
            return None
        first = places[current[0]] if current else 0
        return self.chain[first : places[target]] if first <= places[target] else None


def _chained(files: Sequence[RevisionFile]) -> list[str]:
    """Return the revisions in their order if each follows the one before and nothing else; empty if not."""
    following = {each.down_revisions: each.revision for each in files if not each.depends_on}
    order: list[str] = []
    revision = following.get(())
    while revision is not None and len(order) <= len(files):  # they may go round in a circle
        order.append(revision)
        revision = following.get((revision,))
    return order if len(order) == len(files) else []


def _in_order(files: Sequence[RevisionFile], names: dict[str, str]) -> list[str]:
    """Return the revisions, each after those that it needs; what needs itself, or what is not there, is left out."""
    following: dict[str, list[str]] = defaultdict(list)
    missing: dict[str, int] = {}
    for each in files:
        needed = {*each.down_revisions, *(names.get(name, name) for name in each.depends_on)}
        missing[each.revision] = len(needed)
        for revision in needed:
            following[revision].append(each.revision)
    order = [revision for revision, count in missing.items() if not count]
    for revision in order:  # it grows
        for follower in following[revision]:
            missing[follower] -= 1
            if not missing[follower]:
                order.append(follower)
    return order
