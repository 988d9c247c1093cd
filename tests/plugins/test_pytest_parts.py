"""The parts of the testing kit for themselves: drivers, databases, fingerprints, schemas."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import pytest
from databases import execute, rows
from kits import base_name, developers_database, kit_on, models, test_in, write_shop
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

import sqlhelpers_pytest
from sqlhelpers import Runtime, Settings
from sqlhelpers.exceptions import DatabaseFailure
from sqlhelpers_pytest.access import connected, in_a_loop
from sqlhelpers_pytest.fingerprints import fingerprint
from sqlhelpers_pytest.makers import Maker, PostgresMaker, SQLiteMaker, maker_for
from sqlhelpers_pytest.options import Options
from sqlhelpers_pytest.schemas import schema_of
from sqlhelpers_pytest.servers import Server, _wait_for, free_port
from sqlhelpers_pytest.serving import server_of


@pytest.fixture
def dev_url(postgres_server):
    """The URL of a developer's own database."""
    return developers_database(postgres_server)


def test_without_a_sync_driver(project, dev_url, tmp_path, monkeypatch):
    """A project that has only asyncpg needs no other: databases are made and isolated with it."""
    write_shop(project.folder)
    monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda name: name == "asyncpg" or None)

    async def add_and_count(kit):
        async with kit.runtime.async_manager().session() as session:
            session.add(models().Author(name="one"))
            await session.flush()
            return len((await session.scalars(select(models().Author))).all())

    with kit_on(dev_url, tmp_path) as kit:
        for mode in ("isolated", "isolated", "fresh"):
            with test_in(kit, mode):
                assert asyncio.run(add_and_count(kit)) == 1
    with pytest.raises(ZeroDivisionError):
        in_a_loop(fail)


async def fail():
    """Raise."""
    raise ZeroDivisionError


def test_fingerprints(clean_environment, sqlite_url):  # noqa: ARG001
    """They change with the models, the revisions and the plugins that are there, and with nothing else."""
    dialect = make_url(sqlite_url).get_dialect()()

    def of(**settings):
        with Runtime(Settings(databases={"default": sqlite_url, "other": "sqlite://"}, **settings)) as runtime:
            return fingerprint(runtime, ["default"], dialect)

    everything = of(enable_apps=["bookshop", "countries"])

    assert everything == of(enable_apps=["bookshop", "countries"])
    assert len({everything, of(enable_apps=["countries"]), of(enable_apps=[])}) == 3


def test_names_of_databases(project, tmp_path):  # noqa: ARG001
    """They begin as the configured one; one in memory has no name."""
    with Runtime(Settings(databases={"default": "sqlite:///a.db"})) as runtime:
        database = runtime.database()
        names = [
            SQLiteMaker(database, make_url(f"sqlite://{rest}"), tmp_path).base_name
            for rest in ("/x/shop.db", "", "/:memory:")
        ]
        assert names == ["test_shop", "test_memory", "test_memory"]
        assert Maker(database, make_url("postgresql://host/shop")).base_name == base_name("postgresql://host/shop")
        with pytest.raises(DatabaseFailure, match="on mssql"):
            maker_for(database, make_url("mssql://host/shop"), tmp_path)
        for method in (lambda made: made.clone("a", "b"), lambda made: made.drop("a")):
            with pytest.raises(NotImplementedError):
                method(Maker(database, make_url("postgresql://host/shop")))
    for method in (Server.setup_command, Server.command):
        with pytest.raises(NotImplementedError):
            method(Server)


def test_an_old_postgresql_has_no_force(project, dev_url, monkeypatch):  # noqa: ARG001
    """Connections are then ended one by one; an error that is not about permissions is raised as it is."""
    with Runtime(Settings(databases={"default": dev_url})) as runtime:
        maker = PostgresMaker(runtime.database(), make_url(dev_url))
        usual = maker._administer
        monkeypatch.setattr(
            maker, "_administer", lambda sql, **more: usual(sql.replace("WITH (FORCE)", "AT ONCE"), **more)
        )
        maker.create("test_old")
        assert maker.exists("test_old")
        with pytest.raises(DBAPIError, match="already exists"):
            maker.create("test_old")
        maker.drop("test_old")

        assert not maker.exists("test_old")


def test_schemas_of_postgresql(project, dev_url):  # noqa: ARG001
    """Types, sequences, views and schemas are parts too."""
    execute(
        dev_url,
        "CREATE SCHEMA far",
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE SEQUENCE numbers",
        "CREATE TABLE far.a (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 1 CHECK (n > 0), UNIQUE (n))",
        "CREATE TABLE b (a_id INTEGER NOT NULL REFERENCES far.a (id))",
        "CREATE VIEW seen AS SELECT * FROM b",
    )
    with Runtime(Settings(databases={"default": dev_url})) as runtime:
        found = connected(runtime.database(), make_url(dev_url), schema_of)

    assert {"type mood", "sequence numbers", "view seen", "table far.a", "table b", "column far.a.n"} <= set(found)
    assert any(part.startswith("foreign key") for part in found)
    assert any(part.startswith("unique constraint") for part in found)
    assert any(part.startswith("check constraint") for part in found)


def test_a_port_that_is_taken_is_no_free_one(monkeypatch):
    """Another one is looked for."""
    with socket.create_server(("127.0.0.1", free_port())) as server:
        taken, free = server.getsockname()[1], free_port()
        chosen = iter([taken - 10_000, free - 10_000])
        monkeypatch.setattr("secrets.randbelow", lambda _: next(chosen))

        assert free_port() == free


def test_the_server_of_a_run(dev_url):
    """Processes of pytest-xdist are told where it is; there is none if none is wanted. One that runs is waited for."""
    node = SimpleNamespace(config=SimpleNamespace(getoption=lambda _: None), workerinput={})
    sqlhelpers_pytest.pytest_configure_node(node)
    worker = SimpleNamespace(workerinput={"sqlhelpers_server": "postgresql://host"})

    assert node.workerinput == {}
    assert server_of(worker) == "postgresql://host"
    assert server_of(SimpleNamespace(getoption=lambda _: None)) is None
    options = Options(folder=None, server="postgresql://host/postgres")
    assert str(options.server_url(make_url("sqlite:///some/shop.db"))) == "postgresql://host/shop"
    assert str(options.server_url(make_url("mariadb://there/shop"))) == "postgresql://host/shop"
    _wait_for(dev_url)
    assert rows(dev_url, "SELECT 1") == [(1,)]


def test_a_server_is_waited_for_with_the_driver_that_is_there(dev_url, monkeypatch):
    """An async one will do."""
    monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda name: name == "asyncpg" or None)
    _wait_for(dev_url)

    assert rows(dev_url, "SELECT 1") == [(1,)]
