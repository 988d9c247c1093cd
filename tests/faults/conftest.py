"""Fixtures of the fault suite: a shop, processes beside the test, and the search for secrets in all that is shown."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import pytest
from proxy import proxy_to
from shops import Shop
from shown import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from processes import Children
    from projects import Finished, Project
    from proxy import Proxy
    from throwaway import Server

_WITHIN = 60  # seconds
_LOUD = ("sqlalchemy", "sqlhelpers", "alembic", "asyncpg", "psycopg", "asyncio")


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """No test takes longer than a minute: what hangs is interrupted, and fails."""

    def interrupt(*_: object) -> None:
        raise TimeoutError(f"the test has not ended within {_WITHIN} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(_WITHIN)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def no_secret_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """Nothing that the test shows, on whatever way, has a password in it.

    Every database and role has a random password. It is looked for in the standard streams of the test and
    of its processes, in DEBUG logs, in the tracebacks of expected errors, and in the attributes of runtimes,
    settings and managers.
    """
    shown, root = Shown(), logging.getLogger()
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, _LOUD))}
    quiet = {handler: handler.level for handler in root.handlers}
    for handler in quiet:
        handler.setLevel(logging.WARNING)  # pytest would print all of it below a failure
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    monkeypatch.setattr(pytest, "raises", shown.recording(pytest.raises))
    root.addHandler(shown)
    yield shown
    root.removeHandler(shown)
    for logger, level in levels.items():
        logger.setLevel(level)
    for handler, level in quiet.items():
        handler.setLevel(level)
    captured = capsys.readouterr()
    shown.add("stdout", captured.out)
    shown.add("stderr", captured.err)
    leaks = shown.leaks()
    assert not leaks, "\n".join(leaks)


@pytest.fixture
def children(project: Project, children: Children, no_secret_shown: Shown) -> Iterator[Children]:  # noqa: ARG001
    """Starts processes in the project."""
    yield children
    children.end()
    for child in children.all:
        no_secret_shown.add("what a process printed", child.printed)


@pytest.fixture
def shop(project: Project, children: Children, no_secret_shown: Shown) -> Iterator[Shop]:
    """The app of these tests. It has no database yet: ``shop.use(url)``."""
    made = Shop(project, children)
    made.write()
    yield made
    for runtime in made.runtimes:
        if "settings" in vars(runtime):
            no_secret_shown.add_object(runtime.settings)
        no_secret_shown.add_object(runtime)
        for manager in (*runtime._managers.values(), *runtime._async_managers.values()):
            no_secret_shown.add_object(manager)
            no_secret_shown.add_object(manager.database)
            no_secret_shown.add_object(manager.database.settings)


@pytest.fixture
def command(command: Callable[..., Finished], no_secret_shown: Shown) -> Callable[..., Finished]:
    """Run ``sqlhelpers`` with arguments in this process."""

    def recorded(*arguments: str) -> Finished:
        finished = command(*arguments)
        no_secret_shown.add(f"sqlhelpers {' '.join(arguments)}", finished.output)
        return finished

    return recorded


@pytest.fixture(params=["sqlite", "postgresql", "pgbouncer", "mariadb"])
def place(request: pytest.FixtureRequest, shop: Shop) -> str:
    """The URL of an empty database: of each dialect in turn, and behind PgBouncer."""
    shop.pooler = "transaction" if request.param == "pgbouncer" else None
    name = {"postgresql": "postgres_url"}.get(request.param, f"{request.param}_url")
    return str(request.getfixturevalue(name))


@pytest.fixture(params=["sqlite", "postgres", "pgbouncer", "mariadb"])
def pair(request: pytest.FixtureRequest, shop: Shop, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URLs of two empty databases on one server: of each dialect in turn, and behind PgBouncer."""
    shop.pooler = "transaction" if request.param == "pgbouncer" else None
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db"
        return
    server = request.getfixturevalue(f"{request.param}_server")
    with server.fresh_database() as one, server.fresh_database() as two:
        yield one, two


@pytest.fixture
def postgres_proxy(postgres_server: Server) -> Iterator[Proxy]:
    """A proxy in front of PostgreSQL."""
    with proxy_to(postgres_server.port) as proxy:
        yield proxy


@pytest.fixture
def mariadb_proxy(mariadb_server: Server) -> Iterator[Proxy]:
    """A proxy in front of MariaDB."""
    with proxy_to(mariadb_server.port) as proxy:
        yield proxy
