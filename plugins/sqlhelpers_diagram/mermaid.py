"""The entity-relationship diagram in Mermaid, as far as its versions since 11.6 agree."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sqlhelpers_diagram.drawing import (
    GREY,
    INK,
    NOBODYS,
    Colour,
    MermaidNames,
    in_mermaid,
    one_line,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlhelpers_diagram.entities import Diagram, Entity, Field, Relation

# few versions take a comma in it
_TYPE = re.compile(r"(?!(?i:[FPU]K)\b)[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*(\([A-Za-z0-9]+\))?")
_LONGEST = 60  # characters of a comment


def draw(diagram: Diagram, colours: Mapping[str, Colour]) -> str:
    """Return the text of a diagram.

    Args:
        diagram: what to draw.
        colours: the colour of each app.
    """
    names, classes = MermaidNames(), MermaidNames()
    found = dict.fromkeys(entity.app for entity in diagram.entities)
    styles = {app: classes.give(f"app_{app}" if app else "elsewhere") for app in found}
    ids = {entity.key: names.give(entity.name) for entity in diagram.entities}
    lines = [*_head([(app, colours[app]) for app in found if app is not None]), "erDiagram"]
    for app, style in styles.items():
        colour = NOBODYS if app is None else colours[app]
        lines.append(f"    classDef {style} fill:{colour.tint},stroke:{colour.line},color:{INK}")
    for entity in diagram.entities:
        lines += _entity(entity, ids[entity.key], styles[entity.app])
    lines += (_relation(relation, ids) for relation in diagram.relations)
    return "\n".join(lines) + "\n"


def _head(apps: list[tuple[str, Colour]]) -> Iterator[str]:
    """Yield what makes it look the same on a light and on a dark page, and says which colour is whose."""
    variables = {
        "primaryTextColor": INK,
        "nodeBorder": GREY,
        "lineColor": GREY,
        "textColor": GREY,
        "titleColor": GREY,
        "rowOdd": "#ffffff",
        "rowEven": "#ffffff",
        "tertiaryColor": "#ffffff",
        "edgeLabelBackground": "#ffffff",
    }
    yield "---"
    if len(apps) > 1:
        legend = ", ".join(f"{one_line(app)}: {colour.name}" for app, colour in apps)
        yield f"title: {json.dumps(legend)}"
    yield "config:"
    yield "    theme: base"
    yield "    themeVariables:"
    yield from (f'        {name}: "{value}"' for name, value in variables.items())
    yield "---"


def _entity(entity: Entity, identifier: str, style: str) -> Iterator[str]:
    label = "" if identifier == entity.name else f'["{in_mermaid(entity.name)}"]'
    start = f"    {identifier}{label}:::{style}"
    if not entity.fields:
        yield start
        return
    yield f"{start} {{"
    given = MermaidNames({"fk", "pk", "uk"})
    yield from (f"        {_field(field, given)}" for field in entity.fields)
    yield "    }"


def _field(field: Field, given: MermaidNames) -> str:
    """Return a line: two words and the keys, and a comment with all that these cannot say."""
    is_plain = bool(_TYPE.fullmatch(field.type))
    word = field.type if is_plain else given.plain(re.split(r"[(\[]", field.type)[0])
    name = given.give(field.name)
    comment = [
        *([field.name] if name != field.name else []),
        *(["null"] if field.is_nullable else []),
        *([field.type] if not is_plain and word.replace("_", " ") != field.type else []),
        *(f"unique with {', '.join(names)}" for names in field.unique_with),
    ]
    said = in_mermaid(shortened(", ".join(comment), _LONGEST))
    return " ".join(part for part in (word, name, ", ".join(field.marks), said and f'"{said}"') if part)


def _relation(relation: Relation, ids: Mapping[tuple[str | None, str], str]) -> str:
    parents = "|o" if relation.is_optional else "||"
    children = "o|" if relation.is_single else "o{"
    line = "--" if relation.is_identifying else ".."
    label = in_mermaid(shortened(", ".join(relation.columns), _LONGEST))
    return f'    {ids[relation.parent]} {parents}{line}{children} {ids[relation.child]} : "{label}"'
