"""Throwaway project folders, and the ``sqlhelpers`` command as a real process in them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WITHIN = 60.0  # seconds


@dataclass(frozen=True)
class Finished:
    """A process that has ended.

    Attributes:
        status: its exit status; negative for the number of the signal that ended it.
        stdout: what it printed.
        stderr: what it printed there.
    """

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """All that it printed."""
        return self.stdout + self.stderr

    @property
    def errors(self) -> list[str]:
        """The lines that report an error."""
        return [line for line in self.stderr.splitlines() if line.startswith("error:")]


@dataclass(frozen=True)
class Project:
    """A project folder, which is the working directory of the test.

    Modules in it can be imported. A test that imports models itself should give them a declarative base
    of their own: the metadata of ``sqlhelpers.Base`` outlives the test.
    """

    folder: Path

    def write(self, path: str, text: str) -> Path:
        """Write a file, and the folders that it is in."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    def write_pyproject(self, text: str) -> Path:
        """Write ``pyproject.toml``."""
        return self.write("pyproject.toml", text)

    def write_app(self, name: str, models: str, revisions: Mapping[str, str] | None = None) -> Path:
        """Write an app as the convention has it: ``NAME/models.py`` and ``NAME/migrations/versions``.

        Args:
            name: the import package.
            models: the text of its model module.
            revisions: the text of each revision file, by file name; None for an app without that folder.

        Returns:
            the folder of the package.
        """
        self.write(f"{name}/__init__.py", "")
        self.write(f"{name}/models.py", models)
        if revisions is not None:
            (self.folder / name / "migrations" / "versions").mkdir(parents=True, exist_ok=True)
        for file, text in (revisions or {}).items():
            self.write(f"{name}/migrations/versions/{file}", text)
        return self.folder / name

    def forget(self) -> None:
        """Let modules that were imported from here be imported anew."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            places = [file] if file else [*getattr(module, "__path__", ())]  # of a namespace, which others share
            if places and all(Path(place).is_relative_to(self.folder) for place in places):
                del sys.modules[name]
        importlib.invalidate_caches()

    def write_distribution(self, name: str, module: str, group: str = "plugins", value: str = "") -> Path:
        """Write a module, and what makes it an installed distribution with an entry point, without building a wheel.

        Args:
            name: the name of the distribution, its entry point and its module.
            module: the text of the module.
            group: ``apps``, ``plugins`` or ``adapters``.
            value: what the entry point points to; the module if empty.

        Returns:
            the module.
        """
        self.write(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        self.write(f"{name}-1.0.dist-info/entry_points.txt", f"[sqlhelpers.{group}]\n{name} = {value or name}\n")
        return self.write(f"{name}.py", module)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = _WITHIN) -> Finished:
        """Run ``sqlhelpers`` with arguments, and more environment variables, in the folder."""
        return run([sys.executable, "-m", "sqlhelpers", *arguments], self.folder, env, timeout)


def run(
    command: Sequence[str | Path],
    folder: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = _WITHIN,
) -> Finished:
    """Run a command in a folder, and return what came of it.

    Args:
        command: the program and its arguments.
        folder: the working directory.
        env: variables to set beside those of the test's own process.
        timeout: the seconds after which it is killed, and the test fails.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def revision_text(
    revision: str,
    upgrade: str = "pass",
    down_revision: str | tuple[str, ...] | None = None,
    *,
    downgrade: str = "pass",
    doc: str = "",
) -> str:
    """Return the text of a revision file.

    Args:
        revision: its identifier.
        upgrade: the body of ``upgrade()``, without indentation; ``op`` and ``sa`` are there.
        down_revision: the revision before it, or several.
        downgrade: the body of ``downgrade()``.
        doc: its message, which gets a docstring as Alembic writes it; empty for none.
    """
    bodies = ["\n".join(f"    {line}" for line in body.splitlines()) for body in (upgrade, downgrade)]
    follows = down_revision or ""
    lines = f"{doc}\n\nRevision ID: {revision}\nRevises: {follows}\nCreate Date: 2024-05-06 07:08:09.101112\n\n"
    return (
        (f'"""{lines}"""\n\n' if doc else "")
        + "import sqlalchemy as sa\nfrom alembic import op\n\n"
        + f"revision = {revision!r}\ndown_revision = {down_revision!r}\n\n\n"
        + f"def upgrade():\n{bodies[0]}\n\n\ndef downgrade():\n{bodies[1]}\n"
    )
