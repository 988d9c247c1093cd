"""The command ``sqlhelpers diagram``: the entity-relationship diagram of the discovered models, coloured by app.

It is a plugin, which is imported wherever a ``Runtime`` is: all that takes a while is imported when it draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers import hookimpl

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Literal

    import click
    from sqlalchemy import Table

    from sqlhelpers.backends import Naming

__all__ = ["draw", "sqlhelpers_register_commands"]


@hookimpl
def sqlhelpers_register_commands(cli: click.Group) -> None:
    """Add ``sqlhelpers diagram``."""
    from sqlhelpers_diagram.command import diagram

    cli.add_command(diagram)


def draw(
    tables: Mapping[str, Sequence[Table]],
    *,
    apps: Collection[str] | None = None,
    columns: Literal["all", "keys", "none"] = "all",
    format: Literal["mermaid", "dot", "svg"] = "mermaid",  # noqa: A002  # as the option is called
    namings: Mapping[str, Naming] | None = None,
) -> str:
    """Return the entity-relationship diagram of tables.

    Example:
        ``draw(runtime.tables)``, or ``draw({"shop": Base.metadata.sorted_tables})`` without a runtime.

    Args:
        tables: the tables of each app. The place of an app decides its colour.
        apps: the apps to draw; None for all. Of others, the tables that foreign keys refer to are drawn, by name.
        columns: all of them, those of keys, or none.
        format: ``mermaid``, ``dot`` or ``svg``.
        namings: of each app, which names mean the same table in its database; without one, only equal names do.

    Raises:
        ConfigurationError: SVG is asked for, and Graphviz is not installed.
        SqlhelpersError: Graphviz fails.
    """
    from sqlhelpers_diagram import dot, drawing, mermaid
    from sqlhelpers_diagram.entities import diagram_of

    diagram, colours = diagram_of(tables, apps, columns, namings), drawing.colours_of(tables)
    if format == "mermaid":
        return mermaid.draw(diagram, colours)
    text = dot.draw(diagram, colours)
    return drawing.svg(text) if format == "svg" else text
