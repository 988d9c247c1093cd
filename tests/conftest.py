"""Fixtures: databases on real servers, throwaway projects, and environments with the built wheel."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from processes import Children
from projects import Finished, Project
from servers import MariadbServer, PgBouncer, PostgresServer
from throwaway import Server, ServerAbsent, running
from wheels import ROOT, Environment, build, new_environment

from sqlhelpers import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

_OURS = ("SQLHELPERS_", "DATABASE_URL")
_EXAMPLES = "countries,bookshop"  # may be installed in the development environment


def pytest_configure() -> None:
    """Let processes that tests start hear SIGINT, also where the tests themselves run in the background of a shell."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between processes is kept in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A running PostgreSQL server."""
    yield from _running(PostgresServer)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """A running MariaDB server."""
    yield from _running(MariadbServer)


@pytest.fixture(scope="session")
def pgbouncer_server(postgres_server: PostgresServer) -> Iterator[Server]:
    """A running PgBouncer with twenty connections to each database."""
    yield from _running(PgBouncer, behind=postgres_server, pool_size=20)


@pytest.fixture(scope="session")
def small_pgbouncer_server(postgres_server: PostgresServer) -> Iterator[Server]:
    """A running PgBouncer with two connections to each database."""
    yield from _running(PgBouncer, behind=postgres_server, pool_size=2)


@pytest.fixture(scope="session")
def narrow_pgbouncer_server(postgres_server: PostgresServer) -> Iterator[Server]:
    """A running PgBouncer with a single connection to each database."""
    yield from _running(PgBouncer, behind=postgres_server, pool_size=1)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, without a driver."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[str]:
    """The URL of an empty MariaDB database, without a driver."""
    with mariadb_server.fresh_database() as url:
        yield url


@pytest.fixture
def pgbouncer_url(pgbouncer_server: PgBouncer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database behind PgBouncer."""
    with pgbouncer_server.fresh_database() as url:
        yield url


@pytest.fixture
def small_pgbouncer_url(small_pgbouncer_server: PgBouncer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database behind a PgBouncer with a pool of two."""
    with small_pgbouncer_server.fresh_database() as url:
        yield url


@pytest.fixture
def narrow_pgbouncer_url(narrow_pgbouncer_server: PgBouncer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database behind a PgBouncer with a pool of one."""
    with narrow_pgbouncer_server.fresh_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each dialect in turn."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
    return request.getfixturevalue(fixture)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the two managers does the work."""
    return str(request.param)


@pytest.fixture
def nothing_left_open() -> Iterator[None]:
    """What the test forgets to close is collected at its end, which warns of it. All that is older is not looked at."""
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from the environment."""
    for name in list(os.environ):
        if name.upper().startswith(_OURS):
            monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Iterator[Project]:  # noqa: ARG001
    """An empty project folder, which is the working directory and on the import path."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("SQLHELPERS_DISABLE_PLUGINS", _EXAMPLES)
    yield (made := Project(folder))
    made.forget()


@pytest.fixture
def children(request: pytest.FixtureRequest, tmp_path: Path, clean_environment: None) -> Iterator[Children]:  # noqa: ARG001
    """Starts processes in the project, or in the folder of a test without one; they are ended after the test."""
    has_project = "project" in request.fixturenames
    started = Children(request.getfixturevalue("project").folder if has_project else tmp_path, tmp_path)
    yield started
    started.end()


@pytest.fixture
def command(
    project: Project,  # noqa: ARG001  # the command reads the settings of the working directory
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Finished]]:
    """Run ``sqlhelpers`` with arguments in this process, which is quicker than ``project.run``."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def in_process(*arguments: str) -> Finished:
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        captured = capsys.readouterr()
        return Finished(int(caught.value.code or 0), captured.out, captured.err)

    yield in_process
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this project."""
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def core_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment that has the wheel and its required dependencies. Clone it to install more."""
    environment = new_environment(tmp_path_factory.mktemp("core") / "environment")
    environment.install_with_dependencies(wheel)
    return environment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the tests that wait for an absent server in one line, where pytest would give each a line of its own."""
    report = yield
    if call.excinfo and isinstance(call.excinfo.value.__cause__, ServerAbsent) and report.skipped:
        report.longrepr = (__file__, _running.__code__.co_firstlineno, f"Skipped: {call.excinfo.value.__cause__}")
    return report


def _running(kind: type[Server], **options: Any) -> Iterator[Server]:
    try:
        kind.require()
    except ServerAbsent as absent:
        outcome = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        raise outcome.Exception(str(absent), pytrace=False) from absent
    with running(kind, **options) as server:
        yield server
