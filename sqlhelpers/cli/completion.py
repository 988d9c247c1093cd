"""What shells offer for the names of databases, apps and revisions: quickly, and in silence if nothing can be told."""

from __future__ import annotations

import os
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

from sqlhelpers.cli.runtime import read_preview

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import click

    from sqlhelpers.config import Preview
    from sqlhelpers.discovery import App
    from sqlhelpers.migrations.revisions import RevisionGraph

_SYMBOLS = {"head": "the newest", "heads": "the newest of every branch", "base": "before the first"}


def databases_of(ctx: click.Context, _: click.Parameter, start: str) -> list[str]:
    """Return the names of the configured databases that begin with ``start``."""
    found: list[str] = []
    with _silent():
        found += [name for name in read_preview(ctx).databases if name.startswith(start)]
    return found


def apps_of(ctx: click.Context, _: click.Parameter, start: str) -> list[str]:
    """Return the names of the apps that begin with ``start``; no module of theirs is imported."""
    found: list[str] = []
    with _silent():
        found += [name for name in _names(read_preview(ctx)) if name.startswith(start)]
    return found


def revisions_of(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Return apps and revisions that begin with ``start``; the revisions of the app that was named before."""
    found: list[CompletionItem] = []
    with _silent():
        outline = read_preview(ctx)
        named = ctx.params.get("app")
        words = [named] if isinstance(named, str) else [str(word) for word in ctx.params.get("words") or ()]
        names = _names(outline)
        if not words and param.name == "words":
            found += [CompletionItem(name, help="app") for name in names if name.startswith(start)]
        wanted = [words[0]] if words and words[0] in names else names
        found += [CompletionItem(each, help=text) for each, text in _SYMBOLS.items() if each.startswith(start)]
        for graph in _graphs(outline.values, wanted, is_named=bool(words)):
            labels = (label for file in graph.files for label in file.branch_labels)
            every = (*reversed(list(graph.by_revision)), *labels)
            found += [CompletionItem(each) for each in every if each.startswith(start)]
    return found


@contextmanager
def _silent() -> Iterator[None]:
    """Let nothing be printed in the block, and what is raised there end it."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        suppress(Exception, SystemExit),
    ):
        yield


def _names(outline: Preview) -> list[str]:
    from sqlhelpers.discovery import APPS, installed

    names = {point.name for point in installed(APPS)}.union(outline.apps).difference(outline.disable_plugins)
    return sorted(names if outline.enable_apps is None else names.intersection(outline.enable_apps))


def _graphs(values: Mapping[str, Any], names: list[str], *, is_named: bool) -> Iterator[RevisionGraph]:
    """Yield the histories of some apps, and those without an app, as their files have them."""
    from sqlhelpers.config import cache_folder
    from sqlhelpers.migrations.revisions import RevisionFiles

    folders: list[Path | None] = []
    for name in names:
        with suppress(Exception, SystemExit):  # other apps can be told of
            folders.append(_folder((values.get("apps") or {}).get(name), name))
    if not is_named:
        paths = [(each.get("alembic") or {}).get("migrations_path") for each in values.get("databases", {}).values()]
        folders += [Path(path) for path in paths if path]
    for folder in dict.fromkeys(folder for folder in folders if folder is not None):
        with suppress(Exception, SystemExit):
            yield RevisionFiles(folder, cache_folder()).graph()


def _folder(changes: Mapping[str, Any] | None, name: str) -> Path | None:
    """Return the migrations folder of an app, as the settings correct it."""
    from dataclasses import replace

    from sqlhelpers.config import split
    from sqlhelpers.discovery import App

    app = _registered(name)
    if changes is not None:
        models = sorted(split(changes.get("models") or ())) or [name]
        package = changes.get("package") or (app.package if app else models[0].rpartition(".")[0] or models[0])
        app = replace(app or App(name=name, package=package), package=package)
        if changes.get("migrations") is not None:
            app = replace(app, migrations=changes["migrations"] or None)
    return app.migrations_folder() if app else None


def _registered(name: str) -> App | None:
    """Return the app that an entry point registers. One that is an object in its module has to be loaded."""
    from sqlhelpers.discovery import APPS, App, installed

    for point in installed(APPS):
        if point.name != name:
            continue
        if not point.attr:
            return App(name=name, package=point.module)
        value = point.load()
        return value if isinstance(value, App) else None
    return None
