"""The group of commands, and what its commands share: options, the runtime, the question before something is lost."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlhelpers import signals
from sqlhelpers.cli.failures import all_explained
from sqlhelpers.cli.runtimes import ATTRIBUTE, Attachment, open_runtime, open_settings
from sqlhelpers.exceptions import Refused, SqlhelpersError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_DEBUG = "--debug"


class _Group(click.Group):
    """A group that takes in the commands of plugins, and suggests the near name of a mistyped one."""

    _asked_plugins = False

    def invoke(self, ctx: click.Context) -> object:
        with signals.listening(), all_explained(debug=ctx.meta.get(_DEBUG, False)):
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_DEBUG] = _DEBUG in args  # wherever it stands
        return super().parse_args(ctx, [word for word in args if word != _DEBUG])

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._ask_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is None and not self._asked_plugins:
            self._ask_plugins()
            return self.get_command(ctx, cmd_name)
        return found

    def resolve_command(
        self,
        ctx: click.Context,
        args: list[str],
    ) -> tuple[str | None, click.Command | None, list[str]]:
        is_meant = args and not args[0].startswith("-") and not ctx.resilient_parsing
        if is_meant and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.commands, 1)
            hint = f"did you mean {near[0]}?" if near else f"see {ctx.command_path} --help"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def _ask_plugins(self) -> None:
        from importlib.metadata import entry_points

        self._asked_plugins = True
        points = [*entry_points(group="sqlhelpers.plugins"), *entry_points(group="sqlhelpers.apps")]
        if any(map(_may_bring_commands, points)):
            try:
                with open_runtime() as runtime:
                    runtime.plugins.register_commands(self)
            except SqlhelpersError as error:
                click.echo(f"note: the commands of plugins are left out: {error}", err=True)


def _may_bring_commands(point: EntryPoint) -> bool:
    """Tell whether a plugin may have commands, without running it: most have none, and take long to import."""
    from importlib.util import find_spec

    if point.attr:  # an object has its hooks from anywhere
        return True
    try:
        spec = find_spec(point.module)
        source = Path(spec.origin or "").read_bytes() if spec else b""
    except Exception:  # noqa: BLE001  # loading it tells what is wrong
        return True
    return not source or _COMMANDS in source or b"import *" in source


_COMMANDS = b"sqlhelpers_register_commands"


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sqlhelpers")
@click.option(_DEBUG, is_flag=True, expose_value=False, help="Show the traceback of an error.")
def cli() -> None:
    """Bring databases to the state that the installed code expects."""


def mounted(name: str, attachment: Attachment) -> click.Group:
    """Return the database commands as a group for another command line.

    Args:
        name: the name of the group.
        attachment: gives the runtime.
    """
    commands = {each: command for each, command in cli.commands.items() if each != "completion"}  # it is of sqlhelpers
    options = [option for option in cli.params if _DEBUG in option.opts]
    group = _Group(name, commands=commands, params=options, help=cli.help, context_settings=cli.context_settings)
    setattr(group, ATTRIBUTE, attachment)
    return group


databases = click.option(
    "-d",
    "--database",
    "binds",
    metavar="NAME",
    multiple=True,
    help="A configured database; can be repeated. Default: all of them.",
    shell_complete=lambda ctx, _param, start: [name for name in _configured(ctx) if name.startswith(start)],
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
database = click.option(
    "-d", "--database", "bind", metavar="NAME", default="default", show_default=True, help="The database."
)
yes = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost.

    Raises:
        Refused: the answer was no, or there is no terminal to ask at.
    """
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise Refused(f"{question} Nobody is there to answer; say so with --yes")
        if not click.confirm(question, err=True):
            raise Refused("not confirmed; nothing was changed")


def _configured(ctx: click.Context) -> list[str]:
    try:
        with open_settings(ctx) as settings:
            return list(settings.databases)
    except SqlhelpersError:
        return []
