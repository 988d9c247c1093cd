"""``LintFinding``: what linting returns, and ``Hit``: what a rule has found before it is known where that stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, order=True)
class LintFinding:
    """One thing that a revision would do to a live database.

    Attributes:
        path: the revision file, relative to the working directory where it is below it.
        line: the line in it.
        rule: the name of the rule; those of squawk begin with ``squawk/``.
        text: what it does.
        safer: what to do instead.
        database: the name of the database.
        app: the app; None for a migrations folder without one.
        revision: the revision.
        direction: ``upgrade`` or ``downgrade``.
    """

    path: str
    line: int
    rule: str
    text: str
    safer: str
    database: str
    app: str | None
    revision: str
    direction: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}; safer: {self.safer}"


class Hit(NamedTuple):
    """What a rule has found in one operation or statement.

    Attributes:
        rule: the name of the rule.
        subject: what is done, in words.
        table: the table that it is done to; empty if that is not known.
        name: the column, index or table in question, where it matters whether the revision itself has made it.
    """

    rule: str
    subject: str
    table: str = ""
    name: str = ""
