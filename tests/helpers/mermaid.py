"""Reads what our drawings in Mermaid may hold, and refuses all else: a narrower grammar than Mermaid's own."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

#: Names that mean something to Mermaid, Markdown, HTML, XML or DOT.
NASTY = (
    *(
        "class",
        "end",
        "style",
        "one",
        "many",
        "to",
        "u",
        "x",
        "o",
        "title",
        "subgraph",
        "classDef",
        "erDiagram",
        "graph",
    ),
    *("default", "click", "href", "PK", "fk", "Uk"),
    *("direction TB", "xdirection  LR", "only one", "zero or more", "many(0)", "1+", "accTitle: x", "accDescr {"),
    *("%% comment", "%%{init: {}}%%", "#35;", "#quot;", "&amp;", "<b>bold</b>", "<br/>", "a&b<c>d", "]]>", "<!-- -->"),
    *('say "yes"', "it's", "`tick`", "[br]", "{br}", "(p)", "a|b", "a||--o{b", "a;b", "style a:#x;", ":::c", "a=b"),
    *("**bold**", "__dunder__", "_x_", "x_", "_", "~a~", "1. one", "- item", "+ p", "> q", "# h", "9lives", "0", "-"),
    *("größe", "日本語", "emoji 🎉", "back\\slash", "\\N", "http://x.y", "www.example.com", "a.b", "a@b.c", "$$x$$"),
    *("new\nline", "tab\there", "bell\x07", "a  b", "\u2028x", "A" * 300),
)

_TEXT = r'"([^"%\\\n<>]*)"'
_NAME = r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*_?"
_ENTITY = re.compile(rf"    ({_NAME})(?:\[{_TEXT}\])?:::({_NAME})(?: (\{{))?")
_FIELD = re.compile(rf"        ({_NAME}(?:\(\w+\))?) ({_NAME})((?: [PFU]K,?)*)(?: {_TEXT})?")
_RELATION = re.compile(rf"    ({_NAME}) (\|\||\|o)(--|\.\.)(o\||o\{{) ({_NAME}) : {_TEXT}")
_CLASS = re.compile(rf"    classDef ({_NAME}) fill:(#\w+),stroke:#\w+,color:#\w+")
_LEGEND = re.compile(r'title: "(?:[^"\\]|\\.)*"')


@dataclass
class Entity:
    """What is drawn of one table."""

    label: str
    style: str
    fields: list[tuple[str, str, list[str], str]] = field(default_factory=list)


@dataclass
class Diagram:
    """An entity-relationship diagram: entities and colours by name, relations as four texts, and the legend."""

    entities: dict[str, Entity]
    relations: list[tuple[str, str, str, str]]
    fills: dict[str, str]
    legend: str


def decoded(text: str) -> str:
    """Return what a text of Mermaid shows."""
    assert not re.search(r"(?i)direction\s|www\.|[`*:;]", re.sub(r"#\d+;", "", text)), text
    assert not re.search(r"(?<![^\W_])_|_(?![^\W_])|#(?!\d+;)", text), text
    return html.unescape(re.sub(r"#(\d+);", r"&#\1;", text))


def diagram(text: str) -> Diagram:
    """Return what a diagram says.

    Raises:
        AssertionError: a line is none that a diagram may have.
    """
    head, _, body = text.partition("\nerDiagram\n")
    found = Diagram({}, [], {}, "".join(_LEGEND.findall(head)))
    entity = None
    for line in body.splitlines():
        if match := _CLASS.fullmatch(line):
            found.fills[match[1]] = match[2]
        elif match := _RELATION.fullmatch(line):
            assert {match[1], match[5]} <= found.entities.keys()
            found.relations.append((match[1], f"{match[2]}{match[3]}{match[4]}", match[5], decoded(match[6])))
        elif match := _ENTITY.fullmatch(line):
            assert entity is None or line != ""
            assert match[1] not in found.entities
            entity = Entity(match[1] if match[2] is None else decoded(match[2]), match[3])
            found.entities[match[1]] = entity
        elif match := _FIELD.fullmatch(line):
            assert entity is not None
            assert match[2].lower() not in {"pk", "fk", "uk"}
            comment = decoded(match[4] or "")
            entity.fields.append((match[1], match[2], re.findall(r"\wK", match[3]), comment))
        else:
            assert line == "    }", line
    return found


_LABEL = r'"((?:[^"%\\\n<>]|<br/>|</?[bi]>)*)"'
_NODE = re.compile(rf"        ({_NAME})(\(\[|\{{\{{|\[){_LABEL}(\]\)|\}}\}}|\]):::(\w+)")
_EDGE = re.compile(rf'        ({_NAME}) (-->|-\. "depends on" \.->) ({_NAME})')
_BETWEEN = re.compile(rf"    ({_NAME}) -\. before \.-> ({_NAME})")
_SUBGRAPH = re.compile(rf"    subgraph ({_NAME})\[{_TEXT}\]")
_LOOK = re.compile(r"    (?:style|classDef) (\w+) (?:(?:fill|stroke|color|stroke-width|stroke-dasharray):#?\w+,?)+")
_HERE = re.compile(r"        class ([\w,]+) here")


@dataclass
class Flowchart:
    """A revision graph.

    Attributes:
        groups: the titles of the subgraphs by name.
        nodes: the shape, the lines and the look of each node by name.
        members: the subgraph of each node.
        edges: from where, to where, and whether it is no ``depends_on``.
        between: which subgraph comes before which.
        here: the nodes that a database is at.
    """

    groups: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, tuple[str, list[str], str]] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str, bool]] = field(default_factory=list)
    between: list[tuple[str, str]] = field(default_factory=list)
    here: set[str] = field(default_factory=set)

    def labelled(self, name: str) -> list[str]:
        """Return the lines of a node."""
        return self.nodes[name][1]


def flowchart(text: str) -> Flowchart:
    """Return what a revision graph says.

    Raises:
        AssertionError: a line is none that a graph may have.
    """
    found, group, looks = Flowchart(), "", set()
    for line in text.partition("\nflowchart LR\n")[2].splitlines():
        if match := _SUBGRAPH.fullmatch(line):
            group = match[1]
            assert group not in found.groups
            found.groups[group] = decoded(match[2])
        elif match := _NODE.fullmatch(line):
            assert match[1] not in found.nodes.keys() | found.groups.keys()
            lines = [decoded(re.sub("</?[bi]>", "", each)) for each in match[3].split("<br/>")]
            found.nodes[match[1]] = (match[2] + match[4], lines, match[5])
            found.members[match[1]] = group
        elif match := _EDGE.fullmatch(line):
            assert {match[1], match[3]} <= found.nodes.keys()
            found.edges.append((match[1], match[3], match[2] == "-->"))
        elif match := _BETWEEN.fullmatch(line):
            found.between.append((match[1], match[2]))
        elif match := _HERE.fullmatch(line):
            found.here |= set(match[1].split(","))
        elif match := _LOOK.fullmatch(line):
            looks.add(match[1])
        else:
            assert line in ("    end", "        direction TB"), line
    assert {look for _, _, look in found.nodes.values()} <= looks
    return found
