"""The command line: it reads options, calls functions of ``Runtime``, and prints what they return.

The names here are public, for plugins that add commands, and for adapters that put the commands into the command lines
of applications.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlhelpers import interrupts
from sqlhelpers.cli.commands import author, decide, inspect, look, move, sync  # noqa: F401  # they register theirs
from sqlhelpers.cli.commands.sync import syncdb
from sqlhelpers.cli.completion import apps_of, databases_of, revisions_of
from sqlhelpers.cli.errors import Failure, all_explained, explained
from sqlhelpers.cli.group import (
    Parameter,
    apps,
    cli,
    confirm,
    database,
    databases,
    json_option,
    mounted,
    optional_app,
    words_of,
    yes,
)
from sqlhelpers.cli.output import is_quiet, is_terminal, note, say, styled, table
from sqlhelpers.cli.passing import Passing
from sqlhelpers.cli.runtime import ATTRIBUTE, Attachment, attachment_of, open_quietly, open_runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ATTRIBUTE",
    "Attachment",
    "Failure",
    "Parameter",
    "Passing",
    "apps",
    "apps_of",
    "attachment_of",
    "cli",
    "confirm",
    "database",
    "databases",
    "databases_of",
    "explained",
    "is_quiet",
    "is_terminal",
    "json_option",
    "main",
    "mounted",
    "note",
    "open_quietly",
    "open_runtime",
    "optional_app",
    "revisions_of",
    "say",
    "styled",
    "syncdb",
    "table",
    "words_of",
    "yes",
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process with the exit status."""
    # imports make many objects and hardly any garbage, and the process takes all along: a fifth of a short command
    gc.set_threshold(200_000)
    atexit.register(gc.freeze)
    interrupts.listen()
    sys.path.append(str(Path.cwd()))  # an app that is not installed may lie in the working directory
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "_SQLHELPERS_COMPLETE" in os.environ:  # click ends the process once it has completed
        cli.main(given, prog_name="sqlhelpers")
    try:
        with all_explained(debug="--debug" in given):
            result = cli.main(given, prog_name="sqlhelpers", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        interrupts.ignore()
        failure = error if isinstance(error, Failure) else Failure([error.format_message()], error.exit_code)
        failure.show()
        sys.exit(failure.exit_code)
    interrupts.ignore()
    sys.exit(result if isinstance(result, int) else 0)
