"""Takes the screens of docs/screens.md: what the main commands print on a terminal, as pictures.

``make docs-screens``, or ``make(folder)``. The commands are run for a small shop in a temporary folder, on a terminal
of a fixed width. A test compares the pictures with what the commands print.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parent / "screens"
WIDTH = 100
_ROWS = 60
_HOME = "/home/me/src/shop"  # as long as the temporary folder, so that what is lined up stays so
_TEMPORARY: dict[str, Any] = {"prefix": "shop", "dir": "/tmp"}  # noqa: S108  # a path of one length everywhere

MODELS = """\
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from sqlhelpers import Base


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
"""
BOOK = """

class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    title: Mapped[str] = mapped_column(String(100), index=True)
"""
RATING = "    rating: Mapped[int | None] = mapped_column(index=True)\n"
LANGUAGE = "    language: Mapped[str | None] = mapped_column(String(2))\n"

_VERSIONS = {"SQLAlchemy": "2.1.0", "Alembic": "1.20.0", "Python": "3.13.1", "SQLite": "3.50.1", "aiosqlite": "0.22.1"}

#: What differs from machine to machine and from day to day, and how the pictures have it.
VARIABLE = (
    (r"/tmp/shop\w{8}", _HOME),  # noqa: S108
    *((rf"\b{name} \d+\.[\d.a-z]*\d", f"{name} {version}") for name, version in _VERSIONS.items()),
    (r"\d+\.\d ms", "0.3 ms"),
    (r"\d+\.\d MiB", "0.1 MiB"),
)

_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
    font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{
    font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 18px; font-weight: bold;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Screen(NamedTuple):
    """What a command has printed.

    Attributes:
        command: what was typed.
        printed: what came, with its colours.
    """

    command: str
    printed: str

    def picture(self, name: str) -> str:
        """Return it as SVG, which loads nothing from anywhere."""
        console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        console.print(Text.assemble(("$ ", "dim"), (self.command, "bold")))
        console.print(Text.from_ansi(self.printed), overflow="fold")
        console.print()  # the last line is cut at the bottom
        made = console.export_svg(title=self.command, code_format=_FORMAT, font_aspect_ratio=0.602, unique_id=name)
        return "".join(f"{line.rstrip()}\n" for line in made.splitlines())


class Shop:
    """The project of the screens, at the beginning with nothing in it.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._write("pyproject.toml", '[tool.sqlhelpers]\napps = {shop = {package = "shop"}}\n')
        self._write("shop/__init__.py", "")
        self._write("shop/models.py", MODELS)

    def types(self, command: str, url: str = "sqlite:///shop.db", **env: str) -> Screen:
        """Run a command on a terminal of its own, and return what it has printed there."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, WIDTH, 0, 0))
        words = [sys.executable, "-m", *shlex.split(command)]
        # the commands are those above
        environment = {**self._environment(url), **env}
        with subprocess.Popen(words, cwd=self._folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):  # noqa: S603
            os.close(theirs)
            printed = _read(ours)
        for pattern, instead in VARIABLE:
            printed = re.sub(pattern, instead, printed)
        return Screen(command, printed.replace("\r\n", "\n").strip("\n"))

    def revises(self, message: str, revision: str, date: str, *models: str) -> Screen:
        """Add to the models, and return the screen of the revision that was written, as if on a certain day."""
        file = self._folder / "shop" / "models.py"
        file.write_text(file.read_text("utf-8") + "".join(models), "utf-8")
        screen = self.types(f"sqlhelpers revision shop -m '{message}' --rev-id {revision}")
        for each in self._folder.glob(f"shop/migrations/versions/{revision}_*.py"):
            text = each.read_text("utf-8")
            each.write_text(re.sub("(?<=Create Date: ).*", date, text), "utf-8")
        return Screen(screen.command.partition(" --rev-id")[0], screen.printed)

    def _environment(self, url: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SQLHELPERS_", "NO_COLOR"))}
        return {
            **kept,
            "DATABASE_URL": url,
            "SQLHELPERS_DISABLE_PLUGINS": "bookshop,countries",  # the examples, where they are installed
            "TERM": "xterm-256color",
            "COLUMNS": str(WIDTH),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _write(self, path: str, text: str) -> None:
        (self._folder / path).parent.mkdir(exist_ok=True)
        (self._folder / path).write_text(text, "utf-8")


def _read(terminal: int) -> str:
    """Return all that is printed to a terminal, until nobody has it open any more."""
    found = b""
    try:
        while block := os.read(terminal, 65536):
            found += block
    except OSError:  # so Linux tells that the other end is closed
        pass
    finally:
        os.close(terminal)
    return found.decode("utf-8", "replace")


def taken() -> dict[str, Screen]:
    """Return the screens by name, in the order in which the commands are typed."""
    with tempfile.TemporaryDirectory(**_TEMPORARY) as folder:
        shop = Shop(Path(folder))
        shop.types("sqlhelpers init shop")
        shop.revises("add authors", "3f2a1c9d8e7b", "2024-05-06 07:08:09+00:00")
        shop.types("sqlhelpers run-sync")
        shop.revises("add books", "7be40d52c1a9", "2024-05-07 10:11:12+00:00", BOOK)
        found = {
            "help": shop.types("sqlhelpers --help"),
            "created": shop.types("sqlhelpers run-sync", "sqlite:///new.db"),
            "status": shop.types("sqlhelpers status"),
            "history": shop.types("sqlhelpers history -i"),
            "upgraded": shop.types("sqlhelpers run-sync"),
            "up-to-date": shop.types("sqlhelpers run-sync"),
            "current": shop.types("sqlhelpers current"),
            "doctor": shop.types("sqlhelpers doctor"),
            "revision": shop.revises("add ratings", "c52e91a07f34", "2024-05-08 13:14:15+00:00", RATING),
            "lint": shop.types("sqlhelpers lint --no-squawk", "postgresql://shop@db/shop"),
            "plugins": shop.types("sqlhelpers plugins", SQLHELPERS_DISABLE_PLUGINS=""),
            "error": shop.types("sqlhelpers upgrade shpo"),
        }
        shop.types("sqlhelpers run-sync")
        (file,) = Path(folder).glob("shop/models.py")
        file.write_text(file.read_text("utf-8") + LANGUAGE, "utf-8")
        return {**found, "check": shop.types("sqlhelpers check")}


def make(folder: Path = FOLDER) -> list[Path]:
    """Write the pictures into a folder, and return their files."""
    folder.mkdir(exist_ok=True)
    made = []
    for name, screen in taken().items():
        made.append(folder / f"{name}.svg")
        made[-1].write_text(screen.picture(name), "utf-8")
    return made


if __name__ == "__main__":
    make()
