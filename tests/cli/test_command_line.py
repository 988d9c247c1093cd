"""The look of the command line: tables on terminals, -q and -v, help, completion, and what loggers are left as."""

from __future__ import annotations

import errno
import json
import logging
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete, FishComplete, ZshComplete
from click.testing import CliRunner
from databases import MODELS, REVERSIBLE
from projects import Finished, revision_text, run

import sqlhelpers_click
from sqlhelpers import Runtime, cli
from sqlhelpers.cli import group, output
from sqlhelpers.cli.output import is_quiet, note, say, verbosity
from sqlhelpers.exceptions import Refused

PYPROJECT = """
[tool.sqlhelpers]
databases = {default = "sqlite:///shop.db", other = "sqlite:///other.db"}
apps = {shop = {package = "shop"}}
"""


WITH_DATABASE = [
    name for name, each in group.cli.commands.items() if any("--database" in option.opts for option in each.params)
]
LONG = "Give books a title that is so long that it does not fit into a line of a terminal by any means."


@pytest.fixture(autouse=True)
def shop(project):
    """A project with an app that has three revisions."""
    last = REVERSIBLE["r3.py"].replace("Give books a title.", LONG)
    project.write_app("shop", MODELS, {**REVERSIBLE, "r3.py": last})
    project.write_pyproject(PYPROJECT)
    return project


def on_terminal(folder, *words: str, **env: str) -> str:
    """Return what a command prints on a terminal of sixty columns."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "LANG": "C.UTF-8", "PYTHONUTF8": "1", **env}
    variables.pop("NO_COLOR", None) if "NO_COLOR" not in env else None
    command = [sys.executable, "-m", "sqlhelpers", *words]
    with subprocess.Popen(command, cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        found = b""
        try:
            while read := os.read(ours, 65536):
                found += read
        except OSError as error:  # Linux says so when nobody writes any more
            assert error.errno == errno.EIO  # noqa: PT017
    os.close(ours)
    return found.decode().replace("\r\n", "\n")


def test_a_mistyped_driver(project, command):
    """The error names the database, and what may be meant."""
    project.write_pyproject('[tool.sqlhelpers.databases.reports.sqlalchemy]\nurl = "sqlite+pysqlit:///x.db"\n')

    told = command("status")

    assert told.status == 2
    assert told.stderr == (
        "error: database 'reports': SQLAlchemy knows no dialect or driver 'sqlite+pysqlit'; "
        "did you mean sqlite+pysqlite?\n"
    )


def test_a_table_on_a_terminal(shop, command):
    """Headings, colours where they may be, and long cells wrapped: no word of them is lost."""
    command("upgrade", "shop", "r2")
    drawn = on_terminal(shop.folder, "history", "-i")
    plain = on_terminal(shop.folder, "history", "-i", NO_COLOR="1")
    dumb = on_terminal(shop.folder, "history", "-i", TERM="dumb")

    assert re.search(r"app +revision +follows +written +message", click.unstyle(drawn).replace("│", ""))
    assert "\x1b[32m" in drawn
    assert "\x1b[3" not in plain
    assert max(map(len, click.unstyle(plain).splitlines())) <= 60
    assert set(LONG.split()) <= set(plain.split())
    assert dumb == command("history", "-i").stdout
    assert LONG in dumb


def test_a_terminal_is_seen_in_process(monkeypatch, capsys):
    """Empty columns are left out there; what is piped has them, and no headings."""
    rows = [["a", "", click.style("good", fg="green")], ["b", "", "bad"]]
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    output.table(rows, ("name", "nothing", "state"))
    piped = capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    output.table(rows, ("name", "nothing", "state"))
    output.table(rows)
    output.table([])
    drawn = capsys.readouterr().out

    assert piped == "a    good\nb    bad\n"
    assert "nothing" not in drawn
    assert re.search(r"name +state", click.unstyle(drawn))
    assert drawn.count("bad") == 2


def test_a_narrow_terminal_breaks_the_words_on_the_right(monkeypatch, capsys):
    """What stands on the left are names. Nothing is lost where all of them have to be broken."""
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    path = "/a/path/that/is/longer/than/what/is/left"
    output.table([["a.name.of.twenty.four.c", "value", path]])
    broken = capsys.readouterr().out
    output.table([["x" * 60, "y" * 60]])
    both = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "12")
    output.table([["name", "value", "anything"]])
    tiny = capsys.readouterr().out

    assert re.sub(r"\s", "", tiny).startswith("nav")
    assert re.search("a.name.of.twenty.four.c +value", broken)
    assert re.sub(r"\s", "", broken) == f"a.name.of.twenty.four.cvalue{path}"
    assert (both.count("x"), both.count("y")) == (60, 60)
    assert max(map(len, (broken + both).splitlines())) <= 50


@pytest.mark.parametrize(
    "words", ["run-sync", "upgrade", "stamp head --yes", "status", "history", "show shop head", "config"]
)
def test_quiet_commands_print_errors_only(command, words):
    """Wherever the option stands; the exit status says the rest."""
    assert command("-q", *words.split()) == Finished(0, "", "")
    assert command(*words.split(), "--quiet") == Finished(0, "", "")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("doctor", 0),
        ("lint --all", 0),
        ("lint --rules", 0),
        ("graph -o graph.mmd", 0),
        ("init bare", 0),
        ("init shop --path elsewhere", 0),
        ("revision shop -m x --empty", 0),
        ("edit shop head", 0),
        ("journal", 0),
        ("plugins", 0),
    ],
)
def test_quiet_commands_leave_notes_out(shop, command, words, status):
    """Those of authors and plugins too, and what they list; a path that is asked for is printed."""
    shop.write("bare/__init__.py", "")
    shop.write("bare/models.py", "")
    if "bare" in words:
        shop.write_pyproject(PYPROJECT.replace("}}", "}, bare = {package = 'bare', migrations = 'bare/migrations'}}"))
    done = command("-q", *words.split())

    assert (done.status, done.stderr) == (status, "")
    assert done.stdout == (f"{shop.folder}/shop/migrations/versions/r3.py\n" if words.startswith("edit") else "")


def test_quiet_shells_and_errors_leave_notes_out(shop, command, monkeypatch):
    """What was rolled back at the end, and what might be done about an error."""
    command("run-sync")
    code = "session.execute(text('DELETE FROM book'))"
    rolled_back = command("shell", "-q", "-c", code)
    shop.write("shop/models.py", "1 / 0\n")
    shop.forget()
    monkeypatch.delenv("SQLHELPERS_DISABLE_PLUGINS")  # the examples are loaded, and told of

    assert rolled_back == Finished(0, "", "")
    assert "\nnote: " in command("status").stderr
    assert "note: " not in command("status", "-q").stderr


@pytest.mark.parametrize(
    "words",
    [
        "run-sync",
        "check",
        "journal",
        "current",
        "doctor",
        "upgrade",
        "stamp r3 --yes",
        "lint --all",
        "revision -m x --empty",
    ],
)
def test_a_database_has_one_name_in_json(command, words):
    """The key ``database``, as the option is called, with the app beside it; ``bind`` is a word of the code."""
    command("run-sync", "-d", "other")
    rows = json.loads(command(*words.split(), "--json").stdout)

    assert all("database" in row and "bind" not in row for row in rows)
    assert rows or words in ("check", "journal", "lint --all")


def test_what_is_asked_for_in_a_form_is_printed_all_the_same(command):
    """JSON and SQL are no chatter, and errors are errors."""
    assert json.loads(command("status", "--json", "-q").stdout)
    assert "CREATE TABLE" in command("-q", "run-sync", "--sql").stdout
    assert command("-q", "upgrade", "shpo").errors
    assert command("drop", "-q").errors
    assert command("drop", "-q", "--yes", "-d", "other") == Finished(0, "", "")
    assert command("journal", "-q").stderr == ""


def test_verbose_commands_show_what_is_logged(command):
    """One -v the messages of ours and Alembic's, two the statements; wherever they stand, and for that command only."""
    once, twice = command("upgrade", "shop", "r1", "-v"), command("-v", "upgrade", "shop", "r2", "-v")
    more, silent = command("upgrade", "shop", "r3", "-vvv"), command("downgrade", "shop", "r1", "--yes")

    assert "INFO alembic.runtime.migration: Running upgrade  -> r1, Add authors." in once.stderr
    assert "sqlalchemy.engine" not in once.stderr
    assert twice.stderr.count("Running upgrade r1 -> r2") == 1
    assert re.search(r"INFO sqlalchemy.engine.Engine: CREATE TABLE|\nCREATE TABLE book", twice.stderr)
    assert "alembic.runtime.plugins" not in more.stderr
    assert silent == Finished(0, "default  shop  downgraded to r1  2 revisions\n", "")


def test_options_of_every_command_stand_where_they_are_put():
    """In a group that is mounted on another command line as well; a command's own options of the same name stay its."""

    @click.group()
    def app() -> None: ...

    @click.command()
    @click.option("-v", "version")
    def own(version: str) -> None:
        click.echo(f"{version} {verbosity()} {is_quiet()}")
        note("not to be seen")
        say("nor this")

    @click.group()
    def several() -> None: ...

    several.add_command(own)
    sqlhelpers_click.attach(app, Runtime())
    mounted = app.commands["db"]
    assert isinstance(mounted, click.Group)
    mounted.add_command(several)
    runner = CliRunner()

    assert runner.invoke(app, ["db", "upgrade", "shop", "-v"]).output.count("Running upgrade") == 3
    assert runner.invoke(app, ["db", "-q", "status"]).output == ""
    assert runner.invoke(app, ["db", "several", "own", "-v", "3", "-q"]).output == "3 0 True\n"
    assert "Every day:" in runner.invoke(app, ["db", "--help"]).output
    found = BashComplete(app, {}, "app", "_APP_COMPLETE").get_completions(["db", "upgrade", "shop"], "r")
    assert [item.value for item in found] == ["r3", "r2", "r1"]


def test_every_command_has_an_example():
    """In its help, below one sentence that stands in the list of commands without being cut."""
    missing = []
    for name, command in group.cli.commands.items():
        text = command.get_help(click.Context(command, info_name=name))
        short = command.get_short_help_str(group._WHOLE)
        if (
            not re.search(rf"\n  Example: .*sqlhelpers {name}", text)
            or not short.endswith((".", ".)"))
            or "..." in short
        ):
            missing.append(name)

    assert missing == []


def test_help_is_in_sections(command):
    """In an order that people look for, with what plugins bring at the end."""

    @cli.cli.command("zebra", hidden=False)
    def zebra() -> None:
        """Count the zebras."""

    @cli.cli.command("yak", hidden=True)
    def yak() -> None: ...

    try:
        told = command("--help").stdout
    finally:
        for name in ("zebra", "yak"):
            del cli.cli.commands[name]

    places = [told.index(f"\n{section}:\n") for section in group.SECTIONS if f"\n{section}:\n" in told]
    assert places == sorted(places)
    assert len(places) >= 5
    assert re.search(r"\nOf plugins:\n(  .*\n)*  zebra +Count the zebras\.\n$", told)
    assert "..." not in told.partition("\nEvery day:\n")[2]
    assert "yak" not in told
    commands = {name for name, each in cli.cli.commands.items() if not each.hidden}
    assert all(re.search(rf"\n  {name} ", told) for name in commands)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "init",
            "revision -m x",
            "merge",
            "edit",
            "adopt",
            "repair --applied",
            "drop --yes",
            "upgrade",
            "stamp r1 --yes",
        ),
        *("downgrade -1 --yes", "history", "heads", "current", "show r1", "graph", "diagram", "lint"),
    ],
)
def test_an_app_that_is_not_there_is_told_alike(command, line):
    """With the apps that there are, and the near name; the database is named where only one is in question."""
    name, *others = line.split()
    done = command(name, "shpo", *others)
    where = "( in database 'default')?"

    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert re.match(
        rf"error: there is no app(,? .*no revision.*)? 'shpo'{where} \(apps: shop\); did you mean shop\?", done.stderr
    )


@pytest.mark.parametrize(
    "line",
    [
        *(
            "upgrade shop",
            "downgrade shop --yes",
            "stamp shop --yes",
            "show shop",
            "edit shop",
            "merge shop r1",
            "lint shop",
        ),
        *("history shop -r", "adopt shop --revision", "lint --since", "revision shop -m x --empty --head"),
        "revision shop -m x --empty --depends-on",
    ],
)
def test_a_revision_that_is_not_there_is_told_alike(command, line):
    """With the near name, before anything is done."""
    done = command(*line.split(), "r33:" if line.endswith("-r") else "r33")

    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert re.match(r"error: (app 'shop': )?there is no .*revision.* 'r33'.*; did you mean r3\?\n", done.stderr)


@pytest.mark.parametrize("name", sorted({*WITH_DATABASE, "diagram", "graph", "lint"}))
def test_a_database_that_is_not_there_is_told_alike(command, name):
    """By all commands that take one."""
    needed = {"downgrade": ["-1"], "stamp": ["r1"], "show": ["r1"], "retire": ["gone"], "revision": ["-m", "x"]}
    needed |= {"shell": ["-c", "1"], "repair": ["--applied"]}
    done = command(name, *needed.get(name, ()), "-d", "othr")

    assert done.status == 2
    assert "no database named 'othr' is configured (configured: default, other); did you mean other?" in done.errors[0]


def test_an_installation_without_plugins(command, monkeypatch):
    """Its help has no section for their commands, and its completion works."""
    bare = cli.mounted("db", cli.Attachment(Runtime()))
    for name, each in cli.cli.commands.items():
        if not each.callback.__module__.startswith("sqlhelpers.cli"):
            del bare.commands[name]
    monkeypatch.setattr("sqlhelpers.discovery.entry_points.entry_points", EntryPoints)
    told = CliRunner().invoke(bare, ["--help"]).output
    monkeypatch.setenv("_SQLHELPERS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "sqlhelpers hist")
    monkeypatch.setenv("COMP_CWORD", "1")

    assert "Every day:" in told
    assert "Of plugins" not in told
    assert command().stdout == "plain,history\n"


FAILING = """
from sqlhelpers import hookimpl

@hookimpl
def sqlhelpers_register_commands(cli):
    1 / 0
"""


def test_plugins_and_apps_that_fail_are_told(shop, command, monkeypatch):
    """The commands of others are there; the list has all of them, and ends with what is wrong."""
    shop.write("failing.py", FAILING)
    groups = {"failing": "sqlhelpers.plugins", "gone": "sqlhelpers.apps"}
    points = EntryPoints(EntryPoint(name, name, group) for name, group in groups.items())
    monkeypatch.setattr("sqlhelpers.discovery.entry_points.entry_points", lambda: points)
    fresh = cli.mounted("db", cli.Attachment(Runtime()))
    helped, listed = CliRunner().invoke(fresh, ["--help"]), command("plugins")
    again = BashComplete(cli.mounted("db", cli.Attachment(Runtime())), {}, "db", "_DB_COMPLETE")

    assert "note: commands of plugins are left out: " in helped.output
    assert [item.value for item in again.get_completions([], "hist")] == ["history"]
    assert listed.status == 2
    assert "failing" in listed.stdout
    assert "gone" in listed.errors[0]


def test_apps_that_are_gone_are_told_of(shop, command):
    """They keep their tables."""
    command("run-sync")
    shop.write_pyproject(PYPROJECT.partition("apps =")[0])

    assert (
        "note: default: alembic_version_shop belongs to an app that is not installed: its tables stay until"
        in command("status").stderr
    )


def test_a_question_is_answered_at_a_terminal(monkeypatch):
    """No is a refusal, and yes goes on."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    answers = [False, True]
    monkeypatch.setattr(click, "confirm", lambda *_, **__: answers.pop(0))

    with pytest.raises(Refused, match="not confirmed; nothing was changed"):
        cli.confirm("Drop it?", yes=False)
    cli.confirm("Drop it?", yes=False)
    assert answers == []


COMPLETED = [
    ("upgrade s", ["shop"]),
    ("upgrade shop r", ["r3", "r2", "r1"]),
    ("upgrade shop he", ["head", "heads"]),
    ("upgrade r", ["r3", "r2", "r1"]),
    ("downgrade shop b", ["base"]),
    ("stamp shop r1 r2", ["r2"]),
    ("show r1", ["r1"]),
    ("history s", ["shop"]),
    ("journal s", ["shop"]),
    ("adopt shop --revision r", ["r3", "r2", "r1"]),
    ("upgrade -d o", ["other"]),
    ("adopt -d d", ["default"]),
    ("init s", ["shop"]),
    ("init -d o", ["other"]),
    ("revision s", ["shop"]),
    ("revision shop --head r", ["r3", "r2", "r1"]),
    ("revision shop --depends-on r2", ["r2"]),
    ("merge shop r1 r2", ["r2"]),
    ("edit s", ["shop"]),
    ("edit shop r", ["r3", "r2", "r1"]),
    ("edit -d o", ["other"]),
    ("doctor -d o", ["other"]),
    ("shell -d o", ["other"]),
    ("dbshell -d o", ["other"]),
    ("graph s", ["shop"]),
    ("diagram s", ["shop"]),
    ("diagram -d o", ["other"]),
    ("lint s", ["shop"]),
    ("lint shop r", ["r3", "r2", "r1"]),
    ("lint --since r1", ["r1"]),
    ("hist", ["history"]),
    ("upgrade --sq", ["--sql"]),
]


@pytest.mark.parametrize("shell", [BashComplete, ZshComplete, FishComplete])
def test_names_are_completed(shell, monkeypatch):
    """Commands, options, databases, apps and revisions, by the classes that serve the shells."""
    monkeypatch.setattr(cli.cli, "_asked_plugins", False)  # another test may have asked where there were none
    complete = shell(cli.cli, {}, "sqlhelpers", "_SQLHELPERS_COMPLETE").get_completions
    lines = COMPLETED if shell is BashComplete else COMPLETED[:2]

    for line, expected in lines:
        *words, start = line.split()
        assert [item.value for item in complete(words, start)] == expected, line


def test_a_bash_completes(shop):
    """The script and the command together, in a real shell."""
    script = """
    eval "$(sqlhelpers completion bash)"
    COMP_WORDS=(sqlhelpers upgrade shop r) COMP_CWORD=3 COMPREPLY=()
    _sqlhelpers_completion sqlhelpers
    echo "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = run(["bash", "-c", script], shop.folder, {"PATH": path})

    assert (done.stdout, done.stderr) == ("r3 r2 r1\n", "")


def test_apps_and_revisions_are_completed_without_sqlalchemy(shop):
    """Nor Alembic: from the settings, the entry points and the index of files."""
    shop.write("shop/models.py", "raise SystemExit('was imported')\n")
    variables = {"_SQLHELPERS_COMPLETE": "bash_complete", "COMP_WORDS": "sqlhelpers upgrade shop r", "COMP_CWORD": "3"}
    code = (
        "import atexit, sys\natexit.register(lambda: print(*{'sqlalchemy', 'alembic', 'rich'} & {*sys.modules}))\n"
        "from sqlhelpers.cli import main\nmain([])"
    )

    done = run([sys.executable, "-c", code], shop.folder, variables)

    assert (done.stdout, done.stderr) == ("plain,r3\nplain,r2\nplain,r1\n\n", "")


def test_what_cannot_be_completed_disturbs_nobody(shop):
    """Broken settings, files and packages complete nothing, and nothing is printed."""
    shop.write("noisy/__init__.py", "print('noise')\nraise SystemExit(3)\n")
    shop.write("alone/versions/a1.py", revision_text("a0001"))
    text = PYPROJECT.replace(
        '{package = "shop"}', '{package = "shop"}, bad = {package = "gone"}, sub = {package = "noisy.x"}'
    )
    more = 'one = {sqlalchemy = {url = "sqlite://"}, alembic = {migrations_path = "alone"}}, '
    none = ', none = {package = "shop", migrations = false}, moved = {models = ["shop.models"], migrations = "alone"}}'
    shop.write_pyproject(text.replace("databases = {", f"databases = {{{more}").replace("}}\n", "}" + none + "\n"))
    complete = BashComplete(cli.cli, {}, "sqlhelpers", "_SQLHELPERS_COMPLETE").get_completions

    assert [item.value for item in complete(["upgrade"], "")] == [
        *["bad", "moved", "none", "shop", "sub", "head", "heads", "base"],
        *["a0001", "r3", "r2", "r1"],
    ]
    assert [item.value for item in complete(["upgrade", "none"], "r")] == []
    shop.write("shop/migrations/versions/r9.py", "1 / 0\n")
    assert [item.value for item in complete(["upgrade"], "a")] == ["a0001"]
    shop.write_pyproject("[tool.sqlhelpers]\nnonsense = \n")
    assert [item.value for item in complete(["upgrade"], "r")] == []


def test_apps_of_entry_points_are_completed(monkeypatch):
    """Those of packages without being imported, those of objects by loading them."""
    from sqlhelpers import App

    monkeypatch.setattr(json, "an_app", App(name="odd", package="shop"), raising=False)
    points = EntryPoints(
        EntryPoint(name, value, "sqlhelpers.apps")
        for name, value in (("plain", "shop"), ("odd", "json:an_app"), ("none", "json:loads"), ("countries", "gone"))
    )
    monkeypatch.setattr("sqlhelpers.discovery.entry_points.entry_points", lambda: points)
    complete = BashComplete(cli.cli, {}, "sqlhelpers", "_SQLHELPERS_COMPLETE").get_completions

    assert [item.value for item in complete(["history"], "")] == ["none", "odd", "plain", "shop"]
    for app, expected in (("plain", ["r3", "r2", "r1"]), ("odd", ["r3", "r2", "r1"]), ("none", [])):
        assert [item.value for item in complete(["upgrade", app], "r")] == expected


def test_the_project_is_found_from_below_when_completing(shop, monkeypatch):
    """An app that is not installed lies beside the settings."""
    (shop.folder / "below").mkdir()
    monkeypatch.chdir(shop.folder / "below")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(shop.folder)])
    complete = BashComplete(cli.cli, {}, "sqlhelpers", "_SQLHELPERS_COMPLETE").get_completions

    assert [item.value for item in complete(["upgrade", "shop"], "r3")] == ["r3"]


EVERY = [
    *("run-sync", "run-sync --sql", "run-sync --dry-run", "status", "check", "journal", "history -i", "history -v"),
    *("heads", "current -v", "show shop head", "upgrade", "upgrade --sql", "downgrade shop -1 --yes", "upgrade -vv"),
    *("stamp shop head --yes", "stamp shop head --sql", "downgrade base --yes -v", "run-sync -v", "upgrade nope"),
    *("drop shop --yes", "adopt shop", "repair shop --applied", "retire gone --yes", "plugins", "config", "--help"),
    *("completion bash", "-q status", "nope"),
]


def test_loggers_are_left_as_they_were(command):
    """After each command, successful or not, whatever it has shown meanwhile."""

    def state():
        root = logging.getLogger()
        names = [name for name, each in logging.Logger.manager.loggerDict.items() if isinstance(each, logging.Logger)]
        loggers = [root, *(logging.getLogger(name) for name in names)]
        return {
            each.name: (each.level, each.disabled, each.propagate, [*each.handlers], [*each.filters])
            for each in loggers
        }

    logging.getLogger("the.application").setLevel(logging.DEBUG)
    command("run-sync")
    command("downgrade", "base", "--yes")  # all that is imported has made its loggers
    before = state()
    for words in EVERY:
        command(*words.split())

        after = state()
        assert {name: each for name, each in after.items() if name in before} == before, words
        new = {name: each for name, each in after.items() if name not in before}
        assert all(each[:4] == (logging.NOTSET, False, True, []) for each in new.values()), words
    assert isinstance(before, dict)
