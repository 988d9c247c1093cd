"""The adapter for Flask over real HTTP: a threaded server in a process of its own, on SQLite and PostgreSQL."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from processes import until
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

SERVER = """
import signal
import sys
import threading

from flask import Flask, Response
from sqlalchemy import text
from werkzeug.serving import make_server

from sqlhelpers_flask import attach, get_manager, session, session_provider

app = Flask("shop")
attach(app)
together = threading.Barrier(4, timeout=30)


@app.post("/authors/<name>")
def add(name):
    session.execute(text("INSERT INTO authors (name) VALUES (:name)"), {"name": name})
    return name


@app.post("/orphans")
def orphan():
    session.execute(text("INSERT INTO books (author_id) VALUES (7)"))
    return "written"


@app.post("/crashes")
def crash():
    add("lost")
    raise ZeroDivisionError


@app.get("/together")
def meet():
    own = session._get_current_object()  # before they meet: once one has ended, another may have its address
    begun = str(id(own.connection().connection.dbapi_connection)) if sys.argv[1:] else ""
    place = together.wait()
    return f"{id(own)} {begun} {place}"


@app.get("/stream")
def stream():
    provider = session_provider()

    def lines():
        with provider() as own:
            own.execute(text("INSERT INTO authors (name) VALUES ('streamed')"))
            while True:
                yield "x" * 1000

    return Response(lines())


@app.get("/in-use")
def in_use():
    return str(get_manager().engine.pool.checkedout())


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = make_server("127.0.0.1", 0, app, threaded=True)
print(f"on {server.port}.", flush=True)
server.serve_forever()
"""

TABLES = (
    "CREATE TABLE authors (id {serial} PRIMARY KEY, name VARCHAR(50) UNIQUE)",
    (
        "CREATE TABLE books (id {serial} PRIMARY KEY, "
        "author_id INTEGER REFERENCES authors (id) DEFERRABLE INITIALLY DEFERRED)"
    ),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """An engine of our own, without a pool, for a database that has the tables."""
    name = request.param
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[name])
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement.format(serial="SERIAL" if name == "postgresql" else "INTEGER")))
    return engine


@pytest.fixture
def server(children, database):
    """The running server."""
    url = database.url.set(drivername=database.dialect.name).render_as_string(hide_password=False)
    server = children.python(
        SERVER, *(["connect"] if database.dialect.name != "sqlite" else []), env={"DATABASE_URL": url}
    )
    until(lambda: "on " in server.printed or not server.is_running, "the server listens")
    assert server.is_running, server.printed
    return server


@pytest.fixture
def client(server):
    port = re.search(r"on (\d+)\.", server.printed)[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        yield client


def count(database, table="authors") -> int:
    """Count rows over a new connection."""
    with database.connect() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_a_row_is_visible_at_once(client, database):
    """When the response is here, the row is in the database: 100 of 100."""
    seen = []
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for number in range(100):
            client.post(f"/authors/{number}").raise_for_status()
            seen.append(connection.execute(text("SELECT count(*) FROM authors")).scalar_one())

    assert seen == list(range(1, 101))


def test_a_failed_commit_is_no_success(client, server, database):
    """A deferred constraint that fails at the commit is a 500 and logged; the next request is served."""
    status = client.post("/orphans").status_code

    assert status == 500
    assert "IntegrityError" in server.printed
    assert count(database, "books") == 0
    assert client.get("/in-use").text == "0"
    assert client.post("/authors/ada").status_code == 200, server.printed


def test_a_conflict_and_a_crash(client, database):
    """A name that is taken is a 409, an exception a 500, and neither leaves a row."""
    client.post("/authors/ada").raise_for_status()

    assert client.post("/authors/ada").status_code == 409
    assert client.post("/crashes").status_code == 500
    assert count(database) == 1
    assert client.get("/in-use").text == "0"


def test_threads_do_not_share_sessions(client, database):
    """Four requests that are served at the same time have four sessions, and four connections."""
    with ThreadPoolExecutor(4) as threads:
        answers = [answer.text.split() for answer in threads.map(client.get, ["/together"] * 4)]

    columns = list(zip(*answers, strict=True))
    assert [len(set(column)) for column in columns] == [4] * (3 if database.dialect.name == "postgresql" else 2)


def test_a_client_that_goes_away(client, database):
    """A client that goes in the middle of a stream leaves no connection in use, and no row."""
    with client.stream("GET", "/stream") as response:
        next(response.iter_bytes())

    until(lambda: client.get("/in-use").text == "0", "the connection is free")
    assert count(database) == 0


def test_no_connection_is_left(client, server, database, request):
    """A server that is told to stop ends in good order, and leaves no connection and no half-written row."""
    client.post("/authors/ada").raise_for_status()
    server.send(signal.SIGTERM)
    finished = server.finish()

    assert finished.status == 0
    assert "Traceback" not in finished.output
    assert count(database) == 1
    if database.dialect.name == "postgresql":
        postgres = request.getfixturevalue("postgres_server")
        query = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{database.url.database}'"
        until(lambda: not postgres.execute(query), "the server has no connection")
