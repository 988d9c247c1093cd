"""The command that looks for whatever is wrong, and says what to do about it."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sqlhelpers.cli import databases, is_quiet, is_terminal, json_option, open_quietly, styled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from sqlhelpers_doctor import Diagnosis

_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}
_LEVEL, _SUBJECT = 7, 11  # the widths of two columns
_INDENT = 2 + _LEVEL + 2 + _SUBJECT + 2
_READABLE = 30  # characters: narrower columns are harder to read than lines that the terminal breaks


@click.command()
@databases
@json_option
def doctor(binds: Sequence[str], *, as_json: bool) -> None:
    """Find whatever is wrong: settings, plugins, drivers, servers, revisions, permissions. It changes nothing.

    0 if nothing is worse than a note; else the highest of 1 (database), 2 (configuration), 3 (a person must decide).

    Example: sqlhelpers doctor -d default
    """
    from sqlhelpers_doctor import diagnose, exit_status

    found: list[Diagnosis] = []
    show, is_told = _Printer(sys.stdout), not as_json and not is_quiet()

    def seen(diagnosis: Diagnosis) -> None:
        found.append(diagnosis)
        if is_told:
            show(diagnosis)

    try:
        with open_quietly() as runtime:
            diagnose(runtime, binds, seen)
    finally:
        if as_json:
            click.echo(json.dumps([asdict(each) for each in found], indent=2))
    if is_told:
        click.echo(_summary(found))
    raise click.exceptions.Exit(exit_status(found))


class _Printer:
    """Prints each diagnosis as it comes, under a heading for each database.

    Args:
        stream: where to.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._heading = ""

    def __call__(self, diagnosis: Diagnosis) -> None:
        heading = f"database {diagnosis.database}" if diagnosis.database else "installation"
        if heading != self._heading:
            click.echo(f"{'' if not self._heading else chr(10)}{styled(heading, 'blue', self._stream)}", self._stream)
            self._heading = heading
        mark = styled(diagnosis.level.ljust(_LEVEL), _COLOURS[diagnosis.level], self._stream)
        click.echo(f"  {mark}  {diagnosis.subject.ljust(_SUBJECT)}  {self._hanging(diagnosis.text)}", self._stream)
        if diagnosis.advice:
            click.echo(f"{' ' * _INDENT}-> {self._hanging(diagnosis.advice, 3)}", self._stream)

    def _hanging(self, text: str, more: int = 0) -> str:
        """Return a text whose lines line up, if it goes to a terminal that is too narrow for one line of it."""
        width = shutil.get_terminal_size().columns - _INDENT - more
        if not is_terminal(self._stream) or width < _READABLE:
            return text
        lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
        return f"\n{' ' * (_INDENT + more)}".join(lines)


def _summary(found: Sequence[Diagnosis]) -> str:
    numbers = Counter[str](each.level for each in found)
    levels = [level for level in ("error", "warning", "note") if numbers[level]]
    parts = [f"{numbers[level]} {level}{'s' if numbers[level] > 1 else ''}" for level in levels]
    if not {"error", "warning"} & set(levels):
        parts.insert(0, "nothing is wrong")
    return f"\n{', '.join(parts)}"
