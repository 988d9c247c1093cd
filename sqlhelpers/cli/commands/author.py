"""The commands of authors: migrations folders, and the revisions in them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqlhelpers.cli.completion import revisions_of
from sqlhelpers.cli.group import cli, database, databases, json_option, only, optional_app, words_of
from sqlhelpers.cli.output import as_mapping, is_quiet, is_terminal, note, say, table
from sqlhelpers.cli.runtime import open_quietly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlhelpers.reports import WrittenRevision

_rev_id = click.option("--rev-id", metavar="ID", help="The identifier of the revision. Default: a random one.")
_branch_label = click.option("--branch-label", metavar="NAME", help="Give the branch that begins here a name.")
_force = click.option("--force", is_flag=True, help="Write into an installed package too.")


@cli.command()
@optional_app
@click.option("--with-env", is_flag=True, help="Add an env.py, for plain alembic and for IDEs.")
@click.option("--path", type=click.Path(path_type=Path), help="Where to make it. Default: where it is looked for.")
@database
@_force
def init(app: str | None, path: Path | None, bind: str, *, with_env: bool, force: bool) -> None:
    """Make the migrations folder of an app, or of a database that has migrations without an app.

    Example: sqlhelpers init bookshop
    """
    from sqlhelpers.runtime import make_folder

    with open_quietly() as runtime:
        made = make_folder(runtime, app, bind=bind, path=path, with_env=with_env, force=force)
    for file in (made.folder / "versions", *made.files):
        say(f"{file}")
    if made.settings:
        note(f"pyproject.toml needs these lines:\n{made.settings.rstrip()}")


@cli.command()
@optional_app
@click.option("-m", "--message", required=True, help="What the revision is about.")
@click.option("--autogenerate", is_flag=True, help="Let it bring the tables to what the models say. The default.")
@click.option("--empty", is_flag=True, help="Let it do nothing, to be filled by hand; nothing is connected to.")
@click.option(
    "--from-scratch", is_flag=True, help="Compare what the revisions make of an empty database, not this one."
)
@click.option(
    "--head", metavar="REVISION", shell_complete=revisions_of, help="The revision that it follows. Default: the newest."
)
@click.option("--splice", is_flag=True, help="Let it follow one that others follow already.")
@_branch_label
@click.option(
    "--depends-on",
    metavar="REVISION",
    multiple=True,
    shell_complete=revisions_of,
    help="A revision that is run before; can be repeated.",
)
@_rev_id
@click.option("--edit", "edits", is_flag=True, help="Open the file in the editor.")
@databases
@_force
@json_option
def revision(
    app: str | None,
    message: str,
    binds: Sequence[str],
    *,
    autogenerate: bool,
    empty: bool,
    edits: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a revision that brings the tables of an app, or of all apps, to what their models say.

    Example: sqlhelpers revision bookshop -m "add ratings"
    """
    from sqlhelpers.runtime import target, write_revisions

    if autogenerate and empty:
        raise click.UsageError("say either --autogenerate or --empty, not both")
    written: list[WrittenRevision] = []
    try:
        with open_quietly() as runtime:
            is_special = empty or any(value for name, value in options.items() if name not in ("from_scratch", "force"))
            if is_special:
                target(runtime, [app] if app else [], binds)  # there is but one
            options |= {"empty": empty, "done": written.append, "note": note}
            write_revisions(runtime, message, app, binds=binds, **options)
    finally:
        _print(written, as_json=as_json)
    if edits:
        _open([Path(each.path) for each in written])


@cli.command()
@words_of("[APP] [REVISION]...")
@click.option("-m", "--message", help="What it is about. Default: which revisions it merges.")
@click.option("--splice", is_flag=True, help="Merge revisions too that others follow already.")
@_branch_label
@_rev_id
@databases
@_force
@json_option
def merge(
    words: Sequence[str],
    message: str | None,
    binds: Sequence[str],
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a revision that merges the heads of an app, or the REVISIONS that are named.

    Example: sqlhelpers merge bookshop
    """
    from sqlhelpers.runtime import target

    with open_quietly() as runtime:
        chosen, revisions = target(runtime, words, binds)
        said = message or f"merge {' and '.join(revisions) or 'heads'}"
        written = runtime.perform(
            chosen.bind, lambda manager: manager.migrations.merge(said, chosen.app, revisions, **options)
        )
    _print([written], as_json=as_json)


@cli.command()
@words_of("[APP] [REVISION]")
@click.option("--path", "only_path", is_flag=True, help="Print where the file is, and open nothing.")
@databases
def edit(words: Sequence[str], binds: Sequence[str], *, only_path: bool) -> None:
    """Open a revision file in $VISUAL or $EDITOR: REVISION, or the newest; current is where the database is.

    Example: sqlhelpers edit bookshop head
    """
    from sqlhelpers.runtime import revision_files, target

    with open_quietly() as runtime:
        chosen, revisions = target(runtime, words, binds)
        files = revision_files(runtime, chosen, only(revisions) or "head")
    if only_path or not sys.stdin.isatty():
        for file in files:
            click.echo(f"{file}")
    else:
        _open(files)


def _print(written: Iterable[WrittenRevision], *, as_json: bool) -> None:
    rows = list(written)
    if as_json:
        click.echo(json.dumps([as_mapping(each) for each in rows], indent=2))
    else:
        cells = ([each.bind, each.app or "-", each.revision, _shown(each.path)] for each in rows)
        table(cells, ("database", "app", "revision", "file"))
        for each in () if is_quiet() else rows:
            for line in each.operations:
                click.echo(f"  {each.app or '-'}: {line}", err=True)
    for text in dict.fromkeys(text for each in rows for text in each.notes):
        note(text)


def _shown(path: str) -> str:
    """Return a path as people read it, who are in the folder of their project; scripts get all of it."""
    place = Path(path)
    return str(place.relative_to(Path.cwd())) if is_terminal() and place.is_relative_to(Path.cwd()) else path


def _open(files: Sequence[Path]) -> None:
    for file in files:
        click.edit(filename=str(file))
