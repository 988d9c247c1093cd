"""A service on FastAPI and uvicorn, in a process of its own, over real HTTP, on PostgreSQL and SQLite."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpx
import pytest
import services
from databases import connected, execute, rows
from processes import until
from projects import revision_text
from servers import PostgresServer
from sqlalchemy import make_url, text
from throwaway import MADE_UP, running

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id", deferrable=True, initially="DEFERRED"))
"""

SERVICE = """
import asyncio
from contextlib import AsyncExitStack

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import event, text
from sqlhelpers_fastapi import SessionDep, SessionProviderDep, SyncSessionDep, attach

from shop.models import Book

app = FastAPI()
runtime = attach(app, sync=True)
opened = []


@app.post("/books/{book}")
async def add(book: int, session: SessionDep) -> None:
    session.add(Book(id=book))


@app.post("/sync/books/{book}")
def add_sync(book: int, session: SyncSessionDep) -> None:
    session.add(Book(id=book))


@app.post("/orphans/{book}")
async def add_orphan(book: int, session: SessionDep) -> None:
    session.add(Book(id=book, author_id=7))
    await session.flush()


@app.post("/sync/orphans/{book}")
def add_orphan_sync(book: int, session: SyncSessionDep) -> None:
    session.add(Book(id=book, author_id=7))
    session.flush()


@app.post("/crashes/{book}")
async def crash(book: int, session: SessionDep) -> None:
    session.add(Book(id=book))
    await session.flush()
    raise RuntimeError("the service's own error")


@app.post("/sync/crashes/{book}")
def crash_sync(book: int, session: SyncSessionDep) -> None:
    session.add(Book(id=book))
    session.flush()
    raise RuntimeError("the service's own error")


@app.post("/pairs/{book}")
async def add_pair(book: int, session: SessionDep) -> None:
    session.add(Book(id=2 * book))
    await session.flush()
    await asyncio.sleep(0.01)
    session.add(Book(id=2 * book + 1))


@app.get("/stream")
async def stream(sessions: SessionProviderDep) -> StreamingResponse:
    async def lines():
        async with sessions() as session:
            session.add(Book(id=1))
            await session.flush()
            while True:
                yield "more\\n"
                await asyncio.sleep(0)

    return StreamingResponse(lines())


@app.post("/warm")
async def warm() -> None:
    async with AsyncExitStack() as stack:
        for _ in range(15):
            await stack.enter_async_context(runtime.async_manager().engine.connect())


@app.post("/holders")
async def hold(session: SessionDep) -> None:
    await session.execute(text("SELECT 1"))
    opened.append("held")
    await asyncio.sleep(60)


@app.get("/opened")
async def count_opened() -> list[str]:
    engine = runtime.async_manager().engine.sync_engine
    if not event.contains(engine, "connect", count):
        event.listen(engine, "connect", count)
    return opened


def count(*_):
    opened.append("connection")
"""

KINDS = "", "/sync"  # of routes: ``async def`` and ``def``


@dataclass
class Service:
    """The service, and a client of it.

    Attributes:
        url: the URL of its database.
        child: its process.
        http: the client.
    """

    url: str
    child: services.Service
    http: httpx.Client

    def post(self, path):
        """Send a request, and return the status."""
        return self.http.post(path).status_code

    @property
    def address(self):
        """Where it listens."""
        return self.http.base_url.host, self.http.base_url.port

    def books(self):
        """Return the books that are committed."""
        return [row[0] for row in rows(self.url, "SELECT id FROM book ORDER BY id")]

    def send(self, method, path):
        """Send a request over a socket, and return that without waiting for the answer."""
        connection = socket.create_connection(self.address)
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        return connection

    def stop(self, number=signal.SIGTERM):
        """Send it a signal and wait for its end."""
        self.child.send(number)
        return self.child.finish()


@pytest.fixture
def start(project, tmp_path):
    """Return a function that starts the service on a database, with options of the engine."""
    project.write_app("shop", MODELS, {"r1.py": revision_text("r1")})
    project.write("service.py", SERVICE)
    started, clients = [], []

    def start(url, **options):
        lines = "".join(f"{name} = {value}\n" for name, value in options.items())
        project.write_pyproject(
            '[tool.sqlhelpers.apps.shop]\npackage = "shop"\n'
            f'[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "{url}"\n{lines}'
        )
        child = services.Service("service:app", project.folder, {}, tmp_path / "service")
        started.append(child)
        limits = httpx.Limits(max_keepalive_connections=0)  # uvicorn closes a connection after an error
        clients.append(httpx.Client(base_url=child.url, limits=limits, timeout=60, trust_env=False))
        clients[-1].get("/livez")  # which is answered when it is up
        return Service(url, child, clients[-1])

    yield start
    for client in clients:
        client.close()
    for child in started:
        if child.is_running:
            child.kill()
    printed = "".join(child.printed for child in started)
    assert not [password for password in MADE_UP if password in printed]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request):
    """The URL of an empty database, of each dialect in turn."""
    return request.getfixturevalue({"postgresql": "postgres_url"}.get(request.param, f"{request.param}_url"))


@pytest.fixture
def service(start, place):
    """The service with default settings."""
    return start(place)


@contextmanager
def watching(url):
    """Connect to a database once, and yield a function that tells whether a book is there."""
    with connected(url) as connection:
        query = text("SELECT count(*) FROM book WHERE id = :id")
        yield lambda book: connection.execute(query, {"id": book}).scalar_one() == 1


def backends(server, url):
    """Return the process id and the state of every connection to a database, but our own."""
    name = make_url(url).database
    query = f"SELECT pid, state FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend'"
    return dict(server.execute(query))


async def at_once(service, paths):
    """Send requests, 32 at once, until one is not answered; return the statuses by path, and None for those."""
    statuses = {}
    left = iter(paths)
    async with httpx.AsyncClient(base_url=service.http.base_url, timeout=60, trust_env=False) as client:

        async def send():
            for path in left:
                try:
                    statuses[path] = (await client.post(path)).status_code
                except httpx.TransportError:
                    statuses[path] = None
                    return

        await asyncio.gather(*(send() for _ in range(32)))
    return statuses


def test_a_commit_that_fails_is_a_server_error(service):
    """A deferred constraint is checked by the commit: the client hears of it, the log has it, the row is gone."""
    statuses = [service.post(f"{prefix}/orphans/1") for prefix in KINDS for _ in range(2)]
    after = [service.post(f"{prefix}/books/{len(prefix)}") for prefix in KINDS]

    assert statuses == [500] * 4
    assert after == [200, 200]
    assert service.books() == [0, len("/sync")]
    assert service.stop().stderr.count("sqlalchemy.exc.IntegrityError") == 4


def test_an_acknowledged_row_is_visible_at_once(service):
    """On another connection, 300 of 300 times, and as often as it is tried in a ``def`` route."""
    with watching(service.url) as is_there:
        seen = [service.post(f"/books/{number}") == 200 and is_there(number) for number in range(300)]
        also = [service.post(f"/sync/books/{number}") == 200 and is_there(number) for number in range(300, 350)]

    assert (seen.count(True), also.count(True)) == (300, 50)


def test_an_exception_keeps_its_own_error(service):
    """The log tells what the path operation raised, and nothing that came of it; its row is gone."""
    statuses = [service.post(f"{prefix}/crashes/1") for prefix in KINDS]
    printed = service.stop().stderr

    assert statuses == [500, 500]
    assert printed.count("RuntimeError: the service's own error") == 2
    assert "During handling" not in printed
    assert service.books() == []


def test_a_client_that_goes_leaves_nothing_half_committed(service, request):
    """A pair is there whole or not at all; what a stream wrote is not there, and no transaction stays open."""
    for number in range(1, 21):
        service.send("POST", f"/pairs/{number}").close()
    with closing(service.send("GET", "/stream")) as stream:
        assert b"200 OK" in stream.recv(100)
    if service.url.startswith("postgresql"):
        server = request.getfixturevalue("postgres_server")
        until(lambda: set(backends(server, service.url).values()) == {"idle"}, "no transaction is open")
    until(lambda: service.post("/books/1") == 200, "book 1, which the stream has not kept, can be added")
    until(lambda: len(service.books()) % 2 == 1, "no pair is under way")

    books = service.books()
    assert books[0] == 1
    assert all(book + 1 in books for book in books[1:] if book % 2 == 0)
    assert service.stop().stderr.count("Traceback") == 0


def test_sigterm_under_load_leaves_nothing_half_committed(service, request):
    """What was acknowledged is there, pairs are whole, and neither a connection nor a lock is left."""

    async def load():
        requests = asyncio.ensure_future(at_once(service, map("/pairs/{}".format, itertools.count(1))))
        await asyncio.to_thread(until, lambda: len(service.books()) >= 20, "the service is at work")
        service.child.send(signal.SIGTERM)
        return await requests

    statuses = asyncio.run(load())
    finished = service.child.finish()
    books = set(service.books())

    acknowledged = {int(path.removeprefix("/pairs/")) for path, status in statuses.items() if status == 200}
    assert {200, None} == set(statuses.values())
    assert all({2 * number, 2 * number + 1} <= books for number in acknowledged)
    assert {book ^ 1 for book in books} == books
    assert "Traceback" not in finished.stderr
    if service.url.startswith("postgresql"):
        server = request.getfixturevalue("postgres_server")
        until(lambda: backends(server, service.url) == {}, "no connection is left")
    execute(service.url, "INSERT INTO book (id) VALUES (1)")


def test_requests_at_once_stay_within_one_pool(service, request):
    """300 requests, 32 at once, use 15 connections at most; once these are there, none is opened or closed."""
    service.http.get("/opened")
    warm = service.post("/warm")
    before = service.http.get("/opened").json()
    is_postgres = service.url.startswith("postgresql")
    server = request.getfixturevalue("postgres_server") if is_postgres else None
    if server:
        until(lambda: len(backends(server, service.url)) == 15, "what has made the tables has gone")
    pids = set(backends(server, service.url)) if server else set()

    statuses = asyncio.run(at_once(service, [f"/books/{number}" for number in range(300)])).values()

    assert [warm, *statuses] == [200] * 301
    assert before == ["connection"] * 15
    assert service.http.get("/opened").json() == before
    assert len(service.books()) == 300
    if server:
        until(lambda: set(backends(server, service.url)) == pids, "what has counted the books has gone")


def test_an_exhausted_pool_is_answered(start, place):
    """503 and when to come again; the probes tell it apart from a process that is dead; it passes."""
    service = start(place, pool_size=1, pool_timeout=0.2)
    service.http.get("/opened")  # which adds a listener: not while the first connection is made
    with closing(service.send("POST", "/holders")):
        until(lambda: "held" in service.http.get("/opened").json(), "the connection is held")
        answer = service.http.post("/books/1")
        ready = service.http.get("/readyz")
        alive = service.http.get("/livez")

    assert (answer.status_code, answer.json()) == (503, {"detail": "Service Unavailable"})
    assert answer.headers["retry-after"].isdigit()
    assert (ready.status_code, ready.json()["default"]["detail"]) == (503, "pool exhausted")
    assert alive.status_code == 200
    assert service.books() == []
    service.child.kill()


def test_a_database_that_stops_and_comes_back(start, request):
    """503 while it is away, on every route and the readiness probe, and everything works again when it is back."""
    request.getfixturevalue("postgres_server")  # tells if none is installed
    with running(PostgresServer) as server, server.fresh_database() as url:
        service = start(url)
        before = [service.post("/books/1"), service.post("/sync/books/2"), service.http.get("/readyz").status_code]
        server.stop()
        away = [service.http.post(path) for path in ("/books/3", "/sync/books/4") for _ in range(3)]
        ready, alive = service.http.get("/readyz"), service.http.get("/livez")
        server.start()
        back = [service.post("/books/5"), service.post("/sync/books/6"), service.http.get("/readyz").status_code]
        books = service.books()
        service.stop()

    assert before == [200, 200, 200]
    assert {(each.status_code, each.headers["retry-after"].isdigit()) for each in away} == {(503, True)}
    assert (ready.status_code, ready.json()["default"]["detail"]) == (503, "unreachable")
    assert alive.status_code == 200
    assert back == [200, 200, 200]
    assert books == [1, 2, 5, 6]
