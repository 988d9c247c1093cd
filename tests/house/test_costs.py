"""What is done is counted: modules imported, files opened, statements sent. Nothing is timed."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy
from databases import MODELS, REVISIONS, rows, runtime, sync
from processes import until
from projects import revision_text, run
from sqlalchemy import event

from sqlhelpers import hookimpl
from sqlhelpers.discovery.plugin_manager import PluginManager

HEAVY = {"sqlalchemy", "alembic", "pydantic"}

PLUGIN = """
import click
from sqlhelpers import hookimpl
from sqlhelpers.cli import databases, json_option, open_runtime, table


@hookimpl
def sqlhelpers_register_commands(cli):
    cli.command("draw")(lambda: None)
"""

IMPORTED = """
import atexit, sys
atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))
"""


@pytest.fixture
def imported(project):
    """Run ``sqlhelpers`` in a process of its own, and return the modules that it has imported."""
    models = MODELS.replace("from sqlhelpers import NAMING_CONVENTION", "NAMING_CONVENTION = {}")
    project.write_app("shop", models, REVISIONS)
    project.write_pyproject(
        '[tool.sqlhelpers]\ndatabases = {default = "sqlite:///x.db"}\napps = {shop = {package = "shop"}}\n'
    )

    def command(*arguments: str, folder: Path = project.folder) -> set[str]:
        code = f"{IMPORTED}\nfrom sqlhelpers.cli import main\nmain({list(arguments)!r})"
        done = run([sys.executable, "-c", code], folder, {"PYTHONPATH": str(project.folder)})
        assert done.status == 0, done
        return set(done.stderr.splitlines()[-1].split())

    return command


QUICK = [("--help",), ("--version",), ("run-sync", "--help"), ("completion", "bash"), ("plugins",), ("draw", "--help")]


@pytest.mark.parametrize("words", QUICK)
def test_help_imports_nothing_heavy(project, imported, words):
    """Neither SQLAlchemy nor Alembic nor pydantic, although apps and plugins are installed, one of them with a command.

    The working directory is below that of the settings, where the file of SQLite is relative to them.
    """
    project.write_distribution("drawing", PLUGIN)
    project.write_distribution("heavy", "import sqlalchemy\n")
    found = imported(*words, folder=project.write("below/x.txt", "").parent)

    assert found.isdisjoint(HEAVY - {"sqlalchemy"} if words == ("plugins",) else HEAVY)
    assert ("drawing" in found) == (words[0] in ("--help", "draw", "plugins"))


def test_completion_imports_nothing_heavy(project, imported, monkeypatch):
    """Names of commands, those of plugins among them, and of databases are completed from what is there as text."""
    project.write_distribution("drawing", PLUGIN)
    monkeypatch.setenv("_SQLHELPERS_COMPLETE", "bash_complete")
    for typed, place in (("sqlhelpers d", "1"), ("sqlhelpers run-sync -d d", "3")):
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", place)

        assert imported().isdisjoint(HEAVY)


def test_a_command_that_has_nothing_to_run_leaves_alembic_alone(imported):
    """``status``, and ``run-sync`` of a database that is up to date."""
    assert "alembic" in imported("run-sync")
    assert "alembic" not in imported("run-sync")
    assert "alembic" not in imported("status")


def test_what_other_databases_and_models_need_is_left_alone(imported):
    """An app on SQLite with a base of its own brings neither MySQL's dialect nor the query methods of our ``Base``."""
    imported("run-sync")

    assert imported("run-sync").isdisjoint(
        {"sqlalchemy.dialects.mysql", "sqlhelpers.queries.models", "sqlhelpers.queries.upserts"}
    )


@pytest.fixture
def opened(monkeypatch):
    """The names of the revision files that are read."""
    names: list[str] = []
    read = Path.read_bytes

    def counting(path: Path) -> bytes:
        if path.parent.name == "versions":
            names.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    return names


@pytest.fixture
def statements():
    """Return a function that collects the statements that an engine sends."""

    def of(engine) -> list[str]:
        sent: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
        return sent

    return of


def long_history(project, number: int) -> None:
    """Write an app with a history of many revisions, that are old enough to be believed."""
    texts = {f"r{place:04}.py": revision_text(f"r{place}", "pass", f"r{place - 1}") for place in range(2, number)}
    folder = project.write_app("shop", MODELS, {"r0001.py": revision_text("r1"), **texts})
    for file in (folder / "migrations" / "versions").iterdir():
        os.utime(file, (1.7e9, 1.7e9))


def test_status_reads_no_file_again(project, sqlite_url, opened, monkeypatch):
    """A second look at a history reads nothing, in the same process and in another one."""
    monkeypatch.setattr("sqlhelpers.migrations.revisions.files._TICK", -(10**18))
    long_history(project, 50)
    with runtime(sqlite_url) as made:
        made.run_sync()
        opened.clear()

        made.manager().get_status()
        with runtime(sqlite_url) as other:
            other.manager().get_status()

        assert opened == []


def test_status_costs_the_same_however_long_the_history(project, sqlite_url, statements):
    """The statements that it takes do not depend on the number of revisions or tables."""
    long_history(project, 50)
    with runtime(sqlite_url) as made:
        made.run_sync()
        sent = statements(made.manager().engine)
        made.manager().get_status()

        assert len([each for each in sent if not each.startswith("PRAGMA")]) <= 5, sent


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_up_to_date_run_on_postgresql_takes_one_connection(project, postgres_url, kind):
    """It takes no lock, which would be another one, and leaves none open."""
    project.write_app("shop", MODELS, REVISIONS)
    sync("sync", postgres_url)
    opened: list[object] = []
    plugins = PluginManager()
    listen = hookimpl(lambda engine: event.listen(engine, "connect", lambda connection, _: opened.append(connection)))
    plugins.register(SimpleNamespace(sqlhelpers_engine_created=listen), "counting")

    sync(kind, postgres_url, plugins=plugins)

    assert len(opened) == 1
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with runtime(postgres_url) as made:
        made.run_sync()
        until(lambda: rows(postgres_url, query) == [], "no connection is left")


def test_a_database_is_created_without_a_question_for_each_table(project, postgres_url, statements):
    """A hundred tables take one statement for each of them, and a few more; SQLAlchemy before 2.1 asks for each."""
    models = MODELS + "".join(
        f'\n\nclass Table{place}(Base):\n    __tablename__ = "t{place}"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        for place in range(100)
    )
    project.write_app("shop", models, REVISIONS)
    with runtime(postgres_url) as made:
        sent = statements(made.manager().engine)
        made.run_sync()

        created = [each for each in sent if each.lstrip().startswith("CREATE")]
        assert len(created) >= 102
        assert len(sent) - len(created) < (50 if hasattr(sqlalchemy, "CheckFirst") else 150), sent
