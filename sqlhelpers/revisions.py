"""Knows the revisions of one migrations folder: heads, ways, files. Alembic is asked when there is work to do."""

from __future__ import annotations

import traceback
import warnings
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlhelpers.exceptions import AppError, MigrationsNotFound, MultipleHeads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from alembic.script import ScriptDirectory

    from sqlhelpers.revision_files import RevisionFiles
    from sqlhelpers.revision_graph import RevisionFile, RevisionGraph


class Revisions:
    """The revisions in one migrations folder, read once.

    Args:
        files: the files of the folder.
        app: the app that they belong to, for messages; None for a manager that was made without apps.

    Raises:
        MigrationsNotFound: the folder does not exist.
    """

    def __init__(self, files: RevisionFiles, app: str | None = None) -> None:
        self.folder = files.folder
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
        from sqlhelpers.scripts import script_directory

        return script_directory(self.folder, graph.files)

    @property
    def has_environment(self) -> bool:
        """Whether the folder brings an ``env.py`` of its own, which is then honoured."""
        return (self.folder / "env.py").is_file()

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
        for warning in caught:
            if "is not present" in str(warning.message):
                raise AppError(f"{_owner(self.app)} {self.folder}: {warning.message}")


def _owner(app: str | None) -> str:
    return f"app {app!r}: the migrations folder" if app else "the migrations folder"
