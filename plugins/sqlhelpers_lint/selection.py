"""Which revisions are linted: the newest, or those that are named, are new since something, or are pending."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlhelpers.exceptions import AppError, ConfigurationError, Refused
from sqlhelpers.migrations.revisions import known_names, knows, words_of
from sqlhelpers.suggestions import unknown_app

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlhelpers import DatabaseReport, Runtime
    from sqlhelpers.migrations.state import History


@dataclass(frozen=True)
class Selected:
    """The revisions of one app to look at.

    Attributes:
        bind: the name of the database.
        dialect: SQLAlchemy's name of its dialect.
        history: the app.
        revisions: the revisions, in the order of their history.
        total: how many there are.
    """

    bind: str
    dialect: str
    history: History
    revisions: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class Wanted:
    """Which revisions a caller wants to have linted; the newest of each app if nothing is said.

    Attributes:
        words: apps, revisions, and revision files. What else is said is said of these apps.
        binds: databases; all of them if empty.
        since: revisions: what comes after them is wanted, of their apps.
        since_git: a branch, tag or commit: the files that were added or changed since are wanted.
        pending: whether the databases are asked what they have not run.
        every: whether all revisions are wanted.
        dialect: a dialect for all; empty for that of each URL.
    """

    words: Sequence[str] = ()
    binds: Sequence[str] = ()
    since: Sequence[str] = ()
    since_git: str | None = None
    pending: bool = False
    every: bool = False
    dialect: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether nothing was said but databases and a dialect."""
        return not (self.words or self.since or self.since_git or self.pending or self.every)


def select(runtime: Runtime, wanted: Wanted) -> tuple[Selected, ...]:
    """Return the revisions to look at, database by database and app by app.

    Raises:
        AppError: there is no such app or revision, or several that could be meant.
        ConfigurationError: git does not know what was given.
        Refused: what is pending was asked, and a database is in a state that only a person can resolve.
    """
    found = list(_histories(runtime, wanted))
    apps = {history.name for _, _, history in found}.intersection(wanted.words)
    histories = [history for _, _, history in found if not apps or history.name in apps]
    named = {each for word in wanted.words if word not in apps for each in _meant(word, histories)}
    filters = _filters(runtime, wanted, histories)
    selected = []
    for bind, dialect, history in found:
        assert history.revisions
        files = history.revisions.files()
        picked = {revision for folder, revision in named if folder == history.revisions.folder}
        if not picked and not named and history in histories:
            picked = set(files) if filters or wanted.every else set(history.revisions.heads())
            for each in filters:
                picked &= each(bind, history)
        order = tuple(each.revision for each in history.revisions.graph.files if each.revision in picked)
        selected.append(Selected(bind, dialect, history, order, len(files)))
    return tuple(selected)


def _histories(runtime: Runtime, wanted: Wanted) -> Iterator[tuple[str, str, History]]:
    """Yield each app that has migrations, its database and the dialect; a folder that databases share but once."""
    seen = set()
    for bind in runtime.binds(wanted.binds):
        database = runtime.database(bind)
        dialect = wanted.dialect or database.url.get_backend_name()
        for history in database.histories:
            if history.revisions is not None and (history.revisions.folder, dialect) not in seen:
                seen.add((history.revisions.folder, dialect))
                yield bind, dialect, history


def _meant(word: str, histories: Sequence[History]) -> set[tuple[Path, str]]:
    """Return the folders and the revisions that a word stands for: Alembic's for revisions, or the path of a file."""
    found: dict[tuple[Path, str], str] = {}
    apps, known = [history.name for history in histories], list[str]()
    for history in histories:
        assert history.revisions
        revisions, names = history.revisions, tuple[str, ...]()
        known += known_names(revisions.graph)
        if word.endswith(".py"):
            path = os.path.realpath(word)
            names = tuple(name for name, file in revisions.files().items() if os.path.realpath(file.path) == path)
        elif knows(revisions.graph, word):
            names = revisions.resolve(word)
        found |= {(revisions.folder, name): history.name for name in names}
    if not found:
        raise unknown_app(word, apps, kinds="app, no revision and no revision file", others=known)
    owners = sorted(set(found.values()))
    if len(owners) > 1 and words_of(word):
        raise AppError(f"{word} can be meant for several apps: name one of {', '.join(owners)}")
    return set(found)


_Filter = Callable[[str, "History"], set[str]]


def _filters(runtime: Runtime, wanted: Wanted, histories: Sequence[History]) -> list[_Filter]:
    """Return functions that give the revisions of an app that are wanted; those that all give are."""
    filters: list[_Filter] = []
    if wanted.since:
        since = [each for word in wanted.since for each in _meant(word, histories)]
        filters.append(lambda _, history: _after(history, since))
    if wanted.since_git is not None:
        changed = _changed_since(wanted.since_git)
        filters.append(lambda _, history: _of_files(history, changed))
    if wanted.pending:
        reports = runtime.status(wanted.binds)
        filters.append(lambda bind, history: _pending(reports, bind, history))
    return filters


def _after(history: History, since: Iterable[tuple[Path, str]]) -> set[str]:
    """Return the revisions that are neither one of ``since`` nor before it; none if none of them is of this app."""
    assert history.revisions
    files = history.revisions.files()
    waiting = [revision for folder, revision in since if folder == history.revisions.folder]
    if not waiting:
        return set()
    before: set[str] = set()
    for revision in waiting:  # it grows
        if revision in files and revision not in before:
            before.add(revision)
            waiting += (*files[revision].down_revisions, *files[revision].depends_on)
    return files.keys() - before


def _of_files(history: History, changed: set[str]) -> set[str]:
    assert history.revisions
    files = history.revisions.files()
    return {revision for revision, file in files.items() if os.path.realpath(file.path) in changed}


def _changed_since(commit: str) -> set[str]:
    """Return the files that were added or changed since the working tree has left a branch, tag or commit."""
    root = Path(_git(commit, "rev-parse", "--show-toplevel", folder=Path()).strip())
    base = _git(commit, "merge-base", commit, "HEAD", folder=root).strip()
    names = _git(commit, "diff", "--name-only", "--diff-filter=d", "-z", base, folder=root)
    names += _git(commit, "ls-files", "--others", "--exclude-standard", "-z", folder=root)
    return {os.path.realpath(root / name) for name in names.split("\0") if name}


def _git(commit: str, *arguments: str, folder: Path) -> str:
    command = ("git", *arguments)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)  # noqa: S603  # no shell
    except OSError as error:
        raise ConfigurationError(f"--since-git needs git: {error}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or "they have no commit in common"
        hint = "in CI, fetch the whole history (actions/checkout: fetch-depth: 0)"
        raise ConfigurationError(f"--since-git {commit}: git {arguments[0]}: {said}; {hint}")
    return done.stdout


def _pending(reports: Iterable[DatabaseReport], bind: str, history: History) -> set[str]:
    (app,) = (app for report in reports if report.bind == bind for app in report.apps if app.app == history.app)
    if app.detail:
        raise Refused(f"database {bind!r}: app {app.app or '-'}: {app.detail}")
    return set(app.pending)
