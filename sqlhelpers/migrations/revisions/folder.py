"""Knows the revisions of one migrations folder: heads, ways, files. Alembic is asked when there is work to do."""

from __future__ import annotations

import ast
import re
import traceback
import warnings
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlhelpers.exceptions import AppError, MigrationsNotFound, MultipleHeads
from sqlhelpers.migrations.revisions.names import check_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alembic.script import ScriptDirectory

    from sqlhelpers.migrations.revisions.files import RevisionFiles
    from sqlhelpers.migrations.revisions.graph import RevisionFile, RevisionGraph


class Revisions:
    """The revisions in one migrations folder, read once.

    Args:
        files: the files of the folder.
        app: the app that they belong to, for messages; None for a manager that was made without apps.

    Raises:
        MigrationsNotFound: the folder does not exist.
    """

    def __init__(self, files: RevisionFiles, app: str | None = None) -> None:
        self.folder: Path = files.folder
        self.app = app
        self._files = files
        if not self.folder.is_dir():
            raise MigrationsNotFound(f"{_owner(app)} {self.folder} is missing")

    @cached_property
    def graph(self) -> RevisionGraph:
        """How the revisions follow each other.

        Raises:
            AppError: a revision file cannot be read, or the files contradict each other.
        """
        with self._explained():
            graph = self._files.graph()
        if not graph.is_sound:
            for revision, paths in graph.doubles().items():
                problem = f"revision {revision} is present more than once: {' and '.join(paths)}"
                raise AppError(f"{_owner(self.app)} {self.folder}: {problem}")
            with self._explained():
                self._scripts(graph).get_heads()  # Alembic can say why
        return graph

    @cached_property
    def script(self) -> ScriptDirectory:
        """Alembic's view of the folder."""
        return self._scripts(self.graph)

    def _scripts(self, graph: RevisionGraph) -> ScriptDirectory:
        from sqlhelpers.migrations.revisions.alembic import script_directory

        return script_directory(self.folder, graph.files)

    @property
    def has_environment(self) -> bool:
        """Whether the folder brings an ``env.py`` of its own, which is then honoured.

        One that does nothing but call ours is none.
        """
        file = self.folder / "env.py"
        return file.is_file() and not _only_calls_ours(file.read_bytes())

    def environment_lacks(self, version_table: str) -> bool:
        """Tell whether plain Alembic looks for the position elsewhere: an ``env.py`` does not name the table."""
        if not self.has_environment or version_table == "alembic_version":
            return False
        return version_table not in (self.folder / "env.py").read_text("utf-8", errors="replace")

    @property
    def has_async_environment(self) -> bool:
        """Whether that ``env.py`` makes an async engine, and so needs the URL of an async driver."""
        return self.has_environment and "async_engine" in (self.folder / "env.py").read_text("utf-8", errors="replace")

    def heads(self) -> tuple[str, ...]:
        """Return the newest revisions, sorted.

        Raises:
            AppError: a revision file cannot be read, or the files contradict each other.
        """
        return self.graph.heads

    def head(self) -> str:
        """Return the newest revision.

        Raises:
            MigrationsNotFound: the folder holds no revisions.
            MultipleHeads: it has several heads.
        """
        heads = self.heads()
        if len(heads) == 0:
            raise MigrationsNotFound(
                f"{_owner(self.app)} {self.folder} holds no revisions; "
                "write the first one, or include versions/*.py in the wheel",
            )
        if len(heads) > 1:
            raise MultipleHeads(self.app, [(head, self.path(head)) for head in heads])
        return heads[0]

    def path(self, revision: str) -> str:
        """Return the file of a revision."""
        return self.files()[revision].path

    def files(self) -> Mapping[str, RevisionFile]:
        """Return the file of every revision."""
        return self.graph.by_revision

    def message(self, revision: str) -> str:
        """Return what a revision says that it does, the first line of its file; empty if it says nothing."""
        try:
            return docstring(Path(self.path(revision)).read_bytes()).partition("\n")[0].strip()
        except (OSError, SyntaxError, ValueError):  # it has changed since
            return ""

    def before(self, revision: str) -> tuple[str, ...]:
        """Return the revisions that one follows; empty for the first."""
        return self.files()[revision].down_revisions

    def unknown(self, revisions: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``revisions`` that are in no file."""
        return tuple(each for each in revisions if each not in self.files())

    def between(self, current: tuple[str, ...], target: str) -> tuple[str, ...]:
        """Return the revisions that lead from ``current`` up to ``target``, in the order in which they run."""
        found = self.graph.between(current, target)
        if found is None:
            scripts = self.script.iterate_revisions(target, current, implicit_base=True)
            found = tuple(reversed([each.revision for each in scripts]))
        return found

    def walk(self, start: str = "", end: str = "", current: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the revisions from ``start`` up to ``end``, both included, the newest first, in Alembic's order.

        Args:
            start: where to begin; empty for the first revisions.
            end: where to end; empty for the newest.
            current: the revisions that ``current`` stands for.

        Raises:
            AppError: there is no such revision, or no way from one to the other.
        """
        if end == "current" and not current:
            return ()
        if not start and not end and self.graph.chain is not None:
            return tuple(reversed(self.graph.chain))
        lower, upper = (tuple(current) if each == "current" else each for each in (start, end))
        with self.told(start, end):
            found = self.script.walk_revisions(lower or "base", upper or "heads")  # type: ignore[arg-type]  # or several
            return tuple(each.revision for each in found)

    def resolve(self, target: str) -> tuple[str, ...]:
        """Return the revisions that ``target`` stands for, in Alembic's words; none for ``base``.

        Raises:
            AppError: there is no such revision.
        """
        if target in self.files():
            return (target,)
        if target in ("head", "heads") and self.graph.chain is not None:
            return self.graph.heads
        with self.told(target):
            return tuple(each.revision for each in self.script.get_revisions(target) if each is not None)

    def all_current(self, recorded: tuple[str, ...]) -> tuple[str, ...]:
        """Return the recorded revisions, and those on other branches that they depend on; all must be in the files."""
        if len(recorded) < 2 and not any(file.depends_on for file in self.graph.files):  # noqa: PLR2004
            return recorded
        return tuple(sorted(each.revision for each in self.script.get_all_current(recorded)))

    def check(self, *targets: str) -> None:
        """Raise if a target, in Alembic's words, names what is not there, or more than one thing.

        Raises:
            AppError: with the near name, or all that was found.
        """
        for target in targets:
            check_name(self.graph, target, self._whose())

    @contextmanager
    def told(self, *targets: str) -> Iterator[None]:
        """Turn what Alembic says of targets in the block into an error of ours, which suggests the near name."""
        self.check(*targets)
        from alembic.script.revision import RevisionError
        from alembic.util import CommandError

        try:
            yield
        except (CommandError, RevisionError) as error:
            raise AppError(f"{self._whose()}: {error}") from error

    def _whose(self) -> str:
        return f"app {self.app!r}" if self.app else f"the migrations folder {self.folder}"

    def applied(self, current: Iterable[str]) -> set[str]:
        """Return all revisions that a database at ``current`` has: these, and whatever comes before them."""
        owners = {label: file.revision for file in self.graph.files for label in file.branch_labels}
        waiting, found = [each for each in current if each in self.files()], set[str]()
        while waiting:
            file = self.files()[waiting.pop()]
            if file.revision not in found:
                found.add(file.revision)
                waiting += (*file.down_revisions, *(owners.get(name, name) for name in file.depends_on))
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what is wrong with the files into an error that names the one at fault."""
        caught: list[warnings.WarningMessage] = []
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                yield
        except (Exception, SystemExit) as error:
            frames = traceback.extract_tb(error.__traceback__)
            files = [frame.filename for frame in frames if self.folder.absolute() in Path(frame.filename).parents]
            doubts = "; ".join(str(warning.message) for warning in caught)  # Alembic warns, then stumbles
            reason = doubts or " ".join(f"{type(error).__name__}: {error}".split())
            where = files[-1] if files else getattr(error, "revision_file", self.folder)
            raise AppError(f"{_owner(self.app)} {where} cannot be read: {reason}") from error


def docstring(source: bytes) -> str:
    """Return the docstring of a module that can be parsed, without running it; empty if it has none."""
    head, _, _ = source.partition(b"\ndef ")
    try:
        tree = ast.parse(head)
    except (SyntaxError, ValueError):  # the line is within a string
        tree = ast.parse(source)
    return (ast.get_docstring(tree, clean=False) or "").strip()


def _only_calls_ours(source: bytes) -> bool:
    """Tell whether an ``env.py`` does nothing but call ``sqlhelpers.environment.run()``."""
    if b"sqlhelpers" not in source:
        return False
    try:
        statements = [ast.unparse(node) for node in ast.parse(source).body]
    except (SyntaxError, ValueError):
        return False
    return [each for each in statements if not _IS_NO_CODE(each)] in _CALLS


_IS_NO_CODE = re.compile(r"from __future__ import|['\"]").match
_CALLS = (
    ["from sqlhelpers.environment import run", "run()"],
    ["from sqlhelpers import environment", "environment.run()"],
    ["import sqlhelpers.environment", "sqlhelpers.environment.run()"],
)


def _owner(app: str | None) -> str:
    return f"app {app!r}: the migrations folder" if app else "the migrations folder"
