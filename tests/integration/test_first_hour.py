"""A newcomer's first hour, with the wrong turns that people take. Plain Alembic agrees at every step."""

from __future__ import annotations

import runpy
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from databases import allow_scratch, rows, snapshot
from newcomers import Newcomer
from wheels import ROOT, Environment, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PYPROJECT = '[tool.sqlhelpers.apps.shop]\npackage = "shop"\n'
SHOWN = runpy.run_path(str(ROOT / "docs" / "screens.py"))  # what a newcomer sees there
MODELS: str = SHOWN["MODELS"]
BOOK: str = SHOWN["BOOK"].replace(", index=True", "")
SERVICE = """
import asyncio
from sqlalchemy import text
from sqlhelpers import Runtime

async def serve():
    async with Runtime().async_manager() as manager:
        async with manager.session() as session:
            await session.execute(text("INSERT INTO author (name) VALUES ('Ursula')"))
        print(manager.engine.dialect.driver)

asyncio.run(serve())
"""
CREATE_ALL = """
from shop.models import Base
from sqlhelpers import Runtime

with Runtime() as runtime:
    Base.metadata.create_all(runtime.manager().engine)
"""
PLAIN_MODELS = MODELS.replace("from sqlhelpers import Base", "from sqlalchemy.orm import DeclarativeBase") + BOOK
PLAIN_MODELS = PLAIN_MODELS.replace("\n\nclass Author", "\n\nclass Base(DeclarativeBase):\n    pass\n\n\nclass Author")
OUR_ENV = "from sqlhelpers.environment import run\n\nrun()\n"
COUNTRIES = {"countries", "currencies", "subdivisions"}


@pytest.fixture(scope="module")
def environment(core_environment: Environment, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What a newcomer has after ``pip install 'sqlhelpers[sqlite,postgres]'``."""
    made = core_environment.clone(tmp_path_factory.mktemp("hour") / "environment")
    made.install_with_dependencies(f"sqlhelpers[postgres,sqlite] @ {wheel.as_uri()}")
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A function that returns the URL of another empty database, without a driver."""
    with ExitStack() as stack:
        count = iter(range(9))

        def another() -> str:
            if request.param == "sqlite":
                return f"sqlite:///{tmp_path}/{next(count)}.db"
            url = stack.enter_context(request.getfixturevalue("postgres_server").fresh_database())
            allow_scratch(request, url)
            return url

        yield another


def test_the_first_hour(
    environment: Environment,
    tmp_path: Path,
    new_url: Callable[[], str],
    clean_environment: None,  # noqa: ARG001
) -> None:
    """From an empty folder to a database that holds one app, and held two."""
    (tmp_path / "shop").mkdir()
    me = Newcomer(environment.clone(tmp_path / "environment"), tmp_path / "shop", new_url())

    begins_with_nothing(me)
    first = writes_a_model(me)
    second = changes_a_column(me, first)
    mistypes_in_a_model(me)
    merged = merges_with_a_colleague(me, me.colleague(new_url()), second)
    goes_back_and_forth(me, second, merged)
    adopts_what_create_all_has_made(me.at(new_url()), merged)
    adopts_what_plain_alembic_has_made(me, tmp_path / "old", new_url())
    adds_an_app_and_removes_it(me.at(me.url), merged, tmp_path)


def begins_with_nothing(me: Newcomer) -> None:
    """Each error says what to do next."""
    me.does("run-sync", status=2, reads=("no database", "DATABASE_URL", "pyproject.toml"))
    me.does("int", "shop", status=2, reads=("no command 'int'; did you mean", "init"))
    me.does(
        "init", "shop", status=2, reads=("there is no app 'shop'", '[tool.sqlhelpers.apps.shop] package = "PACKAGE"')
    )
    me.does("doctor", status=2, reads=("no database is configured -> set DATABASE_URL", "no app is registered"))


def writes_a_model(me: Newcomer) -> str:
    """``init``, the first model, the first revision, ``run-sync``."""
    me.write("pyproject.toml", PYPROJECT)
    me.at(me.url)
    me.does("init", "shop", status=2, reads=("package 'shop' is not installed, and not beside pyproject.toml",))
    me.write("shop/__init__.py", "")
    made = me.does("init", "shop", "--with-env", reads=("shop/migrations/versions", "shop/migrations/env.py"))
    me.write("pyproject.toml", f"{PYPROJECT}\n{made.stderr.partition('lines:')[2]}")
    me.does("init", "shop", "--with-env", status=3, reads=("is there already, and was left as it is",))
    me.does(
        "revision", "shop", "-m", "first", status=3, reads=("no models to compare with: write them in shop.models",)
    )
    me.write("shop/models.py", MODELS)
    me.does("run-sync", status=2, reads=("holds no revisions; write the first one with `sqlhelpers revision shop -m",))
    me.does("revision", "shpo", "-m", "authors", status=2, reads=("did you mean shop?",))

    first = me.writes_revision("add authors", "shop: add table author")

    assert me.revision_files == {f"{first}_add_authors.py"}
    assert me.tables == set()
    me.does("run-sync", reads=(f"shop created at {first} 1 table",))
    assert me.tables == {"author", "alembic_version_shop", "sqlhelpers_journal"}
    me.agrees_with_alembic(first)
    return first


def changes_a_column(me: Newcomer, first: str) -> str:
    """The service has written a row, with the other driver; it stays."""
    assert me.python(SERVICE).strip() in {"aiosqlite", "asyncpg"}
    me.edit("shop/models.py", "String(50)", "String(80)")
    me.write("shop/models.py", (me.folder / "shop/models.py").read_text("utf-8") + BOOK)
    me.does("check", status=1, reads=("table book is missing", "VARCHAR(80) in the models", "sqlhelpers revision shop"))

    second = me.writes_revision("add books", "shop: add table book", "shop: modify type author.name")

    me.does("status", "--check", status=1, reads=(f"shop behind at {first} 1 revision to run",))
    me.alembic("check", fails="Target database is not up to date")
    me.does("revision", "shop", "-m", "more", status=3, reads=(f"not at the newest revision {second}", "run-sync"))
    me.does("lint", reads=(f"looked at 1 of 2 revisions for {me.url.partition(':')[0]}: {second}", "nothing was found"))
    me.does("run-sync", "--dry-run", reads=(f"would be upgraded {first} -> {second} 1 revision",))
    me.does("run-sync", reads=(f"shop upgraded {first} -> {second} 1 revision",))
    assert rows(me.url, "SELECT name FROM author") == [("Ursula",)]
    me.agrees_with_alembic(second)
    me.does("revision", "shop", "-m", "again", status=3, reads=("there is nothing to write",))
    return second


def mistypes_in_a_model(me: Newcomer) -> None:
    """A model module that cannot be imported stops all; no table is taken for one to drop."""
    before, files = snapshot(me.url), me.revision_files
    me.edit("shop/models.py", "ForeignKey(", "ForeingKey(")
    told = "shop.models: NameError: name 'ForeingKey' is not defined"
    for words in (("revision", "shop", "--autogenerate", "-m", "oops"), ("run-sync",)):
        me.does(*words, status=2, reads=(told, "shop/models.py, line 16"))
    me.alembic("check", fails=told)
    me.edit("shop/models.py", "ForeingKey(", "ForeignKey(")

    assert (snapshot(me.url), me.revision_files) == (before, files)


def merges_with_a_colleague(me: Newcomer, colleague: Newcomer, second: str) -> str:
    """Both have written a revision: that is refused until they are merged."""
    price, pages = ("    price: Mapped[int | None]\n", "    pages: Mapped[int | None]\n")
    title = "    title: Mapped[str] = mapped_column(String(100))\n"
    me.edit("shop/models.py", title, title + price)
    colleague.edit("shop/models.py", title, title + pages)
    mine = me.writes_revision("prices", "add column book.price")
    theirs = colleague.writes_revision("pages", "add column book.pages")
    me.edit("shop/models.py", price, price + pages)
    (file,) = colleague.revision_files - me.revision_files
    me.write(f"shop/migrations/versions/{file}", (colleague.folder / "shop/migrations/versions" / file).read_text())

    before = snapshot(me.url)
    for words in (("run-sync",), ("upgrade", "shop", "head")):
        me.does(
            *words, status=3, reads=("shop' has several heads", mine, theirs, "merge them with `sqlhelpers merge shop`")
        )
    doctor = me.does("doctor", status=3, reads=("several heads", "-> merge them with `sqlhelpers merge shop`"))
    assert "leftovers" not in doctor.stdout
    me.alembic("upgrade", "head", fails="Multiple head revisions")
    assert (me.heads, snapshot(me.url)) == (sorted([mine, theirs]), before)

    merged = me.does("merge", "shop").stdout.split()[2]
    me.does("run-sync", reads=(f"shop upgraded {second} -> {merged} 3 revisions",))
    me.agrees_with_alembic(merged)
    me.does("graph", "--format", "text", "--current", reads=(f"{merged} merge heads (merge, head, default is here)",))
    assert f"{mine}, {theirs} -> {merged}" in (history := me.alembic("history")) or f"{theirs}, {mine} ->" in history
    return merged


def goes_back_and_forth(me: Newcomer, second: str, merged: str) -> None:
    """``downgrade`` asks first; both command lines move the database, and see where the other has left it."""
    before = snapshot(me.url)
    me.does("downgrade", status=2, reads=("say down to which revision: -1 undoes the last one",))
    me.does("downgrade", "shop", "-1", status=3, reads=("Undo the last revision of 'shop'", "say so with --yes"))
    me.does(
        "downgrade", "shop", "-1", "--yes", status=2, reads=("because of a merge", "`sqlhelpers history` lists them")
    )
    assert snapshot(me.url) == before

    me.does("downgrade", "shop", second[:5], "--yes", reads=(f"shop downgraded to {second} 3 revisions",))
    me.current_is(second)
    me.alembic("upgrade", "head")
    me.does("status", "--check", reads=(f"up to date at {merged}",))
    me.alembic("downgrade", second)
    me.does("upgrade", "shop", reads=(f"shop upgraded {second} -> {merged} 3 revisions",))
    me.current_is(merged)
    assert me.alembic("heads").startswith(f"{merged} (head)")
    assert rows(me.url, "SELECT name FROM author") == [("Ursula",)]


def adopts_what_create_all_has_made(me: Newcomer, merged: str) -> None:
    """Nothing is recorded on a guess: ``adopt`` compares first."""
    me.python(CREATE_ALL)
    me.does(
        "run-sync", status=3, reads=("its tables are there (author, book) but no revision", "`sqlhelpers adopt shop`")
    )
    me.alembic("upgrade", "head", fails="author")
    me.does("adopt", reads=(f"default shop adopted at {merged}",))
    me.agrees_with_alembic(merged)


def adopts_what_plain_alembic_has_made(me: Newcomer, folder: Path, url: str) -> None:
    """The position moves to the app's own table; plain Alembic is told where, and agrees."""
    folder.mkdir()
    me = Newcomer(me.environment, folder, url, "crm")
    me.write("crm/__init__.py", "")
    me.write("crm/models.py", PLAIN_MODELS)
    me.alembic("init", "crm/migrations")
    driver = url.replace("postgresql:", "postgresql+psycopg:")
    me.edit("alembic.ini", "sqlalchemy.url = driver://user:pass@localhost/dbname", f"sqlalchemy.url = {driver}")
    me.edit(
        "crm/migrations/env.py",
        "target_metadata = None",
        "from crm.models import Base\ntarget_metadata = Base.metadata",
    )
    me.alembic("revision", "--autogenerate", "-m", "all")
    me.alembic("upgrade", "head")
    (revision,) = me.alembic("current").split()[:1]

    me.write("pyproject.toml", PYPROJECT.replace("shop", "crm"))
    me.at(url)
    me.does(
        "run-sync", status=3, reads=(f"{revision} is recorded in alembic_version", "`sqlhelpers adopt crm` moves it")
    )
    told = "version_table='alembic_version_crm'"
    me.does("adopt", "crm", reads=(f"default crm adopted at {revision}", "plain alembic", told))
    me.write("crm/migrations/env.py", OUR_ENV)
    me.agrees_with_alembic(revision)


def adds_an_app_and_removes_it(me: Newcomer, merged: str, folder: Path) -> None:
    """Its tables stay until somebody retires it, and the position of the other app never changes."""
    me.environment.install_with_dependencies(str(build(ROOT / "examples" / "countries", "wheel", folder / "countries")))
    before = snapshot(me.url)
    me.does("status", "--check", status=1, reads=("countries not there yet", f"shop up to date at {merged}"))
    me.does("run-sync", reads=("countries created at", "3 tables", f"shop up to date at {merged}"))
    assert me.tables >= COUNTRIES
    me.does("diagram", reads=("countries", "currencies", "author"))
    left_out = "left out: app 'countries' is installed in"
    me.does("revision", "--autogenerate", "-m", "x", status=3, reads=(left_out, "there is nothing to write"))

    me.environment.uninstall("sqlhelpers-example-countries")
    told = "alembic_version_countries belongs to an app that is not installed: its tables stay until `sqlhelpers retire"
    me.does("run-sync", reads=(f"shop up to date at {merged}", told))
    me.does("revision", "--autogenerate", "-m", "x", status=3, reads=("subdivisions of app 'countries'", "left alone"))
    me.does("retire", "countrys", "--yes", status=3, reads=("no trace of an app 'countrys'", "did you mean countries?"))
    lost = "drop countries, currencies, subdivisions with all rows"
    me.does("retire", "countries", "--drop-tables", status=3, reads=(lost, "--yes"))
    assert me.tables >= COUNTRIES
    me.does("retire", "countries", "--drop-tables", "--yes", reads=("countries retired",))
    assert {name: each for name, each in snapshot(me.url).items() if name != "sqlhelpers_journal"} == {
        name: each for name, each in before.items() if name != "sqlhelpers_journal"
    }
    me.agrees_with_alembic(merged)
    me.does("doctor", reads=("nothing is wrong",))
