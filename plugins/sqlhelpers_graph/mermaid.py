"""The revision graph as a flowchart of Mermaid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers_diagram.drawing import GREY, INK, MermaidNames, in_mermaid
from sqlhelpers_graph.stories import in_no_file, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlhelpers_graph.stories import Step, Story

# one look on a light and on a dark page
_HEAD = f"""\
---
config:
    theme: base
    flowchart:
        wrappingWidth: 360
        rankSpacing: 28
    themeVariables:
        lineColor: "{GREY}"
        titleColor: "{INK}"
        textColor: "{INK}"
        edgeLabelBackground: "#ffffff"
---
flowchart LR
"""


def draw(histories: Sequence[Story]) -> str:
    """Return the text of a graph: a subgraph for each history, with its oldest revision on top."""
    names = MermaidNames()
    groups = [names.give(f"app_{story.app}" if story.app is not None else f"in_{story.bind}") for story in histories]
    known = {story.app: group for story, group in zip(histories, groups, strict=True) if story.app is not None}
    nodes: list[str] = []
    edges: list[str] = []
    looks: list[str] = []
    for number, (story, group) in enumerate(zip(histories, groups, strict=True), 1):
        nodes += _subgraph(number, story, group, names)
        edges += (f"{known[app]} -. before .-> {group}" for app in story.needs if app in known)
        line = f"stroke:{story.colour.line},color:{INK}"
        looks.append(f"style {group} fill:{story.colour.tint},{line}")
        looks.append(f"classDef step{number} fill:#ffffff,{line}")
        looks.append(f"classDef head{number} fill:{story.colour.fill},{line}")
    looks.append(f"classDef outside fill:#ffffff,stroke:{GREY},color:{INK},stroke-dasharray:4")
    looks.append(f"classDef here stroke:{INK},stroke-width:3px")
    return _HEAD + "".join(f"    {line}\n" for line in (*nodes, *edges, *looks))


def _subgraph(number: int, story: Story, group: str, names: MermaidNames) -> Iterator[str]:
    ids = {step.revision: names.give(f"r_{step.revision}") for step in story.steps}
    older = names.give(f"older{number}")
    here = [ids[step.revision] for step in story.steps if step.is_current]
    yield f'subgraph {group}["{in_mermaid(story.name)}"]'
    yield "    direction TB"
    if story.left_out:
        here += [older] * story.is_at_left_out
        yield f"    {older}{_outside(story.older, story, is_here=story.is_at_left_out)}"
    for step in story.steps:
        yield f"    {ids[step.revision]}{_shape(step, story)}:::{'head' if step.is_head else 'step'}{number}"
    for step in story.steps:
        node = ids[step.revision]
        yield from (f"    {each} --> {node}" for each in nodes_of(step.down_revisions, ids, older))
        yield from (f'    {each} -. "depends on" .-> {node}' for each in nodes_of(step.depends_on, ids, older))
    for revision in story.unknown:
        here.append(names.give(f"r_{revision}"))
        yield f"    {here[-1]}{_outside(in_no_file(revision), story, is_here=True)}"
    if here:
        yield f"    class {','.join(here)} here"
    yield "end"


def _shape(step: Step, story: Story) -> str:
    marks = ", ".join(in_mermaid(mark) for mark in story.marks(step))
    lines = [f"<b>{in_mermaid(step.revision)}</b>", in_mermaid(step.message), marks and f"<i>{marks}</i>"]
    label = "<br/>".join(line for line in lines if line)
    start, end = ("([", "])") if step.is_base else ("{{", "}}") if step.is_merge else ("[", "]")
    return f'{start}"{label}"{end}'


def _outside(text: str, story: Story, *, is_here: bool) -> str:
    label = "<br/>".join(in_mermaid(line) for line in (text, *story.here(is_here=is_here)))
    return f'["{label}"]:::outside'
