"""The commands of plugins: which of them are loaded for it, and what is said of those that fail."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import click
import pytest

from sqlhelpers import Runtime, Settings, hookimpl
from sqlhelpers.cli import Attachment, mounted
from sqlhelpers.cli import group as groups
from sqlhelpers.cli.runtime import read_preview
from sqlhelpers.discovery.entry_points import label_of
from sqlhelpers.discovery.plugin_manager import PluginManager

HOOK = """
import click
from sqlhelpers import hookimpl

print("something that is no help")


@hookimpl
def sqlhelpers_register_commands(cli):
    cli.add_command(click.Command({name!r}))
"""


OURS = {"dbshell", "diagram", "doctor", "graph", "lint", "shell"}


@pytest.fixture
def added():
    """Let plugins add their commands to a group; return the names of all, and what is said of those that fail."""

    def add(group: click.Group | None = None) -> tuple[list[str], list[str]]:
        group = group or click.Group("x")
        errors = groups.add_those_of_plugins(group, click.Context(group))
        return sorted(group.commands.keys() - OURS), [str(error) for error in errors]

    return add


def test_only_what_may_bring_commands_is_loaded(project, added, capsys):
    """Modules that do not name the hook are left alone, and so are objects that are apps. Stdout stays as it is."""
    project.write_distribution("one", HOOK.format(name="first"))
    project.write_distribution("two", "1 / 0")
    project.write_distribution("three", "1 / 0", "apps", "three:shop")

    assert added() == (["first"], [])
    assert {"two", "three"}.isdisjoint(sys.modules)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", ["shop:hooks", "shop.hooks", "shop"])
def test_apps_may_bring_commands(project, added, value):
    """Their entry point may name a module in several ways."""
    project.write_distribution("unused", "", "apps", value)
    project.write("shop/hooks.py", HOOK.format(name="sell"))
    project.write("shop/__init__.py", f"from shop import hooks\n{HOOK.format(name='sell')}")

    assert added() == (["sell"], [])


def test_an_object_may_have_the_hook(project, added):
    """Nobody knows where its class is from, so it is loaded."""
    hook = "    @hookimpl\n    def sqlhelpers_register_commands(self, cli):\n        cli.command('sell')(print)\n"
    project.write("elsewhere.py", f"from sqlhelpers import hookimpl\n\n\nclass Hooks:\n{hook}")
    project.write_distribution("one", "from elsewhere import Hooks\n\nhooks = Hooks()\n", value="one:hooks")

    assert added() == (["sell"], [])


def test_one_that_fails_leaves_the_others(project, added):
    """Each is named: that which cannot be found or imported, is wrong, exits when it is asked, or is there twice."""
    project.write_distribution("gone", "", value="nowhere.at_all")
    project.write_distribution("good", HOOK.format(name="fine"))
    project.write_distribution("imports", "import nothing_like_this  # sqlhelpers_register_commands\n")
    project.write_distribution("marks", "def sqlhelpers_register_commands(cli): ...\n")
    project.write_distribution("raises", HOOK.format(name="half") + "    raise SystemExit('closed')\n")
    project.write_distribution("twice", HOOK.format(name="twice"))
    project.write("other-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    project.write("other-2.0.dist-info/entry_points.txt", "[sqlhelpers.plugins]\ntwice = twice\n")
    names, errors = added()

    assert names == ["fine", "half"]
    gone, imports, marks, twice, raises = errors
    assert "nowhere.at_all cannot be imported" in gone
    assert "'imports' (imports, sqlhelpers.plugins of imports 1.0): imports cannot be imported" in imports
    assert "'marks'" in marks
    assert "not marked" in marks
    assert "by other 2.0 and twice 1.0" in twice
    assert "'raises'" in raises
    assert "closed" in raises


def test_the_settings_say_who_may_bring_commands(project, added, monkeypatch):
    """What is disabled is not loaded, nor are apps that are not enabled, wherever it is set, and what else is wrong."""
    project.write_distribution("one", HOOK.format(name="first"))
    project.write_distribution("two", "1 / 0  # sqlhelpers_register_commands")
    project.write_distribution("three", "1 / 0  # sqlhelpers_register_commands", "apps")
    project.write_pyproject("[tool.sqlhelpers]\nenable_apps = ['shop']\ndisable_plugins = ['one']\ndatabase = 1\n")
    monkeypatch.setenv("SQLHELPERS_DISABLE_PLUGINS", "two, six")

    assert added() == (["first"], [])


@pytest.mark.parametrize("wanted", ["1", "{}"])
def test_nonsense_in_the_settings_disables_nothing(project, added, monkeypatch, wanted):
    """It is for the commands that read all settings to tell of it."""
    project.write_distribution("one", HOOK.format(name="first"))
    monkeypatch.setenv("SQLHELPERS_DISABLE_PLUGINS", wanted)
    monkeypatch.setenv("SQLHELPERS_DATABASES", "1")

    assert added() == (["first"], [])


def test_settings_that_cannot_be_read_leave_all_out(project, added):
    """Nobody knows whether they disable one."""
    project.write_distribution("one", HOOK.format(name="first"))
    project.write_pyproject("[tool.sqlhelpers]\ndisable_plugins = [")
    names, errors = added()

    assert names == []
    assert "is not valid TOML" in errors[0]


def test_help_works_whatever_fails(project):
    """A note says what is left out; completion, which has no place for it, does not."""
    project.write_distribution("one", "1 / 0  # sqlhelpers_register_commands")
    completing = {"_SQLHELPERS_COMPLETE": "bash_complete", "COMP_WORDS": "sqlhelpers run", "COMP_CWORD": "1"}
    helped, completed = project.run("--help"), project.run(env=completing)

    assert helped.status == 0
    assert "run-sync" in helped.stdout
    assert helped.stderr.count("note: commands of plugins are left out: plugin 'one'") == 1
    assert completed.output.split() == ["plain,run-sync"]


def test_an_attached_runtime_asks_its_own_plugins(project, added):
    """What is installed is not loaded for it."""

    class Hooks:
        @hookimpl
        def sqlhelpers_register_commands(self, cli):
            cli.command("of-mine")(print)

    project.write_distribution("one", "1 / 0  # sqlhelpers_register_commands")
    plugins = PluginManager()
    plugins.register(Hooks(), "mine")
    group = mounted("db", Attachment(Runtime(Settings(), plugin_manager=plugins)))
    names, errors = added(group)

    assert "of-mine" in names
    assert errors == []


def test_the_names_of_an_attached_runtime_are_those_of_its_settings():
    """They are what completion offers."""
    settings = Settings(databases={"of-mine": "sqlite://"}, apps={"shop": {"package": "shop"}}, disable_plugins="a,b")
    found = read_preview(click.Context(mounted("db", Attachment(Runtime(settings)))))

    assert (found.databases, found.apps) == (("of-mine",), ("shop",))
    assert (found.enable_apps, found.disable_plugins) == (None, ("a", "b"))


def test_an_entry_point_of_no_distribution_has_a_label():
    """Tests and embedding programs make some by hand."""
    point = EntryPoint("one", "one:hooks", "sqlhelpers.plugins")

    assert label_of(point) == "'one' (one:hooks, sqlhelpers.plugins of an unknown distribution)"
