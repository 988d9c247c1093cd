"""The commands ``sqlhelpers shell`` and ``dbshell``: a Python prompt with the models, and a database's client.

It is a plugin, which is imported wherever a ``Runtime`` is: all that takes a while is imported when a prompt is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers import hookimpl
from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    import click

    from sqlhelpers_shell.running import run_shell as run_shell

__all__ = ["run_shell", "sqlhelpers_register_commands"]

__getattr__: Final = lazily(__name__, {"running": ("run_shell",)})


@hookimpl
def sqlhelpers_register_commands(cli: click.Group) -> None:
    """Add both commands."""
    from sqlhelpers_shell.command import dbshell, shell

    cli.add_command(shell)
    cli.add_command(dbshell)
