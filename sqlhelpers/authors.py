"""For authors of revisions: functions over a ``Runtime`` that make migrations folders and write what goes into them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlhelpers.authoring import refuse_installed
from sqlhelpers.exceptions import AppError, NothingToWrite, Refused, SeveralFailures, SqlhelpersError
from sqlhelpers.registry import near
from sqlhelpers.sources import project_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlhelpers.revision_reports import WrittenRevision
    from sqlhelpers.runtime import Runtime

_OWN = Path(__file__).parent / "environment"
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
    """A history that revisions can be written for."""

    bind: str
    app: str | None
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
        known = runtime.registry.for_authors()
        raise AppError(
            f"there is no app {name!r}{near(name, known)} (apps: {', '.join(known) or 'none'}); an app is registered "
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


def targets(runtime: Runtime, app: str | None = None, bind: str | None = None) -> tuple[Target, ...]:
    """Return the histories that revisions can be written for, in the order in which they are synced.

    Args:
        runtime: the settings and the apps.
        app: the app; None for all that have a migrations folder.
        bind: the name of the database; None for all.

    Raises:
        AppError: there is none.
    """
    found = tuple(_histories(runtime, bind))
    if app is not None:
        wanted = [each for each in found if each.app == app]
        if wanted:
            return tuple(wanted)
        names = [each.app for each in found if each.app]
        where = f" in database {bind!r}" if bind else ""
        raise AppError(f"there is no app {app!r}{where}{near(app, names)} (apps: {', '.join(names) or 'none'})")
    wanted = [each for each in found if each.folder]
    if not wanted:
        raise AppError("no app has a migrations folder; `sqlhelpers init APP` makes one")
    return tuple(wanted)


def _histories(runtime: Runtime, bind: str | None) -> Iterator[Target]:
    for name in runtime.binds([bind] if bind else []):
        for history in runtime.database(name).histories_for_authors():
            yield Target(name, history.app, history.revisions.folder if history.revisions else None)


def write_revisions(
    runtime: Runtime,
    message: str,
    app: str | None = None,
    *,
    bind: str | None = None,
    done: Callable[[WrittenRevision], None] | None = None,
    note: Callable[[str], None] | None = None,
    **options: Any,
) -> tuple[WrittenRevision, ...]:
    """Write a revision for an app, or for each whose tables are not as its models say.

    Args:
        runtime: the settings and the apps.
        message: what they are about.
        app: the app; None for all whose files are yours.
        bind: the name of the database; None for all.
        done: called with each revision as soon as it is written.
        note: called with what else the author should know.
        **options: those of ``DatabaseManager.revision``.

    Raises:
        NothingToWrite: all tables are as the models say already.
        SeveralFailures: it failed for more than one app. If it did for one, its own error is raised.
    """
    chosen = targets(runtime, app, bind)
    if app is None and len(chosen) > 1:
        chosen = tuple(_yours(chosen, note, force=bool(options.get("force"))))
    written: list[WrittenRevision] = []
    idle: list[NothingToWrite] = []
    errors: list[SqlhelpersError] = []
    for target in chosen:
        try:
            revision = _written(runtime, target, message, options)
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
    for target in chosen:
        try:
            if target.folder is not None and not force:
                refuse_installed(target.folder, target.app)
            yield target
        except Refused as error:
            if note:
                note(f"left out: {error}")


def _written(runtime: Runtime, target: Target, message: str, options: dict[str, Any]) -> WrittenRevision:
    written: WrittenRevision = runtime.perform(
        target.bind, lambda manager: manager.revision(message, target.app, **options)
    )
    return written


def revision_files(runtime: Runtime, target: Target, revision: str = "head") -> tuple[Path, ...]:
    """Return the files of revisions.

    Args:
        runtime: the settings and the apps.
        target: the app.
        revision: a revision, the first letters of one, ``head``, ``heads``, or ``current`` for where the database is.

    Raises:
        AppError: there is no such revision.
    """
    from alembic.util import CommandError

    history = next(each for each in runtime.database(target.bind).histories_for_authors() if each.app == target.app)
    if history.revisions is None:
        raise AppError(f"app {target.app!r} has no migrations folder")
    wanted: Any = revision
    if revision == "current":
        wanted = runtime.perform(target.bind, lambda manager: manager.get_current_revisions(app=target.app))
    try:
        found = history.revisions.script.get_revisions(wanted)
    except CommandError as error:
        raise AppError(f"{history.revisions.folder}: {error}") from error
    paths = tuple(Path(each.path) for each in found if each is not None)
    if not paths:
        raise AppError(f"{history.revisions.folder}: there is no revision {revision!r}")
    return paths
