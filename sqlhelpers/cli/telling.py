"""How revisions are told of: a line each, or all about them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqlhelpers.cli.printing import as_mapping, as_text, styled, table
from sqlhelpers.cli.verbosity import is_quiet, verbosity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlhelpers.report import Trace
    from sqlhelpers.revision_reports import RevisionInfo

_HEADINGS = ("app", "revision", "follows", "", "written", "message")


@dataclass
class Row:
    """A revision that is shown, and what databases have to do with it."""

    info: RevisionInfo
    current_in: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def marks(self) -> str:
        """Return what stands out about it, each in parentheses."""
        info = self.info
        found = [*info.marks, *(f"branch {label}" for label in info.branch_labels)]
        found += [f"depends on {each}" for each in info.depends_on]
        plain = " ".join(f"({mark})" for mark in found)
        current = styled(f"(current in {', '.join(self.current_in)})", "green") if self.current_in else ""
        return f"{plain} {current}".strip()

    def as_mapping(self) -> dict[str, Any]:
        """Return all facts, for JSON."""
        return {**asdict(self.info), "marks": self.info.marks, "current_in": self.current_in}


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print revisions, a line each, or as JSON, or with ``-v`` all about them."""
    if as_json:
        click.echo(json.dumps([row.as_mapping() for row in rows], indent=2))
    elif verbosity():
        print_blocks(rows)
    else:
        table(map(_cells, rows), _HEADINGS)


def _cells(row: Row) -> list[str]:
    info = row.info
    place = [info.app or "-", info.revision, ", ".join(info.down_revisions)]
    return [each or "-" for each in (*place, row.marks(), info.date[:16], info.message)]


def print_shown(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print all about revisions and what databases know of them, with ``-v`` their source as well."""
    if not as_json:
        print_blocks(rows, with_source=bool(verbosity()))
        return
    found = []
    for row in rows:
        source = {"source": _source(row.info)} if verbosity() else {}
        mapping = {key: value for key, value in row.as_mapping().items() if key != "current_in"}
        found.append({**mapping, "databases": [as_mapping(each) for each in row.traces], **source})
    click.echo(json.dumps(found, indent=2, default=as_text))


def print_blocks(rows: Sequence[Row], *, with_source: bool = False) -> None:
    """Print all about some revisions, a fact a line, and then their text."""
    from sqlhelpers.descriptions import text_of

    for place, row in enumerate(rows):
        if is_quiet():
            return
        if place:
            click.echo()
        table([[name, value] for name, value in _facts(row) if value])
        text = _source(row.info) if with_source else text_of(row.info)
        if text:
            click.echo("".join(f"\n    {line}".rstrip(" ") for line in text.splitlines()))


def _facts(row: Row) -> Iterable[tuple[str, str]]:
    info = row.info
    yield "revision", f"{info.revision} {row.marks()}".strip()
    yield "app", info.app or ""
    yield "follows", ", ".join(info.down_revisions)
    yield "followed by", ", ".join(info.next_revisions)
    yield "needed by", ", ".join(info.needed_by)
    yield "written", info.date
    yield "file", info.path
    for trace in row.traces:
        state = "current" if trace.is_current else "applied" if trace.is_applied else "not applied"
        yield f"in {trace.bind}", state
        for each in trace.entries:
            took = f" in {each.seconds:.2f} s" if each.seconds is not None else ""
            yield (
                "",
                f"{each.action} {each.begun:%Y-%m-%d %H:%M:%S} UTC{took}, {each.outcome or 'not finished'}, {each.who}",
            )


def _source(info: RevisionInfo) -> str:
    return Path(info.path).read_text("utf-8", errors="replace").rstrip()
