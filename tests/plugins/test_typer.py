"""The adapter for click with Typer, which has a click of its own, on SQLite files."""

# ruff: noqa: ARG001  # commands do not use all that they are given

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from sqlhelpers import Runtime, Settings
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_click import attach, pass_manager, pass_session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from sqlhelpers import DatabaseManager

pytestmark = pytest.mark.usefixtures("nothing_configured", "nothing_left_open")
INSERT = text("INSERT INTO notes DEFAULT VALUES")


@pytest.fixture
def runtime(tmp_path) -> Runtime:
    with closing(sqlite3.connect(tmp_path / "default.db")) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    return Runtime(Settings(databases={"default": f"sqlite:///{tmp_path}/default.db"}), plugin_manager=PluginManager())


@pytest.fixture
def app(runtime) -> typer.Typer:
    """An app that is attached to the runtime, and has no commands of its own yet."""
    made = typer.Typer()
    attach(made, runtime)
    return made


def run(app, *arguments: str):
    """Run an app in this process."""
    return CliRunner().invoke(app, arguments)


def count(tmp_path) -> int:
    """Count the notes over a connection of our own."""
    with closing(sqlite3.connect(tmp_path / "default.db")) as connection:
        return connection.execute("SELECT count(*) FROM notes").fetchone()[0]


def leave(status: int) -> None:
    """Leave the command as Typer has it."""
    raise typer.Exit(status)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("end", "status", "kept"),
    [
        (lambda: None, 0, 1),
        (lambda: leave(0), 0, 1),
        (lambda: leave(3), 3, 0),
        (lambda: sys.exit(4), 4, 0),
        (lambda: 1 / 0, 1, 0),
        (lambda: signal.raise_signal(signal.SIGTERM), 143, 0),
        (lambda: signal.raise_signal(signal.SIGINT), 130, 0),
    ],
)
def test_a_command_commits_if_it_succeeds(app, tmp_path, is_async, end, status, kept):
    """Whatever else it ends with rolls back, and has the status that it would have without us."""

    @pass_session
    def add(session: "Session") -> None:
        session.execute(INSERT)
        end()

    @pass_session
    async def add_async(session: "AsyncSession") -> None:
        await session.execute(INSERT)
        end()
        await asyncio.sleep(0 if status < 130 else 60)

    app.command("add")(add_async if is_async else add)

    assert run(app, "add").exit_code == status
    assert count(tmp_path) == kept


def test_the_session_is_no_parameter(app):
    """Typer sees the other ones, whose annotations are read, also where that of the session cannot be."""

    @app.command()
    @pass_session
    def greet(session: "Session", ctx: typer.Context, name: Annotated[str, typer.Option()], times: int = 1) -> None:
        """Greet."""
        typer.echo(f"{name} {times!r} {ctx.command.name}")

    assert run(app, "greet", "--name", "x", "--times", "2").output == "x 2 greet\n"
    assert "session" not in run(app, "greet", "--help").output.lower()


def test_managers(app, runtime):
    """A command gets the manager of the runtime."""
    given = []

    @app.command()
    @pass_manager
    def look(manager: "DatabaseManager") -> None:
        given.append(manager)

    run(app, "look")

    assert given == [runtime.manager()]


def test_an_unknown_bind_is_one_line(app):
    """With the status of a wrong configuration; nothing else is printed."""

    @app.command()
    @pass_session("archive")
    def add(session: "Session") -> None: ...

    done = run(app, "add")

    assert done.exit_code == 2
    assert done.output == "error: no database named 'archive' is configured (configured: default)\n"


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["config"], 0, "databases.default.sqlalchemy.url"),
        (["run-sync", "--help"], 0, "--dry-run"),
        (["--help"], 0, "run-sync"),
        ([], 2, "run-sync"),
        (["status", "-d", "archive"], 2, "error: no database named 'archive' is configured"),
        (["downgrade", "shop", "-1", "--yes"], 2, "there is no app 'shop'"),
        (["stat"], 2, "did you mean status?"),
        (["--debug", "status", "-d", "archive"], 2, "Traceback"),
    ],
)
def test_the_database_commands(app, arguments, status, expected):
    """They read their own arguments, use the runtime, and end with the statuses of ``sqlhelpers``."""
    done = run(app, "db", *arguments)

    assert done.exit_code == status, done.output
    assert expected in done.output


@pytest.mark.parametrize("place", ["Typer", "callback", "late callback", "neither"])
def test_apps_with_a_class_or_a_callback_of_their_own(runtime, tmp_path, place):
    """The class of the group stays what it is, the callback runs, and the commands find the runtime."""
    called = []

    class Group(typer.core.TyperGroup):
        def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002
            return sorted(self.commands)

    def callback() -> None:
        called.append(place)

    app = typer.Typer(**({"cls": Group} if place == "Typer" else {}))
    if place == "callback":
        app.callback(cls=Group)(callback)
    attach(app, runtime)
    if place == "late callback":
        app.callback()(callback)

    @app.command()
    @pass_session
    def add(session: "Session") -> None:
        session.execute(INSERT)

    assert run(app, "add").exit_code == 0
    assert count(tmp_path) == 1
    assert called == [place] * ("callback" in place)
    assert isinstance(typer.main.get_command(app), Group) == (place in ("Typer", "callback"))


def test_commands_of_nested_apps(app, tmp_path):
    """Find the runtime of the app that they are nested in."""
    nested = typer.Typer()

    @nested.command()
    @pass_session
    def add(session: "Session") -> None:
        session.execute(INSERT)

    @nested.command()
    def other() -> None: ...

    app.add_typer(nested, name="notes")

    assert run(app, "notes", "add").exit_code == 0
    assert count(tmp_path) == 1


def test_without_a_runtime_the_error_says_what_to_call():
    """An app that nobody has attached to."""
    app = typer.Typer()

    @app.command()
    @pass_session
    def add(session: "Session") -> None: ...

    done = run(app)

    assert done.exit_code == 2
    assert done.output == "error: this command line has no runtime; call sqlhelpers_click.attach(cli)\n"


def test_attach_refuses_what_cannot_be(app, runtime):
    """A second runtime, and a name that is taken, by a command or a nested app."""
    taken, nested = typer.Typer(), typer.Typer()
    nested.add_typer(typer.Typer())  # its commands become those of the other app
    taken.command()(lambda: None)
    taken.command("db")(lambda: None)
    nested.add_typer(typer.Typer(), name="db")

    for other in (taken, nested):
        with pytest.raises(ConfigurationError, match="'db' already"):
            attach(other, runtime)
    with pytest.raises(ConfigurationError, match=r"attach\(cli\) once"):
        attach(app, runtime)


def test_runtime_finds_the_adapter(tmp_path, runtime):
    """``Runtime.attach`` finds this adapter by the class of the app."""
    app = typer.Typer()
    found = Runtime(runtime.settings)

    assert found.attach(app) is found
    assert run(app, "db", "config").exit_code == 0
