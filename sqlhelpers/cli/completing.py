"""What shells offer for the names of databases, apps and revisions: quickly, and in silence if nothing can be told."""

from __future__ import annotations

import os
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from sqlhelpers.cli.runtimes import open_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from sqlhelpers.app import App
    from sqlhelpers.revision_graph import RevisionGraph
    from sqlhelpers.settings import Settings

_SYMBOLS = {"head": "the newest", "heads": "the newest of every branch", "base": "before the first"}


def databases_of(ctx: click.Context, _: click.Parameter, start: str) -> list[str]:
    """Return the names of the configured databases that begin with ``start``."""
    found: list[str] = []
    with _silent(), open_settings(ctx) as settings:
        found += [name for name in settings.databases if name.startswith(start)]
    return found


def apps_of(ctx: click.Context, _: click.Parameter, start: str) -> list[str]:
    """Return the names of the apps that begin with ``start``; no module of theirs is imported."""
    found: list[str] = []
    with _silent(), open_settings(ctx) as settings:
        found += [name for name in _names(settings) if name.startswith(start)]
    return found


def revisions_of(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """Return apps and revisions that begin with ``start``; the revisions of the app that was named before."""
    found: list[CompletionItem] = []
    with _silent(), open_settings(ctx) as settings:
        named = ctx.params.get("app")
        words = [named] if isinstance(named, str) else [str(word) for word in ctx.params.get("words") or ()]
        names = _names(settings)
        if not words and param.name == "words":
            found += [CompletionItem(name, help="app") for name in names if name.startswith(start)]
        wanted = [words[0]] if words and words[0] in names else names
        found += [CompletionItem(each, help=text) for each, text in _SYMBOLS.items() if each.startswith(start)]
        for graph in _graphs(settings, wanted, is_named=bool(words)):
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


def _names(settings: Settings) -> list[str]:
    from importlib.metadata import entry_points

    installed = {point.name for point in entry_points(group="sqlhelpers.apps")}
    names = (installed | set(settings.apps)) - set(settings.disable_plugins)
    return sorted(name for name in names if settings.enable_apps is None or name in settings.enable_apps)


def _graphs(settings: Settings, names: list[str], *, is_named: bool) -> Iterator[RevisionGraph]:
    """Yield the histories of some apps, and those without an app, as their files have them."""
    from sqlhelpers.revision_files import RevisionFiles
    from sqlhelpers.sources import cache_folder

    folders = [_folder(settings, name) for name in names]
    if not is_named:
        folders += [each.alembic.migrations_path for each in settings.databases.values()]
    for folder in dict.fromkeys(folder for folder in folders if folder is not None):
        with suppress(Exception, SystemExit):  # those of other apps can be told
            yield RevisionFiles(folder, cache_folder()).graph()


def _folder(settings: Settings, name: str) -> Path | None:
    """Return the migrations folder of an app; that of one which is an object in its module only if it is loaded."""
    from dataclasses import replace

    from sqlhelpers.exceptions import SqlhelpersError

    app, changes = _registered(name), settings.apps.get(name)
    if changes is not None:
        package = changes.package or (app.package if app else (changes.models or (name,))[0])
        app = replace(app or _declared(name, package), package=package)
        if "migrations" in changes.model_fields_set:
            app = replace(app, migrations=changes.migrations or None)
    try:
        return app.migrations_folder() if app else None
    except SqlhelpersError:
        return None


def _declared(name: str, package: str) -> App:
    from sqlhelpers.app import App

    return App(name=name, package=package)


def _registered(name: str) -> App | None:
    from importlib.metadata import entry_points

    from sqlhelpers.app import App

    for point in entry_points(group="sqlhelpers.apps", name=name):
        if not point.attr:
            return App(name=name, package=point.module)
        value = point.load()
        return value if isinstance(value, App) else None
    return None
