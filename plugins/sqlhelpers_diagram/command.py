"""``sqlhelpers diagram``."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Literal, cast

import click

from sqlhelpers.cli import apps, databases, open_runtime
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers.suggestions import refuse_unknown_apps
from sqlhelpers_diagram import draw
from sqlhelpers_diagram.drawing import finish, format_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlhelpers import Runtime

_FORMATS = ("mermaid", "dot", "svg")


@click.command()
@apps
@databases
@click.option("--format", "wanted", type=click.Choice(_FORMATS), help="Default: by the suffix of FILE, else mermaid.")
@click.option("-o", "--output", "file", metavar="FILE", help="Write to FILE, .mmd, .md, .dot or .svg, not to stdout.")
@click.option(
    "--columns",
    type=click.Choice(["all", "keys", "none"]),
    default="all",
    show_default=True,
    help="Which columns to draw.",
)
def diagram(
    apps: Sequence[str],
    binds: Sequence[str],
    wanted: str | None,
    file: str | None,
    columns: Literal["all", "keys", "none"],
) -> None:
    """Draw the tables of the models, and how they refer to each other. No database is asked.

    Example: sqlhelpers diagram bookshop -o bookshop.svg
    """
    chosen = cast("Literal['mermaid', 'dot', 'svg']", format_for(wanted, file, _FORMATS))
    with open_runtime() as runtime, redirect_stdout(sys.stderr):  # what models print is not data
        tables = {name: runtime.tables[name] for name in runtime.apps}  # in their order
        namings = {name: runtime.registry.naming(app.bind) for name, app in runtime.apps.items()}
        drawn = _wanted(runtime, apps, binds)
        drawing = draw(tables, apps=drawn, columns=columns, format=chosen, namings=namings)
    finish(drawing, chosen, file)


def _wanted(runtime: Runtime, names: Sequence[str], binds: Sequence[str]) -> list[str]:
    """Return the names of the apps to draw.

    Raises:
        ConfigurationError: there is no such app or database, or nothing to draw.
    """
    refuse_unknown_apps(names, runtime.apps)
    drawn = runtime.binds(binds) if binds else [app.bind for app in runtime.apps.values()]
    found = [name for name, app in runtime.apps.items() if (not names or name in names) and app.bind in drawn]
    if not any(runtime.tables[name] for name in found):
        where = f" in database {' or '.join(binds)}" if binds else ""
        raise ConfigurationError(f"there is nothing to draw: no table of {' or '.join(names) or 'any app'}{where}")
    return found
