"""``sqlhelpers graph``."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Literal, cast

import click

from sqlhelpers.cli import apps, databases, open_runtime
from sqlhelpers_diagram.drawing import finish, format_for
from sqlhelpers_graph import LAST, draw, read

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMATS = ("mermaid", "dot", "svg", "text")


@click.command()
@apps
@databases
@click.option("--format", "wanted", type=click.Choice(_FORMATS), help="Default: by the suffix of FILE, else mermaid.")
@click.option(
    "-o", "--output", "file", metavar="FILE", help="Write to FILE, .mmd, .md, .dot, .svg or .txt, not to stdout."
)
@click.option(
    "--last",
    metavar="N",
    type=click.IntRange(min=0),
    default=LAST,
    show_default=True,
    help="So many revisions an app; 0 for all.",
)
@click.option("--current", is_flag=True, help="Ask the databases, and mark the revisions that they are at.")
def graph(
    apps: Sequence[str],
    binds: Sequence[str],
    wanted: str | None,
    file: str | None,
    last: int,
    *,
    current: bool,
) -> None:
    """Draw the revisions of all apps, how they follow each other, and which app comes first.

    Example: sqlhelpers graph bookshop --format text --current
    """
    chosen = cast("Literal['mermaid', 'dot', 'svg', 'text']", format_for(wanted, file, _FORMATS))
    with open_runtime() as runtime, redirect_stdout(sys.stderr):  # what models and revisions print is not data
        histories = read(runtime, apps=apps, binds=binds, last=last or None, current=current)
    finish(draw(histories, format=chosen), chosen, file)
