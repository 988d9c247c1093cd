"""The commands of authors: migrations folders, and the revisions in them."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqlhelpers.cli.group import cli, json_option
from sqlhelpers.cli.printing import is_terminal, table
from sqlhelpers.cli.runtimes import open_runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlhelpers.authors import Target
    from sqlhelpers.revision_reports import WrittenRevision
    from sqlhelpers.runtime import Runtime

_database = click.option("-d", "--database", "bind", metavar="NAME", help="The database. Default: that of the app.")
_rev_id = click.option("--rev-id", metavar="ID", help="The identifier of the revision. Default: a random one.")
_branch_label = click.option("--branch-label", metavar="NAME", help="Give the branch that begins here a name.")
_force = click.option("--force", is_flag=True, help="Write into an installed package too.")


@cli.command()
@click.argument("app", required=False)
@click.option("--with-env", is_flag=True, help="Add an env.py, for plain alembic and for IDEs.")
@click.option("--path", type=click.Path(path_type=Path), help="Where to make it. Default: where it is looked for.")
@_database
@_force
def init(app: str | None, path: Path | None, bind: str | None, *, with_env: bool, force: bool) -> None:
    """Make the migrations folder of an app, or of a database that has migrations without an app.

    Example: sqlhelpers init bookshop
    """
    from sqlhelpers.authors import make_folder

    with open_runtime() as runtime, redirect_stdout(sys.stderr):
        made = make_folder(runtime, app, bind=bind or "default", path=path, with_env=with_env, force=force)
    click.echo(f"{made.folder / 'versions'}")
    for file in made.files:
        click.echo(f"{file}")
    if made.settings:
        click.echo("note: pyproject.toml needs these lines:", err=True)
        click.echo(made.settings, nl=False, err=True)


@cli.command()
@click.argument("app", required=False)
@click.option("-m", "--message", required=True, help="What the revision is about.")
@click.option("--autogenerate", is_flag=True, help="Let it bring the tables to what the models say. The default.")
@click.option("--empty", is_flag=True, help="Let it do nothing, to be filled by hand; nothing is connected to.")
@click.option(
    "--from-scratch", is_flag=True, help="Compare what the revisions make of an empty database, not this one."
)
@click.option("--head", metavar="REVISION", help="The revision that it follows. Default: the newest.")
@click.option("--splice", is_flag=True, help="Let it follow one that others follow already.")
@_branch_label
@click.option("--depends-on", metavar="REVISION", multiple=True, help="A revision that is run before; can be repeated.")
@_rev_id
@click.option("--edit", "edits", is_flag=True, help="Open the file in the editor.")
@_database
@_force
@json_option
def revision(
    app: str | None,
    message: str,
    bind: str | None,
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
    from sqlhelpers.authors import targets, write_revisions

    if autogenerate and empty:
        raise click.UsageError("say either --autogenerate or --empty, not both")
    written: list[WrittenRevision] = []
    try:
        with open_runtime() as runtime, redirect_stdout(sys.stderr):
            is_special = empty or any(value for name, value in options.items() if name not in ("from_scratch", "force"))
            if is_special and len(targets(runtime, app, bind)) > 1:
                raise click.UsageError("several apps have migrations: name the one that this is for")
            options |= {"empty": empty, "done": written.append, "note": _note}
            write_revisions(runtime, message, app, bind=bind, **options)
    finally:
        _print(written, as_json=as_json)
    if edits:
        _open([Path(each.path) for each in written])


@cli.command()
@click.argument("app", required=False)
@click.argument("revisions", nargs=-1)
@click.option("-m", "--message", help="What it is about. Default: which revisions it merges.")
@click.option("--splice", is_flag=True, help="Merge revisions too that others follow already.")
@_branch_label
@_rev_id
@_database
@_force
@json_option
def merge(
    app: str | None,
    revisions: Sequence[str],
    message: str | None,
    bind: str | None,
    *,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a revision that merges the heads of an app, or the REVISIONS that are named.

    Example: sqlhelpers merge bookshop
    """
    with open_runtime() as runtime, redirect_stdout(sys.stderr):
        target, words = _meant(runtime, bind, [*([app] if app else []), *revisions])
        said = message or f"merge {' and '.join(words) or 'heads'}"
        written = runtime.perform(target.bind, lambda manager: manager.merge(said, target.app, tuple(words), **options))
    _print([written], as_json=as_json)


@cli.command()
@click.argument("app", required=False)
@click.argument("revision", required=False)
@click.option("--path", "only_path", is_flag=True, help="Print where the file is, and open nothing.")
@_database
def edit(app: str | None, revision: str | None, bind: str | None, *, only_path: bool) -> None:
    """Open a revision file in $VISUAL or $EDITOR: REVISION, or the newest; current is where the database is.

    Example: sqlhelpers edit bookshop head
    """
    from sqlhelpers.authors import revision_files

    with open_runtime() as runtime, redirect_stdout(sys.stderr):
        target, words = _meant(runtime, bind, [each for each in (app, revision) if each])
        if len(words) > 1:
            raise click.UsageError(f"there is no app {words[0]!r}")
        files = revision_files(runtime, target, words[0] if words else "head")
    if only_path or not sys.stdin.isatty():
        for file in files:
            click.echo(f"{file}")
    else:
        _open(files)


def _meant(runtime: Runtime, bind: str | None, words: list[str]) -> tuple[Target, list[str]]:
    """Return the app that is meant, and the words that do not name it: it may be left out where there is only one."""
    from sqlhelpers.authors import targets

    known = targets(runtime, None, bind)
    named = [each for each in known if words and each.app == words[0]]
    if named:
        return named[0], words[1:]
    if len(known) == 1:
        return known[0], words
    if words:
        targets(runtime, words[0], bind)  # tells that there is none
    raise click.UsageError("several apps have migrations: name the one that is meant")


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def _print(written: Iterable[WrittenRevision], *, as_json: bool) -> None:
    rows = list(written)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in rows], indent=2))
    else:
        table([each.bind, each.app or "-", each.revision, _shown(each.path)] for each in rows)
        for each in rows:
            for line in each.operations:
                click.echo(f"  {each.app or '-'}: {line}", err=True)
    for text in dict.fromkeys(note for each in rows for note in each.notes):
        _note(text)


def _shown(path: str) -> str:
    """Return a path as people read it, who are in the folder of their project; scripts get all of it."""
    place = Path(path)
    return str(place.relative_to(Path.cwd())) if is_terminal() and place.is_relative_to(Path.cwd()) else path


def _open(files: Sequence[Path]) -> None:
    for file in files:
        click.edit(filename=str(file))
