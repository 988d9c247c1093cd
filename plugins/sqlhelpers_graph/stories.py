"""``Story``: what there is to draw of an app's history, and how it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers.suggestions import refuse_unknown_apps
from sqlhelpers_diagram.drawing import COLOURS, Colour, colours_of, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlhelpers import DatabaseReport, Runtime
    from sqlhelpers.migrations.revisions import RevisionFile, Revisions

_LONGEST = 48  # characters of a message


@dataclass(frozen=True, kw_only=True)
class Step:
    """One revision.

    Attributes:
        revision: its identifier.
        message: what it says that it does, shortened.
        down_revisions: those that it follows.
        depends_on: those that have to be run before it beside these.
        branch_labels: its labels.
        is_head: whether none follows it.
        is_current: whether a database is at it.
    """

    revision: str
    message: str = ""
    down_revisions: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    branch_labels: tuple[str, ...] = ()
    is_head: bool = False
    is_current: bool = False

    @property
    def is_base(self) -> bool:
        """Whether it is the first, or one of the first."""
        return not self.down_revisions

    @property
    def is_merge(self) -> bool:
        """Whether it brings branches together."""
        return len(self.down_revisions) > 1


@dataclass(frozen=True, kw_only=True)
class Story:
    """The history of an app, or of a folder of migrations without one.

    Attributes:
        app: the name of the app; None for a folder that belongs to none.
        bind: the database that it is in.
        steps: the revisions to draw, each after those that it follows.
        left_out: how many older ones are not drawn.
        is_at_left_out: whether a database is at one of these.
        unknown: the revisions that the database is at and that are in no file.
        needs: the apps that come before this one.
        colour: the colour to draw it in.
    """

    app: str | None
    bind: str
    steps: tuple[Step, ...]
    left_out: int = 0
    is_at_left_out: bool = False
    unknown: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    colour: Colour = COLOURS[0]

    @property
    def name(self) -> str:
        """What it is called in a drawing."""
        return self.app if self.app is not None else f"database {self.bind}"

    @property
    def older(self) -> str:
        """What stands for the revisions that are not drawn."""
        return f"{self.left_out:,} older revision{'' if self.left_out == 1 else 's'}"

    def marks(self, step: Step) -> tuple[str, ...]:
        """Return what is special about a revision, in words."""
        found = (("base", step.is_base), ("merge", step.is_merge), ("head", step.is_head))
        said = [word for word, is_right in found if is_right]
        return (*said, *(f"@{label}" for label in step.branch_labels), *self.here(is_here=step.is_current))

    def here(self, *, is_here: bool) -> tuple[str, ...]:
        """Return the words that say where the database is."""
        return (f"{self.bind} is here",) if is_here else ()


def in_no_file(revision: str) -> str:
    """Return what is said of a revision that a database is at and the code does not have."""
    return f"{revision}, which is in no file"


def nodes_of(revisions: Sequence[str], nodes: Mapping[str, str], older: str) -> list[str]:
    """Return the nodes of revisions, each once; ``older`` for all that are not drawn."""
    return list(dict.fromkeys(nodes.get(revision, older) for revision in revisions))


def read(
    runtime: Runtime,
    apps: Collection[str],
    binds: Sequence[str],
    last: int | None,
    *,
    current: bool,
) -> tuple[Story, ...]:
    """Return the histories to draw, in the order in which they are synced; see ``sqlhelpers_graph.read``."""
    refuse_unknown_apps(apps, runtime.apps)
    drawn, found = runtime.binds(binds), []
    for bind in runtime.binds():
        histories = runtime.registry.histories(bind)
        found += [(each.app, bind, each.revisions, len(histories)) for each in histories]
    order = [*((name, app.bind) for name, app in runtime.apps.items()), *((None, bind) for bind in runtime.binds())]
    found.sort(key=lambda each: order.index(each[:2]))
    colours = colours_of(order)
    stories = [
        Story(
            app=app,
            bind=bind,
            needs=runtime.registry.needs[app] if app is not None else (),
            colour=colours[app, bind],
            **_steps(revisions, last, _current(runtime, app, bind, among) if current else ()),
        )
        for app, bind, revisions, among in found
        if revisions is not None and revisions.files() and bind in drawn and (not apps or app in apps)
    ]
    if not stories:
        what = f"no revision of {' or '.join(apps) or 'any app'} in database {' or '.join(drawn)}"
        raise ConfigurationError(f"there is nothing to draw: {what}")
    return tuple(stories)


def _current(runtime: Runtime, app: str | None, bind: str, among: int) -> tuple[str, ...]:
    """Return the revisions of an app that a database is at."""
    if app is None and among > 1:  # it cannot be asked for by name
        report: DatabaseReport = runtime.perform(bind, lambda manager: manager.migrations.get_report())
        return next(each.current for each in report.apps if each.app is None)
    found: tuple[str, ...] = runtime.perform(bind, lambda manager: manager.migrations.get_current_revisions(app=app))
    return found


def _steps(revisions: Revisions, last: int | None, current: Collection[str]) -> dict[str, Any]:
    """Return what a ``Story`` says of the revisions."""
    files = revisions.files()
    labels = {label: each.revision for each in files.values() for label in each.branch_labels}
    needed = {each.revision: tuple(labels.get(name, name) for name in each.depends_on) for each in files.values()}
    order = _in_order(files, needed)
    kept = order if last is None else order[max(0, len(order) - last) :]
    heads = set(revisions.heads())
    steps = tuple(
        Step(
            revision=each.revision,
            message=shortened(re.split(r"\.(\s|$)", revisions.message(each.revision))[0], _LONGEST),
            down_revisions=each.down_revisions,
            depends_on=needed[each.revision],
            branch_labels=each.branch_labels,
            is_head=each.revision in heads,
            is_current=each.revision in current,
        )
        for each in (files[revision] for revision in kept)
    )
    return {
        "steps": steps,
        "left_out": len(order) - len(kept),
        "is_at_left_out": bool(set(current) & (set(order) - set(kept))),
        "unknown": tuple(each for each in current if each not in files),
    }


def _in_order(files: Mapping[str, RevisionFile], needed: Mapping[str, Collection[str]]) -> list[str]:
    """Return the revisions, each after those that it needs, those from which the way to a head is longest first."""
    before = {revision: (*each.down_revisions, *needed[revision]) for revision, each in files.items()}
    distances = dict.fromkeys(files, 0)
    for revision in reversed(list(TopologicalSorter(before).static_order())):
        for each in before[revision]:
            distances[each] = max(distances[each], distances[revision] + 1)
    return sorted(files, key=lambda revision: (-distances[revision], revision))
