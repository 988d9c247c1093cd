"""What is told of revisions, whatever databases are at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RevisionInfo:
    """What a revision file says of itself, and how it stands among the others.

    Attributes:
        app: the app; None for a manager that was made without apps.
        revision: its identifier.
        down_revisions: the revisions that it follows.
        next_revisions: the revisions that follow it.
        depends_on: the revisions that have to be run before it, beside those.
        needed_by: the revisions that depend on it.
        branch_labels: the labels that it gives to its branch.
        message: the first sentence of its docstring.
        doc: the whole docstring.
        date: when it was written, as its docstring has it; empty if it has not.
        path: its file.
    """

    app: str | None
    revision: str
    down_revisions: tuple[str, ...]
    next_revisions: tuple[str, ...]
    depends_on: tuple[str, ...]
    needed_by: tuple[str, ...]
    branch_labels: tuple[str, ...]
    message: str
    doc: str
    date: str
    path: str

    @property
    def marks(self) -> tuple[str, ...]:
        """What stands out: ``base``, ``head`` or ``effective head``, ``branchpoint``, ``mergepoint``."""
        found = {
            "base": not self.down_revisions,
            "head": not self.next_revisions and not self.needed_by,
            "effective head": not self.next_revisions and bool(self.needed_by),
            "branchpoint": len(self.next_revisions) > 1,
            "mergepoint": len(self.down_revisions) > 1,
        }
        return tuple(mark for mark, is_so in found.items() if is_so)


@dataclass(frozen=True, kw_only=True)
class WrittenRevision:
    """A revision file that was written.

    Attributes:
        bind: the name of the database.
        app: the app; None for a manager that was made without apps.
        revision: its identifier.
        path: the file.
        down_revisions: the revisions that it follows.
        message: what it is about.
        operations: what it does, a line for each.
        notes: what the author should know: tables that were left alone, columns that may have been renamed.
    """

    bind: str
    app: str | None
    revision: str
    path: str
    down_revisions: tuple[str, ...]
    message: str
    operations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
