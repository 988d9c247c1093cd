"""Reads the revision files of one migrations folder."""

from __future__ import annotations

import re
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from sqlhelpers.exceptions import AppError, MigrationsNotFound, MultipleHeads

if TYPE_CHECKING:
    from collections.abc import Iterable


class Revisions:
    """The revisions in one migrations folder, read once.

    Args:
        folder: the folder that holds ``versions/``.
        app: the app that they belong to, for messages; None for a manager that was made without apps.

    Raises:
        MigrationsNotFound: the folder does not exist.
    """

    def __init__(self, folder: Path, app: str | None = None) -> None:
        if not folder.is_dir():
            raise MigrationsNotFound(f"{_owner(app)} {folder} is missing")
        self.folder = folder
        self.app = app
        self.script = ScriptDirectory.from_config(alembic_config(folder))

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
        caught: list[warnings.WarningMessage] = []
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                heads = tuple(sorted(self.script.get_heads()))
        except (Exception, SystemExit) as error:
            frames = traceback.extract_tb(error.__traceback__)
            files = [frame.filename for frame in frames if self.folder.absolute() in Path(frame.filename).parents]
            doubts = "; ".join(str(warning.message) for warning in caught)  # Alembic warns, then stumbles
            reason = doubts or " ".join(f"{type(error).__name__}: {error}".split())
            where = files[-1] if files else self.folder
            raise AppError(f"{_owner(self.app)} {where} cannot be read: {reason}") from error
        for warning in caught:
            if re.search("more than once|is not present", str(warning.message)):
                raise AppError(f"{_owner(self.app)} {self.folder}: {warning.message}")
        return heads

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
        return str(self.script.get_revision(revision).path)

    def before(self, revision: str) -> tuple[str, ...]:
        """Return the revisions that one follows; empty for the first."""
        found = self.script.get_revision(revision).down_revision
        return (found,) if isinstance(found, str) else tuple(found or ())

    def paths(self) -> dict[str, str]:
        """Return the file of every revision."""
        return {each.revision: str(each.path) for each in self.script.walk_revisions()}

    def unknown(self, revisions: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``revisions`` that are in no file."""
        self.heads()
        return tuple(each for each in revisions if not self._has(each))

    def _has(self, revision: str) -> bool:
        try:
            found = self.script.get_revision(revision)
        except CommandError:
            return False
        return found is not None and found.revision == revision  # not a prefix of another one

    def between(self, current: tuple[str, ...], target: str) -> tuple[str, ...]:
        """Return the revisions that lead from ``current`` up to ``target``, in the order in which they run."""
        found = self.script.iterate_revisions(target, current, implicit_base=True)
        return tuple(reversed([each.revision for each in found]))


def alembic_config(folder: Path) -> Config:
    """Return an Alembic configuration for a migrations folder, without any file behind it."""
    config = Config()
    config.set_main_option("script_location", str(folder.absolute()).replace("%", "%%"))
    return config


def _owner(app: str | None) -> str:
    return f"app {app!r}: the migrations folder" if app else "the migrations folder"
