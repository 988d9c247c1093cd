"""The commands that look at the histories of apps, and at where databases are in them."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from sqlhelpers.cli.commands.move import selected
from sqlhelpers.cli.group import cli, databases, json_option, optional_app, words_of
from sqlhelpers.cli.output import Row, as_mapping, note, print_blocks, print_rows, print_shown, styled, table, verbosity
from sqlhelpers.cli.runtime import open_quietly, open_runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlhelpers.exceptions import SqlhelpersError
    from sqlhelpers.reports import Position, RevisionInfo
    from sqlhelpers.runtime import Runtime, Selection


@cli.command()
@optional_app
@databases
@click.option("-r", "--rev-range", "between", metavar="START:END", help="Only these, ends included: r1:r3, -3:current.")
@click.option("-i", "--indicate-current", is_flag=True, help="Connect, and mark where databases are.")
@click.option("--branches", is_flag=True, help="Only the revisions that several others follow.")
@json_option
def history(
    app: str | None,
    binds: Sequence[str],
    between: str | None,
    *,
    indicate_current: bool,
    branches: bool,
    as_json: bool,
) -> None:
    """List the revisions of APP, or of all apps, the newest first.

    It reads the files only. -v tells all that is in them.

    Example: sqlhelpers history bookshop -r -3:current
    """
    with open_quietly() as runtime:
        chosen = _selected(runtime, binds, app, between)
        needs_current = "current" in (between or "").split(":")
        positions = _positions(runtime, chosen) if indicate_current or needs_current else {}
        rows: dict[tuple[str, ...], Row] = {}
        for bind, names in chosen.apps.items():
            for name in names:
                position = positions.get((bind, name))
                current = position.current if position else ()
                for info in runtime.manager(bind).migrations.get_history(name, between, current):
                    key = (bind if needs_current else "", name, info.path)
                    row = rows.setdefault(key, Row(info))
                    row.current_in += [bind] if indicate_current and info.revision in current else []
    shown = [row for row in rows.values() if not branches or len(row.info.next_revisions) > 1]
    print_rows(shown, as_json=as_json)


@cli.command()
@optional_app
@databases
@click.option("--resolve-dependencies", is_flag=True, help="Leave out those that another revision depends on.")
@json_option
def heads(app: str | None, binds: Sequence[str], *, resolve_dependencies: bool, as_json: bool) -> None:
    """List the newest revisions in the files.

    -v tells all that is in them.

    Example: sqlhelpers heads bookshop
    """
    with open_quietly() as runtime:
        rows: dict[str, Row] = {}
        for bind, names in _selected(runtime, binds, app).apps.items():
            for info in runtime.manager(bind).migrations.get_heads(names, resolve_dependencies=resolve_dependencies):
                rows.setdefault(info.path, Row(info))
    print_rows(list(rows.values()), as_json=as_json)


@cli.command()
@optional_app
@databases
@click.option("--check-heads", is_flag=True, help="End with status 1 unless all databases are at all the newest.")
@json_option
def current(app: str | None, binds: Sequence[str], *, check_heads: bool, as_json: bool) -> None:
    """Show which revisions databases are at.

    -v tells all that is in their files.

    Example: sqlhelpers current --check-heads
    """
    found: list[Position] = []
    rows: list[Row] = []
    try:
        with open_quietly() as runtime:
            found += _positions(runtime, _selected(runtime, binds, app)).values()
            for each in found if verbosity() else ():
                infos = (
                    runtime.manager(each.bind).migrations.get_revisions(name, each.app or "-") for name in _known(each)
                )
                rows += [Row(info, [each.bind]) for several in infos for info in several]
    finally:
        if as_json:
            click.echo(json.dumps([{**as_mapping(each), "is_at_heads": each.is_at_heads} for each in found], indent=2))
        else:
            table([cells for each in found for cells in _where(each)], ("database", "app", "revision", ""))
            print_blocks(rows)
    if check_heads and not all(each.is_at_heads for each in found):
        raise click.exceptions.Exit(1)


@cli.command(context_settings={"ignore_unknown_options": True})  # -1 is a revision
@words_of("[APP] REVISION")
@databases
@click.option("--offline", is_flag=True, help="Ask no database.")
@json_option
def show(words: Sequence[str], binds: Sequence[str], *, offline: bool, as_json: bool) -> None:
    """Show all about a revision: its file, which databases have it, when it ran.

    -v shows the source. REVISION can also be the beginning of an identifier, head, label@head or current.

    Example: sqlhelpers show bookshop head
    """
    failure: SqlhelpersError | None = None
    with open_runtime() as runtime:
        chosen = selected(runtime, binds, words)
        if len(chosen.revisions) != 1:
            raise click.UsageError("say which revision: an identifier, head or current")
        with redirect_stdout(sys.stderr):
            names = _names(runtime, chosen, chosen.revisions[0])
            rows = [Row(info) for info in _described(runtime, chosen, names)]
            if not offline and rows:
                failure = _ask(runtime, chosen, rows)
    print_shown(rows, as_json=as_json)
    if failure is not None:
        raise failure


def _selected(runtime: Runtime, binds: Sequence[str], app: str | None, between: str | None = None) -> Selection:
    """Return the apps that are meant: that which is named, the only one that knows the range, or all."""
    from sqlhelpers.migrations.revisions import words_of
    from sqlhelpers.runtime import select, select_app

    histories = {bind: runtime.database(bind).histories for bind in runtime.binds(binds)}
    if app is None and between and any(words_of(part) for part in between.split(":")):
        return select(histories, [between])
    return select_app(histories, app)


def _positions(runtime: Runtime, chosen: Selection) -> dict[tuple[str, str], Position]:
    """Return where each database is in the history of each app."""
    found: dict[tuple[str, str], Position] = {}

    def done(positions: Iterable[Position]) -> None:
        for each in positions:
            found[each.bind, each.app or "-"] = each
            if each.unknown:
                note(f"{each.bind}: {each.app or '-'} is at {', '.join(each.unknown)}, which the code does not have")

    if chosen.apps:
        runtime.perform_on_all(
            tuple(chosen.apps), lambda manager: manager.migrations.get_positions(app=chosen.apps[manager.bind]), done
        )
    return found


def _where(position: Position) -> list[list[str]]:
    place = [position.bind, position.app or "-"]
    if not position.current:
        return [[*place, "-", "(nothing recorded)"]]
    marks = {**dict.fromkeys(position.heads, "(head)"), **dict.fromkeys(position.unknown, styled("(unknown)", "red"))}
    return [[*place, revision, marks.get(revision, "")] for revision in position.current]


def _known(position: Position) -> list[str]:
    return [each for each in position.current if each not in position.unknown]


def _names(runtime: Runtime, chosen: Selection, revision: str) -> tuple[str, ...]:
    """Return the revisions to show: those that databases are at for ``current``."""
    if revision != "current":
        return (revision,)
    return tuple(dict.fromkeys(name for each in _positions(runtime, chosen).values() for name in _known(each)))


def _described(runtime: Runtime, chosen: Selection, names: Sequence[str]) -> list[RevisionInfo]:
    places = [(bind, app) for bind, apps in chosen.apps.items() for app in apps]
    found = {
        (app, info.path): info
        for bind, app in places
        for name in names
        for info in runtime.manager(bind).migrations.get_revisions(name, app)
    }
    return list(found.values())


def _ask(runtime: Runtime, chosen: Selection, rows: Sequence[Row]) -> SqlhelpersError | None:
    """Add to the rows what databases know of them; return what was raised, so that the files are shown all the same."""
    from sqlhelpers.exceptions import SqlhelpersError

    def traces(row: Row, name: str, manager: Any) -> Any:
        return manager.migrations.get_traces(row.info.revision, name)

    for row in rows:
        name = row.info.app or "-"
        binds = [bind for bind, apps in chosen.apps.items() if name in apps]
        try:
            runtime.perform_on_all(binds, partial(traces, row, name), row.traces.extend)
        except SqlhelpersError as error:
            return error
    return None
