"""The page on FastAPI: its examples are a program that works."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from databases import execute
from fastapi.testclient import TestClient
from pages import DOCS, PageRun
from projects import revision_text

from sqlhelpers import NAMING_CONVENTION
from sqlhelpers.managers import readiness

PAGE = DOCS / "fastapi.md"
MODELS = f"""
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={NAMING_CONVENTION})


class Book(Base):
    __tablename__ = "book"
    isbn: Mapped[str] = mapped_column(primary_key=True)
"""
CREATE = 'op.create_table("book", sa.Column("isbn", sa.String, primary_key=True))'


@pytest.fixture
def service(project, monkeypatch):
    """The program of the page, with an app for its model, and the same table in the second database."""
    project.write_app("shop", MODELS, {"r1.py": revision_text("r1", CREATE)})
    monkeypatch.setenv("SQLHELPERS_APPS__SHOP__PACKAGE", "shop")
    execute(f"sqlite:///{project.folder}/reports.db", "CREATE TABLE book (isbn VARCHAR PRIMARY KEY)")
    return SimpleNamespace(**PageRun(PAGE, project).run())


def test_the_examples_work(service):
    """The tests of the page pass, and every route does what the page says."""
    service.test_add()
    service.test_elsewhere()
    with TestClient(service.app) as client:
        assert client.post("/reports/y").status_code == 200
        assert client.post("/later/z").status_code == 200
        with client.websocket_connect("/ws") as socket:
            socket.send_text("w")
            assert socket.receive_text() == "added"

        assert client.get("/count").json() == 3
        assert sorted(client.get("/stream").text.split()) == ["w", "x", "z"]
        assert client.get("/v1/livez").status_code == 404


def test_the_page_knows_every_detail():
    """The words that a probe can say are those of the module, and of the page."""
    said = set(re.findall(r"^([a-z ]+?)  *(?:yes|no) ", readiness.__doc__, re.MULTILINE))

    assert len(said) == 10
    assert {word for word in said if f"`{word}`" not in PAGE.read_text("utf-8")} == set()
