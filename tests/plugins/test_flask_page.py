"""The page on Flask: its examples are a program that works."""

from __future__ import annotations

import pytest
from pages import DOCS, PageRun
from projects import revision_text

PAGE = DOCS / "flask.md"
MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "book"
    isbn: Mapped[str] = mapped_column(primary_key=True)
"""
CREATE = 'op.create_table("book", sa.Column("isbn", sa.String, primary_key=True))'


@pytest.fixture
def app(project, monkeypatch):
    """The application of the page, with an app for its model."""
    project.write_app("shop", MODELS, {"r1.py": revision_text("r1", CREATE)})
    monkeypatch.setenv("SQLHELPERS_APPS__SHOP__PACKAGE", "shop")
    app = PageRun(PAGE, project).run()["app"]
    yield app
    app.extensions["sqlhelpers"].dispose()


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
