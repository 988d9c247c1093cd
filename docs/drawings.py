"""Draws the bookshop for docs/drawing.md: the pictures beside the page, and the texts in it.

``make docs-drawings``. A test compares the page with what the commands print.
"""

from __future__ import annotations

import re
from pathlib import Path

import sqlhelpers_diagram
import sqlhelpers_graph
from sqlhelpers import Runtime, Settings

DOCS = Path(__file__).parent
PAGE = DOCS / "drawing.md"


def drawn() -> tuple[dict[str, str], list[str]]:
    """Return the pictures by their file names, and the texts in the order in which the page has them."""
    settings = Settings(databases={"default": "sqlite://"}, enable_apps=["bookshop", "countries"])
    with Runtime(settings) as runtime:
        histories = sqlhelpers_graph.read(runtime)
        tables = {name: runtime.tables[name] for name in runtime.apps}
    pictures = {
        "bookshop-graph.svg": sqlhelpers_graph.draw(histories, format="svg"),
        "bookshop-diagram.svg": sqlhelpers_diagram.draw(tables, format="svg"),
    }
    texts = [
        sqlhelpers_graph.draw(histories),
        sqlhelpers_graph.draw(histories, format="text"),
        sqlhelpers_diagram.draw(tables),
    ]
    return pictures, texts


def main() -> None:
    """Write the pictures, and put the texts into the page."""
    pictures, texts = drawn()
    for name, picture in pictures.items():
        (DOCS / name).write_text(picture, "utf-8")
    waiting = iter(texts)
    page = re.sub(
        r"^```(mermaid|text)\n.*?^```$",
        lambda found: f"```{found[1]}\n{next(waiting).rstrip()}\n```",
        PAGE.read_text("utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
