"""What is different about Typer, which has a click of its own, that knows nothing of click's groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import typer.main
from typer.core import TyperGroup

from sqlhelpers import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

_ALL_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def current_context() -> Any:
    """Return the context of the command that runs; None if there is none."""
    return vars(typer.main)["get_current_context"](silent=True)  # this is how Typer finds it; no public name is


def names(app: typer.Typer) -> Iterator[str]:
    """Yield the names of the commands that an app has."""
    for command in app.registered_commands:
        yield command.name or typer.main.get_command_name(getattr(command.callback, "__name__", ""))
    for group in app.registered_groups:
        if isinstance(name := group.name, str):
            yield name


def mount(app: typer.Typer, group: click.Group, attachment: cli.Attachment) -> None:
    """Let an app have a group of click as one of its commands, and its commands an attachment.

    Args:
        app: the app.
        group: the group, which reads its own arguments and ends the process.
        attachment: what ``sqlhelpers.cli.attachment_of`` finds.
    """

    def databases(ctx: typer.Context) -> None:
        group.main(ctx.args, prog_name=ctx.command_path)

    app.command(group.name, help=group.help, add_help_option=False, context_settings=_ALL_ARGUMENTS)(databases)
    if app.registered_callback is None:
        app.callback()(_nothing)  # an app with a single command has no names of commands otherwise
    for info in (app.info, app.registered_callback):
        base = getattr(info, "cls", None)
        if info is not None and (isinstance(base, type) or info is app.info):
            made = base if isinstance(base, type) else TyperGroup
            info.cls = cast("type[TyperGroup]", type(made.__name__, (made,), {cli.ATTRIBUTE: attachment}))


def _nothing() -> None: ...
