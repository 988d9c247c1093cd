"""What states, upgrades and new databases cost in process, beside Alembic's own; and many databases at once.

``python tests/benchmarks/migrating.py [full]``, or ``make bench`` with all the others.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from databases import runtime
from longhistory import many_models, name_of, write_project
from measuring import Figure, taken
from servers import PostgresServer
from sqlalchemy import create_engine
from throwaway import ServerAbsent, running

from sqlhelpers import DatabaseManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

WARM = {1000: 10, 5000: 50}  # milliseconds
ONE_STEP = {1000: 0.35, 5000: 0.25}


def timed(work: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> float:
    """Return the seconds that it takes; the garbage of what ran before is not its own."""
    gc.collect()
    start = clock()
    work()
    return clock() - start


@contextmanager
def within(folder: Path, cache: Path) -> Iterator[None]:
    """Work in a project folder, with a cache folder, and forget its modules afterwards."""
    before = Path.cwd(), os.environ.get("XDG_CACHE_HOME")
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = str(cache)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before[0])
        os.environ.pop("XDG_CACHE_HOME")
        if before[1] is not None:
            os.environ["XDG_CACHE_HOME"] = before[1]
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]
        importlib.invalidate_caches()


def at(path: str, revision: str) -> None:
    """Make a database that is at a revision."""
    Path(path).unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.commit()


def states(folder: Path, revisions: int, rounds: int) -> Iterator[Figure]:
    """Measure ``get_status()``: of a manager that has looked before, and of one that knows nothing."""
    at("ours.db", name_of(revisions))
    with DatabaseManager("sqlite:///ours.db", "shop/migrations") as manager:
        manager.get_status()
        (warm,) = taken(3 * rounds, lambda: timed(manager.get_status))
    yield Figure(f"get_status() warm at {revisions:,}, CPU", warm, "s", WARM[revisions])

    def cold() -> float:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        with DatabaseManager("sqlite:///ours.db", "shop/migrations") as manager:
            manager.engine  # noqa: B018  # Alembic's heads need none
            return timed(manager.get_status)

    def heads() -> float:
        return timed(lambda: ScriptDirectory.from_config(Config("alembic.ini")).get_heads())

    ours, theirs = taken(rounds, cold, heads)
    what = f"get_status() with a cold cache at {revisions:,}, CPU"
    yield Figure(what, ours, "s", 1.0, "get_heads()", theirs, "CPU of reading a history for the first time", revisions)


def one_step(revisions: int, rounds: int) -> Figure:
    """Compare upgrades of one step. Our manager is a new one each time; its cache folder is warm."""

    def ours() -> float:
        at("ours.db", name_of(revisions - 1))
        with DatabaseManager("sqlite:///ours.db", "shop/migrations") as manager:
            return timed(manager.upgrade)

    def theirs() -> float:
        at("theirs.db", name_of(revisions - 1))
        with Path(os.devnull).open("w") as nothing:
            return timed(partial(command.upgrade, Config("alembic.ini", stdout=nothing), "head"))

    found = taken(rounds, ours, theirs)
    what, beside = f"upgrade of one step at {revisions:,}, CPU", "command.upgrade"
    return Figure(
        what, found[0], "s", ONE_STEP[revisions], beside, found[1], "CPU of an upgrade of one step", revisions
    )


def creations(server: PostgresServer, root: Path, tables: int, rounds: int) -> Figure:
    """Compare the creation of many tables on PostgreSQL, in time on the clock: most of it is the server's."""
    folder = write_project(root / "new", tables, many_models(tables))
    with within(folder, folder / "cache"):
        models = importlib.import_module("shop.models")

        def ours() -> float:
            with server.fresh_database() as url, runtime(url) as made:
                made.apps  # noqa: B018  # the models are there on both sides
                return timed(made.run_sync, time.perf_counter)

        def theirs() -> float:
            with server.fresh_database() as url:
                driver = url.replace("postgresql:", "postgresql+psycopg:")
                config = Config("alembic.ini")
                config.set_main_option("sqlalchemy.url", driver.replace("%", "%%"))

                def create() -> None:
                    engine = create_engine(driver)
                    models.Base.metadata.create_all(engine)
                    command.stamp(config, "head")
                    engine.dispose()

                return timed(create, time.perf_counter)

        found = taken(rounds, ours, theirs)
    what = f"new database of {tables:,} tables, PostgreSQL, clock"
    return Figure(what, found[0], "s", 0.7, "create_all() and command.stamp", found[1])


def many_databases(dialect: str, root: Path, urls: Sequence[str], rounds: int) -> Iterator[Figure]:
    """Measure a ``run_sync()`` of many databases which are up to date, and whether it is as quick as with a tenth."""
    folder = write_project(root / f"many-{dialect}", 10)
    settings = {"alembic": {"migrations_path": "shop/migrations"}}
    databases = {f"d{number}": {"sqlalchemy": {"url": url}, **settings} for number, url in enumerate(urls)}
    some = dict(list(databases.items())[: len(databases) // 10])
    with within(folder, folder / "cache"):

        def each(chosen: Mapping[str, Any]) -> float:
            with runtime(chosen, apps={}) as made:
                return timed(made.run_sync, time.perf_counter) / len(chosen)

        with runtime(databases if dialect != "SQLite" else {"d0": databases["d0"]}, apps={}) as made:
            made.run_sync()
        if dialect == "SQLite":
            files = [url.removeprefix("sqlite:///") for url in urls]
            for file in files[1:]:
                shutil.copy(files[0], file)
        all_of_them, tenth = taken(rounds, lambda: each(databases), lambda: each(some), warm=0)
    what = f"run-sync of {len(urls)} {dialect} databases, clock, each"
    yield Figure(what, all_of_them, "s", 20)
    yield Figure(f"{what}: as with {len(some)}", all_of_them, "s", 1.1, f"each of {len(some)}", tenth)


def figures(*, full: bool) -> Iterator[Figure]:
    """Yield what was found."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for revisions, rounds in {1000: 15 if full else 5, 5000: 7 if full else 2}.items():
            folder = write_project(root / str(revisions), revisions)
            with within(folder, folder / "cache"):
                yield from states(folder, revisions, rounds)
                yield one_step(revisions, rounds)
        urls = [f"sqlite:///{root}/many{number}.db" for number in range(500)]
        yield from many_databases("SQLite", root, urls, 5 if full else 3)
        try:
            PostgresServer.require()
        except ServerAbsent as absent:
            print(absent)
            return
        with running(PostgresServer) as server:
            yield creations(server, root, 1000, 7 if full else 2)
            if full:
                with ExitStack() as stack:
                    urls = [stack.enter_context(server.fresh_database()) for _ in range(500)]
                    yield from many_databases("PostgreSQL", root, urls, 3)


if __name__ == "__main__":
    for figure in figures(full="full" in sys.argv):
        print("  ".join(figure.row()), flush=True)
