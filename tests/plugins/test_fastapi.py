"""The adapter for FastAPI, on SQLite files."""

import asyncio
import socket
import sqlite3
import threading
import time
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.exceptions import DependencyScopeError
from fastapi.testclient import TestClient
from processes import until
from pydantic import BaseModel, SecretStr
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from sqlhelpers import Adapter, DatabaseSettings, Runtime, Settings
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import ConfigurationError, MigrationsNotFound, SettingsError, UnknownBind
from sqlhelpers_fastapi import (
    AsyncDatabaseManager,
    FastAPIAdapter,
    ManagerDep,
    SessionDep,
    ancestor,
    attach,
    make_db_session,
    manager_dependency,
    manager_from_config,
    session_dependency,
    syncdb,
)

pytestmark = pytest.mark.usefixtures("nothing_configured")
REVISION = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE authors (id INTEGER PRIMARY KEY)")
    op.execute(
        "CREATE TABLE books (id INTEGER PRIMARY KEY, author INTEGER "
        "REFERENCES authors (id) DEFERRABLE INITIALLY DEFERRED)"
    )
"""

ReportsSession = Annotated[AsyncSession, Depends(session_dependency("reports"), scope="function")]


@pytest.fixture(autouse=True)
async def nothing_shared():
    yield
    for _, manager in ancestor._shared:
        await manager.dispose()
    ancestor._shared.clear()
    await asyncio.gather(*ancestor._disposals)


@pytest.fixture
def migrations(tmp_path) -> Path:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_books.py").write_text(REVISION)
    return versions.parent


@pytest.fixture
def config(tmp_path, migrations):
    return {
        "sqlalchemy": {"url": f"sqlite:///{tmp_path / 'default.db'}"},
        "alembic": {"migrations_path": migrations},
    }


@pytest.fixture
def settings(tmp_path, migrations, config) -> Settings:
    reports = {
        "sqlalchemy": {"url": f"sqlite:///{tmp_path / 'reports.db'}"},
        "alembic": {"migrations_path": migrations},
    }
    return Settings(databases={"default": config, "reports": reports})


@pytest.fixture
async def runtime(settings):
    async with Runtime(settings, plugin_manager=PluginManager()) as runtime:
        yield runtime


@pytest.fixture
async def app(runtime) -> FastAPI:
    """An application whose databases are synced, with one way to write for each outcome."""
    for bind in runtime.binds():
        await runtime.async_manager(bind).sync()
    await runtime.dispose_async()
    app = FastAPI()
    attach(app, runtime)

    @app.post("/books", status_code=201)
    async def add_book(session: SessionDep, author: int | None = None) -> dict[str, int]:
        result = await session.execute(
            text("INSERT INTO books (author) VALUES (:author) RETURNING id"),
            {"author": author},
        )
        return {"id": result.scalar_one()}

    @app.post("/conflicts")
    async def conflict(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO books DEFAULT VALUES"))
        raise HTTPException(409)

    @app.post("/crashes")
    async def crash(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO books DEFAULT VALUES"))
        raise ZeroDivisionError

    return app


@asynccontextmanager
async def serving(app: FastAPI, observer=None):
    """Run the lifespan and yield a client; ``observer`` is called when a response starts."""

    async def observed(scope, receive, send):
        async def observing(message):
            if observer and message["type"] == "http.response.start":
                observer()
            await send(message)

        await app(scope, receive, observing)

    transport = httpx.ASGITransport(observed, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


@pytest.fixture
def over_http():
    """Return a function that serves an application with uvicorn, and gives its URL."""
    running = []

    def serve(app: FastAPI) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        running.append((server, thread, listener))
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        return "http://{}:{}".format(*listener.getsockname())

    yield serve
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(10)
        listener.close()


def count(tmp_path: Path, name: str = "default") -> int:
    """Count the books over a connection of our own."""
    with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
        return connection.execute("SELECT count(*) FROM books").fetchone()[0]


def closed_connections(manager: AsyncDatabaseManager) -> list[object]:
    """Return a list that gets an item for each connection that the engine closes."""
    closed = []
    event.listen(manager.engine.sync_engine, "close", lambda connection, _: closed.append(connection))
    return closed


# Sessions


async def test_commit_precedes_response(app, tmp_path):
    """A row is committed when the response to the request that wrote it starts, every time."""
    seen = []

    async with serving(app, lambda: seen.append(count(tmp_path))) as client:
        statuses = {(await client.post("/books")).status_code for _ in range(50)}

    assert statuses == {201}
    assert seen == list(range(1, 51))


def test_commit_precedes_response_over_http(app, tmp_path, over_http):
    """A client on a socket finds its row in the database, every time."""
    seen = []

    with httpx.Client(base_url=over_http(app)) as client:
        for _ in range(50):
            client.post("/books").raise_for_status()
            seen.append(count(tmp_path))

    assert seen == list(range(1, 51))


async def test_failed_commit_is_no_success(app, tmp_path):
    """A commit that fails is a server error: the row without its author is refused when it is committed."""
    async with serving(app) as client:
        response = await client.post("/books", params={"author": 7})

    assert response.status_code == 500
    assert count(tmp_path) == 0


def test_failed_commit_is_no_success_over_http(app, tmp_path, over_http):
    """A client on a socket gets a server error for a commit that fails."""
    response = httpx.post(f"{over_http(app)}/books", params={"author": 7})

    assert response.status_code == 500
    assert count(tmp_path) == 0


@pytest.mark.parametrize(("path", "status"), [("/conflicts", 409), ("/crashes", 500)])
async def test_exception_rolls_back(app, tmp_path, path, status):
    """What a path operation wrote before it raised is gone, and its connection is free."""
    async with serving(app) as client:
        response = await client.post(path)
        pool = app.state.sqlhelpers_runtime.async_manager().engine.pool
        checked_out = pool.checkedout()

    assert response.status_code == status
    assert checked_out == 0
    assert count(tmp_path) == 0


async def test_one_session_for_a_request(app):
    """Dependencies of one request share one session."""

    async def audit(session: SessionDep) -> AsyncSession:
        return session

    @app.get("/same")
    async def same(
        session: SessionDep,
        audited: Annotated[AsyncSession, Depends(audit)],
        third: Annotated[AsyncSession, Depends(session_dependency("default"), scope="function")],
    ) -> bool:
        return session is audited is third

    async with serving(app) as client:
        response = await client.get("/same")

    assert response.json() is True


async def test_two_binds(app, tmp_path):
    """A session of another database writes there and only there."""

    @app.post("/reports")
    async def report(session: ReportsSession) -> None:
        await session.execute(text("INSERT INTO books DEFAULT VALUES"))

    async with serving(app) as client:
        (await client.post("/reports")).raise_for_status()

    assert (count(tmp_path), count(tmp_path, "reports")) == (0, 1)


async def test_unknown_bind(app):
    """A database that is not configured is an error that names it."""

    @app.get("/")
    async def nowhere(
        session: Annotated[AsyncSession, Depends(session_dependency("archive"), scope="function")],
    ) -> None: ...

    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

        with pytest.raises(UnknownBind, match="'archive'"):
            await client.get("/")


async def test_forgotten_scope(app):
    """A session that would be committed after the response is refused when the path operation is declared."""

    async def add(session: Annotated[AsyncSession, Depends(session_dependency())]) -> None: ...

    with pytest.raises(DependencyScopeError):
        app.post("/late")(add)


async def test_manager(app):
    """The manager of a database is the runtime's."""
    given = []

    @app.get("/")
    async def managers(
        manager: ManagerDep,
        reports: Annotated[AsyncDatabaseManager, Depends(manager_dependency("reports"))],
    ) -> None:
        given.extend([manager, reports])

    async with serving(app) as client:
        (await client.get("/")).raise_for_status()

    runtime = app.state.sqlhelpers_runtime
    assert given == [runtime.async_manager(), runtime.async_manager("reports")]


async def test_override_session(app, tmp_path):
    """A test can put its own session in the place of the application's."""
    manager = app.state.sqlhelpers_runtime.async_manager("reports")

    async with serving(app) as client, manager.Session() as session:
        app.dependency_overrides[session_dependency()] = lambda: session
        (await client.post("/books")).raise_for_status()
        found = await session.scalar(text("SELECT count(*) FROM books"))

    assert found == 1
    assert (count(tmp_path), count(tmp_path, "reports")) == (0, 0)


async def test_override_database(app, tmp_path):
    """A test can put another database in the place of the application's."""
    app.dependency_overrides[session_dependency()] = session_dependency("reports")

    async with serving(app) as client:
        (await client.post("/books")).raise_for_status()

    assert (count(tmp_path), count(tmp_path, "reports")) == (0, 1)


def test_openapi(app):
    """Sessions and managers are no parameters of the API."""

    @app.get("/managers")
    async def managers(manager: ManagerDep, session: ReportsSession) -> None: ...

    paths = app.openapi()["paths"]
    names = [given["name"] for path in paths.values() for way in path.values() for given in way.get("parameters", ())]

    assert names == ["author"]
    assert not [way for path in paths.values() for way in path.values() if "requestBody" in way]


# Attaching


def test_lifespan_of_the_application(runtime):
    """The application's own lifespan runs once, its state arrives, and sessions work in it to the end."""
    events = []

    @asynccontextmanager
    async def lifespan(app):
        manager = app.state.sqlhelpers_runtime.async_manager()
        closed = closed_connections(manager)
        async with manager.session() as session:
            events.append(await session.scalar(text("SELECT 1")))
        yield {"answer": 42}
        async with manager.session() as session:
            events.append(await session.scalar(text("SELECT 2")))
        events.append(len(closed))

    app = FastAPI(lifespan=lifespan)
    attach(app, runtime)

    with TestClient(app) as client:
        state = dict(client.app_state)

    assert state == {"answer": 42}
    assert events == [1, 2, 0]


def test_lifespans_of_routers(runtime):
    """Routers' lifespans run once, whether they were included before or after."""
    events = []

    def router(name: str) -> APIRouter:
        @asynccontextmanager
        async def lifespan(_):
            events.append(f"{name} starts")
            yield
            events.append(f"{name} ends")

        return APIRouter(lifespan=lifespan)

    app = FastAPI()
    app.include_router(router("early"))
    attach(app, runtime)
    app.include_router(router("late"))

    with TestClient(app):
        events.append("serving")

    assert events == ["early starts", "late starts", "serving", "late ends", "early ends"]


def test_disposal(app):
    """The connections of every database are closed at shutdown, and the application can start again."""
    runtime = app.state.sqlhelpers_runtime
    closed = [closed_connections(runtime.async_manager(bind)) for bind in runtime.binds()]

    @app.get("/")
    async def both(session: SessionDep, reports: ReportsSession) -> None:
        await session.execute(text("SELECT 1"))
        await reports.execute(text("SELECT 1"))

    with TestClient(app) as client:
        client.get("/").raise_for_status()
        before = [len(each) for each in closed]
    after = [len(each) for each in closed]
    with TestClient(app) as client:
        client.get("/").raise_for_status()

    assert (before, after) == ([0, 0], [1, 1])
    assert [len(each) for each in closed] == [2, 2]


def test_disposal_when_the_start_fails(runtime):
    """Connections that a failing start-up opened are closed."""
    closed = []

    @asynccontextmanager
    async def lifespan(app):
        manager = app.state.sqlhelpers_runtime.async_manager()
        closed.append(closed_connections(manager))
        async with manager.session() as session:
            await session.execute(text("SELECT 1"))
        raise ZeroDivisionError
        yield

    app = FastAPI(lifespan=lifespan)
    attach(app, runtime)

    with pytest.raises(ZeroDivisionError), TestClient(app):
        pass

    assert [len(each) for each in closed] == [1]


def test_sync_at_start(runtime, tmp_path):
    """With ``sync`` every database is as expected before the application's own lifespan begins."""
    found = []

    @asynccontextmanager
    async def lifespan(_):
        found.extend([count(tmp_path), count(tmp_path, "reports")])
        yield

    app = FastAPI(lifespan=lifespan)
    attach(app, runtime, sync=True)

    with TestClient(app):
        pass

    assert found == [0, 0]


def test_no_sync_unasked(runtime, tmp_path):
    """Without ``sync`` the start touches no database."""
    app = FastAPI()
    attach(app, runtime)

    with TestClient(app):
        pass

    assert not list(tmp_path.glob("*.db"))


def test_attach_returns_the_runtime(runtime):
    """The runtime that was given is used and returned, and found in the application's state."""
    app = FastAPI()

    attached = attach(app, runtime)

    assert attached is runtime
    assert app.state.sqlhelpers_runtime is runtime


def test_attach_makes_a_runtime(tmp_path, monkeypatch):
    """Without a runtime one is made from the settings, and nothing is read before it is needed."""
    app = FastAPI()

    attached = attach(app)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'found.db'}")

    assert attached.binds() == ("default",)


def test_runtime_finds_the_adapter(settings):
    """``Runtime.attach`` finds this adapter by the class of the application, and its own subclasses."""

    class Shop(FastAPI):
        pass

    runtime, app = Runtime(settings), Shop()

    assert runtime.attach(app) is runtime
    assert app.state.sqlhelpers_runtime is runtime


def test_adapter_satisfies_the_protocol(runtime):
    """The adapter is what the core expects of one, named as the entry point."""
    found = runtime.plugins
    found.discover(enabled_apps=())

    adapter = found.adapter("fastapi")

    assert isinstance(adapter, Adapter)
    assert adapter == FastAPIAdapter()
    assert adapter.framework == "fastapi"


async def test_not_attached():
    """Without a runtime the error says what to call."""
    app = FastAPI()

    @app.get("/")
    async def show(session: SessionDep) -> None: ...

    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    with pytest.raises(ConfigurationError, match=r"sqlhelpers_fastapi\.attach\(app\)"):
        await client.get("/")


def test_attached_twice(runtime):
    """A second runtime for one application is an error."""
    app = FastAPI()
    attach(app, runtime)

    with pytest.raises(ConfigurationError, match="already"):
        attach(app, runtime)


def test_attached_too_late(runtime):
    """An application that has started cannot be attached to, and is left as it was."""
    app = FastAPI()

    with TestClient(app), pytest.raises(ConfigurationError, match="started"):
        attach(app, runtime)

    assert not hasattr(app.state, "sqlhelpers_runtime")


async def test_mounted_application(app, runtime, tmp_path):
    """A mounted application is attached to the runtime of the one that it is mounted in."""
    mounted = FastAPI()
    app.mount("/v1", mounted)

    @mounted.post("/books")
    async def add(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO books DEFAULT VALUES"))

    attach(mounted, runtime)
    async with serving(app) as client:
        (await client.post("/v1/books")).raise_for_status()

    assert count(tmp_path) == 1


async def test_mounted_application_with_its_own_runtime(app, tmp_path, settings):
    """A mounted application that has a runtime uses that."""
    mounted = FastAPI()
    app.mount("/v1", mounted)
    swapped = Settings(databases={"default": settings.databases["reports"]})

    @mounted.post("/books")
    async def add(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO books DEFAULT VALUES"))

    async with Runtime(swapped, plugin_manager=PluginManager()) as own, serving(app) as client:
        attach(mounted, own)
        (await client.post("/v1/books")).raise_for_status()

    assert (count(tmp_path), count(tmp_path, "reports")) == (0, 1)


# The ancestor's guide


class SQLAlchemyModel(BaseModel):
    """What goes to ``create_engine``."""

    url: SecretStr
    pool_size: int | None = None


class AlembicModel(BaseModel):
    """What concerns migrations."""

    migrations_path: Path


class Configuration(BaseModel):
    """An application's own settings, as the ancestor's guide lays them out."""

    sqlalchemy: SQLAlchemyModel
    alembic: AlembicModel
    debug: bool = False


@pytest.fixture
def guided(config):
    """An application as the ancestor's guide writes it, and the managers that its requests had."""
    syncdb(config)
    managers: list[AsyncDatabaseManager] = []

    async def gen_db_manager() -> AsyncDatabaseManager:
        managers.append(manager_from_config(config))
        return managers[-1]

    async def gen_db_session(db_manager: AsyncDatabaseManager = Depends(gen_db_manager)):  # noqa: B008
        async for session in make_db_session(db_manager):
            yield session

    app = FastAPI()

    @app.post("/books")
    async def add(db_session: AsyncSession = Depends(gen_db_session, scope="function")) -> None:  # noqa: B008, FAST002
        await db_session.execute(text("INSERT INTO books DEFAULT VALUES"))

    @app.post("/pairs")
    async def add_pair(db_session: AsyncSession = Depends(gen_db_session)) -> int:  # noqa: B008, FAST002
        await db_session.execute(text("INSERT INTO books DEFAULT VALUES"))
        await db_session.commit()
        await db_session.execute(text("INSERT INTO books DEFAULT VALUES"))
        await db_session.commit()
        return await db_session.scalar(text("SELECT count(*) FROM books"))

    @app.post("/crashes")
    async def crash(db_session: AsyncSession = Depends(gen_db_session)) -> None:  # noqa: B008, FAST002
        await db_session.execute(text("INSERT INTO books DEFAULT VALUES"))
        raise ZeroDivisionError

    return app, managers


async def test_guide_has_one_engine(guided, tmp_path):
    """The guide's manager per request is one manager with one engine, and what is written is committed in time."""
    app, managers = guided
    seen = []

    async with serving(app, lambda: seen.append(count(tmp_path))) as client:
        await asyncio.gather(*(client.post("/books") for _ in range(20)))

    assert len(managers) == 20
    assert len({id(manager.engine) for manager in managers}) == 1
    assert len(seen) == 20
    assert all(number >= place for place, number in enumerate(seen, 1))


async def test_guide_commits_itself(guided, tmp_path):
    """Code that commits its session can go on using it."""
    app, _ = guided

    async with serving(app) as client:
        response = await client.post("/pairs")

    assert response.json() == 2
    assert count(tmp_path) == 2


async def test_guide_rolls_back(guided, tmp_path):
    """An exception in a path operation reaches the session behind two generators: nothing stays, nothing waits."""
    app, managers = guided

    async with serving(app) as client:
        response = await client.post("/crashes")
        pool = managers[0].engine.pool
        await asyncio.to_thread(until, lambda: not pool.checkedout(), "the connection is back")
        written = await client.post("/books")

    assert (response.status_code, written.status_code) == (500, 200)
    assert count(tmp_path) == 1


async def test_generator_rolls_back_what_is_thrown_in(config, tmp_path):
    """An exception thrown into the generator rolls back before it comes out again."""
    manager = manager_from_config(config)
    await manager.sync()
    sessions = make_db_session(manager)
    session = await anext(sessions)
    await session.execute(text("INSERT INTO books DEFAULT VALUES"))

    with pytest.raises(ZeroDivisionError):
        await sessions.athrow(ZeroDivisionError())

    assert manager.engine.pool.checkedout() == 0
    assert count(tmp_path) == 0


async def test_same_manager_for_equal_settings(config):
    """Model, part of a model, mapping and ``DatabaseSettings`` of equal content give one manager."""
    url, path = config["sqlalchemy"]["url"], config["alembic"]["migrations_path"]
    whole = Configuration(sqlalchemy=SQLAlchemyModel(url=url), alembic=AlembicModel(migrations_path=path))
    mixed = {"sqlalchemy": whole.sqlalchemy, "alembic": {"migrations_path": str(path)}}

    managers = {id(manager_from_config(each)) for each in (config, whole, mixed, DatabaseSettings(**config))}

    assert len(managers) == 1


async def test_threads_share_a_manager(config):
    """Dependencies that run in threads get one manager, too."""
    managers = await asyncio.gather(*(asyncio.to_thread(manager_from_config, config) for _ in range(20)))

    assert len({id(manager) for manager in managers}) == 1


@pytest.mark.parametrize(
    "changes",
    [{"pool_size": 3}, {"pool_reset_on_return": None}, {"url": "sqlite:///other.db"}],
)
async def test_other_manager_for_other_settings(config, changes):
    """A different URL, a different option, and an option set to None are different settings."""
    other = {**config, "sqlalchemy": {**config["sqlalchemy"], **changes}}

    assert manager_from_config(other) is not manager_from_config(config)


async def test_other_manager_for_another_base(config):
    """Managers of different models are different ones."""
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass

    assert manager_from_config(config, base_model=Base) is not manager_from_config(config)


async def test_part_of_the_settings(config):
    """The part about SQLAlchemy is enough for sessions; what needs migrations says what is missing."""
    manager = manager_from_config(config["sqlalchemy"])

    async with manager.session() as session:
        found = await session.scalar(text("SELECT 1"))

    assert found == 1
    with pytest.raises(MigrationsNotFound, match="migrations_path"):
        await manager.sync()


async def test_options_reach_the_engine(config):
    """Options, pragmas and the version table of the settings are heeded."""
    config["sqlalchemy"]["pool_size"] = 3
    config["alembic"]["version_table"] = "position"
    config["sqlite_pragmas"] = {"cache_size": 17}
    manager = manager_from_config(config)

    await manager.sync()
    async with manager.session() as session:
        position = await session.scalar(text("SELECT version_num FROM position"))
        cache_size = await session.scalar(text("PRAGMA cache_size"))

    assert manager.engine.pool.size() == 3
    assert (position, cache_size) == ("0001", 17)


async def test_callers_mapping_is_not_changed(config):
    """The mapping that was passed stays as it was."""
    copy = {name: dict(part) for name, part in config.items()}

    manager_from_config(config)

    assert config == copy


async def test_wrong_settings():
    """A missing URL is an error that names the setting."""
    with pytest.raises(SettingsError, match="sqlalchemy"):
        manager_from_config({"alembic": {}})


async def test_passwords_are_not_shown():
    """What is kept to find a manager again does not show its password."""
    manager = manager_from_config({"url": "postgresql://app:hunter22@db/shop", "connect_args": {"x": "hunter22"}})

    assert "hunter22" not in f"{manager!r} {ancestor._shared!r}"


async def test_managers_are_bounded(config):
    """The number of managers that are kept is bounded; the connections of one that is not are closed."""
    manager = manager_from_config(config)
    closed = closed_connections(manager)
    async with manager.session() as session:
        await session.execute(text("SELECT 1"))
    kept = manager_from_config({"url": "sqlite:///kept.db"})

    for number in range(100):
        manager_from_config({"url": f"sqlite:///{number}.db"})
        manager_from_config({"url": "sqlite:///kept.db"})
    await asyncio.gather(*ancestor._disposals)

    assert len(ancestor._shared) == ancestor._MOST_MANAGERS
    assert len(closed) == 1
    assert manager_from_config({"url": "sqlite:///kept.db"}) is kept
    assert manager_from_config(config) is not manager


def test_managers_are_bounded_outside_a_loop():
    """Managers made where no event loop runs are bounded as well."""
    for number in range(100):
        manager_from_config({"url": f"sqlite:///{number}.db"})

    assert len(ancestor._shared) == ancestor._MOST_MANAGERS


@pytest.mark.usefixtures("nothing_left_open")
def test_syncdb(config, capsys, tmp_path):
    """``syncdb`` brings the database up to date and prints one line each time, without a connection left."""
    syncdb(config)
    syncdb(config)

    assert capsys.readouterr().out.splitlines() == [
        f"{config['sqlalchemy']['url']}: created",
        f"{config['sqlalchemy']['url']}: already up to date",
    ]
    assert count(tmp_path) == 0
    assert ancestor._shared == []
