"""Plain Alembic on our folders: through an `env.py` of two lines, and through a manager's configuration."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from pathlib import Path

import pytest
from alembic import command as alembic_command
from alembic import config as alembic_config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from authors import BOOK, SHOP
from databases import execute, rows, runtime, sync, tables
from processes import until
from projects import revision_text, run
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine
from sqlalchemy.orm import DeclarativeBase

from sqlhelpers import Backend
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.exceptions import DriverNotInstalled
from sqlhelpers.manager import DatabaseManager
from sqlhelpers.migrations.revisions.files import RevisionFiles
from sqlhelpers.migrations.revisions.folder import Revisions

SETTINGS = """
[tool.sqlhelpers.databases.default.sqlalchemy]
url = "{url}"

[tool.sqlhelpers.apps.shop]
package = "shop"

[tool.alembic]
script_location = "%(here)s/shop/migrations"
"""
ENV = "from sqlhelpers.environment import run\n\nrun()\n"


@pytest.fixture
def begun(project, command, url):
    """A shop with an `env.py` of ours, and settings for a database that is empty."""
    return begin(project, command, url)


@pytest.fixture
def on_sqlite(project, command, sqlite_url):
    """The same on SQLite alone."""
    return begin(project, command, sqlite_url)


def begin(project, command, url):
    """Make the shop's folder as `init --with-env` makes it."""
    project.write_app("shop", SHOP)
    project.write_pyproject(SETTINGS.format(url=url))
    made = command("init", "shop", "--with-env")
    assert made.status == 0, made
    assert made.stderr.endswith('[tool.alembic]\nscript_location = "%(here)s/shop/migrations"\n')
    return url


@pytest.fixture
def alembic(project, capsys, monkeypatch):
    """Run `alembic` with arguments in this process."""

    def print_stdout(_, text, *arguments):
        print(text % arguments if arguments else text)  # noqa: T201  # where it is printed now, not when it was imported

    monkeypatch.setattr(alembic_config.Config, "print_stdout", print_stdout)

    def in_process(*arguments):
        status = 0
        try:
            alembic_config.main([*arguments])
        except SystemExit as ended:
            status = ended.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    assert project.folder.is_dir()
    return in_process


def grow(project, more):
    """Let the models have more in them."""
    file = project.folder / "shop/models.py"
    file.write_text(file.read_text() + more)
    project.forget()


@pytest.mark.usefixtures("on_sqlite")
def test_the_env_is_two_lines(project):
    """And the template beside it is ours."""
    assert (project.folder / "shop/migrations/env.py").read_text() == ENV
    assert "from sqlhelpers.environment import" in (project.folder / "shop/migrations/script.py.mako").read_text()


def test_every_command_of_alembic_works(begun, project, alembic, command):
    """On the database of the settings, in the app's own version table, and with the journal."""
    assert alembic("current") == (0, "", "")
    assert "alembic_version_shop" not in tables(begun)
    assert alembic("revision", "--autogenerate", "-m", "first", "--rev-id", "r1")[0] == 0
    assert alembic("check")[0] != 0
    assert alembic("upgrade", "head") == (0, "", "")
    assert alembic("current")[1] == "r1 (head)\n"
    grow(project, "    age: Mapped[int | None]\n")
    assert "New upgrade operations detected" in alembic("check")[1]
    assert alembic("revision", "--autogenerate", "-m", "second", "--rev-id", "r2")[0] == 0
    assert alembic("upgrade", "+1")[0] == 0
    assert alembic("check") == (0, "No new upgrade operations detected.\n", "")
    assert alembic("downgrade", "-1")[0] == 0
    assert alembic("stamp", "head")[0] == 0
    assert alembic("current", "--check-heads")[0] == 0
    assert alembic("stamp", "r1")[0] == 0
    assert alembic("heads")[1] == "r2 (head)\n"
    assert "second" in alembic("history")[1]
    assert "Path:" in alembic("show", "r1")[1]
    assert alembic("ensure_version")[0] == 0
    assert "CREATE TABLE author" in alembic("upgrade", "r1:head", "--sql")[1] + alembic("upgrade", "r1", "--sql")[1]
    assert alembic("upgrade", "heads")[0] == 0
    done = command("status", "--check")

    assert done.status == 0, done
    assert rows(begun, "SELECT action, revision, outcome FROM sqlhelpers_journal ORDER BY id") == [
        ("upgrade", "r1", "done"),
        ("upgrade", "r2", "done"),
        ("downgrade", "r2", "done"),
        ("upgrade", "r2", "done"),
    ]
    assert "alembic_version" not in tables(begun)


def test_alembic_as_a_process(on_sqlite, project):
    """From any folder, with an `alembic.ini` or a `pyproject.toml` that is named; looking makes no database."""
    file = Path(on_sqlite.removeprefix("sqlite:///"))
    program = Path(sys.executable).with_name("alembic")
    project.write("ini/alembic.ini", "[alembic]\nscript_location = %(here)s/../shop/migrations\n")
    (project.folder / "elsewhere").mkdir()
    looked = run([program, "current"], project.folder)
    made = run(
        [program, "-c", project.folder / "ini/alembic.ini", "revision", "--autogenerate", "-m", "x"],
        project.folder / "elsewhere",
    )

    assert looked.status == 0, looked
    assert made.status == 0, made
    assert not file.exists()
    upgraded = run([program, "upgrade", "head"], project.folder)
    assert upgraded.status == 0, upgraded
    assert "author" in tables(on_sqlite)


@pytest.mark.usefixtures("on_sqlite")
def test_settings_are_found_from_the_configuration_upwards(project, alembic, monkeypatch, tmp_path):
    """A relative SQLite file is then beside the settings, not in the working directory."""
    (tmp_path / "far").mkdir()
    project.write_pyproject(SETTINGS.format(url="sqlite:///beside.db"))
    assert alembic("revision", "--autogenerate", "-m", "x")[0] == 0
    monkeypatch.chdir(tmp_path / "far")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(project.folder)])
    project.forget()
    config = alembic_config.Config(toml_file=project.folder / "pyproject.toml")
    alembic_command.upgrade(config, "head")

    assert (project.folder / "beside.db").exists()
    assert list((tmp_path / "far").iterdir()) == []


@pytest.mark.usefixtures("on_sqlite")
def test_a_folder_with_our_env_is_as_one_without(command):
    """A run is one transaction, is compared and checked, and starts from the models."""
    assert command("revision", "-m", "first").status == 0
    assert "created" in command("run-sync").stdout
    checked = command("check")

    assert checked.status == 0, checked
    assert "skipped" not in checked.output


@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        (ENV, True),
        (
            '"""Ours."""\n\nfrom __future__ import annotations\n\nfrom sqlhelpers.environment import run\n\nrun()\n',
            True,
        ),
        ("import sqlhelpers.environment\n\nsqlhelpers.environment.run()\n", True),
        ("from sqlhelpers import environment\n\nenvironment.run()  # nothing else\n", True),
        (f"import os\n{ENV}", False),
        (f"{ENV}run()\n", False),
        ("from sqlhelpers.environment import run\n", False),
        ("from sqlhelpers.environment import run\nrun(\n", False),
        ("from alembic import context\n", False),
    ],
)
def test_an_env_that_does_more_than_call_ours_is_a_foreign_one(tmp_path, text, is_ours):
    """Only one that nothing was added to is known to do as we do."""
    (tmp_path / "env.py").write_text(text)

    assert Revisions(RevisionFiles(tmp_path)).has_environment is not is_ours


@pytest.mark.usefixtures("command")
def test_one_of_several_databases_is_picked(project, alembic, tmp_path):
    """A folder that two databases have is worked on in the default one, or in that of -x database=NAME."""
    project.write("migrations/versions/r1.py", revision_text("r1", "op.create_table('t', sa.Column('id', sa.Integer))"))
    project.write("migrations/env.py", ENV)
    text = "".join(
        f"[tool.sqlhelpers.databases.{name}]\nsqlalchemy.url = 'sqlite:///{tmp_path}/{name}.db'\n"
        "alembic.migrations_path = 'migrations'\n"
        for name in ("default", "other", "third")
    )
    project.write_pyproject(f'{text}[tool.alembic]\nscript_location = "%(here)s/migrations"\n')
    assert alembic("upgrade", "head")[0] == 0
    assert alembic("-x", "database=other", "upgrade", "head")[0] == 0
    status, unknown, _ = alembic("-x", "database=nothing", "current")
    project.write_pyproject(
        text.replace("databases.default", "databases.first")
        + '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
    )
    undecided = alembic("current")[1]

    assert {path.name for path in tmp_path.glob("*.db")} == {"default.db", "other.db"}
    assert status != 0
    assert "no database named 'nothing' is configured" in unknown
    assert "alembic -x database=NAME picks one (of first, other, third)" in undecided
    assert (
        "there are no models to compare with"
        in alembic("-x", "database=other", "revision", "--autogenerate", "-m", "x")[1]
    )


def test_a_folder_of_nobody_is_told(on_sqlite, project, alembic):
    """With the databases that were looked at."""
    project.write_pyproject(SETTINGS.format(url=on_sqlite).replace("/shop/migrations", "/strange"))
    project.write("strange/env.py", ENV)
    (project.folder / "strange/versions").mkdir()
    status, out, _ = alembic("current")

    assert status != 0
    assert re.search(r"FAILED: .*/strange belongs to no app, and to no database .*\(databases: default\)", out)


def test_only_the_apps_own_tables_are_looked_at(on_sqlite, project, alembic, caplog):
    """A table whose model is gone is dropped; one of nobody stays, and is told of."""
    grow(project, BOOK)
    assert alembic("revision", "--autogenerate", "-m", "first", "--rev-id", "r1")[0] == 0
    assert alembic("upgrade", "head")[0] == 0
    execute(on_sqlite, "CREATE TABLE stranger (id INTEGER)")
    (project.folder / "shop/models.py").write_text(SHOP)
    project.forget()
    with caplog.at_level(logging.WARNING):
        assert alembic("revision", "--autogenerate", "-m", "second", "--rev-id", "r2")[0] == 0
    text = (project.folder / "shop/migrations/versions/r2_second.py").read_text()

    assert re.findall("drop_table.*", text) == ["drop_table('book')"]
    assert "stranger of no installed app: left alone" in caplog.messages
    assert alembic("upgrade", "head")[0] == 0
    assert "stranger" in tables(on_sqlite)


def test_a_revision_that_fails_is_named(begun, project, alembic, command):
    """It is undone where DDL can be; where it cannot, the next run is refused until it was repaired."""
    project.write(
        "shop/migrations/versions/r1.py",
        revision_text("r1", "op.create_table('t', sa.Column('id', sa.Integer))\nop.execute('nonsense')"),
    )
    status, out, _ = alembic("upgrade", "head")
    again = alembic("upgrade", "head")[1]

    assert status != 0
    assert re.search(r"FAILED: revision r1 of app 'shop' failed \(.*r1\.py\)", out)
    if begun.startswith("mariadb"):
        assert "sqlhelpers repair shop --rolled-back" in again
        execute(begun, "DROP TABLE t")
        assert command("repair", "shop", "--rolled-back").status == 0
    else:
        assert "t" not in tables(begun)
    project.write(
        "shop/migrations/versions/r1.py", revision_text("r1", "op.create_table('t', sa.Column('id', sa.Integer))")
    )
    assert alembic("upgrade", "head") == (0, "", "")
    assert "Can't locate revision" in alembic("upgrade", "nothing")[1]


@pytest.mark.usefixtures("on_sqlite")
def test_a_run_of_alembic_waits_for_a_run_of_ours(project, children, tmp_path):
    """There is one lock for each database, whichever way one comes; who only looks does not wait for it."""
    gate = tmp_path / "gate"
    slow = (
        f"import pathlib, time\npathlib.Path('{gate}.begun').touch()\n"
        f"while not pathlib.Path('{gate}').exists(): time.sleep(0.01)"
    )
    project.write(
        "shop/migrations/versions/r1.py",
        revision_text("r1", f"{slow}\nop.create_table('t', sa.Column('id', sa.Integer))"),
    )
    text = (project.folder / "pyproject.toml").read_text()
    project.write_pyproject(text + "[tool.sqlhelpers.databases.default]\nlock_timeout = 0.2\n")
    program = str(Path(sys.executable).with_name("alembic"))
    ours = children.sqlhelpers("run-sync", env={"SQLHELPERS_APPS__SHOP__BOOTSTRAP": "migrations"})
    until(Path(f"{gate}.begun").exists, "the revision runs")
    refused = children.start(program, "upgrade", "head").finish()
    gate.touch()
    done = ours.finish()

    assert refused.status != 0
    assert "another run has not ended within 0.2 s" in refused.stdout, refused
    assert done.status == 0, done


async def test_the_configuration_of_a_manager_is_all_that_alembic_needs(tmp_path):
    """No `env.py`, no settings: its commands run on the manager's own engine, in a running event loop too."""

    class Base(DeclarativeBase):
        metadata = MetaData()

    Table("user_account", Base.metadata, Column("id", Integer, primary_key=True), Column("name", String(50)))
    (tmp_path / "versions").mkdir()
    with DatabaseManager("sqlite:///:memory:", tmp_path, base_model=Base) as manager:
        written = alembic_command.revision(manager.alembic_cfg, "first", autogenerate=True, rev_id="r1")
        alembic_command.upgrade(manager.alembic_cfg, "head")
        alembic_command.check(manager.alembic_cfg)
        assert manager.get_current_revision() == "r1"
        alembic_command.downgrade(manager.alembic_cfg, "base")
        alembic_command.stamp(manager.alembic_cfg, "head")
        alembic_command.revision(manager.alembic_cfg, "second")
        assert manager.get_current_revision() == "r1"
        assert ScriptDirectory.from_config(manager.alembic_cfg).versions == str(tmp_path / "versions")
        assert manager.alembic_cfg.get_main_option("script_location") == str(tmp_path)
    assert Path(written.path).parent == tmp_path / "versions"
    url = f"sqlite:///{tmp_path}/x.db"
    async with AsyncDatabaseManager(url, tmp_path, base_model=Base) as twin:
        alembic_command.upgrade(twin.alembic_cfg, "head")
        assert (await twin.migrations.get_current_revisions())[0] != "r1"
        async with twin.engine.connect() as connection:
            config = twin.alembic_cfg

            def downgrade(given):
                config.attributes["connection"] = given
                alembic_command.downgrade(config, "base")

            await connection.run_sync(downgrade)
        assert await twin.migrations.get_current_revisions() == ()


def test_a_connection_that_is_given_is_used(begun, alembic, command):
    """A transaction of its owner is its owner's to end; without one, what was done is committed.

    On MariaDB, DDL stays when its owner rolls back, and the journal knows it.
    """
    assert alembic("revision", "--autogenerate", "-m", "first", "--rev-id", "r1")[0] == 0
    with runtime(begun) as made:
        manager = made.manager()
        config = manager.alembic_config("shop")
        with manager.engine.connect() as connection:
            config.attributes["connection"] = connection
            connection.begin()
            alembic_command.upgrade(config, "head")
            connection.rollback()
        assert manager.get_current_revision(app="shop") is None
        if begun.startswith("mariadb"):
            execute(begun, "DROP TABLE author")
            manager.migrations.repair("shop", applied=False)
        assert "author" not in tables(begun)
        with manager.engine.connect() as connection:
            config.attributes["connection"] = connection
            alembic_command.upgrade(config, "head")
            alembic_command.check(config)
        assert manager.get_current_revision(app="shop") == "r1"

    assert command("status", "--check").status == 0


@pytest.mark.parametrize("loops", [False, True])
def test_one_async_driver_is_enough(begun, alembic, monkeypatch, loops):
    """Inside a running event loop as well."""
    usual = Backend.resolve

    def without_sync_drivers(backend, url, *, aio):
        if not aio:
            raise DriverNotInstalled("there is no sync driver")
        return usual(backend, url, aio=aio)

    assert alembic("revision", "--autogenerate", "-m", "first", "--rev-id", "r1")[0] == 0
    monkeypatch.setattr(Backend, "resolve", without_sync_drivers)
    config = alembic_config.Config(toml_file="pyproject.toml")

    async def in_a_loop():
        alembic_command.upgrade(config, "head")
        alembic_command.check(config)

    if loops:
        asyncio.run(in_a_loop())
    else:
        alembic_command.upgrade(config, "head")
        alembic_command.check(config)

    assert "author" in tables(begun)


@pytest.mark.usefixtures("on_sqlite")
def test_a_database_that_cannot_be_reached_is_one_line(project, alembic):
    """No password is in it."""
    project.write_pyproject(SETTINGS.format(url="postgresql://u:hunter22@127.0.0.1:1/d"))
    status, out, _ = alembic("upgrade", "head")

    assert status != 0
    assert "FAILED: database 'default' (postgresql://u:***@127.0.0.1:1/d)" in out


@pytest.mark.usefixtures("on_sqlite")
def test_models_that_cannot_be_imported_are_one_line(project, alembic):
    """Nothing is compared then."""
    project.write("shop/models.py", "import nothing_of_this_name")
    project.forget()
    status, out, _ = alembic("revision", "--autogenerate", "-m", "x")

    assert status != 0
    assert "FAILED: app 'shop': its models cannot be imported: shop.models: " in out


@pytest.mark.usefixtures("on_sqlite")
def test_loggers_of_the_application_are_as_they_were(alembic):
    """No logging is configured, whatever `alembic.ini` says of it."""
    before = (logging.getLogger().level, logging.getLogger().handlers[:], logging.getLogger("alembic").level)
    alembic("revision", "--autogenerate", "-m", "first")
    alembic("upgrade", "head")

    assert (logging.getLogger().level, logging.getLogger().handlers[:], logging.getLogger("alembic").level) == before


def test_a_runtime_can_be_given(on_sqlite, project, alembic):
    """For an `env.py` of a project that makes its own; it is then a foreign one for us."""
    project.write(
        "shop/migrations/env.py",
        "from sqlhelpers import Runtime\nfrom sqlhelpers.environment import run\n\n"
        "with Runtime() as runtime:\n    run(runtime)\n",
    )
    assert alembic("revision", "--autogenerate", "-m", "first", "--rev-id", "r1")[0] == 0
    assert alembic("upgrade", "head")[0] == 0
    report = sync("sync", on_sqlite)

    assert report.apps[0].current == ("r1",)


def test_alembics_errors_pass(on_sqlite, project):
    """Also those of functions."""
    config = alembic_config.Config(toml_file=project.folder / "pyproject.toml")
    with pytest.raises(CommandError, match="Can't locate revision"):
        alembic_command.upgrade(config, "nothing")
    create_engine(on_sqlite).dispose()
