"""Gives Alembic the revisions of a migrations folder, without running the files that it does not need."""

from __future__ import annotations

from argparse import Namespace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import Revision, RevisionMap
from alembic.util import load_python_file

from sqlhelpers.exceptions import AppError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from types import ModuleType

    from sqlhelpers.migrations.revisions.graph import RevisionFile


def alembic_config(folder: Path, x: Sequence[str] = ()) -> Config:
    """Return an Alembic configuration for a migrations folder, without any file behind it.

    Args:
        folder: the migrations folder.
        x: what ``context.get_x_argument()`` returns in its files.
    """
    config = Config(cmd_opts=Namespace(x=list(x)) if x else None)
    config.set_main_option("script_location", str(folder.absolute()).replace("%", "%%"))
    return config


#: The attribute of a configuration that has the manager which it is of, and the name of the app.
ATTRIBUTE = "sqlhelpers"

#: The folder that stands in for the ``env.py`` and the template that a migrations folder does not bring.
ENVIRONMENT = Path(__file__).parents[2] / "environment"


def standalone_config(folder: Path) -> Config:
    """Return an Alembic configuration by which its commands work on a migrations folder that has no ``env.py``."""
    config = _Standalone()
    config.set_main_option("script_location", str(folder.absolute()).replace("%", "%%"))
    return config


class _Standalone(Config):
    """Tells Alembic's commands of our ``env.py`` and template, and of the revisions in the folder."""

    def get_alembic_option(self, name: str, default: Any = None) -> Any:
        return str(ENVIRONMENT) if name == "script_location" else super().get_alembic_option(name, default)

    def get_version_locations_list(self) -> list[str] | None:
        return [f"{self.get_main_option('script_location')}/versions"]


def script_directory(folder: Path, files: Collection[RevisionFile]) -> ScriptDirectory:
    """Return Alembic's view of a migrations folder. A file is run when the module of its revision is asked for.

    Args:
        folder: the migrations folder.
        files: its revision files; Alembic is quickest if each comes after those that it follows.
    """
    directory = ScriptDirectory.from_config(alembic_config(folder))
    directory.revision_map = RevisionMap(lambda: [_Script(file) for file in files])
    return directory


class _Script(Script):
    def __init__(self, file: RevisionFile) -> None:  # Alembic's own would want the module
        Revision.__init__(
            self,
            file.revision,
            file.down_revisions,
            dependencies=file.depends_on,
            branch_labels=file.branch_labels,
        )
        self.path = file.path

    @cached_property
    def module(self) -> ModuleType:  # type: ignore[override]
        """The module, run when it is first asked for."""
        path = Path(self.path)
        try:
            found = load_python_file(path.parent, path.name)
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise AppError(f"the revision file {path} cannot be run: {reason}") from error

        def missing(name: str) -> None:
            if name in ("upgrade", "downgrade"):  # asked for when the way is planned, and nothing has run yet
                raise AppError(f"the revision file {path} has no {name}()")
            raise AttributeError(name)

        vars(found).setdefault("__getattr__", missing)
        return found
