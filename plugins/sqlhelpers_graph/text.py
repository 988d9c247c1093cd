"""The revision graph as plain text, the newest revisions on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers_diagram.drawing import one_line
from sqlhelpers_graph.stories import in_no_file, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlhelpers_graph.stories import Step, Story

_OLDER = ""  # no revision is called so


def draw(histories: Sequence[Story]) -> str:
    """Return the text of a graph: a paragraph for each history, a column for each branch."""
    return "\n".join("".join(f"{line.rstrip()}\n" for line in _paragraph(story)) for story in histories)


def _paragraph(story: Story) -> Iterator[str]:
    after = f" (after {', '.join(story.needs)})" if story.needs else ""
    yield one_line(f"{story.name}{after}")
    for revision in story.unknown:
        yield one_line(f"  ?  {in_no_file(revision)}  ({', '.join(story.here(is_here=True))})")
    rows = list(_rows(story))
    width = max(len(picture) for picture, _ in rows)
    yield from (f"  {picture.ljust(width)}  {said}" for picture, said in rows)


def _rows(story: Story) -> Iterator[tuple[str, str]]:
    """Yield the rows of a history: the columns, and what is said beside them."""
    drawn = {step.revision: step.revision for step in story.steps}
    lanes: list[str | None] = []  # the revision that each column leads down to
    ended = -1  # the column of the revision just above, if it was a first one
    for step in reversed(story.steps):
        if step.revision not in lanes:
            if ended == len(lanes):
                yield _columns(lanes, {}), ""  # or it would seem to be followed
            lanes.append(step.revision)
        yield _columns(lanes, {step.revision: "*"}), _said(step, story)
        column = lanes.index(step.revision)
        ends = _follow(lanes, column, nodes_of(step.down_revisions, drawn, _OLDER))
        if ends:
            yield _connected(lanes, column, ends), ""
        ended = column if not ends and lanes[column] is None else -1
        while lanes and lanes[-1] is None:
            lanes.pop()
    if story.left_out:
        if ended == 0 and _OLDER not in lanes:
            yield "", ""
        here = "".join(f"  ({each})" for each in story.here(is_here=story.is_at_left_out))
        yield _columns(lanes, {_OLDER: ":"}) or ":", f"{story.older}{here}"


def _columns(lanes: Sequence[str | None], signs: Mapping[str, str]) -> str:
    return " ".join(" " if lane is None else signs.get(lane, "|") for lane in lanes)


def _follow(lanes: list[str | None], column: int, downs: Sequence[str]) -> dict[int, str]:
    """Let a column lead on to the revisions below; return where lines to other columns end, and the signs there."""
    lanes[column] = None
    ends: dict[int, str] = {}
    if len(downs) == 1 and downs[0] in lanes[column:]:  # the column on the left goes on
        place = lanes.index(downs[0])
        lanes[column], lanes[place] = downs[0], None
        return {place: "'"}
    for down in downs:
        if down in lanes:
            ends[lanes.index(down)] = "+"
        elif lanes[column] is None:
            lanes[column] = down
        else:
            place = lanes.index(None) if None in lanes else len(lanes)
            lanes[place : place + 1] = [down]
            ends[place] = "."
    ends.pop(column, None)
    return ends


def _connected(lanes: Sequence[str | None], column: int, ends: Mapping[int, str]) -> str:
    """Return the row below a revision, in which lines go to other columns."""
    signs = [*_columns(lanes, {})]
    for place in ends:
        for between in range(2 * min(place, column) + 1, 2 * max(place, column)):
            signs[between] = "-" if signs[between] == " " else signs[between]
    for place, sign in {**ends, column: "'" if lanes[column] is None else "+"}.items():
        signs[2 * place] = sign
    return "".join(signs)


def _said(step: Step, story: Story) -> str:
    depends = [f"depends on {', '.join(step.depends_on)}"] if step.depends_on else []
    marks = ", ".join([*story.marks(step), *depends])
    return one_line("  ".join(each for each in (step.revision, step.message, marks and f"({marks})") if each))
