"""The entity-relationship diagram in DOT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers_diagram.drawing import FAINT, FONT, GREY, INK, NOBODYS, Colour, in_dot, in_dots_html, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlhelpers_diagram.entities import Diagram, Entity, Field, Relation

_LONGEST = 32  # characters of a type


def draw(diagram: Diagram, colours: Mapping[str, Colour]) -> str:
    """Return the text of a diagram.

    Args:
        diagram: what to draw.
        colours: the colour of each app.
    """
    nodes = {entity.key: f"t{number}" for number, entity in enumerate(diagram.entities, 1)}
    lines = [
        "digraph diagram {",
        f'    graph [rankdir=LR, bgcolor=transparent, fontname="{FONT}", fontsize=13, nodesep=0.35, ranksep=0.9]',
        f'    node [shape=plain, fontname="{FONT}", fontsize=11, fontcolor="{INK}"]',
        f'    edge [color="{GREY}", dir=both, penwidth=1.1, arrowsize=0.8]',
    ]
    for number, app in enumerate(dict.fromkeys(entity.app for entity in diagram.entities), 1):
        colour = NOBODYS if app is None else colours[app]
        lines += _cluster(number, app, colour)
        for entity in diagram.entities:
            if entity.app == app:
                lines.append(f"        {nodes[entity.key]} [label=<{_label(entity, colour)}>]")
        lines.append("    }")
    ports = {
        entity.key: {field.name: number for number, field in enumerate(entity.fields, 1)} for entity in diagram.entities
    }
    lines += (_relation(relation, nodes, ports) for relation in diagram.relations)
    return "\n".join([*lines, "}"]) + "\n"


def _cluster(number: int, app: str | None, colour: Colour) -> Iterator[str]:
    label = in_dot(app) if app is not None else '"elsewhere"'
    yield f"    subgraph cluster_{number} {{"
    yield f'        graph [label={label}, labeljust=l, fontcolor="{INK}", style="rounded,filled", margin=14,'
    yield f'            fillcolor="{colour.tint}", color="{colour.line}"]'


def _label(entity: Entity, colour: Colour) -> str:
    """Return a table of HTML: the name, then the columns, each with a port for the edges."""
    name = f"<b>{in_dots_html(entity.name)}</b>"
    head = f'<tr><td port="name" colspan="3" bgcolor="{colour.fill}" cellpadding="5">{name}</td></tr>'
    rows = "".join(_row(number, field) for number, field in enumerate(entity.fields, 1))
    rows += "".join(_unique(names) for names in _uniques(entity))
    style = ' style="dashed"' if entity.is_outside else ""
    border = f'border="1" cellborder="0" cellspacing="0" cellpadding="3" color="{colour.line}" bgcolor="white"{style}'
    return f"<table {border}>{head}{rows}</table>"


def _row(number: int, field: Field) -> str:
    name = in_dots_html(field.name)
    shown = f"<u>{name}</u>" if field.is_primary else name
    kind = in_dots_html(shortened(field.type, _LONGEST)) + (" null" if field.is_nullable else "")
    marks = " ".join(field.marks)
    marks = marks and f'<font color="{FAINT}" point-size="8">{marks}</font>'
    return (
        f'<tr><td port="w{number}" align="left">{marks}</td><td align="left">{shown}</td>'
        f'<td port="e{number}" align="left"><font color="{FAINT}">{kind}</font></td></tr>'
    )


def _uniques(entity: Entity) -> list[tuple[str, ...]]:
    """Return the columns that are unique together only, in their order."""
    order = [field.name for field in entity.fields]
    found = {
        tuple(sorted((field.name, *names), key=order.index)) for field in entity.fields for names in field.unique_with
    }
    return sorted(found)


def _unique(names: tuple[str, ...]) -> str:
    text = in_dots_html(f"unique: {', '.join(names)}")
    return f'<tr><td></td><td align="left" colspan="2"><font color="{FAINT}"><i>{text}</i></font></td></tr>'


def _relation(
    relation: Relation,
    nodes: Mapping[tuple[str | None, str], str],
    ports: Mapping[tuple[str | None, str], Mapping[str, int]],
) -> str:
    """Return an edge from the parent to the child; both ends are at the first column of the key, if it is drawn."""
    tail = _end(nodes[relation.parent], ports[relation.parent].get(relation.referred[0]), "e")
    side = "e" if relation.parent == relation.child else "w"
    head = _end(nodes[relation.child], ports[relation.child].get(relation.columns[0]), side)
    ends = f"arrowtail={'teeodot' if relation.is_optional else 'teetee'}"
    ends += f", arrowhead={'teeodot' if relation.is_single else 'crowodot'}"
    style = "" if relation.is_identifying else ", style=dashed"
    return f"    {tail} -> {head} [{ends}{style}, tooltip={in_dot(', '.join(relation.columns))}]"


def _end(node: str, row: int | None, side: str) -> str:
    """Return where an edge ends: at the side of a row, or of the name of the table."""
    return f"{node}:{f'{side}{row}' if row else 'name'}:{side}"
