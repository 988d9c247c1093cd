"""The plugin in pytest: fixtures, loops, processes, options, and runs that are killed."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

import pytest
from kits import MODELS, developers_database, write_shop
from processes import until
from projects import run

from sqlhelpers.exceptions import ConfigurationError, DatabaseFailure
from sqlhelpers_pytest.servers import Server, start_server

pytest_plugins = ["pytester"]

PYPROJECT = """
[tool.sqlhelpers]
disable_plugins = ["countries", "bookshop"]
[tool.sqlhelpers.databases]
default = "{url}"
reports = "sqlite:///reports.db"
[tool.sqlhelpers.apps.shop]
package = "shop"
migrations = false
[tool.pytest.ini_options]
asyncio_mode = "strict"
asyncio_default_fixture_loop_scope = "function"
filterwarnings = ["error"]
"""
API = """
from fastapi import FastAPI
from sqlalchemy import select
import sqlhelpers_fastapi
from sqlhelpers_fastapi import SessionDep, SyncSessionDep
from shop.models import Author

app = FastAPI()
sqlhelpers_fastapi.attach(app, sync=True)

@app.post("/authors/{name}", status_code=201)
async def add(name: str, session: SessionDep) -> str:
    session.add(Author(name=name))
    return name

@app.get("/authors")
def read(session: SyncSessionDep) -> list[str]:
    return list(session.scalars(select(Author.name).order_by(Author.name)))
"""
HEAD = """
import pytest
from sqlalchemy import select, text
from shop.models import Author, Book

NAMES = select(Author.name).order_by(Author.name)
"""
FIXTURES = (
    HEAD
    + """
for_each = pytest.mark.parametrize("number", [1, 2])

@for_each
def test_sync(db_session, db_manager, sqlhelpers_runtime, number):
    assert db_session.scalars(NAMES).all() == []
    db_session.add(Author(name="one"))
    db_session.commit()
    assert db_manager.Session().scalars(NAMES).all() == ["one"]
    assert sqlhelpers_runtime.manager() is db_manager

@for_each
@pytest.mark.parametrize("scope", ["function", "module", "session"])
@pytest.mark.asyncio
async def test_async(async_db_session, async_db_manager, db_session, number, scope):
    async_db_session.add(Author(name="one"))
    await async_db_session.commit()
    async with async_db_manager.session() as session:
        assert (await session.scalars(NAMES)).all() == ["one"]
    assert db_session.scalars(NAMES).all() == ["one"]

@for_each
@pytest.mark.asyncio(loop_scope="module")
async def test_in_the_loop_of_the_module(async_db_session, number):
    async_db_session.add(Author(name="one"))
    await async_db_session.commit()

@pytest.mark.asyncio
async def test_fresh_async(fresh_db, async_db_session, async_db_manager):
    async_db_session.add(Author(name="one"))
    await async_db_session.commit()
    assert (await async_db_session.scalars(NAMES)).all() == ["one"]

@for_each
@pytest.mark.asyncio(loop_scope="session")
async def test_fresh_in_the_loop_of_the_session(fresh_db, async_db_session, number):
    async_db_session.add(Author(name="one"))
    await async_db_session.commit()
    assert (await async_db_session.scalars(NAMES)).all() == ["one"]

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(async_db_session, anyio_backend):
    async_db_session.add(Author(name="one"))
    await async_db_session.commit()

def test_unused(async_db_session, db_sessions, async_db_sessions):
    assert len(db_sessions) == 0 and len(async_db_sessions) == 1

def test_binds(db_sessions, db_managers, async_db_managers):
    db_sessions["reports"].execute(text("CREATE TABLE mine (id INTEGER)"))
    db_sessions["reports"].commit()
    with db_managers["reports"].engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM mine")).all() == []
    assert db_sessions["default"].scalars(NAMES).all() == []
    assert async_db_managers["reports"].bind == "reports"
    assert list(db_managers) == ["reports"]

def test_fresh(fresh_db, db_session):
    db_session.add(Author(name="one"))
    db_session.commit()
    assert set(fresh_db) == {"default", "reports"} and len(fresh_db) == 2
    assert "fresh" in fresh_db.environment["SQLHELPERS_DATABASES__REPORTS__SQLALCHEMY__URL"]
    assert fresh_db["default"] == fresh_db.environment["SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__URL"]

def test_what_is_flushed_at_the_end_is_no_error(db_session, db_manager):
    db_session.add(Author(name="flushed"))
    db_session.flush()
    with db_manager.session() as session:
        session.add(Author(name="committed"))
"""
)
APPLICATIONS = (
    HEAD
    + """
import click
import httpx
import flask
from click.testing import CliRunner
from fastapi.testclient import TestClient
import sqlhelpers_click
import sqlhelpers_flask
from shop.api import app
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory

flask_app = flask.Flask("shop")
sqlhelpers_flask.attach(flask_app)

@flask_app.post("/authors/<name>")
def flask_add(name):
    sqlhelpers_flask.session.add(Author(name=name))
    return name

@click.group()
def cli():
    pass

sqlhelpers_click.attach(cli)

@cli.command()
@click.argument("name")
@sqlhelpers_click.pass_session
def add(session, name):
    session.add(Author(name=name))

class AuthorFactory(SQLAlchemyFactory[Author]):
    __set_relationships__ = False

@pytest.mark.parametrize("number", [1, 2])
def test_all_of_them(db_session, number):
    db_session.add(Author(name="mine"))
    db_session.commit()
    with TestClient(app, raise_server_exceptions=False) as client:
        assert [client.post("/authors/fast").status_code for _ in range(2)] == [201, 409]
        assert flask_app.test_client().post("/authors/flask").status_code == 200
        assert CliRunner().invoke(cli, ["add", "click"]).exit_code == 0
        assert client.get("/authors").json() == ["click", "fast", "flask", "mine"]
    assert db_session.scalars(NAMES).all() == ["click", "fast", "flask", "mine"]

@pytest.mark.asyncio
async def test_httpx(async_db_session):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        await client.post("/authors/one")
        assert (await client.get("/authors")).json() == ["one"]
    assert (await async_db_session.scalars(NAMES)).all() == ["one"]

def test_fresh_client(fresh_db):
    with TestClient(app) as client:
        client.post("/authors/one")
        assert client.get("/authors").json() == ["one"]

def test_a_factory_of_polyfactory(db_session):
    AuthorFactory.__session__ = db_session
    made = AuthorFactory.create_batch_sync(3)
    assert db_session.scalars(NAMES).all() == sorted(each.name for each in made)

@pytest.mark.asyncio
async def test_an_async_factory(async_db_session):
    AuthorFactory.__async_session__ = async_db_session
    await AuthorFactory.create_async(name="one")
    assert (await async_db_session.scalars(NAMES)).all() == ["one"]
"""
)
DYING = (
    HEAD
    + """
import os
import signal

def test_first(db_session):
    assert db_session.scalars(NAMES).all() == []

def test_in_the_middle(db_session, fresh_db=None):
    db_session.add(Author(name="one"))
    db_session.commit()
    how = os.environ.get("DYING")
    if how == "fails":
        raise AssertionError
    if how:
        os.kill(os.getpid(), getattr(signal, how))

def test_fresh(fresh_db, db_session):
    assert db_session.scalars(NAMES).all() == []
    db_session.add(Author(name="one"))
    db_session.commit()
    if "DYING_FRESH" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
"""
)


@pytest.fixture
def write(pytester, clean_environment, monkeypatch):  # noqa: ARG001
    """Write a project with tests."""

    def write(tests, url="sqlite:///dev.db", models=MODELS):
        write_shop(pytester.path, models)
        pytester.path.joinpath("shop", "api.py").write_text(API)
        pytester.makepyprojecttoml(PYPROJECT.format(url=url))
        pytester.makepyfile(test_shop=tests)

    def forget(_):
        for name, module in [*sys.modules.items()]:
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(pytester.path):
                del sys.modules[name]

    monkeypatch.syspath_prepend(pytester.path)
    # pytest would forget all that a run in this process has imported; SQLAlchemy is not made to be imported twice
    monkeypatch.setattr("_pytest.pytester.SysModulesSnapshot.restore", forget)
    return write


def passed(result):
    """Return how many tests have passed; none may have done anything else."""
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}, result.stdout.str()
    return outcomes["passed"]


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_fixtures(pytester, write, mode):
    """Sync and async, for each bind, in loops of every scope and both modes of pytest-asyncio, and with anyio."""
    write(FIXTURES)

    assert passed(pytester.runpytest_inprocess("-o", f"asyncio_mode={mode}")) == 18


def test_processes_have_databases_of_their_own(pytester, write):
    """With pytest-xdist; the second run finds what the first has made."""
    write(FIXTURES)

    assert passed(pytester.runpytest_subprocess("-n", "4", "-p", "no:randomly")) == 18
    assert passed(pytester.runpytest_subprocess("-n", "2", "-p", "no:randomly")) == 18
    assert {file.name for file in pytester.path.glob(".pytest_cache/d/sqlhelpers/test_dev*.db")} >= {
        "test_dev_template.db",
        "test_dev_gw0.db",
        "test_dev_gw3.db",
    }


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_applications(pytester, write, dialect, request):
    """FastAPI through its client and httpx, Flask, click and factories see one database."""
    url = "sqlite:///dev.db" if dialect == "sqlite" else developers_database(request.getfixturevalue("postgres_server"))
    write(APPLICATIONS, url)

    assert passed(pytester.runpytest_inprocess()) == 6


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_runs_that_die(pytester, write, dialect, request, monkeypatch):
    """A run that fails, is killed or crashes in the middle of a test leaves nothing that breaks the next."""
    url = "sqlite:///dev.db" if dialect == "sqlite" else developers_database(request.getfixturevalue("postgres_server"))
    write(DYING, url)
    for name, value in {"DYING": "SIGKILL", "DYING_FRESH": "1"}.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert pytester.runpytest_subprocess().ret == -signal.SIGKILL
    with monkeypatch.context() as patch:
        patch.setenv("DYING", "fails")
        pytester.runpytest_inprocess().assert_outcomes(failed=1, passed=2)

    assert passed(pytester.runpytest_inprocess("--lf")) == 1
    assert passed(pytester.runpytest_inprocess()) == 3


def test_every_test_can_be_isolated(pytester, write):
    """Those too that ask for no fixture of ours, if the project says so."""
    write(
        HEAD
        + """
from sqlhelpers import Runtime

@pytest.mark.parametrize("number", [1, 2])
def test_of_the_code_alone(number):
    with Runtime() as runtime, runtime.manager().session() as session:
        assert session.scalars(NAMES).all() == []
        session.add(Author(name="one"))

class TestOfUnittest(__import__("unittest").TestCase):
    def test_too(self):
        test_of_the_code_alone(3)

def test_that_asks(db_session):
    pass
"""
    )

    assert passed(pytester.runpytest_inprocess("-o", "sqlhelpers_all_tests=true")) == 4
    assert not pytester.path.joinpath("dev.db").exists()


def test_a_run_that_does_not_use_it(pytester, write):
    """It imports neither SQLAlchemy nor pydantic; without the plugin there is nothing of it at all."""
    write("def test_nothing():\n    pass\n")
    pytester.makeconftest(
        "import sys\n\n\ndef pytest_unconfigure():\n"
        "    assert not {'sqlalchemy', 'pydantic', 'sqlhelpers', 'filelock'} & set(sys.modules)\n",
    )
    others = ("-p", "no:schemathesis", "-p", "no:faker")

    assert passed(pytester.runpytest_subprocess(*others)) == 1
    assert passed(pytester.runpytest_subprocess(*others, "-p", "no:sqlhelpers", "-o", "filterwarnings=error")) == 1


def test_wrong_options_are_told(pytester, write):
    """In one line."""
    write(HEAD + "def test_it(db_session):\n    pass\n")
    result = pytester.runpytest_inprocess("-o", "sqlhelpers_driver=fast")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*sqlhelpers_driver is 'fast'; it may be sync or async*"])


def test_without_the_cache_of_pytest(pytester, write, monkeypatch, tmp_path):
    """Files of SQLite are kept in a folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    write(HEAD + "def test_it(db_session):\n    pass\n")

    assert passed(pytester.runpytest_inprocess("-p", "no:cacheprovider")) == 1
    assert [*tmp_path.glob("sqlhelpers-pytest-*/test_dev*.db")]


@pytest.fixture
def temporary(postgres_server, mariadb_server, monkeypatch):  # noqa: ARG001  # they have folders elsewhere
    """A folder for temporary files that servers can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_throwaway_server(pytester, write, temporary, kind, monkeypatch):
    """It is there for the run, shared by its processes, and ends with it, also with one that is killed."""
    write(DYING)
    with monkeypatch.context() as patch:
        patch.setenv("DYING", "SIGKILL")
        pytester.runpytest_subprocess("--sqlhelpers-server", kind)
    until(lambda: not [*temporary.glob("sqlhelpers-server-*")], "the end of the server")

    assert passed(pytester.runpytest_inprocess("--sqlhelpers-server", kind)) == 3
    assert not [*temporary.glob("sqlhelpers-server-*")]
    if kind == "postgresql":
        assert passed(pytester.runpytest_subprocess("--sqlhelpers-server", kind, "-n", "2")) == 3


def test_servers_that_cannot_be_started(temporary, monkeypatch):
    """What is missing, and a server that does not come up, or does not end when it is told; nothing is left of them."""
    with monkeypatch.context() as patch:
        patch.setattr("shutil.which", lambda *_, **__: None)
        with pytest.raises(ConfigurationError, match="there is no program"):
            start_server("postgresql")
    with monkeypatch.context() as patch:
        patch.setattr("sqlhelpers_pytest.servers.PostgresServer.command", lambda _: ("false",))
        patch.setattr("sqlhelpers_pytest.servers._START_WITHIN", 0.1)
        with pytest.raises(DatabaseFailure, match="did not start"):
            start_server("postgresql")
    with monkeypatch.context() as patch:
        stubborn = ("/bin/sh", "-c", "trap '' INT TERM; while :; do sleep 0.1; done")
        patch.setattr("sqlhelpers_pytest.servers.PostgresServer.command", lambda _: stubborn)
        patch.setattr("sqlhelpers_pytest.servers._START_WITHIN", 0.1)
        patch.setattr("sqlhelpers_pytest.servers._STOP_WITHIN", 0.1)
        with pytest.raises(DatabaseFailure, match="did not start"):
            start_server("postgresql")
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: 0)
        patch.setattr("sqlhelpers_pytest.servers.PostgresServer.account", "nobody-has-this")
        with pytest.raises(ConfigurationError, match="no server runs as root"):
            start_server("postgresql")
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: 1000)
        assert Server._account(Server) == {}

    assert not [*temporary.glob("sqlhelpers-server-*")]


MIGRATED = """
from alembic import op
import sqlalchemy as sa

revision = {revision!r}
down_revision = {before!r}

def upgrade():
    {up}

def downgrade():
    {down}
"""
TABLE = 'op.create_table("author", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String({long})))'
SMALL = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy import String

class Base(DeclarativeBase):
    pass

class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(50))
"""


@pytest.fixture
def write_history(pytester, write):
    """Write a project with two revisions."""

    def write_history(tests="", down="op.drop_index('by_name', 'author')", long=50, more=""):
        write(tests, models=SMALL)
        pytester.makepyprojecttoml(PYPROJECT.format(url="sqlite:///dev.db").replace("migrations = false", "") + more)
        versions = pytester.path / "shop" / "migrations" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        first = {"revision": "r1", "before": None, "up": TABLE.format(long=long), "down": "op.drop_table('author')"}
        index = "op.create_index('by_name', 'author', ['name'])"
        second = {"revision": "r2", "before": "r1", "up": index, "down": down}
        for each in (first, second):
            (versions / f"{each['revision']}.py").write_text(MIGRATED.format(**each))
        models = pytester.path / "shop" / "models.py"
        models.write_text(f"{SMALL}\nfrom sqlalchemy import Index\nIndex('by_name', Author.name)\n")

    return write_history


def test_migrations_are_tested(pytester, write_history):
    """With an option, or one import; every app has its own tests."""
    write_history("from sqlhelpers_pytest.migrations import *\n")
    result = pytester.runpytest_inprocess("--sqlhelpers-migrations", "-v")

    assert passed(result) == 14
    assert "sqlhelpers::test_one_head[shop] PASSED" in result.stdout.str()
    assert "test_shop.py::test_one_head[shop] PASSED" in result.stdout.str()


def test_wrong_migrations_are_found(pytester, write_history):
    """A trace of a downgrade, a change without a revision, a model that nobody imports; each by its name."""
    write_history(down="pass", long=20)
    pytester.path.joinpath("shop", "forgotten.py").write_text(
        "from sqlalchemy import Table, MetaData\nimport sqlalchemy as sa\n"
        "class Lost:\n    __tablename__: str = 'lost'\n    __table_args__ = ({'schema': 'far'},)\n"
        "class Other:\n    __tablename__ = 'other'\n    __table_args__ = (1, {'comment': 'no schema'})\n"
        "class Made:\n    __tablename__ = 'made' + 'up'\n"
        "sa.Table('found', MetaData(), schema='near')\nTable()\nTable(Made.__tablename__)\n[print][0]('x')\n",
    )
    result = pytester.runpytest_inprocess("--sqlhelpers-migrations", "-m", "sqlhelpers_migrations")
    text = result.stdout.str()

    result.assert_outcomes(failed=4, passed=3)
    assert "the downgrade of r2 leaves a trace:\n  index by_name of author is left" in text
    assert "the models have changed, and no revision says so:\n  column author.name" in text
    assert "created and migrated databases differ:" in text
    assert "shop.forgotten defines far.lost, near.found, other" in text


def test_a_model_that_names_the_default_schema_is_imported(pytester, write_history):
    """A file that says it in another way than the imported model means the same table."""
    write_history()
    again = "class Author:\n    __tablename__ = 'Author'\n    __table_args__ = {'schema': 'main'}\n"
    pytester.path.joinpath("shop", "again.py").write_text(again)

    result = pytester.runpytest_inprocess("--sqlhelpers-migrations", "-k", "every_model_module")

    result.assert_outcomes(passed=1, deselected=6)


def test_a_revision_that_cannot_be_undone_may_say_so(pytester, write_history):
    """What comes before it is not tried either."""
    write_history(down="raise NotImplementedError")
    result = pytester.runpytest_inprocess("--sqlhelpers-migrations", "-o", "sqlhelpers_irreversible=r2")

    assert passed(result) == 7


def test_what_cannot_be_compared_is_skipped(pytester, write_history):
    """An ``env.py`` of the project's own might take the revisions to another database."""
    write_history()
    (pytester.path / "shop" / "migrations" / "env.py").write_text(
        "from alembic import context\ncontext.configure(connection=context.config.attributes['connection'])\n"
        "with context.begin_transaction():\n    context.run_migrations()\n",
    )
    result = pytester.runpytest_inprocess("--sqlhelpers-migrations", "-k", "created_equals_migrated", "-rs")

    result.assert_outcomes(skipped=1)
    assert "created and migrated tables were not compared" in result.stdout.str()


def test_several_heads_and_other_errors_are_told(pytester, write_history):
    """Two heads fail the tests that need one; apps that cannot be found out fail the collection, in one line."""
    write_history()
    versions = pytester.path / "shop" / "migrations" / "versions"
    (versions / "r3.py").write_text(MIGRATED.format(revision="r3", before="r1", up="pass", down="pass"))
    result = pytester.runpytest_inprocess("--sqlhelpers-migrations", "-k", "one_head")
    result.assert_outcomes(failed=1)
    assert "has several heads" in result.stdout.str()
    pytester.path.joinpath("shop", "models.py").write_text("1 / 0\n")
    result = pytester.runpytest_inprocess("--sqlhelpers-migrations")

    assert "ZeroDivisionError" in result.stdout.str()


def test_rows_that_were_there_before_a_revision(pytester, write_history):
    """A fixture puts them in, and shows what has become of them."""
    write_history("""
def test_names_are_kept(insert_at_revision):
    shop = insert_at_revision("shop", "r1", {"author": [{"id": 1, "name": "one"}, {"id": 2, "name": None}]})
    shop.upgrade()
    assert shop.rows("author") == [{"id": 1, "name": "one"}, {"id": 2, "name": None}]
    shop.downgrade("r1")
    assert len(shop.rows("author")) == 2
""")

    assert passed(pytester.runpytest_inprocess()) == 1


def test_apps_without_migrations(pytester, write_history):
    """They have nothing to test there, and their tables are there for the apps after them."""
    more = '[tool.sqlhelpers.apps.base]\npackage = "base"\nmigrations = false\n'
    write_history(more=more)
    pytester.path.joinpath("base").mkdir()
    pytester.path.joinpath("base", "__init__.py").touch()
    pytester.path.joinpath("base", "models.py").write_text(SMALL.replace('"author"', '"base"'))
    result = pytester.runpytest_inprocess("--sqlhelpers-migrations")

    result.assert_outcomes(passed=9, skipped=5)


def test_the_example_tests_itself(tmp_path):
    """The bookshop's own tests, as its developers run them."""
    folder = Path(__file__).parents[2] / "examples" / "bookshop"
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={tmp_path}/cache"]
    done = run(command, folder, {"PYTHONWARNINGS": "error", "XDG_CACHE_HOME": str(tmp_path)})

    assert done.status == 0, done.output
