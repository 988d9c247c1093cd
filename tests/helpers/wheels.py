"""Real wheels, built from small source trees, and fresh environments to install them into."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from projects import Finished, run

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
_MEASURING = "COVERAGE_PROCESS_CONFIG"  # as coverage has it, for the processes that tests start


@dataclass(frozen=True)
class Source:
    """The source tree of a distribution.

    Attributes:
        name: the name of the distribution.
        files: the text of each file, by path.
        entry_points: the value of each entry point, by group and name.
        exclude: patterns of files that its author forgot to put into the wheel.
    """

    name: str
    files: Mapping[str, str]
    entry_points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()

    def build(self, folder: Path) -> Path:
        """Write the tree into ``folder``, and return the wheel that hatchling makes of it."""
        tree = folder / self.name
        for path, text in {**self.files, "pyproject.toml": self._pyproject()}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text, "utf-8")
        return build(tree, "wheel", tree / "dist")

    def _pyproject(self) -> str:
        """Return the text of ``pyproject.toml``; JSON's texts and lists are TOML's as well."""
        packages = sorted({path.partition("/")[0] for path in self.files})
        groups = (
            f"[project.entry-points.{json.dumps(group)}]\n"
            + "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in points.items())
            for group, points in self.entry_points.items()
        )
        return (
            '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
            f'[project]\nname = {json.dumps(self.name)}\nversion = "1.0"\n{"".join(groups)}'
            f"[tool.hatch.build.targets.wheel]\nonly-include = {json.dumps(packages)}\n"
            f"exclude = {json.dumps(self.exclude)}\n"
        )


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    def install(self, *wheels: Path) -> None:
        """Install wheels as they are, without looking anywhere for what they depend on."""
        self._pip_install("--offline", "--no-deps", *wheels)

    def install_with_dependencies(self, wheel: Path | str) -> None:
        """Install a wheel or requirement, with what it needs: from uv's cache, else from where packages come from."""
        try:
            self._pip_install("--compile-bytecode", "--offline", wheel)
        except RuntimeError:
            self._pip_install("--compile-bytecode", wheel)

    def uninstall(self, name: str) -> None:
        """Remove a distribution, and nothing that it needed."""
        uv("pip", "uninstall", "--python", self.folder, name)

    def clone(self, folder: Path) -> Environment:
        """Return another environment with the same packages, made of hard links, which takes a tenth of a second."""
        shutil.copytree(self.folder, folder, symlinks=True, copy_function=os.link)
        return Environment(folder)

    def run(self, program: str, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Finished:
        """Run one of the environment's programs."""
        return run([self.folder / "bin" / program, *arguments], cwd, {"PYTHONPATH": "", **(env or {})})

    def _pip_install(self, *arguments: str | Path) -> None:
        uv("pip", "install", "--python", self.folder, *arguments)  # `python -m uv` overrides VIRTUAL_ENV


def new_environment(folder: Path) -> Environment:
    """Return an environment that holds nothing, and whose scripts still work in a clone of it."""
    uv("venv", "--relocatable", "--python", sys.executable, folder)
    if _MEASURING in os.environ:
        _let_be_measured(folder)
    return Environment(folder)


def _let_be_measured(environment: Path) -> None:
    """Let processes of an environment find coverage, which no installer sees there."""
    import coverage

    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "coverage").symlink_to(Path(coverage.__file__).parent)
    (packages / "measured.pth").write_text("import coverage; coverage.process_startup()", "utf-8")


def build(tree: Path, target: str, folder: Path) -> Path:
    """Build the ``wheel`` or ``sdist`` of a source tree into an empty folder, and return its path."""
    _checked(run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder], tree))
    (made,) = folder.iterdir()
    return made


def uv(*arguments: str | Path) -> None:
    """Run uv.

    Raises:
        RuntimeError: it failed; the text says why.
    """
    _checked(run([sys.executable, "-m", "uv", *arguments], ROOT, timeout=300))


def _checked(finished: Finished) -> Finished:
    if finished.status:
        raise RuntimeError(finished.output)
    return finished
