"""What the drawings of plugins have in common: colours, quoting, Graphviz, and where a drawing goes."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from sqlhelpers.cli import note
from sqlhelpers.exceptions import ConfigurationError, SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

N = TypeVar("N", bound="Hashable")

#: The format that the suffix of a file stands for.
SUFFIXES = {
    ".md": "mermaid",
    ".mermaid": "mermaid",
    ".mmd": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "svg",
    ".txt": "text",
}

INK = "#1b1f24"  # text on any of the colours
FAINT = "#57606a"  # text that matters less, on white or a tint
GREY = "#768390"  # lines, and text on the page itself: it is told from white and from black
FONT = "Helvetica,Arial,sans-serif"

_WITHIN = 120.0  # seconds
_MERMAIDS_MOST = 50_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Colour(NamedTuple):
    """The colour of one app: what it is called, for areas that hold ``INK``, paler, and for lines on white or black."""

    name: str
    fill: str
    tint: str
    line: str


# the fills are Paul Tol's "light" scheme, made for dark text on them and for every kind of colour vision
COLOURS = (
    Colour("blue", "#77aadd", "#e4eef8", "#4477aa"),
    Colour("orange", "#ee8866", "#fce7e0", "#c4572f"),
    Colour("yellow", "#eedd88", "#fcf8e7", "#a08a1e"),
    Colour("mint", "#44bb99", "#daf1eb", "#22886c"),
    Colour("pink", "#ffaabb", "#ffeef1", "#cc5570"),
    Colour("cyan", "#99ddff", "#ebf8ff", "#3a8fb7"),
    Colour("pear", "#bbcc33", "#f1f5d6", "#7a8a14"),
    Colour("olive", "#aaaa00", "#eeeecc", "#77770a"),
)
#: What belongs to no app.
NOBODYS = Colour("grey", "#dddddd", "#f6f6f6", GREY)


def colours_of(names: Iterable[N]) -> dict[N, Colour]:
    """Return a colour for each name, by its place; the ninth has that of the first again."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(dict.fromkeys(names))}


def one_line(text: str) -> str:
    """Return the text without what would break a line, or be refused in XML."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split("\n")))


def shortened(text: str, most: int) -> str:
    """Return the text, or its beginning and an ellipsis if it has more than ``most`` characters; words stay whole."""
    if len(text) <= most:
        return text
    words, _, cut = text[:most].rpartition(" ")
    kept = words if len(words) > most // 2 else f"{words} {cut[:-1]}".strip()
    return f"{kept.rstrip(' ,;:')}\N{HORIZONTAL ELLIPSIS}"


def in_dot(text: str) -> str:
    """Return the text as a string of DOT, which may be a label."""
    escaped = one_line(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{escaped}"'


def in_dots_html(text: str) -> str:
    """Return the text for a label of DOT that is HTML."""
    return html.escape(one_line(text))


def in_mermaid(text: str) -> str:
    """Return the text for between quotes in Mermaid.

    Mermaid takes what is between quotes for Markdown, and looks for directives and comments there as well. So letters,
    digits and what is harmless where it stands are left as they are, and everything else is written by its number.
    """
    text = one_line(text)
    padded = f" {text} "
    around = zip(padded, text, padded[2:], strict=False)
    written = "".join(each if _is_harmless(before, each, after) else f"#{ord(each)};" for before, each, after in around)
    return re.sub(r"(?i)www\.|d(?=irection\s)", lambda found: f"{found[0][:-1]}#{ord(found[0][-1])};", written)


def _is_harmless(before: str, character: str, after: str) -> bool:
    return (
        character.isalnum()
        or character in "(),/\N{HORIZONTAL ELLIPSIS}"
        or (character in "._-" and before.isalnum() and after.isalnum())
        or (character == " " and before != " " and after != " ")
    )


# all that begins a statement or stands between two names, in any of the two kinds of diagram
_WORDS = frozenset(
    re.findall(
        r"\w+",
        "accdescr acctitle bt call class classdef click default direction end erdiagram flowchart graph href "
        "interpolate linkstyle lr many o one only optionally rl style subgraph tb td title to u x zero",
    )
)


class MermaidNames:
    """Identifiers for Mermaid, each given once. They are the names themselves as far as these are plain words.

    Args:
        reserved: what means something else where they stand, in lower case.
    """

    def __init__(self, reserved: Collection[str] = _WORDS) -> None:
        self._reserved = reserved
        self._given: set[str] = set()

    def plain(self, name: str) -> str:
        """Return the name with an underscore for what a word must not have; Markdown leaves it as it is."""
        word = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        if not word or word[0].isdigit():
            word = f"n_{word}".rstrip("_")
        return f"{word}_" if word.lower() in self._reserved else word

    def give(self, name: str) -> str:
        """Return an identifier that has not been given yet."""
        plain = self.plain(name)
        found, number = plain, 1
        while found in self._given:
            number += 1
            found = f"{plain.rstrip('_')}_{number}"
        self._given.add(found)
        return found


def svg(dot: str) -> str:
    """Return what Graphviz draws.

    Args:
        dot: the text of a graph in DOT.

    Raises:
        ConfigurationError: Graphviz is not installed.
        SqlhelpersError: it fails, or takes too long.
    """
    program = shutil.which("dot")
    if program is None:
        raise ConfigurationError(
            "SVG is drawn by Graphviz, and there is no program `dot`: install the package graphviz (apt, dnf, brew, "
            "winget), or take --format mermaid, which needs nothing",
        )
    try:
        done = subprocess.run(  # noqa: S603  # no shell, and the graph comes through stdin
            [program, "-Tsvg"],
            input=dot,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SqlhelpersError(f"{program} has not drawn it within {_WITHIN:g} s; draw less at once") from error
    except OSError as error:
        raise SqlhelpersError(f"{program} cannot be run: {error}") from error
    if done.returncode or not done.stdout:
        raise SqlhelpersError(f"{program} ended with {done.returncode}: {' '.join(done.stderr.split())}")
    return done.stdout


def format_for(given: str | None, file: str | None, formats: Sequence[str]) -> str:
    """Return the format that is asked for by name, or by the suffix of a file; the first one if by none.

    Args:
        given: its name.
        file: the path of the file; None or ``-`` for stdout.
        formats: those that there are.

    Raises:
        ConfigurationError: the suffix stands for another format, or for none that is known.
    """
    if file in (None, "-"):
        return given or formats[0]
    suffix = Path(file or "").suffix.lower()
    known = {each: stands_for for each, stands_for in SUFFIXES.items() if stands_for in formats}
    if given is None:
        if suffix not in known:
            raise ConfigurationError(f"{file}: say --format, or take one of the suffixes {' '.join(known)}")
        return known[suffix]
    is_fenced = suffix == ".md" and given != "svg"
    if known.get(suffix, given) != given and not is_fenced:
        raise ConfigurationError(f"{file}: what --format {given} gives does not go into a file named {suffix}")
    return given


def finish(drawing: str, drawn: str, file: str | None) -> None:
    """Print a drawing, or write it into a file; fenced, if it is a file of Markdown.

    Args:
        drawing: the text.
        drawn: its format.
        file: the path of the file; None or ``-`` for stdout.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    text = f"{drawing.rstrip()}\n"
    if drawn == "mermaid" and len(text) > _MERMAIDS_MOST:
        limit = f"more than {_MERMAIDS_MOST:,} characters, unless its maxTextSize allows them"
        note(f"this has {len(text):,} characters, and Mermaid draws no text with {limit}")
    if file in (None, "-"):
        click.echo(text, nl=False)
        return
    path = Path(file)
    if path.suffix.lower() == ".md":
        fence = "`" * max(3, *(len(each) + 1 for each in re.findall("`+", text)), 3)
        text = f"{fence}{drawn}\n{text}{fence}\n"
    try:
        path.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror or error}") from error
