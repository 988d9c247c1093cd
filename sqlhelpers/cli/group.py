"""The ``sqlhelpers`` group: its sections, its options, and the commands that plugins bring."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from sqlhelpers import interrupts
from sqlhelpers.cli.completion import apps_of, databases_of, revisions_of
from sqlhelpers.cli.errors import all_explained
from sqlhelpers.cli.output import add_options, note, options
from sqlhelpers.cli.runtime import ATTRIBUTE, Attachment, attached_runtime, read_preview
from sqlhelpers.exceptions import ConfigurationError, HookFailed, Refused, SqlhelpersError
from sqlhelpers.suggestions import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.metadata import EntryPoint

    from sqlhelpers.discovery import Hooks

_HOOK = "sqlhelpers_register_commands"


def add_those_of_plugins(group: click.Group, ctx: click.Context) -> Sequence[SqlhelpersError]:
    """Let plugins add their commands to a group: those of its runtime, or else those that are installed.

    Args:
        group: the group.
        ctx: its context.

    Returns:
        why the commands of some plugins are left out.
    """
    from sqlhelpers.discovery import APPS, PLUGINS, installed, may_implement

    points = [each for each in installed(PLUGINS, APPS) if may_implement(each, _HOOK)]
    if not points:
        return ()
    try:
        with redirect_stdout(sys.stderr):  # what plugins print is neither help nor a completion
            attached = attached_runtime(ctx)
            if attached is None:
                return _added_from(points, group, ctx)
            with attached as runtime:
                return _added(runtime.plugins, group)
    except SqlhelpersError as error:
        return [error]


def _added_from(points: Sequence[EntryPoint], group: click.Group, ctx: click.Context) -> list[SqlhelpersError]:
    from sqlhelpers.discovery import Hooks, by_name, label_of, load, refuse_doubles, why_not

    outline, hooks = read_preview(ctx), Hooks()
    errors: list[SqlhelpersError] = []
    for same in by_name(points):
        if why_not(same[0], outline.disable_plugins, outline.enable_apps):
            continue
        try:
            refuse_doubles(same)
            hooks.register(load(same[0]), label_of(same[0]))
        except ConfigurationError as error:
            errors.append(error)
    return errors + _added(hooks, group)


def _added(hooks: Hooks, group: click.Group) -> list[SqlhelpersError]:
    return [result for _, result in hooks.outcomes(_HOOK, cli=group) if isinstance(result, HookFailed)]


FC = TypeVar("FC", bound="Callable[..., Any] | click.Command")

_DEBUG = "--debug"

#: The commands in the order in which ``--help`` has them; those that are in no section come last.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Every day": ("run-sync", "status", "check", "doctor"),
    "Look": ("history", "heads", "current", "show", "journal"),
    "Work with the database": ("shell", "dbshell"),
    "Write revisions": ("init", "revision", "merge", "edit"),
    "Move": ("upgrade", "downgrade", "stamp"),
    "Decide": ("adopt", "repair", "drop", "retire"),
    "About this installation": ("config", "plugins", "completion"),
}
_OTHERS = "Of plugins"
_WHOLE = 500  # characters: a long sentence is wrapped, not cut


class Parameter(Protocol):
    """Gives a function or a command an option or an argument, as ``click.option`` and ``click.argument`` do."""

    def __call__(self, function: FC, /) -> FC:
        """Return what it was given."""
        ...


class _Group(click.Group):
    """A group that takes in the commands of plugins, and suggests the near name of a mistyped one."""

    _asked_plugins = False

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        add_options(cmd)
        super().add_command(cmd, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        shown = {name: command for name, command in found.items() if command is not None and not command.hidden}
        places = {name: section for section, names in SECTIONS.items() for name in names}
        for section in (*SECTIONS, _OTHERS):
            names = [name for name, command in shown.items() if places.get(command.name or name, _OTHERS) == section]
            order = SECTIONS.get(section, ())
            names.sort(key=lambda name: order.index(shown[name].name or name) if order else 0)
            if names:
                with formatter.section(section):
                    formatter.write_dl([(name, shown[name].get_short_help_str(_WHOLE)) for name in names])

    def invoke(self, ctx: click.Context) -> object:
        with interrupts.listening(), all_explained(debug=ctx.meta.get(_DEBUG, False)):
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_DEBUG] = _DEBUG in args  # wherever it stands
        return super().parse_args(ctx, [word for word in args if word != _DEBUG])

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._ask_plugins(ctx)
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is None and not self._asked_plugins:
            self._ask_plugins(ctx)
            return self.get_command(ctx, cmd_name)
        return found

    def resolve_command(
        self,
        ctx: click.Context,
        args: list[str],
    ) -> tuple[str | None, click.Command | None, list[str]]:
        is_meant = args and not args[0].startswith("-") and not ctx.resilient_parsing
        if is_meant and self.get_command(ctx, args[0]) is None:
            hint = suggest(args[0], self.commands) or f"; see {ctx.command_path} --help"
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def _ask_plugins(self, ctx: click.Context) -> None:
        self._asked_plugins = True
        for problem in add_those_of_plugins(self, ctx):
            if not ctx.resilient_parsing:  # completion has no place for notes
                note(f"commands of plugins are left out: {problem}")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sqlhelpers")
@click.option(_DEBUG, is_flag=True, expose_value=False, help="Show the traceback of an error.")
def cli() -> None:
    """Bring databases to the state that the installed code expects.

    -v, -q and --debug may stand anywhere on the line. COMMAND --help has an example of each command.
    """


cli.params += options(hidden=False)


def mounted(name: str, attachment: Attachment) -> click.Group:
    """Return the database commands as a group for another command line.

    Args:
        name: the name of the group.
        attachment: gives the runtime.
    """
    commands = {each: command for each, command in cli.commands.items() if each != "completion"}  # it is of sqlhelpers
    options = [option for option in cli.params if not isinstance(option, click.Option) or not option.is_eager]
    group = _Group(name, commands=commands, params=options, help=cli.help, context_settings=cli.context_settings)
    setattr(group, ATTRIBUTE, attachment)
    return group


databases: Parameter = click.option(
    "-d",
    "--database",
    "binds",
    metavar="NAME",
    multiple=True,
    help="A configured database; can be repeated. Default: all of them.",
    shell_complete=databases_of,
)
json_option: Parameter = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
database: Parameter = click.option(
    "-d",
    "--database",
    "bind",
    metavar="NAME",
    default="default",
    show_default=True,
    help="A configured database.",
    shell_complete=databases_of,
)
optional_app: Parameter = click.argument("app", required=False, shell_complete=apps_of)
apps: Parameter = click.argument("apps", metavar="[APP]...", nargs=-1, shell_complete=apps_of)


def words_of(metavar: str) -> Parameter:
    """Return the argument ``words``, for apps and revisions: ``[APP] [REVISION]...``, or as ``metavar`` says."""
    return click.argument("words", nargs=-1, metavar=metavar, shell_complete=revisions_of)


def only(revisions: Sequence[str]) -> str:
    """Return the only one of some revisions; empty if there is none.

    Raises:
        click.UsageError: there are several.
    """
    if len(revisions) > 1:
        raise click.UsageError(f"one revision at a time, not {', '.join(revisions)}")
    return revisions[0] if revisions else ""


yes: Parameter = click.option("--yes", is_flag=True, help="Do not ask.")


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
