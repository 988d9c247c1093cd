"""The adapter for FastAPI: answers to failed sessions, probes, ``def`` routes, and what outlives the response."""

import asyncio
import gc
import logging
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from projects import revision_text
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlhelpers import Runtime, Settings
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import ConfigurationError, NoSession
from sqlhelpers_fastapi import (
    ManagerDep,
    SessionDep,
    SessionProvider,
    SessionProviderDep,
    SyncManagerDep,
    SyncSessionDep,
    SyncSessionProviderDep,
    attach,
    session_dependency,
    session_provider,
    sync_manager_dependency,
    sync_session_dependency,
    sync_session_provider,
)

TABLES = """op.execute("CREATE TABLE authors (id INTEGER PRIMARY KEY)")
op.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, author INTEGER "
           "REFERENCES authors (id) DEFERRABLE INITIALLY DEFERRED)")"""
INSERT = text("INSERT INTO books (id) VALUES (:id)")
ORPHAN = text("INSERT INTO books (id, author) VALUES (1, 7)")  # refused by the commit
COUNT = text("SELECT count(*) FROM books")


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)


ReportsProvider = Annotated[SessionProvider, Depends(session_provider("reports"))]
SyncReports = Annotated[Session, Depends(sync_session_dependency("reports"), scope="function")]


@pytest.fixture
def settings(project, request):
    """Two databases, whose pools have one connection."""
    project.write("migrations/versions/r1.py", revision_text("r1", TABLES))
    options = {"pool_size": 1, **getattr(request, "param", {})}
    databases = {
        name: {
            "sqlalchemy": {"url": f"sqlite:///{project.folder}/{name}.db", **options},
            "alembic": {"migrations_path": project.folder / "migrations"},
        }
        for name in ("default", "reports")
    }
    return Settings(databases=databases)


@pytest.fixture
def runtime(settings):
    """A runtime whose databases are up to date."""
    with Runtime(settings, plugin_manager=PluginManager()) as runtime:
        runtime.run_sync()
        yield runtime


@pytest.fixture
def app(runtime):
    """An application with a path operation for each outcome."""
    app = FastAPI()
    attach(app, runtime)
    app.include_router(routes())
    return app


def routes():
    """Return path operations that fail in the ways that have an answer."""
    router = APIRouter()

    @router.post("/books/{book}")
    async def add(book: int, session: SessionDep) -> None:
        await session.execute(INSERT, {"id": book})

    @router.get("/books/{book}")
    async def show(book: int, session: SessionDep) -> int:
        return (await session.scalars(select(Book).filter_by(id=book))).one().id

    @router.post("/late/{book}")
    async def add_late(book: int, session: SessionDep) -> None:
        session.add(Book(id=book))  # the commit does it

    @router.post("/orphans")
    async def add_orphan(session: SessionDep) -> None:
        await session.execute(ORPHAN)

    @router.get("/two")
    async def two_connections(session: SessionDep, manager: ManagerDep) -> None:
        await session.execute(COUNT)
        async with manager.session() as other:
            await other.execute(COUNT)

    @router.get("/wrong")
    async def wrong(session: SessionDep) -> None:
        await session.execute(text("SELECT nothing FROM nowhere"))

    return router


@pytest.fixture
def client(app):
    """A client of the application, to which errors are 500."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def count(runtime, bind="default"):
    """Count the books over a connection of our own."""
    with closing(sqlite3.connect(runtime.settings.databases[bind].url.database)) as connection:
        return connection.execute("SELECT count(*) FROM books").fetchone()[0]


def checked_out(runtime):
    """Return how many connections of the default database are in use."""
    return runtime.async_manager().engine.pool.checkedout() + runtime.manager().engine.pool.checkedout()


# Answers


def test_a_row_that_is_not_there_is_not_found(client):
    """``one()`` without a row is 404 in FastAPI's own shape."""
    response = client.get("/books/1")

    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("path", ["/books/1", "/late/1"])
def test_a_key_that_is_there_is_a_conflict(client, runtime, path):
    """A unique violation is 409, whether the statement or the commit finds it, and tells nothing of the database."""
    client.post(path).raise_for_status()
    response = client.post(path)

    assert (response.status_code, response.json()) == (409, {"detail": "Conflict"})
    assert count(runtime) == 1
    assert checked_out(runtime) == 0


@pytest.mark.parametrize("settings", [{"pool_timeout": 0.1}], indirect=True)
def test_an_exhausted_pool_is_unavailable(client, runtime, caplog):
    """Who gets no connection hears 503 and when to come again, and the log has it."""
    response = client.get("/two")

    assert (response.status_code, response.json()) == (503, {"detail": "Service Unavailable"})
    assert response.headers["retry-after"].isdigit()
    assert "GET /two is answered with 503: TimeoutError" in caplog.text
    assert checked_out(runtime) == 0


@pytest.mark.parametrize(("method", "path"), [("post", "/orphans"), ("get", "/wrong")])
def test_all_other_errors_stay_errors(app, runtime, method, path):
    """A commit that fails for another reason, and a wrong statement, are raised as they are, with their own class."""
    with TestClient(app) as client, pytest.raises(DBAPIError):
        client.request(method, path)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.request(method, path).status_code == 500

    assert count(runtime) == 0


def test_answers_can_be_chosen(runtime):
    """What is not wanted stays an error."""
    app = FastAPI()
    attach(app, runtime, http_errors={404})
    app.include_router(routes())

    with TestClient(app) as client:
        assert client.get("/books/1").status_code == 404
        client.post("/books/1").raise_for_status()
        with pytest.raises(IntegrityError):
            client.post("/books/1")


def test_no_answers(runtime):
    """An empty collection registers nothing."""
    app = FastAPI()
    before = dict(app.exception_handlers)

    attach(app, runtime, http_errors=())

    assert app.exception_handlers == before


def test_an_unknown_answer_is_refused(runtime):
    """A status that no failed session has is an error, and the application is left as it was."""
    app = FastAPI()

    with pytest.raises(ConfigurationError, match="418"):
        attach(app, runtime, http_errors=(404, 418))

    assert not hasattr(app.state, "sqlhelpers_runtime")


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("kind", [NoResultFound, SQLAlchemyError])
@pytest.mark.parametrize("is_async", [True, False])
def test_handlers_of_the_application_come_first(runtime, is_before, kind, is_async):
    """For the same class or a base of it, whether they are registered before or after."""
    app = FastAPI()

    def handled(_, error):
        return JSONResponse({"own": type(error).__name__}, 418)

    async def handled_async(request, error):
        return handled(request, error)

    def register():
        app.add_exception_handler(kind, handled_async if is_async else handled)

    if is_before:
        register()
    attach(app, runtime)
    if not is_before:
        register()
    app.include_router(routes())

    with TestClient(app) as client:
        response = client.get("/books/1")

    assert (response.status_code, response.json()) == (418, {"own": "NoResultFound"})


@pytest.mark.parametrize("kind", [HTTPException, 404])
def test_answers_have_the_applications_shape(app, client, kind):
    """An application that shapes its HTTP errors shapes these as well."""

    @app.exception_handler(kind)
    async def shape(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"title": error.detail}, error.status_code)

    response = client.get("/books/1")

    assert (response.status_code, response.json()) == (404, {"title": "Not Found"})


def test_the_last_resort_of_the_application_is_kept(app):
    """A handler for ``Exception`` hears of what has no answer, and of nothing else."""
    heard = []

    @app.exception_handler(Exception)
    async def last(_: Request, error: Exception) -> JSONResponse:
        heard.append(type(error))
        return JSONResponse({}, 500)

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/books/1").status_code == 404
        assert client.post("/orphans").status_code == 500

    assert heard == [IntegrityError]


def test_an_exception_of_the_application_keeps_its_own_error(app, runtime):
    """What a path operation raises after it wrote is raised, not what became of its session."""

    @app.post("/crash")
    async def crash(session: SessionDep) -> None:
        await session.execute(INSERT, {"id": 1})
        raise ZeroDivisionError("mine")

    with TestClient(app) as client, pytest.raises(ZeroDivisionError, match="mine"):
        client.post("/crash")

    assert count(runtime) == 0


# Probes


def test_the_process_is_alive(app, runtime):
    """``/livez`` answers without the database, which need not be there."""
    statements = []
    for bind in runtime.binds():
        engine = runtime.async_manager(bind).engine.sync_engine
        event.listen(engine, "connect", lambda *_: statements.append(1))

    with TestClient(app) as client:
        response = client.get("/livez")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert statements == []


def test_ready(client):
    """``/readyz`` says of each database that it can serve."""
    response = client.get("/readyz")

    ready = {"is_ready": True, "detail": "up to date"}
    assert (response.status_code, response.json()) == (200, {"default": ready, "reports": ready})


def test_not_ready(client, project):
    """``/readyz`` is 503 if one database cannot serve, and says which."""
    project.write("migrations/versions/r2.py", revision_text("r2", down_revision="r1"))
    (project.folder / "reports.db").unlink()

    response = client.get("/readyz")

    assert response.status_code == 503
    assert [each["detail"] for each in response.json().values()] == ["behind", "not set up"]
    assert not (project.folder / "reports.db").exists()


def test_probes_ask_for_no_permission(runtime):
    """Dependencies of the whole application are not those of its probes."""

    async def refuse() -> None:
        raise HTTPException(401)

    app = FastAPI(dependencies=[Depends(refuse)])
    attach(app, runtime)

    with TestClient(app) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_probes_can_be_elsewhere_and_nowhere(runtime):
    """Paths can be chosen, and None adds no route."""
    app = FastAPI()
    attach(app, runtime, livez=None, readyz="/internal/ready")

    with TestClient(app) as client:
        assert client.get("/livez").status_code == 404
        assert client.get("/readyz").status_code == 404
        assert client.get("/internal/ready").status_code == 200


# ``def`` routes


def test_a_def_route_has_a_sync_session(app, client, runtime):
    """It is committed before the response, shared within the request, and runs in a thread."""
    threads, seen = [], []

    def audit(session: SyncSessionDep) -> Session:
        return session

    @app.post("/sync/{book}")
    def add(book: int, session: SyncSessionDep, audited: Annotated[Session, Depends(audit)]) -> bool:
        threads.append(threading.current_thread())
        session.execute(INSERT, {"id": book})
        return session is audited

    for number in range(20):
        assert client.post(f"/sync/{number}").json() is True
        seen.append(count(runtime))

    assert seen == list(range(1, 21))
    assert threading.main_thread() not in threads
    assert checked_out(runtime) == 0


def test_a_def_route_is_answered_alike(app, client, runtime):
    """A commit that fails is no success, a conflict is 409, an exception rolls back."""

    @app.post("/sync/orphan")
    def orphan(session: SyncSessionDep) -> None:
        session.execute(ORPHAN)

    @app.post("/sync/late")
    def late(session: SyncSessionDep) -> None:
        session.add(Book(id=1))

    @app.post("/sync/crash")
    def crash(session: SyncSessionDep) -> None:
        session.execute(INSERT, {"id": 2})
        raise HTTPException(422)

    statuses = [client.post(f"/sync/{path}").status_code for path in ("orphan", "late", "late", "crash")]

    assert statuses == [500, 200, 409, 422]
    assert count(runtime) == 1
    assert checked_out(runtime) == 0


def test_sync_managers_and_binds(app, client, runtime):
    """Each dependency takes the name of the database."""
    given = []

    @app.post("/sync")
    def add(
        manager: SyncManagerDep,
        reports: SyncReports,
        reporting: Annotated[object, Depends(sync_manager_dependency("reports"))],
    ) -> None:
        reports.execute(INSERT, {"id": 1})
        given.extend([manager, reporting])

    client.post("/sync").raise_for_status()

    assert given == [runtime.manager(), runtime.manager("reports")]
    assert (count(runtime), count(runtime, "reports")) == (0, 1)


# What outlives the response


def test_a_stream_opens_its_own_session(app, client, runtime):
    """A session within the stream lives as long as it is read, and no connection is held before and after."""
    held = []

    @app.get("/stream")
    async def stream(sessions: SessionProviderDep) -> StreamingResponse:
        held.append(checked_out(runtime))

        async def lines():
            async with sessions() as session:
                for number in range(3):
                    await session.execute(INSERT, {"id": number})
                    held.append(checked_out(runtime))
                    yield f"{number}\n"
            held.append(checked_out(runtime))
            yield "end\n"

        return StreamingResponse(lines())

    assert client.get("/stream").text.split() == ["0", "1", "2", "end"]
    assert held == [0, 1, 1, 1, 0]
    assert count(runtime) == 3


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_client_that_goes_leaves_nothing_of_a_stream(app, runtime, kind):
    """What a stream wrote is rolled back when the client disconnects, and its connection is free."""
    reached = asyncio.Event()

    @app.get("/async")
    async def stream(sessions: SessionProviderDep) -> StreamingResponse:
        async def lines():
            async with sessions() as session:
                await session.execute(INSERT, {"id": 1})
                while True:
                    yield "more\n"

        return StreamingResponse(lines())

    @app.get("/sync")
    def stream_sync(sessions: SyncSessionProviderDep) -> StreamingResponse:
        def lines():
            with sessions() as session:
                session.execute(INSERT, {"id": 1})
                while True:
                    yield "more\n"

        return StreamingResponse(lines())

    async def receive():
        await reached.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message.get("body"):
            reached.set()
        await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": f"/{kind}", "headers": [], "query_string": b""}
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)

        assert checked_out(runtime) == 0
        gc.collect()  # the generators end without a word
        await asyncio.sleep(0)
    assert count(runtime) == 0


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_the_session_of_the_request_is_of_no_use_to_a_stream(app, runtime, kind):
    """It ended before the response: a stream that asks it hears so, and takes no connection that nobody gives back."""

    @app.get("/async")
    async def stream(session: SessionDep) -> StreamingResponse:
        async def lines():
            yield str(await session.scalar(COUNT))

        return StreamingResponse(lines())

    @app.get("/sync")
    def sync_stream(session: SyncSessionDep) -> StreamingResponse:
        def lines():
            yield str(session.scalar(COUNT))

        return StreamingResponse(lines())

    with TestClient(app) as client, pytest.raises(NoSession, match="SessionProviderDep"):
        client.get(f"/{kind}")
    assert checked_out(runtime) == 0


def test_the_session_of_the_request_is_of_no_use_to_a_background_task(app, runtime):
    """What a task writes with it would never be committed, so it is an error."""

    @app.post("/later")
    async def later(tasks: BackgroundTasks, session: SessionDep) -> None:
        async def work() -> None:
            session.add(Book(id=1))
            await session.commit()

        await session.execute(COUNT)  # it has a connection before
        tasks.add_task(work)

    with TestClient(app) as client, pytest.raises(NoSession, match="SessionProviderDep"):
        client.post("/later")
    assert (count(runtime), checked_out(runtime)) == (0, 0)


def test_a_sync_stream(app, client, runtime):
    """A generator that is no coroutine opens a sync session."""

    @app.get("/stream")
    def stream(sessions: SyncSessionProviderDep) -> StreamingResponse:
        def lines():
            with sessions() as session:
                for number in range(3):
                    session.execute(INSERT, {"id": number})
                    yield f"{number}\n"

        return StreamingResponse(lines())

    assert client.get("/stream").text.split() == ["0", "1", "2"]
    assert count(runtime) == 3
    assert checked_out(runtime) == 0


def test_a_background_task_opens_its_own_session(app, client, runtime):
    """It runs after the response, when the session of the request is closed, and commits by itself."""
    seen = []

    @app.post("/tasks")
    async def add(tasks: BackgroundTasks, session: SessionDep, sessions: SessionProviderDep) -> None:
        async def later():
            seen.append(count(runtime))
            async with sessions() as own:
                await own.execute(INSERT, {"id": 2})

        await session.execute(INSERT, {"id": 1})
        tasks.add_task(later)

    client.post("/tasks").raise_for_status()

    assert seen == [1]
    assert count(runtime) == 2


def test_a_background_task_in_a_thread(app, client, runtime):
    """A plain function gets the sync provider."""

    def later(sessions):
        with sessions() as own:
            own.execute(INSERT, {"id": 1})

    @app.post("/tasks")
    def add(tasks: BackgroundTasks, sessions: SyncSessionProviderDep) -> None:
        tasks.add_task(later, sessions)

    client.post("/tasks").raise_for_status()

    assert count(runtime) == 1


def test_a_websocket_opens_a_session_for_each_message(app, client, runtime):
    """Each block is committed when it ends, and between messages no connection is held."""

    @app.websocket("/ws")
    async def chat(websocket: WebSocket, sessions: SessionProviderDep, reports: ReportsProvider) -> None:
        await websocket.accept()
        async for number in websocket.iter_text():
            async with sessions() as session, reports() as reporting:
                await session.execute(INSERT, {"id": int(number)})
                await reporting.execute(INSERT, {"id": int(number)})
            await websocket.send_json([count(runtime), checked_out(runtime)])

    with client.websocket_connect("/ws") as socket:
        found = []
        for number in range(3):
            socket.send_text(str(number))
            found.append(socket.receive_json())

    assert found == [[1, 0], [2, 0], [3, 0]]
    assert count(runtime, "reports") == 3


def test_an_error_in_a_websocket_is_raised(app, client, runtime):
    """There is no status to answer with: the error ends the connection as any other does, and nothing is kept."""

    @app.websocket("/ws")
    async def chat(websocket: WebSocket, session: SessionDep) -> None:
        await websocket.accept()
        await session.execute(INSERT, {"id": 1})
        await session.execute(INSERT, {"id": 1})

    with pytest.raises(IntegrityError), client.websocket_connect("/ws") as socket:
        socket.receive_text()

    assert count(runtime) == 0
    assert checked_out(runtime) == 0


# Applications


def test_providers_can_be_overridden(app, client, runtime):
    """A test can put another database in the place of the application's, for every kind of dependency."""

    @app.post("/all")
    async def write(sessions: SessionProviderDep, session: SessionDep) -> None:
        async with sessions() as own:
            await own.execute(INSERT, {"id": 1})
        await session.execute(INSERT, {"id": 2})

    @app.post("/sync")
    def write_sync(sessions: SyncSessionProviderDep, session: SyncSessionDep) -> None:
        with sessions() as own:
            own.execute(INSERT, {"id": 3})
        session.execute(INSERT, {"id": 4})

    app.dependency_overrides = {
        session_provider(): session_provider("reports"),
        session_dependency(): session_dependency("reports"),
        sync_session_provider(): sync_session_provider("reports"),
        sync_session_dependency(): sync_session_dependency("reports"),
    }
    client.post("/all").raise_for_status()
    client.post("/sync").raise_for_status()

    assert (count(runtime), count(runtime, "reports")) == (0, 4)


def test_openapi_shows_nothing_of_ours(app):
    """Neither parameters nor bodies nor probes."""

    @app.get("/all")
    async def everything(
        session: SessionDep, manager: ManagerDep, sessions: SessionProviderDep, reports: ReportsProvider
    ) -> None: ...

    @app.get("/sync")
    def everything_sync(session: SyncSessionDep, manager: SyncManagerDep, sessions: SyncSessionProviderDep) -> None: ...

    document = app.openapi()
    operations = [document["paths"][path]["get"] for path in ("/all", "/sync")]

    assert not {"/livez", "/readyz"} & set(document["paths"])
    assert all("parameters" not in each and "requestBody" not in each for each in operations)


def test_a_mounted_application_answers_for_itself(app, client, runtime):
    """It is attached to the runtime of the one that it is mounted in, and may leave the probes to that."""
    mounted = FastAPI()
    attach(mounted, runtime, livez=None, readyz=None)
    mounted.include_router(routes())
    app.mount("/v1", mounted)

    assert client.get("/v1/books/1").status_code == 404
    assert client.post("/v1/books/1").status_code == 200
    assert client.post("/v1/books/1").status_code == 409
    assert client.get("/v1/livez").status_code == 404
    assert client.get("/livez").status_code == 200


async def test_through_the_asgi_transport(app, runtime):
    """``httpx`` calls the application without a lifespan, and gets the same answers."""
    transport = httpx.ASGITransport(app)

    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        statuses = [(await client.post(path)).status_code for path in ("/books/1", "/books/1", "/late/2")]
    await runtime.dispose_async()

    assert statuses == [200, 409, 200]
    assert count(runtime) == 2


def test_the_lifespan_can_use_the_probe(runtime):
    """An application can refuse to start against a database that is not ready."""
    found = []

    @asynccontextmanager
    async def lifespan(app):
        found.extend(await app.state.sqlhelpers_runtime.async_readiness())
        yield

    app = FastAPI(lifespan=lifespan)
    attach(app, runtime)
    with TestClient(app):
        pass

    assert [each.is_ready for each in found] == [True, True]


def test_nothing_is_logged_for_answers_that_are_the_clients_fault(client, caplog):
    """404 and 409 are no news for who runs the service."""
    caplog.set_level(logging.DEBUG, "sqlhelpers_fastapi")
    client.get("/books/1")

    assert "answered" not in caplog.text
