"""The revision graph in DOT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers_diagram.drawing import FAINT, FONT, GREY, INK, in_dot, in_dots_html
from sqlhelpers_graph.stories import in_no_file, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlhelpers_graph.stories import Step, Story


def draw(histories: Sequence[Story]) -> str:
    """Return the text of a graph: a cluster for each history, with its oldest revision on top."""
    lines = [
        "digraph revisions {",
        f'    graph [compound=true, bgcolor=transparent, fontname="{FONT}", fontsize=13, nodesep=0.3, ranksep=0.35]',
        f'    node [shape=box, style=filled, fontname="{FONT}", fontsize=11, fontcolor="{INK}", margin="0.15,0.07"]',
        f'    edge [color="{GREY}", fontname="{FONT}", fontsize=9, fontcolor="{FAINT}", arrowsize=0.8]',
    ]
    for number, story in enumerate(histories, 1):
        lines += (f"    {line}" for line in _cluster(number, story))
    numbers = {story.app: number for number, story in enumerate(histories, 1) if story.app is not None}
    for number, story in enumerate(histories, 1):
        lines += (f"    {_between(numbers[app], number)}" for app in story.needs if app in numbers)
    return "\n".join([*lines, "}"]) + "\n"


def _between(before: int, after: int) -> str:
    """Return the edge from the cluster that comes first: between nodes that are always there."""
    ends = f"ltail=cluster_{before}, lhead=cluster_{after}"
    return f'r{before}_first -> r{after}_first [{ends}, style=dashed, constraint=false, tooltip="before"]'


def _cluster(number: int, story: Story) -> Iterator[str]:
    colour, prefix = story.colour, f"r{number}_"
    older = f"{prefix}first"
    places = enumerate(story.steps, 1 if story.left_out else 0)
    ids = {step.revision: f"{prefix}{place or 'first'}" for place, step in places}
    yield f"subgraph cluster_around_{number} {{ graph [peripheries=0, margin=14]"  # keeps the others away
    yield f"subgraph cluster_{number} {{"
    yield f'    graph [label={in_dot(story.name)}, labeljust=l, fontcolor="{INK}", peripheries=1, margin=12,'
    yield f'        style="rounded,filled", fillcolor="{colour.tint}", color="{colour.line}"]'
    yield f'    node [fillcolor=white, color="{colour.line}"]'
    if story.left_out:
        yield f"    {older} {_outside(story.older, story, is_here=story.is_at_left_out)}"
    yield from (f"    {ids[step.revision]} {_step(step, story)}" for step in story.steps)
    for step in story.steps:
        yield from (f"    {each} -> {ids[step.revision]}" for each in nodes_of(step.down_revisions, ids, older))
        yield from (
            f'    {each} -> {ids[step.revision]} [style=dashed, label=" depends on"]'
            for each in nodes_of(step.depends_on, ids, older)
        )
    for place, revision in enumerate(story.unknown, 1):
        yield f"    {prefix}unknown_{place} {_outside(in_no_file(revision), story, is_here=True)}"
    yield "}}"


def _step(step: Step, story: Story) -> str:
    marks = ", ".join(in_dots_html(mark) for mark in story.marks(step))
    lines = [
        f"<b>{in_dots_html(step.revision)}</b>",
        in_dots_html(step.message),
        marks and f'<font point-size="9"><i>{marks}</i></font>',
    ]
    label = "<br/>".join(line for line in lines if line)
    look = ['style="rounded,filled"'] if step.is_base else ["shape=hexagon"] if step.is_merge else []
    look += [f'fillcolor="{story.colour.fill}"'] if step.is_head else []
    look += [f'color="{INK}", penwidth=2.5'] if step.is_current else []
    return f"[{', '.join([f'label=<{label}>', *look])}]"


def _outside(text: str, story: Story, *, is_here: bool) -> str:
    label = "<br/>".join(in_dots_html(line) for line in (text, *story.here(is_here=is_here)))
    look = f'color="{INK}", penwidth=2.5' if is_here else f'color="{GREY}"'
    return f'[label=<{label}>, style="dashed,filled", {look}]'
