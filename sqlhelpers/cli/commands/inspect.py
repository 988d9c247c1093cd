"""The commands that show something, and change nothing."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import click

from sqlhelpers.cli.group import cli, databases, json_option, optional_app
from sqlhelpers.cli.output import as_text, is_terminal, note, table
from sqlhelpers.cli.runtime import open_quietly, open_settings, read_preview

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from click.shell_completion import ShellComplete

    from sqlhelpers.discovery import PluginManager
    from sqlhelpers.exceptions import DiscoveryError


@cli.command()
@databases
@json_option
def check(binds: Sequence[str], *, as_json: bool) -> None:
    """Find whatever is not as the code has it: drift, revisions, what an empty database would get. 1 if there is any.

    Example: sqlhelpers check -d default
    """
    rows: list[dict[str, str | None]] = []
    sound: list[str] = []
    try:
        with open_quietly() as runtime:
            for bind in runtime.binds(binds):
                found = runtime.perform(bind, lambda manager: manager.migrations.check())
                sound += [bind] * (not found)
                rows += ({"database": bind, **asdict(finding)} for finding in found)
    finally:
        if as_json:
            click.echo(json.dumps(rows, indent=2))
        else:
            cells = ([row["database"] or "", row["app"] or "-", row["kind"] or "", row["text"] or ""] for row in rows)
            table(cells, ("database", "app", "kind", "what"))
            table([bind, "all as the code has it"] for bind in sound)
            for app in dict.fromkeys(row["app"] for row in rows if row["kind"] == "missing_revision" and row["app"]):
                note(f"`sqlhelpers revision {app} -m MESSAGE` writes what the revisions of {app} lack")
    if any(row["kind"] != "skipped" for row in rows):
        raise click.exceptions.Exit(1)


@cli.command()
@optional_app
@databases
@json_option
def journal(app: str | None, binds: Sequence[str], *, as_json: bool) -> None:
    """Show what was done to databases: which revision, when, for how long, and by whom.

    Example: sqlhelpers journal bookshop
    """
    rows: list[dict[str, Any]] = []
    with open_quietly() as runtime:
        for bind in runtime.binds(binds):
            entries = runtime.perform(bind, lambda manager: manager.migrations.journal(app))
            rows += ({"database": bind, **asdict(entry), "seconds": entry.seconds} for entry in entries)
    if not rows:
        note(f"nothing is recorded{f' of app {app!r}' if app else ''}")
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=as_text))
        return
    headings = ("database", "app", "action", "revision", "begun (UTC)", "took", "outcome", "by")
    cells = (
        [
            *(row["database"], row["app"] or "-", row["action"], row["revision"], f"{row['begun']:%Y-%m-%d %H:%M:%S}"),
            *(f"{row['seconds']:.2f} s" if row["seconds"] is not None else "", row["outcome"] or "not finished"),
            row["who"],
        ]
        for row in rows
    )
    table(cells, headings)


@cli.command()
@json_option
def plugins(*, as_json: bool) -> None:
    """List apps, plugins and adapters: versions, hooks, and why something is not loaded.

    Example: sqlhelpers plugins --json
    """
    manager, failure = _found()
    if as_json:
        click.echo(json.dumps([asdict(info) for info in manager.found], indent=2))
    else:
        cells = (
            [
                *(info.kind, info.name, info.distribution, "" if is_terminal() else info.value),
                *(info.state, info.reason or _hooks(info.hooks)),
            ]
            for info in manager.found
        )
        table(cells, ("kind", "name", "distribution", "brings", "state", "hooks, or why not"))
    if failure:
        raise failure


def _hooks(names: Iterable[str]) -> str:
    return ", ".join(name.removeprefix("sqlhelpers_") for name in names)


def _found() -> tuple[PluginManager, DiscoveryError | None]:
    """Return the plugins that the settings let in, and what is wrong with them."""
    from sqlhelpers.discovery import PluginManager
    from sqlhelpers.exceptions import DiscoveryError

    manager, wanted = PluginManager(), read_preview()
    with redirect_stdout(sys.stderr):
        try:
            manager.discover(disabled=wanted.disable_plugins, enabled_apps=wanted.enable_apps)
        except DiscoveryError as error:
            return manager, error
    return manager, None


@cli.command()
@json_option
def config(*, as_json: bool) -> None:
    """Show every setting, its value, and where it came from.

    Example: sqlhelpers config --json
    """
    with open_settings() as settings:
        rows = list(settings.origins())
    if as_json:
        click.echo(json.dumps([dict(zip(("name", "value", "origin"), row, strict=True)) for row in rows], indent=2))
    else:
        shown = ([name, "=", value, f"({origin})"] for name, value, origin in rows)
        table(shown, ("setting", "", "value", "from"))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    Example: eval "$(sqlhelpers completion bash)"
    """
    from click.shell_completion import get_completion_class

    made = cast("type[ShellComplete]", get_completion_class(shell))  # the choices are those that click knows
    click.echo(made(cli, {}, "sqlhelpers", "_SQLHELPERS_COMPLETE").source())
