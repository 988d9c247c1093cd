"""The adapter for click, on SQLite files and, for what signals do, on PostgreSQL."""

import asyncio
import json
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from databases import execute, rows
from processes import until
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from sqlhelpers import Adapter, DatabaseManager, Runtime, Settings
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import ConfigurationError, UnknownBind
from sqlhelpers_click import ClickAdapter, attach, pass_manager, pass_session, syncdb

pytestmark = pytest.mark.usefixtures("nothing_left_open")
INSERT = text("INSERT INTO notes DEFAULT VALUES")
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture(autouse=True)
def no_examples(monkeypatch, nothing_configured):  # noqa: ARG001
    """Commands add to the import path, and the examples may be installed."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("SQLHELPERS_DISABLE_PLUGINS", "countries,bookshop")


def database(path: Path, migrations: Path) -> dict[str, dict[str, object]]:
    """Return the settings of a database."""
    return {"sqlalchemy": {"url": f"sqlite:///{path}"}, "alembic": {"migrations_path": migrations}}


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Two databases, which have a table each."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_notes.py").write_text(REVISION)
    binds = {name: database(tmp_path / f"{name}.db", versions.parent) for name in ("default", "reports")}
    for name in binds:
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    return Settings(databases=binds)


@pytest.fixture
def runtime(settings) -> Runtime:
    return Runtime(settings, plugin_manager=PluginManager())


@pytest.fixture
def cli(runtime) -> click.Group:
    """A command line that is attached to the runtime, and has no commands of its own yet."""
    group = click.Group("shop")
    attach(group, runtime)
    return group


def run(cli, *arguments: str, **options):
    """Run a command line in this process."""
    return CliRunner().invoke(cli, arguments, **options)


def count(tmp_path: Path, name: str = "default") -> int:
    """Count the notes over a connection of our own."""
    with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
        return connection.execute("SELECT count(*) FROM notes").fetchone()[0]


#: What a command does after it has written, the exit status, and how many rows are kept.
WAYS_TO_END = [
    pytest.param(lambda: None, 0, 1, id="returns"),
    pytest.param(lambda: click.get_current_context().exit(), 0, 1, id="ctx.exit"),
    pytest.param(sys.exit, 0, 1, id="sys.exit"),
    pytest.param(lambda: sys.exit(0), 0, 1, id="sys.exit-0"),
    pytest.param(lambda: click.get_current_context().exit(3), 3, 0, id="ctx.exit-3"),
    pytest.param(lambda: sys.exit(3), 3, 0, id="sys.exit-3"),
    pytest.param(lambda: sys.exit("no"), 1, 0, id="sys.exit-text"),
    pytest.param(lambda: click.get_current_context().abort(), 1, 0, id="abort"),
    pytest.param(lambda: click.get_current_context().fail("no"), 2, 0, id="usage"),
    pytest.param(lambda: 1 / 0, 1, 0, id="raises"),
    pytest.param(lambda: signal.raise_signal(signal.SIGINT), 130, 0, id="SIGINT"),
    pytest.param(lambda: signal.raise_signal(signal.SIGTERM), 143, 0, id="SIGTERM"),
]


# Sessions


@pytest.mark.parametrize(("end", "status", "kept"), WAYS_TO_END)
def test_a_command_commits_if_it_succeeds(cli, tmp_path, end, status, kept):
    """Whatever else it ends with rolls back, and has the status that it would have without us."""

    @cli.command()
    @pass_session
    def add(session: Session) -> None:
        session.execute(INSERT)
        end()

    assert run(cli, "add").exit_code == status
    assert count(tmp_path) == kept


@pytest.mark.parametrize(("end", "status", "kept"), WAYS_TO_END)
def test_an_async_command_commits_if_it_succeeds(cli, tmp_path, end, status, kept):
    """As one that is not async; a signal cancels it at its next await."""

    @cli.command()
    @pass_session
    async def add(session: AsyncSession) -> None:
        await session.execute(INSERT)
        end()
        await asyncio.sleep(0 if status < 130 else 60)

    assert run(cli, "add").exit_code == status
    assert count(tmp_path) == kept


def test_interrupts_are_told_in_one_line(cli):
    """As ``sqlhelpers`` tells them."""

    @cli.command()
    @pass_session
    def add(session: Session) -> None:  # noqa: ARG001
        signal.raise_signal(signal.SIGTERM)

    assert run(cli, "add").stderr == "error: terminated; what can be undone is rolled back\n"


def test_handlers_of_signals_are_as_before(cli):
    """Both while the command of an application with handlers of its own runs, and afterwards for all."""
    seen = []

    @cli.command()
    @pass_session
    def look(session: Session) -> None:  # noqa: ARG001
        seen.append(signal.getsignal(signal.SIGTERM))

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run(cli, "look")
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGTERM, own := lambda *_: None)
    try:
        run(cli, "look")
    finally:
        signal.signal(signal.SIGTERM, before[1])

    assert before == after
    assert seen[0] != before[1]
    assert seen[1] is own


@pytest.mark.parametrize("kind", ["plain", "called", "by position", "by name"])
def test_the_bind_can_be_named(cli, tmp_path, kind):
    """In each of the ways to write a decorator."""
    decorator = {
        "plain": pass_session,
        "called": pass_session(),
        "by position": pass_session("reports"),
        "by name": pass_session(bind="reports"),
    }[kind]

    @cli.command()
    @decorator
    def add(session: Session) -> None:
        session.execute(INSERT)

    assert run(cli, "add").exit_code == 0
    assert (count(tmp_path), count(tmp_path, "reports")) == ((1, 0) if kind in ("plain", "called") else (0, 1))


@pytest.mark.parametrize("above", [True, False])
def test_options_may_stand_on_either_side(cli, above):
    """As with ``click.pass_context``; the session is the first argument."""
    option = click.option("--name", default="x")

    def greet(session: Session, name: str) -> None:
        click.echo(f"{type(session).__name__} {name}")

    cli.command()(option(pass_session(greet)) if above else pass_session(option(greet)))

    assert run(cli, "greet", "--name", "y").output == "Session y\n"


def test_a_function_that_takes_all(cli):
    """The session is the first of its arguments."""

    @cli.command()
    @click.option("--name", default="x")
    @pass_session
    def look(*args: object, **kwargs: object) -> None:
        click.echo(f"{type(args[0]).__name__} {kwargs}")

    assert run(cli, "look").output == "Session {'name': 'x'}\n"


def test_the_help_of_a_command_is_its_own(cli):
    """Name and docstring of the function are kept."""

    @cli.command()
    @pass_session
    def add(session: Session) -> None:
        """Add a note."""

    assert "Add a note." in run(cli, "add", "--help").output


@pytest.mark.parametrize("is_async", [True, False])
def test_sessions_of_two_databases(cli, tmp_path, is_async):
    """Two decorators give two sessions, in the order in which decorators work, the nearest one last."""

    @pass_session("reports")
    @click.pass_context
    @pass_session
    def add(default: Session, ctx: click.Context, reports: Session) -> None:  # noqa: ARG001
        default.execute(INSERT)
        reports.execute(INSERT)
        reports.execute(INSERT)

    @pass_session("reports")
    @click.pass_context
    @pass_session
    async def add_async(default: AsyncSession, ctx: click.Context, reports: AsyncSession) -> None:  # noqa: ARG001
        await default.execute(INSERT)
        await reports.execute(INSERT)
        await reports.execute(INSERT)

    cli.command("add")(add_async if is_async else add)

    assert run(cli, "add").exit_code == 0
    assert (count(tmp_path), count(tmp_path, "reports")) == (1, 2)


def test_an_async_command_awaits_another(cli, tmp_path):
    """Within the loop that runs, ``ctx.invoke`` returns what is to be awaited."""

    @cli.command()
    @pass_session
    async def add(session: AsyncSession) -> None:
        await session.execute(INSERT)

    @cli.command()
    @pass_manager
    async def twice(manager: AsyncDatabaseManager) -> None:  # noqa: ARG001
        for _ in range(2):
            await click.get_current_context().invoke(add)

    assert run(cli, "twice").exit_code == 0
    assert count(tmp_path) == 2


async def test_a_loop_that_runs_already(cli, tmp_path):
    """A sync command works, an async one is an error that says what does work."""

    @cli.command()
    @pass_session
    def add(session: Session) -> None:
        session.execute(INSERT)

    @cli.command()
    @pass_session
    async def add_async(session: AsyncSession) -> None:
        await session.execute(INSERT)

    done, refused = run(cli, "add"), run(cli, "add-async")
    in_thread = await asyncio.to_thread(run, cli, "add-async")

    assert (done.exit_code, refused.exit_code, in_thread.exit_code) == (0, 2, 0)
    assert "await asyncio.to_thread(CliRunner().invoke, cli, [...])" in refused.stderr
    assert count(tmp_path) == 2


def test_an_error_of_the_command_is_its_own(cli):
    """What the command itself raises arrives as it is."""

    @cli.command()
    @pass_session
    def fail(session: Session) -> None:
        session.execute(text("SELECT * FROM nothing"))

    assert type(run(cli, "fail").exception).__name__ == "OperationalError"


def test_managers(cli, runtime):
    """A command gets the manager of the runtime, the async one if it is async itself."""
    given = []

    @cli.command()
    @pass_manager("reports")
    def look(manager: DatabaseManager) -> None:
        given.append(manager)

    @cli.command()
    @pass_manager
    async def look_async(manager: AsyncDatabaseManager) -> None:
        given.append(manager)

    run(cli, "look")
    run(cli, "look-async")

    assert given == [runtime.manager("reports"), runtime.async_manager()]


# Errors


def test_an_unknown_bind_is_one_line(cli):
    """With the status of a wrong configuration; nothing else is printed."""

    @cli.command()
    @pass_session("archive")
    def add(session: Session) -> None: ...

    done = run(cli, "add")

    assert done.exit_code == 2
    assert done.output == "error: no database named 'archive' is configured (configured: default, reports)\n"


@pytest.mark.parametrize("is_async", [True, False])
def test_a_database_out_of_reach_is_one_line(is_async):
    """With the status of a failed database, and without a traceback."""
    cli = click.Group("shop")
    attach(cli, Runtime(Settings(databases={"default": "postgresql://u:hunter22@127.0.0.1:1/x"})))

    @pass_session
    def add(session: Session) -> None:
        session.execute(INSERT)

    @pass_session
    async def add_async(session: AsyncSession) -> None:
        await session.execute(INSERT)

    cli.command("add")(add_async if is_async else add)
    done = run(cli, "add")

    assert done.exit_code == 1
    assert done.output.startswith("error: database 'default' (postgresql://u:***@127.0.0.1:1/x): ")
    assert done.output.count("\n") == 1


@pytest.mark.parametrize("decorator", [pass_session, pass_manager])
def test_a_function_without_arguments_is_named(decorator):
    """It has no place for a session, nor for a manager."""

    def add() -> None: ...

    with pytest.raises(ConfigurationError, match=r"add\(\) takes no argument"):
        decorator(add)


def test_without_a_runtime_the_error_says_what_to_call():
    """A command line that nobody has attached to."""

    @click.command()
    @pass_session
    def add(session: Session) -> None: ...

    done = run(add)

    assert done.exit_code == 2
    assert done.output == "error: this command line has no runtime; call sqlhelpers_click.attach(cli)\n"


def test_errors_are_exceptions_of_click_without_its_standalone_mode(cli):
    """An application that embeds the command line handles them as those of click; the cause is there."""

    @cli.command()
    @pass_session("archive")
    def add(session: Session) -> None: ...

    with pytest.raises(click.ClickException, match="'archive'") as caught:
        cli.main(["add"], standalone_mode=False)

    assert isinstance(caught.value.__cause__, UnknownBind)


@pytest.mark.parametrize("what", [click.Command("add"), 7])
def test_decorators_are_for_functions(what):
    """In the wrong order, or on something else, they say so."""
    with pytest.raises(ConfigurationError, match="put @command"):
        pass_session(what)


# The database commands


def test_database_commands_use_the_runtime(cli, tmp_path, settings):
    """They see the databases of the runtime that is attached, not those of the working directory."""
    (tmp_path / "default.db").unlink()

    synced = run(cli, "db", "run-sync", "-d", "default")
    status = json.loads(run(cli, "db", "status", "--json").stdout)
    config = run(cli, "db", "config").stdout
    plugins = run(cli, "db", "plugins")

    assert synced.exit_code == 0
    assert synced.output.startswith(f"default  {settings.databases['default'].sqlalchemy.url}  -  created at 0001")
    assert {row["database"]: row["status"] for row in status} == {"default": "up_to_date", "reports": "no_info"}
    assert "databases.reports.sqlalchemy.url" in config
    assert plugins.exit_code == 0
    assert "sqlhelpers_click" in plugins.stdout


def test_the_group_has_a_name(runtime):
    """Which one can choose; the completion script of ``sqlhelpers`` is not in it."""
    cli = click.Group("shop")
    attach(cli, runtime, name="database")

    done = run(cli, "database", "--help")

    assert done.exit_code == 0
    assert "run-sync" in done.output
    assert "completion" not in done.output


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["status", "-d", "archive"], 2, "error: no database named 'archive' is configured"),
        (["adopt"], 3, "error: this database has no tables to adopt"),
        (["drop"], 3, "Nobody is there to answer; say so with --yes"),
        (["run-sync", "--wait", "x"], 2, "Error: Invalid value for '--wait'"),
        (["stat"], 2, "did you mean status?"),
    ],
)
def test_statuses_are_those_of_sqlhelpers(cli, arguments, status, expected):
    """And so are the lines, but for what click itself has to say about the usage."""
    done = run(cli, "db", *arguments)

    assert done.exit_code == status, done.output
    assert expected in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("place", [0, 1, 4])
def test_debug_shows_where(cli, place):
    """Wherever it stands among the arguments of the database commands."""
    arguments = ["db", "status", "-d", "archive"]

    plain, debug = run(cli, *arguments), run(cli, "db", *[*arguments[1:place], "--debug", *arguments[max(place, 1) :]])

    assert (plain.exit_code, debug.exit_code) == (2, 2)
    assert plain.stderr.count("\n") == 1
    assert "Traceback" in debug.stderr


def test_what_nobody_expected_is_one_line(cli, runtime, monkeypatch):
    """And with ``--debug`` an exception."""
    monkeypatch.setattr(runtime, "status", lambda *_: 1 / 0)

    plain, debug = run(cli, "db", "status"), run(cli, "db", "--debug", "status")

    assert plain.exit_code == 1
    assert plain.stderr == "error: ZeroDivisionError: division by zero (--debug shows where)\n"
    assert isinstance(debug.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (click.Abort(), 130, "interrupted; what can be undone is rolled back"),
        (SystemExit(0), 1, "something has called sys.exit(0) before the command had ended"),
    ],
)
def test_what_ends_a_database_command_early(cli, runtime, monkeypatch, error, status, expected):
    """Ctrl-C at a prompt, and a plugin that would end the process as if all were done."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(runtime, "status", fail)

    done = run(cli, "db", "status")

    assert (done.exit_code, done.stderr) == (status, f"error: {expected}\n")


def test_names_of_databases_are_completed(cli):
    """From the runtime that is attached; a command that there is not is no failure."""
    variables = {"_SHOP_COMPLETE": "bash_complete", "COMP_WORDS": "shop db status -d r", "COMP_CWORD": "4"}

    unknown = {**variables, "COMP_WORDS": "shop db stauts -d r"}

    assert run(cli, env=variables, prog_name="shop").output.split() == ["plain,reports"]
    assert run(cli, env=unknown, prog_name="shop").exit_code == run(cli, env=variables, prog_name="shop").exit_code


# Attaching


def test_settings_are_read_when_a_command_runs(tmp_path, monkeypatch):
    """Without a runtime, each call reads them anew: the one after a change sees it."""
    cli = click.Group("shop")

    @cli.command()
    @pass_session
    def add(session: Session) -> None:
        session.execute(INSERT)

    monkeypatch.setenv("DATABASE_URL", "nonsense")
    returned = attach(cli)
    for name in ("one", "two"):
        execute(f"sqlite:///{tmp_path}/{name}.db", "CREATE TABLE notes (id INTEGER PRIMARY KEY)")
        assert run(cli, "add", env={"DATABASE_URL": f"sqlite:///{tmp_path}/{name}.db"}).exit_code == 0

    assert returned is None
    assert (count(tmp_path, "one"), count(tmp_path, "two")) == (1, 1)
    assert run(cli, "add").exit_code == 2


def test_connections_are_closed_at_the_end(runtime):
    """Those of commands in groups and of callbacks, when the outermost context closes, also by ``ctx.exit()``."""
    closed = []
    event.listen(runtime.manager().engine, "close", lambda *_: closed.append("sync"))
    event.listen(runtime.async_manager().engine.sync_engine, "close", lambda *_: closed.append("async"))

    @click.group()
    @pass_session
    def outer(session: Session) -> None:
        session.execute(INSERT)
        if click.get_current_context().invoked_subcommand == "leave":
            click.get_current_context().exit()

    @outer.command()
    @pass_session
    def same(session: Session) -> None:
        session.execute(INSERT)
        assert closed == []

    @outer.command()
    def leave() -> None: ...

    @outer.command("other")
    @pass_session
    async def async_too(session: AsyncSession) -> None:
        await session.execute(INSERT)

    attach(outer, runtime)
    statuses = []
    for arguments, expected in (("same", ["sync"]), ("leave", ["sync"]), ("other", ["async", "sync"])):
        closed.clear()
        statuses.append(run(outer, arguments).exit_code)
        assert closed == expected, arguments

    assert statuses == [0, 0, 0]


def test_two_attached_groups_have_two_runtimes(cli, settings, tmp_path):
    """A command uses the runtime of the innermost group that has one."""
    inner = click.Group("inner")
    swapped = Settings(databases={"default": settings.databases["reports"]})
    attach(inner, Runtime(swapped, plugin_manager=PluginManager()))
    cli.add_command(inner)

    @pass_session
    def add(session: Session) -> None:
        session.execute(INSERT)

    cli.command("add")(add)
    inner.command("add")(add)
    run(cli, "inner", "add")

    assert (count(tmp_path), count(tmp_path, "reports")) == (0, 1)


def test_attach_refuses_what_cannot_be(cli, runtime):
    """A second runtime, a name that is taken, and what is no group."""
    taken = click.Group("shop", commands={"db": click.Command("db")})

    with pytest.raises(ConfigurationError, match=r"already; call sqlhelpers_click\.attach\(cli\) once"):
        attach(cli, runtime)
    with pytest.raises(ConfigurationError, match="'db' already"):
        attach(taken)
    with pytest.raises(ConfigurationError, match="not Command"):
        attach(click.Command("shop"))


def test_runtime_finds_the_adapter(settings):
    """``Runtime.attach`` finds this adapter by the class of the group, and its own subclasses."""

    class Shop(click.Group):
        pass

    runtime, cli = Runtime(settings), Shop("shop")

    assert runtime.attach(cli) is runtime
    assert "db" in cli.commands


def test_adapter_satisfies_the_protocol(runtime):
    """The adapter is what the core expects of one; without a runtime it makes one, which it returns."""
    found = runtime.plugins
    found.discover(enabled_apps=())

    adapter = found.adapter("click")

    assert isinstance(adapter, Adapter)
    assert adapter == ClickAdapter()
    assert isinstance(adapter.attach(click.Group("shop")), Runtime)


# The ancestor's guide


def test_syncdb(tmp_path, settings):
    """It prints what it has done in one line; what goes wrong is one line as well, and a status."""
    (tmp_path / "default.db").unlink()
    cli = click.Group("shop")
    cli.command("good")(lambda: syncdb(settings.databases["default"]))
    cli.command("bad")(lambda: syncdb({"sqlalchemy": {"url": f"sqlite:///{tmp_path}/x.db", "pool_sise": 3}}))

    good, bad = run(cli, "good"), run(cli, "bad")

    assert good.output == f"sqlite:///{tmp_path}/default.db: created\n"
    assert bad.exit_code == 2
    assert bad.output.startswith("error: setting sqlalchemy: pool_sise is not an option of create_engine")


# Processes


PROGRAM = """
import asyncio, pathlib, time
import click, sqlhelpers_click
from sqlalchemy import text


@click.group()
def cli(): ...


sqlhelpers_click.attach(cli)


@cli.command("sync")
@sqlhelpers_click.pass_session
def wait(session):
    session.execute(text("INSERT INTO notes VALUES (1)"))
    pathlib.Path("written").touch()
    time.sleep(60)


@cli.command("async")
@sqlhelpers_click.pass_session
async def wait_async(session):
    await session.execute(text("INSERT INTO notes VALUES (1)"))
    pathlib.Path("written").touch()
    await asyncio.sleep(60)


cli()
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("server", ["sqlite", "postgres"])
def test_a_signal_rolls_back(request, children, tmp_path, kind, number, status, server):
    """In the middle of a transaction: nothing is committed, no connection stays, and one line says so."""
    url = request.getfixturevalue(f"{server}_url")
    execute(url, "CREATE TABLE notes (id INTEGER PRIMARY KEY)")

    child = children.python(
        f"import warnings; warnings.simplefilter('error')\n{PROGRAM}", kind, env={"DATABASE_URL": url}
    )
    until(lambda: (tmp_path / "written").exists() or not child.is_running, "it has written")
    child.send(number)
    done = child.finish()

    word = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}[number]
    assert (done.status, done.stdout) == (status, "")
    assert done.stderr == f"error: {word}; what can be undone is rolled back\n"
    assert rows(url, "SELECT * FROM notes") == []
    if server == "postgres":
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        until(lambda: not rows(url, others), "its connections are gone")
