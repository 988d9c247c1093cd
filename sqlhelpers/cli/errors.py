"""How a command ends that could not do its work: a line for each thing that is wrong, and the exit status."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from sqlhelpers import interrupts
from sqlhelpers.cli.output import is_quiet, note, styled
from sqlhelpers.exceptions import SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlhelpers.managers import BaseManager


class Failure(click.ClickException):
    """The end of a command, which click shows, and ends the process with.

    Args:
        lines: what is wrong, a line for each.
        exit_code: the exit status.
        hint: a line that comes after them.
    """

    def __init__(self, lines: Sequence[str], exit_code: int, hint: str = "") -> None:
        super().__init__("; ".join(lines))
        self.lines: tuple[str, ...] = tuple(lines)
        vars(self)["exit_code"] = exit_code  # click has one for each class
        self.hint: str = "" if is_quiet() else hint  # now: it is shown when the command has ended

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines, to stderr unless there is a file."""
        for line in self.lines:
            click.echo(f"{styled('error:', 'red', file or sys.stderr)} {' '.join(line.split())}", file, err=True)
        if self.hint:
            note(self.hint, file)


@contextmanager
def explained(*, debug: bool = False) -> Iterator[None]:
    """Turn our errors and signals, raised in the block, into a ``Failure``. All else passes.

    Args:
        debug: print the traceback of an error as well.

    Raises:
        Failure: with the exit status that ``sqlhelpers`` has for it.
    """
    try:
        yield
    except SqlhelpersError as error:
        if debug:
            import traceback

            traceback.print_exception(error)
        raise Failure(error.lines, error.exit_status, getattr(error, "hint", "")) from error
    except KeyboardInterrupt as error:
        raise _interrupted(error) from error


@contextmanager
def all_explained(*, debug: bool = False) -> Iterator[None]:
    """Turn whatever is raised in the block into a ``Failure``, but for what click raises itself.

    Args:
        debug: print the traceback of an error of ours as well; let an unexpected one pass.

    Raises:
        Failure: with the exit status that ``sqlhelpers`` has for it.
    """
    try:
        with explained(debug=debug):
            yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except click.Abort as error:
        raise _interrupted(error.__cause__ or error.__context__) from error
    except SystemExit as error:
        raise Failure([f"something has called sys.exit({error.code!r}) before the command had ended"], 1) from error
    except Exception as error:
        if debug:
            raise
        raise Failure([f"{type(error).__name__}: {error} (--debug shows where)"], 1) from error


@contextmanager
def out_of_reach_named(manager: BaseManager) -> Iterator[None]:
    """Turn the errors of a database that cannot be reached into one of ours; all others pass.

    Raises:
        DatabaseFailure: the database cannot be reached, or the pool is exhausted.
    """
    try:
        yield
    except Exception as error:
        from sqlhelpers.engines import failures_named, http_error_for

        if http_error_for(error, (503,)) is None:
            raise
        with failures_named(manager.bind, manager.database.url):
            raise


def _interrupted(error: BaseException | None) -> Failure:
    word = "terminated" if isinstance(error, interrupts.Terminated) else "interrupted"
    return Failure([f"{word}; what can be undone is rolled back"], interrupts.exit_status(error))
