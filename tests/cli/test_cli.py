"""The command line: what is printed where, and with which status it ends."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys

import pytest
from processes import until
from projects import Finished, revision_text

from sqlhelpers import DatabaseReport
from sqlhelpers.cli import output

MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
NOTE = "op.create_table('note', sa.Column('id', sa.Integer, primary_key=True))"
PYPROJECT = """
[tool.sqlhelpers.apps.notes]
package = "notes"

[tool.sqlhelpers.databases]
default = "sqlite:///notes.db"
other = "sqlite:///other.db"
"""


@pytest.fixture(autouse=True)
def notes(project):
    """A project with one app and two databases, one of which holds no app."""
    project.write_app("notes", MODELS, {"n1.py": revision_text("n1", NOTE)})
    project.write_pyproject(PYPROJECT)
    return project


def test_run_sync_prints_one_line_for_each_app(command):
    """Database, URL, app, what was done, how much: at a glance, and the same words each time."""
    first, second = command("run-sync", "-d", "default"), command("run-sync", "-d", "default")

    assert first == Finished(0, "default  sqlite:///notes.db  notes  created at n1  1 table\n", "")
    assert second == Finished(0, "default  sqlite:///notes.db  notes  up to date at n1\n", "")


def test_all_databases_are_synced_by_default(command):
    """One without apps is said so, apart from the data."""
    done = command("run-sync")

    assert done.status == 0
    assert done.stdout.count("\n") == 1
    assert done.stderr == "other  sqlite:///other.db  no apps\n"


def test_an_upgrade_says_from_where_to_where(command, notes):
    """And how many revisions ran."""
    command("run-sync", "-d", "default")
    notes.write("notes/migrations/versions/n2.py", revision_text("n2", "pass", "n1"))
    notes.write("notes/migrations/versions/n3.py", revision_text("n3", "pass", "n2"))

    seen = [command(*words, "-d", "default").stdout for words in (["status"], ["run-sync", "--dry-run"], ["run-sync"])]

    assert seen == [
        "default  sqlite:///notes.db  notes  behind at n1  2 revisions to run\n",
        "default  sqlite:///notes.db  notes  would be upgraded n1 -> n3  2 revisions\n",
        "default  sqlite:///notes.db  notes  upgraded n1 -> n3  2 revisions\n",
    ]


def test_json_is_for_scripts(command):
    """Every list can be had as JSON, with the same facts."""
    synced, status = json.loads(command("run-sync", "--json").stdout), json.loads(command("status", "--json").stdout)

    assert synced == [
        {
            "database": "default", "url": "sqlite:///notes.db", "app": "notes", "status": "no_info",
            "result": "created", "current": [], "heads": ["n1"], "pending": ["n1"], "tables": 1,
            "edited": [], "detail": "",
        },
    ]  # fmt: skip
    assert status[0]["status"] == "up_to_date"
    assert status[0]["result"] is None


def test_check_ends_with_one_until_there_is_nothing_to_do(command):
    """For a readiness script."""
    before = command("status", "--check", "-d", "default")
    command("run-sync")
    after = command("status", "--check", "-d", "default")

    assert (before.status, after.status) == (1, 0)


def test_a_refusal_ends_with_three(command):
    """One line on stderr, nothing on stdout, and adopt mends it."""
    command("run-sync", "-d", "default")
    with sqlite3.connect("notes.db") as connection:
        connection.execute("DELETE FROM alembic_version_notes")
    connection.close()

    refused, adopted, after = (
        command("run-sync"),
        command("adopt", "notes"),
        command("status", "--check", "-d", "default"),
    )

    assert refused.status == 3
    assert len(refused.errors) == 1
    assert "sqlhelpers adopt notes" in refused.stderr
    assert adopted == Finished(0, "default  notes  adopted at n1\n", "")
    assert after.status == 0


def test_adopt_lists_what_differs(command):
    """Nothing is recorded then."""
    with sqlite3.connect("notes.db") as connection:
        connection.execute("CREATE TABLE note (id INTEGER NOT NULL, extra TEXT, PRIMARY KEY (id))")
    connection.close()

    refused, status = command("adopt", "notes"), command("status", "-d", "default")

    assert refused.status == 3
    assert refused.stdout == "column note.extra is not in the models\n"
    assert "nothing was recorded" in refused.stderr
    assert "unversioned" in status.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run-snyc"], "there is no command 'run-snyc'; did you mean run-sync?"),
        (["frobnicate"], "see sqlhelpers --help"),
        (["run-sync", "--jsn"], "--jsn"),
        (["run-sync", "-d", "defalt"], "did you mean default?"),
        (["adopt", "nots"], "there is no app 'nots' in database 'default' (apps: notes); did you mean notes?"),
    ],
)
def test_usage_errors_are_one_line_and_end_with_two(command, words, expected):
    """With the near name where there is one."""
    done = command(*words)

    assert done.status == 2
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr


def test_a_failing_revision_ends_with_one_and_debug_shows_where(command, notes):
    """A traceback is printed only when it is asked for."""
    command("run-sync", "-d", "default")
    notes.write("notes/migrations/versions/n2.py", revision_text("n2", "1 / 0", "n1"))

    plain, debug = command("run-sync", "-d", "default"), command("--debug", "run-sync", "-d", "default")

    assert (plain.status, debug.status) == (1, 1)
    assert plain.stderr.count("\n") == 1
    assert "revision n2 of app 'notes' failed" in plain.stderr
    assert "ZeroDivisionError: division by zero" in plain.stderr
    assert "Traceback" in debug.stderr


def test_config_shows_values_and_origins(command, notes):
    """Each setting with its value and its place."""
    done, rows = command("config"), json.loads(command("config", "--json").stdout)

    assert "databases.default.sqlalchemy.url" in done.stdout
    assert {"name", "value", "origin"} == set(rows[0])
    assert any(str(notes.folder / "pyproject.toml") in row["origin"] for row in rows)
    assert any(row["origin"] == "SQLHELPERS_DISABLE_PLUGINS" for row in rows)


def test_plugins_lists_what_is_installed(command, monkeypatch):
    """Adapters are listed without being imported."""
    monkeypatch.delitem(sys.modules, "sqlhelpers_fastapi", raising=False)

    rows = json.loads(command("plugins", "--json").stdout)

    adapter = next(row for row in rows if row["kind"] == "adapter" and row["name"] == "fastapi")
    assert (adapter["state"], adapter["value"]) == ("available", "sqlhelpers_fastapi")
    assert "sqlhelpers_fastapi" not in sys.modules


def test_version_help_and_completion(command):
    """What does not need a database works without one."""
    version, help_, nothing = command("--version"), command("--help"), command()
    scripts = [command("completion", shell) for shell in ("bash", "zsh", "fish")]

    assert version.stdout.startswith("sqlhelpers, version ")
    assert "run-sync" in help_.stdout
    assert "\n  Example: sqlhelpers run-sync -d default" in command("run-sync", "--help").stdout
    assert nothing.status == 2
    assert all("_SQLHELPERS_COMPLETE" in script.stdout for script in scripts)


def test_names_of_databases_are_completed(notes):
    """From the settings, be they right or wrong; where they cannot be read, there is no complaint."""
    variables = {"_SQLHELPERS_COMPLETE": "bash_complete", "COMP_WORDS": "sqlhelpers run-sync -d o", "COMP_CWORD": "3"}

    assert notes.run(env=variables).stdout.split() == ["plain,other"]
    assert notes.run(env={**variables, "DATABASE_URL": "nonsense"}).stdout.split() == ["plain,other"]
    assert notes.run(env={**variables, "SQLHELPERS_DATABASES": "{"}).output.strip() == ""


def test_no_configuration_says_what_to_set(project):
    """In a folder without settings, as a real process."""
    project.write_pyproject("")
    done = project.run("run-sync")

    assert done.status == 2
    assert done.stderr == (
        "error: no database named 'default' is configured (configured: none); "
        "set DATABASE_URL, or `default` under [tool.sqlhelpers.databases] in pyproject.toml\n"
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_rolls_back(notes, children, number, status):
    """A run that is stopped half-way leaves the database as it was, with the shell's status for the signal."""
    body = NOTE + "\nfrom pathlib import Path\nPath('begun').touch()\nimport time\ntime.sleep(30)"
    notes.write("notes/migrations/versions/n1.py", revision_text("n1", body))
    child = children.sqlhelpers("run-sync", "-d", "default", env={"SQLHELPERS_APPS__NOTES__BOOTSTRAP": "migrations"})
    until(lambda: (notes.folder / "begun").exists() or not child.is_running, "the revision runs")
    child.send(number)
    done = child.finish()

    assert done.status == status
    assert "rolled back" in done.stderr
    assert "not there yet" in notes.run("status", "-d", "default").stdout


def test_a_bar_is_drawn_on_a_terminal_when_there_is_much_to_do(monkeypatch):
    """On anything but a terminal, and for a few revisions, nothing is drawn and rich is not imported."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with output.Bar() as few:
        few.advance("notes", "n1", 1, 2)
    with output.Bar() as many:
        many.advance("notes", "n1", 1, 10)
        many.advance("notes", "n2", 2, 10)
        task = many._progress.tasks[0]

    assert few._progress is None
    assert (task.completed, task.total, task.description) == (1, 10, "notes n2")


def test_a_bar_counts_databases_if_there_are_many(monkeypatch):
    """It tells of each that is done, and has one line for the revisions of the one at hand."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    report = DatabaseReport(bind="a7", url="sqlite://", apps=())
    seen: list[DatabaseReport] = []
    with output.Bar() as few:
        few.over(2, seen.append)(report)
    with output.Bar() as many:
        done = many.over(50, seen.append)
        for _ in range(3):
            many.advance("notes", "n1", 1, 10)
            done(report)
        databases, revisions = many._progress.tasks

    assert few._progress is None
    assert seen == [report] * 4
    assert (databases.completed, databases.total, databases.description) == (3, 50, "a7")
    assert (revisions.completed, revisions.total) == (0, 10)


@pytest.mark.parametrize("words", [["run-sync", "--json"], ["status", "--json"], ["plugins", "--json"]])
def test_what_others_print_is_not_data(command, notes, words):
    """Models, revisions and plugins may print; standard output stays what a script can parse."""
    notes.write("notes/__init__.py", "print('from the package')\n")
    text = revision_text("n1", f"print('from the revision')\n{NOTE}")
    notes.write("notes/migrations/versions/n1.py", text)
    notes.write_pyproject(PYPROJECT.replace('package = "notes"', 'package = "notes"\nbootstrap = "migrations"'))

    done = command(*words)

    assert done.status == 0
    assert json.loads(done.stdout)
    assert ("from the package" in done.stderr) == (words[0] != "plugins")


@pytest.mark.parametrize("upgrade", ["raise SystemExit(0)", "import sys; sys.exit()"])
def test_a_revision_that_ends_the_process_is_a_failure(command, notes, upgrade):
    """It would end the command with status 0 and nothing done."""
    notes.write("notes/migrations/versions/n1.py", revision_text("n1", upgrade))
    notes.write_pyproject(PYPROJECT.replace('package = "notes"', 'package = "notes"\nbootstrap = "migrations"'))

    done = command("run-sync", "-d", "default")

    assert done.status == 1
    assert "revision n1 of app 'notes' failed" in done.stderr


def test_a_subfolder_is_as_good_as_the_project(command, notes, monkeypatch):
    """Settings, the file of the database and an app that is not installed are found from below."""
    command("run-sync", "-d", "default")
    (notes.folder / "below").mkdir()
    monkeypatch.chdir(notes.folder / "below")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(notes.folder)])
    for name in [name for name in sys.modules if name.partition(".")[0] == "notes"]:
        del sys.modules[name]

    done = command("status", "--check", "-d", "default")

    assert done.status == 0, done
    assert "up to date" in done.stdout
    assert list((notes.folder / "below").iterdir()) == []


@pytest.mark.parametrize(
    ("down_revision", "revision", "expected"),
    [
        (None, "n1", "n1 is present more than once"),
        ("gone", "n2", "gone referenced from gone -> n2 (head), is not present"),
    ],
)
def test_a_broken_history_is_explained(command, notes, down_revision, revision, expected):
    """Alembic only warns of these, and goes on with something else."""
    notes.write("notes/migrations/versions/n2.py", revision_text(revision, "pass", down_revision))

    done = command("run-sync", "-d", "default")

    assert done.status == 2
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr


def test_a_revision_file_that_fails_is_named(command, notes):
    """With its path."""
    notes.write("notes/migrations/versions/n2.py", "import nothing_like_this\n")

    done = command("run-sync", "-d", "default")

    assert done.status == 2
    assert "migrations/versions/n2.py cannot be read: ModuleNotFoundError" in done.stderr


def test_debug_may_stand_anywhere(command):
    """The message that invites to use it does not say where."""
    assert "Traceback" in command("run-sync", "-d", "nope", "--debug").stderr


def test_an_unknown_word_in_the_query_of_a_url(command, monkeypatch):
    """The driver refuses it, which is a matter of settings."""
    monkeypatch.setenv("DATABASE_URL", "mysql://u:hunter22@127.0.0.1:1/d?nonsense=1")

    done = command("run-sync", "-d", "default")

    assert done.status == 2
    assert "databases.default.sqlalchemy.url" in done.stderr
    assert "nonsense" in done.stderr
    assert "hunter22" not in done.stderr


def test_looking_changes_no_file(command, notes):
    """An empty file stays empty, and one that is not there is not made."""
    (notes.folder / "notes.db").touch()

    done = command("status"), command("run-sync", "--dry-run"), command("adopt", "notes")

    assert [each.status for each in done] == [0, 0, 3]
    assert (notes.folder / "notes.db").read_bytes() == b""
    assert not (notes.folder / "other.db").exists()


def test_a_project_that_is_not_installed_is_noticed(command, notes):
    """Nothing is wrong with it, but it is hardly what was meant."""
    notes.write_pyproject('[tool.sqlhelpers.databases]\ndefault = "sqlite:///x.db"\n')

    done = command("run-sync")

    assert done.status == 0
    assert "is the project installed?" in done.stderr
