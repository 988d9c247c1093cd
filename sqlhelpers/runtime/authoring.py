"""For authors of revisions: functions over a ``Runtime`` that make migrations folders and write what goes into them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlhelpers.config import project_file
from sqlhelpers.exceptions import AppError, NothingToWrite, Refused, SeveralFailures, SqlhelpersError
from sqlhelpers.migrations.authoring import init_hint, refuse_installed
from sqlhelpers.runtime.selection import select, select_app
from sqlhelpers.suggestions import unknown_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlhelpers.migrations.state import History
    from sqlhelpers.reports import WrittenRevision
    from sqlhelpers.runtime.runtime import Runtime
    from sqlhelpers.runtime.selection import Selection

_OWN = Path(__file__).parents[1] / "environment"
_COPIED = ("env.py", "script.py.mako")


@dataclass(frozen=True, kw_only=True)
class MadeFolder:
    """A migrations folder that was made.

    Attributes:
        app: the app; None for a folder that belongs to a database.
        folder: where it is.
        files: what is in it.
        settings: the lines that ``pyproject.toml`` has to have for it; empty if it needs none.
    """

    app: str | None
    folder: Path
    files: tuple[Path, ...]
    settings: str


class Target(NamedTuple):
    """A history that revisions can be written for; the ``app`` is ``-`` for one that belongs to none."""

    bind: str
    app: str
    folder: Path | None


def make_folder(
    runtime: Runtime,
    app: str | None = None,
    *,
    bind: str = "default",
    path: Path | None = None,
    with_env: bool = False,
    force: bool = False,
) -> MadeFolder:
    """Make a migrations folder.

    Args:
        runtime: the settings and the apps.
        app: the app; None for a folder that belongs to the database ``bind``.
        bind: the name of the database.
        path: where to make it; None for where it is looked for.
        with_env: whether to put an ``env.py`` into it that lets plain ``alembic`` work on it.
        force: make it also in an installed package.

    Raises:
        AppError: there is no such app, or nothing says where to make it; the text has the lines to write.
        Refused: it is there already, or is not yours.
    """
    place = _place_of_app(runtime, app) if app else _place_of_database(runtime, bind)
    folder = Path(path) if path is not None else place
    if folder is None:
        table = _table(f"databases.{bind}.alembic", migrations_path="migrations")
        raise AppError(f"nothing says where the migrations of database {bind!r} are; add to pyproject.toml: {table}")
    if not force:
        refuse_installed(folder, app)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there already, and was left as it is")
    (folder / "versions").mkdir(parents=True)
    files = tuple(Path(shutil.copyfile(_OWN / name, folder / name)) for name in _COPIED if with_env)
    settings = ""
    if place is None or folder.resolve() != place.resolve():
        shown = _relative(folder)
        table = f"apps.{app}" if app else f"databases.{bind}.alembic"
        settings = _table(table, **{"migrations" if app else "migrations_path": shown})
    if with_env:
        settings += f"[tool.alembic]\nscript_location = {json.dumps(f'%(here)s/{_relative(folder)}')}\n"
    return MadeFolder(app=app, folder=folder, files=files, settings=settings)


def _place_of_app(runtime: Runtime, name: str) -> Path:
    declared = runtime.registry.declared(name)
    if declared is None:
        raise AppError(
            f"{unknown_app(name, runtime.registry.for_authors())}; an app is registered "
            f'in pyproject.toml, by its own distribution: [project.entry-points."sqlhelpers.apps"] {name} = "PACKAGE", '
            f'or by a project that is not installed: [tool.sqlhelpers.apps.{name}] package = "PACKAGE"',
            [name],
        )
    place = declared.migrations_place()
    if place is None:
        where = f"App(migrations=None), or `migrations = false` under [tool.sqlhelpers.apps.{name}]"
        raise AppError(f"app {name!r} says that it has no migrations: take out {where}", [name])
    return place


def _place_of_database(runtime: Runtime, bind: str) -> Path | None:
    runtime.binds([bind])
    return runtime.settings.databases[bind].alembic.migrations_path


def _table(name: str, **values: str) -> str:
    """Return a table of our settings as TOML, whose texts are those of JSON."""
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    return f"[tool.sqlhelpers.{name}]\n{''.join(lines)}"


def _relative(folder: Path) -> str:
    project = project_file(Path.cwd())
    top = project.parent if project else Path.cwd()
    return Path(os.path.relpath(folder.absolute(), top)).as_posix()


def targets(runtime: Runtime, app: str | None = None, binds: Sequence[str] = ()) -> tuple[Target, ...]:
    """Return the histories that revisions can be written for, in the order in which they are synced.

    Args:
        runtime: the settings and the apps.
        app: the app; None for all that have a migrations folder.
        binds: the names of the databases; empty for all.

    Raises:
        AppError: there is none.
    """
    histories = _histories(runtime, binds)
    return _chosen(histories, select_app(histories, app))


def target(runtime: Runtime, words: Sequence[str], binds: Sequence[str] = ()) -> tuple[Target, tuple[str, ...]]:
    """Return the only history that can be meant by ``[APP] [REVISION]...``, and the revisions as they were written.

    Args:
        runtime: the settings and the apps.
        words: what was written.
        binds: the names of the databases; empty for all.

    Raises:
        AppError: there is none, or more than one.
    """
    histories = _histories(runtime, binds)
    selection = select(histories, words)
    first, *others = _chosen(histories, selection)
    if any(each.app != first.app for each in others):
        names = sorted({first.app, *(each.app for each in others)})
        raise AppError(f"several apps have migrations: name one of {', '.join(names)}")
    if others:
        raise AppError(f"app {first.app!r} is in several databases: say -d {' or -d '.join(selection.apps)}")
    return first, selection.revisions


def _histories(runtime: Runtime, binds: Sequence[str]) -> dict[str, Sequence[History]]:
    return {bind: runtime.database(bind).histories_for_authors() for bind in runtime.binds(binds)}


def _chosen(histories: Mapping[str, Sequence[History]], selection: Selection) -> tuple[Target, ...]:
    found = tuple(
        Target(bind, each.name, each.revisions.folder if each.revisions else None)
        for bind, apps in selection.apps.items()
        for each in histories[bind]
        if each.name in apps
    )
    if not found:
        raise AppError("no app has a migrations folder; `sqlhelpers init APP` makes one")
    return found


def write_revisions(
    runtime: Runtime,
    message: str,
    app: str | None = None,
    *,
    binds: Sequence[str] = (),
    done: Callable[[WrittenRevision], None] | None = None,
    note: Callable[[str], None] | None = None,
    **options: Any,
) -> tuple[WrittenRevision, ...]:
    """Write a revision for an app, or for each whose tables are not as its models say.

    Args:
        runtime: the settings and the apps.
        message: what they are about.
        app: the app; None for all whose files are yours.
        binds: the names of the databases; empty for all.
        done: called with each revision as soon as it is written.
        note: called with what else the author should know.
        **options: those of ``DatabaseManager.revision``.

    Raises:
        NothingToWrite: all tables are as the models say already.
        SeveralFailures: it failed for more than one app. If it did for one, its own error is raised.
    """
    chosen = targets(runtime, app, binds)
    if app is None and len(chosen) > 1:
        chosen = tuple(_yours(chosen, note, force=bool(options.get("force"))))
    written: list[WrittenRevision] = []
    idle: list[NothingToWrite] = []
    errors: list[SqlhelpersError] = []
    for each in chosen:
        try:
            revision = _written(runtime, each, message, options)
            written.append(revision)
            if done:
                done(revision)
        except NothingToWrite as nothing:
            idle.append(nothing)
        except SqlhelpersError as error:
            errors.append(error)
    if errors:
        raise SeveralFailures(errors) if len(errors) > 1 else errors[0]
    if not written:
        raise NothingToWrite("; ".join(map(str, idle)) or "no app's files are yours, so nothing was written")
    return tuple(written)


def _yours(chosen: Sequence[Target], note: Callable[[str], None] | None, *, force: bool) -> Iterator[Target]:
    for each in chosen:
        try:
            if each.folder is not None and not force:
                refuse_installed(each.folder, each.app)
            yield each
        except Refused as error:
            if note:
                note(f"left out: {error}")


def _written(runtime: Runtime, chosen: Target, message: str, options: dict[str, Any]) -> WrittenRevision:
    written: WrittenRevision = runtime.perform(
        chosen.bind, lambda manager: manager.migrations.revision(message, chosen.app, **options)
    )
    return written


def revision_files(runtime: Runtime, chosen: Target, revision: str = "head") -> tuple[Path, ...]:
    """Return the files of revisions.

    Args:
        runtime: the settings and the apps.
        chosen: the app.
        revision: a revision, the first letters of one, ``head``, ``heads``, or ``current`` for where the database is.

    Raises:
        AppError: there is no such revision.
    """
    history = next(each for each in runtime.database(chosen.bind).histories_for_authors() if each.name == chosen.app)
    if history.revisions is None:
        raise AppError(f"app {chosen.app!r} has no migrations folder; {init_hint(history.app)}")
    wanted: Sequence[str] = (revision,)
    if revision == "current":
        wanted = runtime.perform(chosen.bind, lambda manager: manager.migrations.get_current_revisions(app=chosen.app))
    found = [name for each in wanted for name in history.revisions.resolve(each)]
    if not found:
        raise AppError(f"{history.revisions.folder}: there is no revision {revision!r}")
    return tuple(Path(history.revisions.path(name)) for name in dict.fromkeys(found))
