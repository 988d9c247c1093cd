"""The revision graph as a flowchart of Mermaid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers_diagram.drawing import GREY, INK, MermaidNames, in_mermaid

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
    lines: list[str] = []
    for story, group in zip(histories, groups, strict=True):
        lines += _subgraph(story, group, names)
    known = {story.app: group for story, group in zip(histories, groups, strict=True) if story.app is not None}
    for story, group in zip(histories, groups, strict=True):
        lines += (f"{known[app]} -. before .-> {group}" for app in story.needs if app in known)
    for story, group in zip(histories, groups, strict=True):
        colour = story.colour
        lines.append(f"style {group} fill:{colour.tint},stroke:{colour.line},color:{INK}")
        lines.append(f"classDef {group}_step fill:#ffffff,stroke:{colour.line},color:{INK}")
        lines.append(f"classDef {group}_head fill:{colour.fill},stroke:{colour.line},color:{INK}")
    lines.append(f"classDef outside fill:#ffffff,stroke:{GREY},color:{INK},stroke-dasharray:4")
    lines.append(f"classDef outside_here fill:#ffffff,stroke:{INK},color:{INK},stroke-dasharray:4,stroke-width:3px")
    lines.append(f"classDef here stroke:{INK},stroke-width:3px")
    return _HEAD + "".join(f"    {line}\n" for line in lines)


def _subgraph(story: Story, group: str, names: MermaidNames) -> Iterator[str]:
    ids = {step.revision: names.give(f"{group}_{step.revision}") for step in story.steps}
    yield f'subgraph {group}["{in_mermaid(story.name)}"]'
    yield "    direction TB"
    older = names.give(f"{group}_older")
    if story.left_out:
        yield f"    {older}{_outside(story.older, story, is_here=story.is_at_left_out)}"
    for step in story.steps:
        kind = f"{group}_{'head' if step.is_head else 'step'}"
        yield f"    {ids[step.revision]}{_shape(step, story)}:::{kind}"
        if step.is_current:
            yield f"    class {ids[step.revision]} here"
    for step in story.steps:
        yield from (f"    {each} --> {ids[step.revision]}" for each in _ids(step.down_revisions, ids, older))
        yield from (
            f'    {each} -. "depends on" .-> {ids[step.revision]}' for each in _ids(step.depends_on, ids, older)
        )
    for revision in story.unknown:
        text = f"{revision}, which is in no file"
        yield f"    {names.give(f'{group}_{revision}')}{_outside(text, story, is_here=True)}"
    yield "end"


def _ids(revisions: Sequence[str], ids: dict[str, str], older: str) -> list[str]:
    """Return the nodes of revisions; one for all that are not drawn."""
    return list(dict.fromkeys(ids.get(revision, older) for revision in revisions))


def _shape(step: Step, story: Story) -> str:
    marks = ", ".join(in_mermaid(mark) for mark in story.marks(step))
    lines = [f"<b>{in_mermaid(step.revision)}</b>", in_mermaid(step.message), marks and f"<i>{marks}</i>"]
    label = "<br/>".join(line for line in lines if line)
    start, end = ("([", "])") if step.is_base else ("{{", "}}") if step.is_merge else ("[", "]")
    return f'{start}"{label}"{end}'


def _outside(text: str, story: Story, *, is_here: bool) -> str:
    label = "<br/>".join(in_mermaid(line) for line in (text, *story.here(is_here=is_here)))
    return f'["{label}"]:::{"outside_here" if is_here else "outside"}'
