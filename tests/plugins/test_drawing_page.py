"""The page on drawings shows what the commands draw of the bookshop, and its code runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import mermaid
import pytest
from bookshops import FOLDER
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import sqlhelpers

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "drawing.md").read_text("utf-8")


def blocks(language):
    """Return the code blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def bookshop(project, monkeypatch):
    """The working directory is that of the bookshop; the database is in the project's folder."""
    monkeypatch.chdir(FOLDER)
    monkeypatch.delenv("SQLHELPERS_DISABLE_PLUGINS")
    monkeypatch.setenv("SQLHELPERS_ENABLE_APPS", "bookshop,countries")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{project.folder}/bookshop.db")


@pytest.mark.usefixtures("bookshop")
def test_the_page_shows_what_the_commands_print(command):
    """``make docs-drawings`` writes it anew."""
    graph, diagram = blocks("mermaid")
    (text,) = blocks("text")

    assert command("graph").stdout == graph
    assert command("graph", "--format", "text").stdout == text
    assert command("diagram").stdout == diagram


def test_the_pictures_show_the_same():
    """Every revision and every column of the texts is in the picture."""
    graph, diagram = blocks("mermaid")
    pictures = [(DOCS / f"bookshop-{name}.svg").read_text("utf-8") for name in ("graph", "diagram")]
    revisions = [lines[0] for _, lines, _ in mermaid.flowchart(graph).nodes.values()]
    tables = mermaid.diagram(diagram).entities

    assert [each for each in revisions if f">{each}</text>" not in pictures[0]] == []
    for name, entity in tables.items():
        shown = [name, *(column for _, column, _, _ in entity.fields)]
        assert [each for each in shown if f">{each}</text>" not in pictures[1]] == []


@pytest.mark.usefixtures("bookshop")
def test_the_code_on_the_page_runs(monkeypatch, capsys):
    """And prints the heads and the graph."""

    class Base(DeclarativeBase):
        pass

    class Shop(Base):
        __tablename__ = "shops"
        id: Mapped[int] = mapped_column(primary_key=True)

    monkeypatch.setattr(sqlhelpers, "Base", Base, raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path, str(FOLDER)])
    names: dict[str, object] = {}

    exec(blocks("python")[0], names)

    assert capsys.readouterr().out.startswith(
        "bookshop ['5d08f6a3e9b2']\nbookshop (after countries)\n  *  5d08f6a3e9b2"
    )
    assert "shops" in str(names["text"])
    assert "countries" in str(names["diagram"])
