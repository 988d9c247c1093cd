"""The commands that move databases among the revisions of their apps."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from sqlhelpers.cli.group import cli, confirm, databases, json_option, only, words_of, yes
from sqlhelpers.cli.output import Bar, count, listed, note, styled
from sqlhelpers.cli.runtime import open_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlhelpers.reports import Movement
    from sqlhelpers.runtime import Runtime, Selection

_HEADINGS = ("database", "app", "done", "")
_MINUS = {"ignore_unknown_options": True}  # -1 is a revision


def _sql(text: str) -> Callable[[Any], Any]:
    return click.option("--sql", "as_sql", is_flag=True, help=f"Print {text} as SQL; connect to nothing.")


_tag = click.option("--tag", metavar="TEXT", help="What context.get_tag_argument() returns in revisions and env.py.")
_x = click.option("-x", "x", metavar="NAME=VALUE", multiple=True, help="What context.get_x_argument() returns there.")


@cli.command(context_settings=_MINUS)
@words_of("[APP] [REVISION]")
@databases
@_sql("what is run, from the beginning or, with FROM:TO, from another revision,")
@_tag
@_x
@json_option
def upgrade(
    words: Sequence[str], binds: Sequence[str], tag: str | None, x: Sequence[str], *, as_sql: bool, as_json: bool
) -> None:
    """Run revisions of APP, or of all apps, up to REVISION or the newest.

    REVISION is an identifier or the beginning of one, +1, r1+2, label@head or heads. APP may be left out where only
    one app has the revision.

    Example: sqlhelpers upgrade bookshop +1
    """
    with open_runtime() as runtime:
        chosen = selected(runtime, binds, words)
        target = only(chosen.revisions) or "head"
        if as_sql:
            _print_sql(runtime, chosen, "upgrade", [target], tag=tag, x=x)
            return
        _refuse_ranges([target])
        _run(runtime, chosen, "upgrade", target, as_json=as_json, tag=tag, x=x)


@cli.command(context_settings=_MINUS)
@words_of("[APP] REVISION")
@databases
@_sql("what is undone, with FROM:TO as REVISION,")
@_tag
@_x
@yes
@json_option
def downgrade(
    words: Sequence[str],
    binds: Sequence[str],
    tag: str | None,
    x: Sequence[str],
    *,
    as_sql: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Undo the revisions of APP down to REVISION, which can also be -1.

    REVISION is an identifier or the beginning of one, -1, r3-2, label@base or base. APP may be left out where only
    one app has the revision; base alone undoes the revisions of all apps, those of the last app first.

    Example: sqlhelpers downgrade bookshop -1
    """
    with open_runtime() as runtime:
        chosen = selected(runtime, binds, words)
        target = only(chosen.revisions)
        if not target:
            raise click.UsageError("say down to which revision: -1 undoes the last one, base undoes all")
        if as_sql:
            _print_sql(runtime, chosen, "downgrade", [target], tag=tag, x=x)
            return
        _refuse_ranges([target])
        left = f" (left as it is, although it needs that: {', '.join(chosen.dependents)})" if chosen.dependents else ""
        confirm(f"Undo {_undone(target)} of {_apps(chosen)} in {_databases(chosen)}{left}? Data can be lost.", yes=yes)
        _run(runtime, chosen, "downgrade", target, as_json=as_json, tag=tag, x=x)


@cli.command(context_settings=_MINUS)
@words_of("[APP] REVISION...")
@databases
@click.option("--purge", is_flag=True, help="Forget first what is recorded, also what the code does not know.")
@_sql("the change of the record, with FROM:TO from another revision,")
@yes
@json_option
def stamp(words: Sequence[str], binds: Sequence[str], *, purge: bool, as_sql: bool, yes: bool, as_json: bool) -> None:
    """Record REVISION on your word, without running anything.

    Nothing is compared with the tables either, as adopt does it. REVISION can also be head, heads or base; there
    may be one for each of several branches.

    Example: sqlhelpers stamp bookshop head
    """
    with open_runtime() as runtime:
        chosen = selected(runtime, binds, words)
        targets = chosen.revisions
        if not targets:
            raise click.UsageError("say which revision to record: an identifier, head, or base for none")
        if as_sql:
            if purge:
                raise click.UsageError("--purge looks into the database, which --sql does not; say FROM:TO")
            _print_sql(runtime, chosen, "stamp", targets)
            return
        _refuse_ranges(targets)
        what = f"Record {', '.join(targets)} for {_apps(chosen)} in {_databases(chosen)}"
        confirm(f"{what}, whatever its tables are? `sqlhelpers adopt` compares them first.", yes=yes)
        with listed(as_json, _moved, _HEADINGS) as show:
            _perform(runtime, chosen, lambda manager, apps: manager.migrations.stamp(targets, apps, purge=purge), show)


def selected(runtime: Runtime, binds: Sequence[str], words: Sequence[str]) -> Selection:
    """Return what is meant by ``[APP] [REVISION]...`` in some databases, all of them if ``binds`` is empty."""
    from sqlhelpers.runtime import select

    with redirect_stdout(sys.stderr):  # models may print
        return select({bind: runtime.database(bind).histories for bind in runtime.binds(binds)}, words)


def _run(runtime: Runtime, chosen: Selection, action: str, target: str, *, as_json: bool, **given: Any) -> None:
    """Run revisions, or undo them, up or down to ``target``, and print how far each app was moved."""

    def work(manager: Any, apps: tuple[str, ...]) -> Any:
        return getattr(manager.migrations, action)(target, apps, bar.advance, **given)

    with listed(as_json, _moved, _HEADINGS) as show, Bar() as bar:
        _perform(runtime, chosen, work, show)


def _perform(
    runtime: Runtime,
    chosen: Selection,
    work: Callable[[Any, tuple[str, ...]], Any],
    show: Callable[[Sequence[Movement]], None],
) -> None:
    if not chosen.apps:
        note("no app here has migrations")
        return

    def done(movements: Sequence[Movement]) -> None:
        show(movements)
        for each in movements:
            if each.behind:
                name = each.app or "-"
                note(f"{each.bind}: {name} needs {', '.join(each.behind)}, behind: `sqlhelpers run-sync` brings up all")

    runtime.perform_on_all(tuple(chosen.apps), lambda manager: work(manager, chosen.apps[manager.bind]), done)


def _refuse_ranges(targets: Sequence[str]) -> None:
    if any(":" in target for target in targets):
        raise click.UsageError("a range of revisions goes with --sql; say the revision to go to")


def _print_sql(
    runtime: Runtime,
    chosen: Selection,
    action: str,
    targets: Sequence[str],
    **given: Any,
) -> None:
    from sqlhelpers.migrations.revisions import split_range
    from sqlhelpers.migrations.running import Script

    ranges = [split_range(target) if ":" in target else ("", target) for target in targets]
    starts = {start for start, _ in ranges} - {""}
    if len(starts) > 1:
        raise click.UsageError("the revisions begin at different ones; say the same FROM for all")
    if action == "downgrade" and not (starts and ranges[0][1]):
        raise click.UsageError("downgrade --sql does not know where the database is: say FROM:TO")
    ends = tuple(end or "head" for _, end in ranges)
    script = Script(action=action, start=next(iter(starts), "base"), targets=ends, **given)
    with redirect_stdout(sys.stderr):
        texts = [runtime.manager(bind).migrations.sql(script, apps) for bind, apps in chosen.apps.items()]
    click.echo("".join(texts), nl=False)


def _moved(movement: Movement) -> list[str]:
    """Return the columns of a line that says how far an app was moved."""
    before, after = (", ".join(each) or "base" for each in (movement.before, movement.after))
    words = {"upgrade": f" {before} -> {after}", "downgrade": f" to {after}", "stamp": f" {before} -> {after}"}
    done = {"upgrade": "upgraded", "downgrade": "downgraded", "stamp": "stamped"}
    is_moved = movement.revisions or movement.action == "stamp"
    text = styled(done[movement.action], "green") + words[movement.action] if is_moved else f"already at {after}"
    ran = count(len(movement.revisions), "revision") if movement.revisions else ""
    return [movement.bind, movement.app or "-", text, ran]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _undone(target: str) -> str:
    """Return in words what a downgrade to ``target`` undoes."""
    if target.startswith("-"):
        return "the last revision" if target == "-1" else f"the last {target[1:]} revisions"
    return "all revisions" if target == "base" else f"the revisions after {target}"


def _apps(chosen: Selection) -> str:
    return _listed(sorted({name for apps in chosen.apps.values() for name in apps})) or "no app"


def _databases(chosen: Selection) -> str:
    noun = "database" if len(chosen.apps) == 1 else "databases"
    return f"{noun} {_listed(tuple(chosen.apps))}"
