"""``flask db``: the database commands on the command line of an application, alone and beside Flask-Migrate."""

from __future__ import annotations

import sys

import pytest
from flask import Flask
from flask.cli import AppGroup
from projects import Finished, Project, revision_text, run

from sqlhelpers import Runtime
from sqlhelpers_flask import attach

PYPROJECT = """
[tool.sqlhelpers.databases]
default = "sqlite:///shop.db"
[tool.sqlhelpers.apps.shop]
package = "shop"
"""

MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
"""

ALONE = """
from flask import Flask
from sqlhelpers_flask import attach

app = Flask("web")
attach(app)
"""

_MIGRATED = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlhelpers_flask import attach

app = Flask("web")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
"""
_MIGRATE = "Migrate(app, SQLAlchemy(app))\n"
BEFORE = f"{_MIGRATED}{_MIGRATE}attach(app)\n"
AFTER = f"{_MIGRATED}attach(app)\n{_MIGRATE}"

either_order = pytest.mark.parametrize("web", [BEFORE, AFTER], ids=["before", "after"])


@pytest.fixture
def shop(project) -> Project:
    """A project with one app whose tables are made by one revision."""
    project.write_pyproject(PYPROJECT)
    project.write_app(
        "shop", MODELS, {"a1_first.py": revision_text("a1", "op.create_table('authors', sa.Column('id'))")}
    )
    return project


def flask(project: Project, *arguments: str) -> Finished:
    """Run ``flask --app web`` with arguments."""
    return run([sys.executable, "-m", "flask", "--app", "web", *arguments], project.folder)


def test_sync_and_status(shop):
    """``flask db sync`` and ``flask db status`` do what ``sqlhelpers run-sync`` and ``status`` do."""
    shop.write("web.py", ALONE)
    synced, status = flask(shop, "db", "sync"), flask(shop, "db", "status", "--json")

    assert (synced.status, synced.stderr) == (0, "")
    assert "created at a1" in synced.stdout
    assert status.status == 0
    assert '"status": "up_to_date"' in status.stdout
    assert shop.run("status", "--check").status == 0


def test_help(shop):
    """The group and its commands are told of."""
    shop.write("web.py", ALONE)

    assert " db " in flask(shop, "--help").stdout
    told = flask(shop, "db", "--help").stdout
    assert all(f"  {name} " in told for name in ("sync", "status", "check", "adopt", "downgrade", "drop"))
    assert "run-sync" not in told


@pytest.mark.parametrize("web", [ALONE, BEFORE], ids=["alone", "beside"])
def test_errors(shop, web):
    """What is refused is one line and the exit status that ``sqlhelpers`` has for it."""
    shop.write("web.py", web)
    shop.write("shop/migrations/versions/b1_second.py", revision_text("b1"))
    refused = flask(shop, "db", "sync")

    assert refused.status == 3
    assert refused.stdout == ""
    assert len(refused.errors) == 1
    assert "several heads" in refused.errors[0]
    assert "Traceback" not in refused.output


@either_order
def test_beside_flask_migrate(shop, web):
    """Flask-Migrate's commands and ours are in one group, whichever of them comes first."""
    shop.write("web.py", web)
    told = flask(shop, "db", "--help")
    theirs = flask(shop, "db", "list-templates")
    ours = flask(shop, "db", "sync")

    assert "Perform database migrations." in told.stdout
    assert all(f"  {name} " in told.stdout for name in ("sync", "status", "adopt", "migrate", "upgrade", "stamp"))
    assert (theirs.status, "flask" in theirs.stdout) == (0, True)
    assert (ours.status, "created at a1" in ours.stdout) == (0, True)


def test_flask_migrate_keeps_its_own(shop):
    """A command that both have is Flask-Migrate's."""
    shop.write("web.py", BEFORE)

    assert "--sql" in flask(shop, "db", "downgrade", "--help").stdout


def test_test_cli_runner(project):
    """The test runner of Flask knows the commands, and each application has its own runtime."""
    runner = []
    for name in ("one", "two"):
        project.write_pyproject(PYPROJECT.replace("shop.db", f"{name}.db"))
        app = Flask(name)
        runtime = attach(app)
        assert runtime.settings.databases
        runner.append(app.test_cli_runner())

    results = [each.invoke(args=["db", "config"]).output for each in runner]

    assert [f"{name}.db" in result for name, result in zip(("one", "two"), results, strict=True)] == [True, True]


def test_a_group_of_somebody_else(project):
    """Another group ``db`` of the application takes in what it has not, and is itself left as it was."""
    project.write_pyproject(PYPROJECT)
    app = Flask("web")
    group = AppGroup("db")
    group.command("status")(lambda: print("theirs"))  # noqa: T201
    with Runtime() as runtime:
        attach(app, runtime)
        app.cli.add_command(group)
        runner = app.test_cli_runner()

        assert runner.invoke(args=["db", "status"]).output == "theirs\n"
        assert "shop.db" in runner.invoke(args=["db", "config"]).output

    assert list(group.commands) == ["status"]


def test_a_command_of_somebody_else(project):
    """A command ``db`` that is no group stays what it is."""
    project.write_pyproject(PYPROJECT)
    app = Flask("web")
    app.cli.command("db")(lambda: print("theirs"))  # noqa: T201
    attach(app)

    assert app.test_cli_runner().invoke(args=["db"]).output == "theirs\n"
