"""The command line: it reads options, calls functions of ``Runtime``, and prints what they return."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from sqlhelpers import signals
from sqlhelpers.cli import deciding, showing, syncing
from sqlhelpers.cli.group import Interrupted, cli
from sqlhelpers.cli.printing import styled
from sqlhelpers.exceptions import SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cli", "deciding", "main", "showing", "syncing"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process with the exit status."""
    signals.listen()
    sys.path.append(str(Path.cwd()))  # an app that is not installed may lie in the working directory
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # wherever it stands
    try:
        result = cli.main([word for word in given if word != "--debug"], prog_name="sqlhelpers", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail([error.format_message()], error.exit_code)
    except SqlhelpersError as error:
        _explain(error, debug=debug)
    except (Interrupted, click.Abort) as error:
        by_sigterm = isinstance(error.__cause__, signals.Terminated)
        word, status = ("terminated", 143) if by_sigterm else ("interrupted", 130)
        _fail([f"{word}; what can be undone is rolled back"], status)
    except SystemExit as error:
        if "_SQLHELPERS_COMPLETE" in os.environ:  # click ends a completion so
            raise
        _fail([f"something has called sys.exit({error.code!r}) before the command had ended"], 1)
    except Exception as error:
        if debug:
            raise
        _fail([f"{type(error).__name__}: {error} (--debug shows where)"], 1)
    signals.ignore()
    sys.exit(result if isinstance(result, int) else 0)


def _explain(error: SqlhelpersError, *, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exception(error)
    _fail(error.lines, error.exit_status, getattr(error, "hint", ""))


def _fail(lines: Sequence[str], exit_status: int, hint: str = "") -> NoReturn:
    signals.ignore()
    for line in lines:
        click.echo(f"{styled('error:', 'red', sys.stderr)} {' '.join(line.split())}", err=True)
    if hint:
        click.echo(f"note: {hint}", err=True)
    sys.exit(exit_status)
