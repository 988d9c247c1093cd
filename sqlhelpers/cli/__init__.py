"""The command line: it reads options, calls functions of ``Runtime``, and prints what they return."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import click

from sqlhelpers.cli.printing import Bar, done, found, planned, printed, styled, table
from sqlhelpers.exceptions import SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import ShellComplete

    from sqlhelpers.runtime import Runtime


class _Terminated(BaseException):
    """SIGTERM arrived: everything under way is rolled back on the way out."""


class _Group(click.Group):
    """A group that takes in the commands of plugins, and suggests the near name of a mistyped one."""

    _asked_plugins = False

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
                _runtime().plugins.register_commands(self)
            except SqlhelpersError as error:
                click.echo(f"note: the commands of plugins are left out: {error}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sqlhelpers")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, debug: bool) -> None:  # main() looks at it, which sees errors that come before
    """Bring databases to the state that the installed code expects."""


_databases = click.option(
    "-d",
    "--database",
    "binds",
    metavar="NAME",
    multiple=True,
    help="A configured database; can be repeated. Default: all of them.",
    shell_complete=lambda _ctx, _param, start: [name for name in _configured() if name.startswith(start)],
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@cli.command("run-sync")
@_databases
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@_as_json
def run_sync(binds: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    r"""Create or upgrade databases; run it as often as you like.

    \b
    Example: sqlhelpers run-sync -d default --dry-run
    """
    with _runtime() as runtime, printed(as_json, planned if dry_run else done) as show, Bar() as bar:
        runtime.run_sync(binds, dry_run=dry_run, progress=bar.advance, done=show)


@cli.command()
@_databases
@click.option("--check", is_flag=True, help="End with status 1 unless everything is up to date.")
@_as_json
def status(binds: Sequence[str], *, check: bool, as_json: bool) -> None:
    r"""Show the state of databases, and change nothing.

    \b
    Example: sqlhelpers status --check
    """
    with _runtime() as runtime, printed(as_json, found) as show:
        reports = runtime.status(binds, show)
    if check and any(report.status.name != "UP_TO_DATE" for report in reports):
        raise click.exceptions.Exit(1)


@cli.command()
@click.argument("app", required=False)
@click.option("-d", "--database", "bind", metavar="NAME", default="default", show_default=True)
def adopt(app: str | None, bind: str) -> None:
    r"""Record the revision of tables that were made without it, if they are as the models say.

    \b
    Example: sqlhelpers adopt bookshop
    """
    from sqlhelpers.exceptions import Refused

    with _runtime() as runtime, redirect_stdout(sys.stderr):
        differences = runtime.adopt(bind, app)
    for difference in differences:
        click.echo(difference)
    if differences:
        raise Refused("the tables are not as the models say, so nothing was recorded; change one or the other first")
    click.echo(f"{bind}  {app or '-'}  adopted")


@cli.command()
@_as_json
def plugins(*, as_json: bool) -> None:
    """List apps, plugins and adapters: versions, hooks, and why something is not loaded."""
    from sqlhelpers.exceptions import DiscoveryError
    from sqlhelpers.plugin_manager import PluginManager
    from sqlhelpers.settings import Settings

    settings, manager, failure = Settings(), PluginManager(), None
    try:
        with redirect_stdout(sys.stderr):
            manager.discover(disabled=settings.disable_plugins, enabled_apps=settings.enable_apps)
    except DiscoveryError as error:
        failure = error
    if as_json:
        click.echo(json.dumps([asdict(info) for info in manager.found], indent=2))
    else:
        table(
            [info.kind, info.name, info.distribution, info.value, info.state, info.reason or ", ".join(info.hooks)]
            for info in manager.found
        )
    if failure:
        raise failure


@cli.command()
@_as_json
def config(*, as_json: bool) -> None:
    """Show every setting, its value, and where it came from."""
    from sqlhelpers.settings import Settings

    rows = list(Settings().origins())
    if as_json:
        click.echo(json.dumps([dict(zip(("name", "value", "origin"), row, strict=True)) for row in rows], indent=2))
    else:
        table([name, "=", value, f"({origin})"] for name, value, origin in rows)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    r"""Print the completion script for a shell.

    \b
    Example: eval "$(sqlhelpers completion bash)"
    """
    from click.shell_completion import get_completion_class

    made = cast("type[ShellComplete]", get_completion_class(shell))  # the choices are those that click knows
    click.echo(made(cli, {}, "sqlhelpers", "_SQLHELPERS_COMPLETE").source())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process with the exit status."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    logging.getLogger("asyncmy").addHandler(logging.NullHandler())  # it would print every note of the server
    sys.path.append(str(Path.cwd()))  # an app that is not installed may lie in the working directory
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # wherever it stands
    try:
        status_ = cli.main([word for word in given if word != "--debug"], prog_name="sqlhelpers", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail([error.format_message()], error.exit_code)
    except SqlhelpersError as error:
        _explain(error, debug=debug)
    except (KeyboardInterrupt, click.Abort):
        _fail(["interrupted; what can be undone is rolled back"], 130)
    except _Terminated:
        _fail(["terminated; what can be undone is rolled back"], 143)
    except SystemExit as error:
        if "_SQLHELPERS_COMPLETE" in os.environ:  # click ends a completion so
            raise
        _fail([f"something has called sys.exit({error.code!r}) before the command had ended"], 1)
    except Exception as error:
        if debug:
            raise
        _fail([f"{type(error).__name__}: {error} (--debug shows where)"], 1)
    sys.exit(status_ if isinstance(status_, int) else 0)


def _on_sigterm(*_: object) -> None:
    raise _Terminated


def _explain(error: SqlhelpersError, *, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exception(error)
    _fail(error.lines, error.exit_status, getattr(error, "hint", ""))


def _fail(lines: Sequence[str], exit_status: int, hint: str = "") -> NoReturn:
    for line in lines:
        click.echo(f"{styled('error:', 'red', sys.stderr)} {' '.join(line.split())}", err=True)
    if hint:
        click.echo(f"note: {hint}", err=True)
    sys.exit(exit_status)


def _runtime() -> Runtime:
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
