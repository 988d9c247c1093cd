"""The adapter for Starlette, found and attached as a user would, on SQLite."""

import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sqlhelpers import Runtime, Settings
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_starlette import attach, session, with_session

TABLES = """
CREATE TABLE authors (name TEXT PRIMARY KEY);
CREATE TABLE books (author TEXT REFERENCES authors (name) DEFERRABLE INITIALLY DEFERRED);
"""
ADD = text("INSERT INTO authors VALUES (:name)")


@with_session()
async def add(request, session):
    await session.execute(ADD, {"name": request.path_params["name"]})
    return PlainTextResponse("added", 201)


@with_session()
async def orphan(request, session):
    await session.execute(text("INSERT INTO books VALUES ('nobody')"))
    return PlainTextResponse("added", 201)


@with_session()
async def crash(request, session):
    await session.execute(ADD, {"name": "lost"})
    raise ZeroDivisionError


async def first(request):
    async with session(request) as opened:
        name = (await opened.execute(text("SELECT name FROM authors"))).scalar_one()
    return PlainTextResponse(name)


@pytest.fixture
def names(tmp_path):
    """What is committed, over a connection of our own."""

    def read():
        with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM authors")]

    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executescript(TABLES)
    return read


@pytest.fixture
def app(tmp_path, names):
    events = []

    @asynccontextmanager
    async def lifespan(app):
        events.append("starts")
        yield {"events": events}
        events.append("ends")

    app = Starlette(
        routes=[
            Route("/authors/{name}", add, methods=["POST"]),
            Route("/orphans", orphan, methods=["POST"]),
            Route("/crashes", crash, methods=["POST"]),
            Route("/first", first),
        ],
        lifespan=lifespan,
    )
    Runtime(Settings(databases={"default": f"sqlite:///{tmp_path}/x.db"})).attach(app)
    return app


@pytest.fixture
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_commit_precedes_response(client, names):
    """A row is in the database when its response is here, every time."""
    for number in range(20):
        assert client.post(f"/authors/{number}").status_code == 201
        assert len(names()) == number + 1


def test_failed_commit_is_no_success(client):
    """The book without its author is refused when it is committed, and that is a 500."""
    assert client.post("/orphans").status_code == 500


def test_exception_rolls_back(client, names):
    """What an endpoint wrote before it raised is gone."""
    assert client.post("/crashes").status_code == 500
    assert names() == []


def test_answers(client):
    """A row that is not there is a 404, one that is there already a 409."""
    assert client.get("/first").status_code == 404
    assert [client.post("/authors/ada").status_code for _ in range(2)] == [201, 409]
    assert client.get("/first").text == "ada"


def test_lifespan(app):
    """The application's own lifespan runs once."""
    with TestClient(app) as client:
        events = client.app_state["events"]
        assert events == ["starts"]

    assert events == ["starts", "ends"]


def test_misuse(app):
    """A second runtime is refused, one for an application that runs too; an endpoint without one says what to call."""
    with pytest.raises(ConfigurationError, match="has a runtime already"):
        attach(app)

    forgotten = Starlette(routes=[Route("/first", first)])
    with TestClient(forgotten) as client:
        with pytest.raises(ConfigurationError, match=r"no runtime; call sqlhelpers_starlette\.attach"):
            client.get("/first")
        with pytest.raises(ConfigurationError, match="has started"):
            attach(forgotten)
