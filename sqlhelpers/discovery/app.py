"""What a package registers: an ``App``, its models and its migrations."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlhelpers.exceptions import AppError, MigrationsNotFound

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from sqlhelpers.config import Bootstrap


@dataclass(frozen=True, kw_only=True)
class App:
    """Models and migrations that belong together, with a history of their own.

    Arguments:
        name: what the app is called in settings, output and the name of its version table.
        package: the import package that the other arguments are relative to.
        models: dotted name of the model module, or several; a package is walked recursively.
            Default: ``PACKAGE.models``, or the module itself where PACKAGE is a single module.
            An empty tuple for an app that has migrations only.
        migrations: the folder that holds ``versions/``: a path, absolute or below the package's folder.
            None for an app without migrations: its tables are created where they are missing, and
            never changed. Default: ``migrations``.
        bind: the name of the database that the app's tables are in.
        requires: names of apps that come before this one, beside those that its foreign keys point to.
        version_table: where Alembic keeps the app's position. Default: ``alembic_version_NAME``.
        version_table_schema: the schema of that table. Default: the connection's.
        bootstrap: how an empty database gets the app's tables: created from the ``models`` and
            stamped, or by running all ``migrations``.
    """

    name: str
    package: str
    models: str | tuple[str, ...] | None = None
    migrations: str | Path | None = "migrations"
    bind: str = "default"
    requires: tuple[str, ...] = ()
    version_table: str | None = None
    version_table_schema: str | None = None
    bootstrap: Bootstrap = "models"

    def model_modules(self) -> tuple[str, ...]:
        """Return the dotted names of the modules to import.

        Raises:
            AppError: the package is not installed.
        """
        if self.models is not None:
            return (self.models,) if isinstance(self.models, str) else self.models
        if self._spec(self.package).submodule_search_locations is None:
            return (self.package,)
        conventional = f"{self.package}.models"
        return (conventional,) if self._find(conventional) else ()

    def migrations_folder(self) -> Path | None:
        """Return the migrations folder, or None for an app that says it has none.

        Raises:
            MigrationsNotFound: the folder is missing or empty. A wheel that forgot it would otherwise
                create tables that no revision will ever find.
        """
        folder = self.migrations_place()
        if folder is None:
            return None
        if not folder.is_dir():
            raise MigrationsNotFound(
                f"app {self.name!r} has no migrations folder: {folder} is missing; `sqlhelpers init {self.name}` "
                f"makes it; if its wheel forgot the folder, include it; if there is none, say so with "
                f"App(migrations=None) or `migrations = false` under [tool.sqlhelpers.apps.{self.name}]",
                [self.name],
            )
        if next((folder / "versions").glob("*.py"), None) is None:
            raise MigrationsNotFound(
                f"app {self.name!r}: its migrations folder {folder} holds no revisions; "
                f"write the first one with `sqlhelpers revision {self.name} -m MESSAGE`, or include versions/*.py "
                "in the wheel",
                [self.name],
            )
        return folder

    def migrations_place(self) -> Path | None:
        """Return where the migrations folder is or would be; None for an app that says it has none."""
        return None if self.migrations is None else self._folder() / self.migrations

    def _folder(self) -> Path:
        if Path(self.migrations or "").is_absolute():
            return Path()
        spec = self._spec(self.package)
        places = list(spec.submodule_search_locations or ())
        return Path(places[0]) if places else Path(spec.origin or ".").parent

    def _spec(self, name: str) -> ModuleSpec:
        found = self._find(name)
        if found is None:
            raise AppError(
                f"app {self.name!r}: its package {name!r} is not installed, and not beside pyproject.toml", [self.name]
            )
        return found

    def _find(self, name: str) -> ModuleSpec | None:
        try:
            return find_spec(name)
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            raise AppError(f"app {self.name!r}: {name} cannot be imported: {reason}", [self.name]) from error
