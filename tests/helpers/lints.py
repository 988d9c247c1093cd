"""Revisions to lint: a small app whose revision files are given by the bodies of their functions."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from databases import runtime
from projects import Project, revision_text

import sqlhelpers_lint

if TYPE_CHECKING:
    from sqlhelpers_lint import LintFinding

MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
FIRST_LINE = 9  # of the body of upgrade(), in what revision_text() returns
_numbers = count(1)


def url_of(dialect: str) -> str:
    """Return the URL of a database that is nowhere."""
    return "sqlite:///nowhere.db" if dialect == "sqlite" else f"{dialect}://nowhere.invalid/shop"


def lint(dialect: str = "postgresql", *words: str, **options: Any) -> tuple[LintFinding, ...]:
    """Lint the app ``shop`` of the working directory."""
    with runtime(url_of(dialect)) as made:
        return sqlhelpers_lint.lint(made, *words, **options)


def lint_body(project: Project, body: str, dialect: str = "postgresql", **options: Any) -> tuple[LintFinding, ...]:
    """Lint a revision whose ``upgrade()`` has this body, in a file of a new name: Python keeps what it has compiled."""
    for old in project.folder.glob("shop/migrations/versions/*.py"):
        old.unlink()
    project.write(f"shop/migrations/versions/r{next(_numbers)}.py", revision_text("r1", body))
    return lint(dialect, **options)


def rules_in(project: Project, body: str, dialect: str = "postgresql", **options: Any) -> list[str]:
    """Return the names of the rules that find something in a body, in the order of the lines."""
    return [finding.rule for finding in lint_body(project, body, dialect, **options)]
