"""The page on Flask: its examples are a program that works."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from projects import revision_text

PAGE = (Path(__file__).parents[2] / "docs" / "flask.md").read_text("utf-8")
MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "book"
    isbn: Mapped[str] = mapped_column(primary_key=True)
"""
CREATE = 'op.create_table("book", sa.Column("isbn", sa.String, primary_key=True))'


def blocks(language):
    """Return all code blocks of the page in a language, as one text."""
    return "\n\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture
def app(project):
    """The application of the page, with an app for its model."""
    project.write_app("shop", MODELS, {"r1.py": revision_text("r1", CREATE)})
    project.write_pyproject(blocks("toml") + '[tool.sqlhelpers.apps.shop]\npackage = "shop"\n')
    project.write("service.py", blocks("python"))
    app = importlib.import_module("service").app
    yield app
    app.extensions["sqlhelpers"].dispose()
    sys.modules.pop("service")


def test_the_examples_work(app):
    """Every route and command does what the page says, once ``flask db sync`` has run."""
    client, runner = app.test_client(), app.test_cli_runner()
    with app.extensions["sqlhelpers"].manager("reports").engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE book (isbn VARCHAR PRIMARY KEY)")

    assert client.get("/readyz").status_code == 503
    synced = runner.invoke(args=["db", "sync"])
    assert synced.exit_code == 0, synced.output
    assert client.get("/readyz").status_code == 200
    assert "no books yet" in client.get("/first").text

    assert [client.post("/books/x").status_code for _ in range(2)] == [201, 409]
    assert client.post("/reports/y").status_code == 200
    assert [client.get(path).status_code for path in ("/books/x", "/books/y")] == [200, 404]
    assert runner.invoke(args=["add"]).exit_code == 0
    assert client.get("/first").text == "one"
    assert client.get("/stream").text == "one\nx\n"
