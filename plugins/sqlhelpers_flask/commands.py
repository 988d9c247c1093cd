"""``flask db sync`` and its kin: the database commands with the runtime of the application, beside Flask-Migrate's."""

from __future__ import annotations

from copy import copy
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import click

from sqlhelpers import cli, interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from sqlhelpers import Runtime

_NAME = "db"


def add_commands(app: Flask, runtime: Runtime) -> None:
    """Add the database commands to ``flask db``, whoever else has commands there, before or after.

    Args:
        app: the application.
        runtime: the runtime that the commands use.
    """
    attachment = cli.Attachment(runtime)
    ours = cli.mounted(_NAME, attachment)
    ours.commands["sync"] = ours.commands.pop("run-sync")
    if _NAME not in app.cli.commands:
        app.cli.add_command(ours)
    found = partial(_get_command, app.cli.get_command, ours, attachment)
    setattr(app.cli, "get_command", found)  # noqa: B010  # Flask-Migrate may put its own group there at any time


def _get_command(
    inner: Callable[[click.Context, str], click.Command | None],
    ours: click.Group,
    attachment: cli.Attachment,
    ctx: click.Context,
    name: str,
) -> click.Command | None:
    found = inner(ctx, name)
    if name != _NAME or found is ours or not isinstance(found, click.Group):
        return found
    joined = copy(found)  # the group belongs to all applications of the process
    joined.commands = {**{each: _explained(command) for each, command in ours.commands.items()}, **found.commands}
    setattr(joined, cli.ATTRIBUTE, attachment)
    return joined


def _explained(command: click.Command) -> click.Command:
    """Return a command that ends as in our own group, with one line for an error and its exit status."""
    made, invoke = copy(command), command.invoke

    @wraps(invoke)
    def explained(ctx: click.Context) -> Any:
        with interrupts.listening(), cli.explained():
            return invoke(ctx)

    setattr(made, "invoke", explained)  # noqa: B010  # a command is not made to be changed
    return made
