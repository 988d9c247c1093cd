"""The group of commands, and what its commands share: options, the runtime, the question before something is lost."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlhelpers.exceptions import Refused, SqlhelpersError

if TYPE_CHECKING:
    from sqlhelpers.runtime import Runtime


class Interrupted(BaseException):
    """A signal has ended a command; its cause tells which. Click would put an empty line before our message."""


class _Group(click.Group):
    """A group that takes in the commands of plugins, and suggests the near name of a mistyped one."""

    _asked_plugins = False

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error

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
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.commands, 1)
            hint = f"did you mean {near[0]}?" if near else f"see {ctx.command_path} --help"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def _ask_plugins(self) -> None:
        from importlib.metadata import entry_points

        self._asked_plugins = True
        if entry_points(group="sqlhelpers.plugins") or entry_points(group="sqlhelpers.apps"):
            try:
                open_runtime().plugins.register_commands(self)
            except SqlhelpersError as error:
                click.echo(f"note: the commands of plugins are left out: {error}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sqlhelpers")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, debug: bool) -> None:  # main() looks at it, which sees errors that come before
    """Bring databases to the state that the installed code expects."""


databases = click.option(
    "-d",
    "--database",
    "binds",
    metavar="NAME",
    multiple=True,
    help="A configured database; can be repeated. Default: all of them.",
    shell_complete=lambda _ctx, _param, start: [name for name in _configured() if name.startswith(start)],
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
database = click.option("-d", "--database", "bind", metavar="NAME", default="default", show_default=True)
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


def open_runtime() -> Runtime:
    """Return a runtime for the settings of the working directory."""
    from sqlhelpers.runtime import Runtime
    from sqlhelpers.sources import project_file

    project = project_file(Path.cwd())
    if project is not None:
        sys.path.append(str(project.parent))  # or beside the settings
    return Runtime()


def _configured() -> list[str]:
    from sqlhelpers.settings import Settings

    try:
        return list(Settings().databases)
    except SqlhelpersError:
        return []
