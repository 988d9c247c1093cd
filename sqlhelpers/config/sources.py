"""Where settings are read from: variables, files and arguments, each a layer that knows its origins."""

from __future__ import annotations

import json
import tomllib
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlhelpers.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX = "SQLHELPERS_"
_FALLBACK = "DATABASE_URL"
_DEFAULT_URL = ("databases", "default", "sqlalchemy", "url")
_DOCKER_SECRETS = Path("/run/secrets")

Path_ = tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """One source: its values, nested as the settings are, and where each value stands.

    Attributes:
        values: the values.
        origins: where each stands.
        base: the folder that files of SQLite are relative to; None for the working directory.
    """

    values: dict[str, Any] = field(repr=False)
    origins: dict[Path_, str]
    base: Path | None = None

    @classmethod
    def of_arguments(cls, values: Mapping[str, Any]) -> Layer:
        """Return what was passed to ``Settings(...)``; the caller's mappings are not changed."""
        nested = _normalised(values)
        return cls(nested, {path: "argument" for path, _ in leaves(nested)})

    @classmethod
    def of_variables(cls, variables: Mapping[str, str], where: str) -> Layer:
        """Return the values of ``SQLHELPERS_A__B=...`` variables.

        Args:
            variables: the variables by name, in any case.
            where: what to add to a variable's name to say where it stands.
        """
        nested: dict[str, Any] = {}
        origins: dict[Path_, str] = {}
        for name, text in sorted(variables.items(), key=lambda item: item[0].upper()):  # the more exact is later
            if name.upper().startswith(PREFIX):
                path = tuple(name[len(PREFIX) :].lower().split("__"))
                _place(nested, path, _decoded(text, f"{name}{where}"), f"{name}{where}")
                origins[_url_path(path) if isinstance(text, str) and text[:1] != "{" else path] = f"{name}{where}"
        nested = _normalised(nested)
        fallback = next((name for name in variables if name.upper() == _FALLBACK and variables[name]), None)
        if fallback and not _has(nested, _DEFAULT_URL):
            _place(nested, _DEFAULT_URL, variables[fallback], fallback)
            origins[_DEFAULT_URL] = f"{fallback}{where}"
        return cls(nested, origins)

    @classmethod
    def of_pyproject(cls, file: Path, folder: Path) -> Layer:
        """Return ``[tool.sqlhelpers]``; relative paths in it are relative to the file.

        Args:
            file: the ``pyproject.toml``.
            folder: the working directory; below the file's own folder, paths stay as they are written.
        """
        try:
            table = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError([f"{file} is not valid TOML: {error}"]) from None
        except OSError as error:
            raise SettingsError([f"{file} cannot be read: {error.strerror}"]) from None
        for name in ("tool", "sqlhelpers"):
            table = table.get(name, {})
            if not isinstance(table, dict):
                raise SettingsError([f"{file}: {name!r} is not a table"])
        nested = _normalised(table)
        origins = {path: f"tool.sqlhelpers.{'.'.join(path)} in {file}" for path, _ in leaves(nested)}
        return cls(nested, origins).based(file.parent, folder)

    def based(self, base: Path, folder: Path) -> Layer:
        """Return the layer with relative paths in it made absolute below ``base``, its place.

        Those of SQLite are for ``layered``, since they are in URLs, which SQLAlchemy reads. They stay as they are
        written where ``base`` is the working directory, ``folder``.
        """
        _rebase(self.values, base)
        return replace(self, base=base if base != folder else None)

    def origin(self, path: Path_) -> str:
        """Return where the value at ``path``, or what holds it, stands in this layer; empty if it does not."""
        if not _has(self.values, path):
            return ""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        return next((origin for found, origin in self.origins.items() if found[: len(path)] == path), "")


def read_layers(folder: Path, environ: Mapping[str, str], secrets_dir: Path | None = None) -> Iterator[Layer]:
    """Yield the layers below the arguments, the strongest first.

    Args:
        folder: the working directory, or where to begin to look instead.
        environ: the environment variables.
        secrets_dir: the secrets directory, where it was passed as an argument.
    """
    project, here = project_file(folder), Path.cwd()
    yield (environment := Layer.of_variables(environ, ""))
    found = [environment]
    for place in _between(folder, project.parent if project else folder):
        if (place / ".env").is_file():
            from dotenv import dotenv_values

            values = {name: text for name, text in dotenv_values(place / ".env").items() if text is not None}
            found.append(Layer.of_variables(values, f" in {place / '.env'}").based(place, here))
            yield found[-1]
            break
    pyproject = Layer.of_pyproject(project, here) if project else Layer({}, {})
    for layer in (*found, pyproject):
        secrets_dir = secrets_dir or layer.values.get("secrets_dir")
    yield _secrets(Path(secrets_dir) if secrets_dir else _DOCKER_SECRETS, named=bool(secrets_dir))
    yield pyproject


def project_file(folder: Path) -> Path | None:
    """Return the nearest ``pyproject.toml`` at or above ``folder`` that configures sqlhelpers."""
    files = (each / "pyproject.toml" for each in (folder, *folder.parents))
    return next((file for file in files if _configures(file)), None)


def _configures(pyproject: Path) -> bool:
    """Tell whether the file is there and speaks of us; an unreadable or broken one is reported, not passed by."""
    try:
        return pyproject.is_file() and "tool.sqlhelpers" in pyproject.read_text("utf-8", errors="replace")
    except OSError:
        return True


def _between(folder: Path, top: Path) -> tuple[Path, ...]:
    places = (folder, *folder.parents)
    return places[: places.index(top) + 1]


def _secrets(folder: Path, *, named: bool) -> Layer:
    if not folder.is_dir():
        if named:
            raise SettingsError([f"setting secrets_dir: {folder} is not a folder"])
        return Layer({}, {})
    files = [file for file in folder.iterdir() if file.name.upper().startswith((PREFIX, _FALLBACK)) and file.is_file()]
    try:
        variables = {file.name: file.read_text("utf-8").strip() for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"a secret in {folder} cannot be read: {error}"]) from None
    return Layer.of_variables(variables, f" in {folder}")


def layered(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the values of all layers in one: the first layer that has a value wins."""
    return merged(each.values if each.base is None else _with_files_below(each.base, each.values) for each in layers)


def merged(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return nested mappings in one: the first that has a value wins."""
    whole: dict[str, Any] = {}
    for each in mappings:
        _fill(whole, each)
    return whole


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield every value of nested mappings, each with the way to it."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, (*path, str(key)))
    else:
        yield path, value


def split(value: Any) -> Any:
    """Return the names in a text with commas; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _fill(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key not in target:
            target[key] = deepcopy(value) if isinstance(value, dict) else value
        elif isinstance(target[key], dict) and isinstance(value, dict):
            _fill(target[key], value)


def _decoded(text: str, origin: str) -> Any:
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError([f"{origin} is not valid JSON: {error.msg} at character {error.pos}"]) from None


def _place(nested: dict[str, Any], path: Path_, value: Any, origin: str) -> None:
    """Put ``value`` at ``path``. A database given as its URL may be followed by more settings of it."""
    for part in path[:-1]:
        below = nested.setdefault(part, {})
        if isinstance(below, str) and path[0] == "databases" and part == path[1]:
            below = nested[part] = {"sqlalchemy": {"url": below}}
        if not isinstance(below, dict):
            raise SettingsError([f"{origin} goes into a setting that has a plain value already"])
        nested = below
    nested[path[-1]] = value


def _url_path(path: Path_) -> Path_:
    return (*path, "sqlalchemy", "url") if path[:1] == ("databases",) and not path[2:] else path


def _normalised(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``values`` in which a database given as its URL is written out."""
    copy = {key: deepcopy(value) if isinstance(value, dict) else value for key, value in values.items()}
    databases = copy.get("databases")
    if isinstance(databases, dict):
        for name, value in databases.items():
            if isinstance(value, str):
                databases[name] = {"sqlalchemy": {"url": value}}
    return copy


def _has(values: Any, path: Path_) -> bool:
    for part in path:
        if not isinstance(values, dict) or part not in values:
            return not isinstance(values, dict) and values is not None
        values = values[part]
    return True


def _rebase(nested: dict[str, Any], folder: Path) -> None:
    """Make relative paths absolute below ``folder``: migrations, the secrets directory.

    The migrations of an app are relative to its package, where ``folder`` does not hold them.
    """
    for database in _tables(nested.get("databases")):
        alembic = database.get("alembic")
        if isinstance(alembic, dict) and isinstance(alembic.get("migrations_path"), str):
            alembic["migrations_path"] = str(folder / alembic["migrations_path"])
    for app in _tables(nested.get("apps")):
        if isinstance(app.get("migrations"), str) and (folder / app["migrations"]).is_dir():
            app["migrations"] = str(folder / app["migrations"])
    if isinstance(nested.get("secrets_dir"), str):
        nested["secrets_dir"] = str(folder / nested["secrets_dir"])


def _with_files_below(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``values`` in which relative files of SQLite are absolute below ``folder``."""
    from sqlhelpers.backends import relative_to

    copy = deepcopy(dict(values))
    for database in _tables(copy.get("databases")):
        sqlalchemy = database.get("sqlalchemy")
        if isinstance(sqlalchemy, dict) and isinstance(sqlalchemy.get("url"), str):
            sqlalchemy["url"] = relative_to(sqlalchemy["url"], folder)
    return copy


def _tables(value: Any) -> list[dict[str, Any]]:
    return [table for table in value.values() if isinstance(table, dict)] if isinstance(value, dict) else []


def cache_folder() -> Path:
    """Return the folder in which what can be read again is kept for this user; it need not exist."""
    from platformdirs import user_cache_path

    return user_cache_path("sqlhelpers", appauthor=False)
