"""The command ``sqlhelpers graph``: the revisions of all apps, how they follow each other, and which app comes first.

It is a plugin, which is imported wherever a ``Runtime`` is: all that takes a while is imported when it draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers import hookimpl

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Literal

    import click

    from sqlhelpers import Runtime
    from sqlhelpers_graph.stories import Story

__all__ = ["LAST", "draw", "read", "sqlhelpers_register_commands"]

#: How many revisions of an app are drawn, if nothing else is said.
LAST = 50


@hookimpl
def sqlhelpers_register_commands(cli: click.Group) -> None:
    """Add ``sqlhelpers graph``."""
    from sqlhelpers_graph.command import graph

    cli.add_command(graph)


def read(
    runtime: Runtime,
    *,
    apps: Collection[str] = (),
    binds: Sequence[str] = (),
    last: int | None = LAST,
    current: bool = False,
) -> tuple[Story, ...]:
    """Return the histories to draw, in the order in which they are synced.

    Args:
        runtime: knows the apps and their revisions.
        apps: the names of the apps; all of them if empty.
        binds: the names of the databases; all of them if empty.
        last: how many revisions of each app, the newest; None for all.
        current: ask the databases where they are. No connection is made without that.

    Raises:
        AppError: there is no such app.
        UnknownBind: there is no such database.
        DatabaseFailure: a database cannot be reached.
    """
    from sqlhelpers_graph import stories

    return stories.read(runtime, apps, binds, last, current=current)


def draw(
    histories: Sequence[Story],
    *,
    format: Literal["mermaid", "dot", "svg", "text"] = "mermaid",  # noqa: A002  # as the option is called
) -> str:
    """Return the revision graph of histories.

    Example:
        ``draw(read(runtime))``

    Args:
        histories: what ``read`` returns.
        format: ``mermaid``, ``dot``, ``svg`` or ``text``.

    Raises:
        ConfigurationError: SVG is asked for, and Graphviz is not installed.
        SqlhelpersError: Graphviz fails.
    """
    from sqlhelpers_diagram.drawing import svg
    from sqlhelpers_graph import dot, mermaid, text

    if format == "mermaid":
        return mermaid.draw(histories)
    if format == "text":
        return text.draw(histories)
    return svg(dot.draw(histories)) if format == "svg" else dot.draw(histories)
