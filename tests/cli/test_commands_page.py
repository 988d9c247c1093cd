"""``docs/commands.md``: every command and option is there, and the examples print what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from databases import AUTHOR, BOOK, MODELS, TITLE
from projects import revision_text

from sqlhelpers import cli

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
SECTIONS = {match[1]: match[2] for match in re.finditer(r"^### (\S+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)}
CORE = {
    name: command
    for name, command in cli.cli.commands.items()
    if command.callback and command.callback.__module__.startswith("sqlhelpers.cli.")
}
REVISIONS = {
    "a1f3c2_add_authors.py": revision_text("a1f3c2", AUTHOR, doc="Add authors", downgrade="op.drop_table('author')"),
    "b7e4d0_add_books.py": revision_text("b7e4d0", BOOK, "a1f3c2", doc="Add books", downgrade="op.drop_table('book')"),
    "c52e91_give_books_a_title.py": revision_text(
        "c52e91",
        TITLE,
        "b7e4d0",
        doc="Give books a title",
        downgrade="op.drop_index('ix_book_title', 'book')\nop.drop_column('book', 'title')",
    ),
}
#: What is different each time, and how the page has it.
VARIABLE = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?!\.)", "2024-06-01 09:00:00"),
    (r"\b\d+\.\d\d s\b", "0.01 s"),
    (r"\S+@\S+ pid \d+", "deploy@web-1 pid 4711"),
)


def plain(text: str, folder: Path) -> str:
    """Return what a command has printed as the page may have it."""
    text = text.replace(str(folder), "/srv")
    for pattern, instead in VARIABLE:
        text = re.sub(pattern, instead, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def examples() -> list[tuple[list[str], str]]:
    """Return the commands on the page, and what they are said to print."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        for line, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            if line.startswith("sqlhelpers "):
                found.append((shlex.split(line)[1:], output))
    return found


@pytest.mark.parametrize("name", sorted(CORE))
def test_every_command_is_described(name):
    """With an example, and each of its options."""
    section = SECTIONS.get(name, "")
    options = [param for param in CORE[name].params if isinstance(param, click.Option) and not param.hidden]
    missing = [option.opts[-1] for option in options if not any(f"`{each}" in section for each in option.opts)]

    assert f"sqlhelpers {name}" in section
    assert missing == []


def test_commands_of_plugins_are_mentioned():
    """With the page that describes them; all pages that are linked are there."""
    docs = Path(__file__).parents[2] / "docs"
    linked = set(re.findall(r"\]\(([^)#]+)", PAGE))

    assert {"migrations.md", "doctor.md", "shell.md", "drawing.md", "lint.md"} <= linked
    assert all((docs / page).is_file() for page in linked)
    assert all(f"`sqlhelpers {name}`" in PAGE for name in ("graph", "diagram", "lint"))


def test_no_other_command_is_described():
    """One that was renamed or removed."""
    assert SECTIONS.keys() <= cli.cli.commands.keys()


def test_the_examples_print_what_the_page_says(project, command):
    """One after the other, in one project; three dots stand for what differs from machine to machine."""
    project.write_app("shop", MODELS, REVISIONS)
    project.write_pyproject(
        '[tool.sqlhelpers]\napps = {shop = {package = "shop"}}\ndatabases = {default = "sqlite:///shop.db"}\n'
    )
    for words, expected in examples():
        found = plain(command(*words).output, project.folder)

        assert found if expected == "...\n" else found == expected, (words, found, expected)
