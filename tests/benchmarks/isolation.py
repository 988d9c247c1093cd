"""What the testing kit costs: isolated tests beside the same without isolation, and a clone beside a new database.

``python tests/benchmarks/isolation.py [full]``, or ``make bench`` with all the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from databases import MODELS
from longhistory import many_models, write_project
from measuring import Figure, taken
from servers import PostgresServer
from throwaway import ServerAbsent, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from throwaway import Server

TESTS = 1000
PYPROJECT = """
[tool.sqlhelpers]
disable_plugins = ["countries", "bookshop"]
apps.shop = { package = "shop", migrations = false }

[tool.pytest.ini_options]
asyncio_default_fixture_loop_scope = "function"
"""
COMMON = f"""
import pytest
from shop.models import Author

@pytest.mark.parametrize("number", range({TESTS}))
def test_of_three_rows(session, number):
    session.add_all([Author(name=f"{{number}} {{each}}") for each in range(3)])
    session.commit()
    session.add(Author(name="four"))
    session.commit()
"""
ISOLATED = """
@pytest.fixture
def session(db_session):
    return db_session
"""
PLAIN = """
from sqlhelpers import Runtime

@pytest.fixture(scope="session")
def manager():
    with Runtime() as runtime:
        runtime.manager().sync()
        yield runtime.manager()

@pytest.fixture
def session(manager):
    with manager.Session() as session:
        yield session
"""
CLONING = """
import time
import pytest

def test_clones(sqlhelpers_kit):
    place = sqlhelpers_kit.databases["default"]
    place.prepare("isolated")
    for _ in range({rounds}):
        begun = time.perf_counter()
        place.begin_fresh()
        cloned = time.perf_counter()
        place.end_fresh()
        between = time.perf_counter()
        place.rebuild()
        print("FIGURES", cloned - begun, time.perf_counter() - between, flush=True)
"""


def pytest_in(folder: Path, url: str, *words: str) -> tuple[float, str]:
    """Run pytest in a project, and return the seconds that it took and what it printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *words]
    environment = {**os.environ, "DATABASE_URL": url, "XDG_CACHE_HOME": str(folder / "cache")}
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return took, done.stdout


def isolated(where: str, folder: Path, url: str, rounds: int) -> Figure:
    """Compare tests whose commits are savepoints with tests whose commits are real."""
    (folder / "shop").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "models.py").write_text(MODELS)
    (folder / "test_isolated.py").write_text(COMMON + ISOLATED)
    (folder / "test_plain.py").write_text(COMMON + PLAIN)
    found = taken(
        rounds,
        lambda: pytest_in(folder, url, "test_isolated.py")[0],
        lambda: pytest_in(folder, url, "test_plain.py")[0],
    )
    return Figure(f"{TESTS:,} isolated tests, {where}, clock", found[0], "s", 1.3, "real commits", found[1])


def cloned(where: str, root: Path, url: str, tables: int, rounds: int) -> Figure:
    """Compare a copy of the template, with the removal of the last, with a template that is built."""
    folder = write_project(root / f"clone-{where}", tables, many_models(tables))
    (folder / "pyproject.toml").write_text(PYPROJECT.replace("migrations = false", 'migrations = "migrations"'))
    (folder / "test_clones.py").write_text(CLONING.format(rounds=rounds))
    lines = pytest_in(folder, url, "-s", "test_clones.py")[1].splitlines()
    pairs = [tuple(map(float, line.split()[-2:])) for line in lines if "FIGURES" in line]
    clones, builds = zip(*pairs, strict=True)
    return Figure(f"clone of {tables} tables, {where}, clock", clones, "s", 1.0, "a new database", builds)


def on(where: str, root: Path, url: str, *, full: bool) -> Iterator[Figure]:
    """Yield the figures for one database."""
    yield isolated(where, root / where, url, 7 if full else 2)
    yield cloned(where, root, url, 100, 15 if full else 5)


def figures(*, full: bool) -> Iterator[Figure]:
    """Yield what was found."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        yield from on("SQLite", root, f"sqlite:///{root}/dev.db", full=full)
        try:
            PostgresServer.require()
        except ServerAbsent as absent:
            print(absent)
            return
        with running(PostgresServer) as server:
            yield from on("PostgreSQL", root, own_database(server), full=full)


def own_database(server: Server) -> str:
    """Return the URL of a database whose role may make others."""
    server.create_role("developer", "secret")
    server.execute("ALTER ROLE developer CREATEDB")
    server.create_database("shop", owner="developer")
    return server.url("developer", "secret", "shop")


if __name__ == "__main__":
    for figure in figures(full="full" in sys.argv):
        print("  ".join(figure.row()), flush=True)
