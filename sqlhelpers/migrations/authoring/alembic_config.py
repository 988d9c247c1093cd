"""What a project's own files say to Alembic of a migrations folder: ``alembic.ini``, and ``[tool.alembic]``."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlhelpers.exceptions import AppError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

    from sqlhelpers.config import AlembicSettings


class FileStyle(NamedTuple):
    """How revision files are named and dated, and what goes over them once they are written.

    Attributes:
        file_template: the name of a file, as Alembic's option of this name has it.
        timezone: the time zone of their dates.
        hooks: Alembic's ``post_write_hooks``.
        encoding: their encoding.
        slug_length: how much of the message is in the name of a file.
    """

    file_template: str
    timezone: str
    hooks: tuple[dict[str, str], ...]
    encoding: str
    slug_length: int


def style_of(folder: Path, settings: AlembicSettings) -> FileStyle:
    """Return how revision files in a migrations folder are written.

    The project's own configuration of Alembic for this folder comes first, then the settings.

    Raises:
        AppError: that configuration cannot be read.
    """
    from alembic.config import Config

    file = alembic_configuration(folder)
    config = file or Config()
    named = [{**each, "_hook_name": each.get("name", each.get("type", ""))} for each in settings.post_write_hooks]
    try:
        style = FileStyle(
            file_template=config.get_alembic_option("file_template") or settings.file_template,
            timezone=config.get_alembic_option("timezone") or settings.timezone,
            hooks=tuple(dict(each) for each in config.get_hooks_list() or named),
            encoding=config.get_alembic_option("output_encoding") or "utf-8",
            slug_length=int(config.get_alembic_option("truncate_slug_length") or 40),
        )
    except (configparser.Error, ValueError, TypeError, KeyError) as error:
        raise AppError(f"{_named(file)} cannot be used: {type(error).__name__}: {error}") from error
    if "/" in style.file_template:
        raise AppError(
            f"file_template {style.file_template!r}: revision files are in versions/ itself, in no folder below"
        )
    return style


def alembic_configuration(folder: Path) -> Config | None:
    """Return the project's own configuration of Alembic whose ``script_location`` is a folder, if there is one.

    It is looked for at and above the working directory, and above the folder.

    Raises:
        AppError: a file on the way cannot be read.
    """
    wanted = folder.resolve()
    here = Path.cwd()
    for place in dict.fromkeys((here, *here.parents, *wanted.parents)):
        config = _configuration_in(place)
        if config is not None and wanted in _locations(config, place):
            return config
    return None


def _configuration_in(place: Path) -> Config | None:
    from alembic.config import Config

    ini, toml = place / "alembic.ini", place / "pyproject.toml"
    has_ini = ini.is_file()
    has_toml = toml.is_file() and b"tool.alembic" in toml.read_bytes()
    if not has_ini and not has_toml:
        return None
    return Config(ini if has_ini else None, toml_file=toml if has_toml else None)


def _locations(config: Config, place: Path) -> Iterator[Path]:
    """Yield what ``script_location`` may mean: Alembic starts at the working directory, most people at the file."""
    from alembic.util.pyfiles import coerce_resource_to_filename

    try:
        location = config.get_alembic_option("script_location")
        if location:
            path = coerce_resource_to_filename(location)
            yield from (path.resolve(), (place / path).resolve())
    except (
        configparser.Error,
        tomllib.TOMLDecodeError,
        UnicodeDecodeError,
        ImportError,
        KeyError,
        ValueError,
    ) as error:
        raise AppError(f"{_named(config)} cannot be read: {type(error).__name__}: {error}") from error


def _named(config: Config | None) -> str:
    names: tuple[Any, ...] = (config.config_file_name, config.toml_file_name) if config else ("the settings",)
    return " or ".join(str(name) for name in names if name)
