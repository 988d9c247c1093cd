"""The one configuration: what it may hold, where it is read from, and where each value came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sqlhelpers.config.databases import SECRET, STRICT, AlembicSettings, Bootstrap, DatabaseSettings, SQLAlchemySettings
from sqlhelpers.config.sources import Layer, layered, leaves, read_layers, split
from sqlhelpers.exceptions import SettingsError
from sqlhelpers.suggestions import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "AlembicSettings",
    "AppSettings",
    "DatabaseSettings",
    "Names",
    "SQLAlchemySettings",
    "Settings",
    "database_settings",
    "settings_from_config",
]


#: Several names: a list, or one text with commas.
Names = Annotated[tuple[str, ...], BeforeValidator(split)]


class AppSettings(BaseModel):
    """An app declared, or corrected, in the settings. See ``App`` for what each value means.

    ``package`` makes an app of a package that registers none; ``migrations = false`` says that there are none.
    """

    model_config = STRICT

    package: str | None = None
    models: Names | None = None
    migrations: Path | Literal[False] | None = None
    bind: str | None = None
    requires: Names | None = None
    version_table: str | None = None
    version_table_schema: str | None = None
    bootstrap: Bootstrap | None = None


class Settings(BaseSettings):
    """Everything that can be configured.

    A value given as argument wins; then the environment (``SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__URL``),
    ``.env``, the secrets directory, and ``[tool.sqlhelpers]`` in the nearest ``pyproject.toml``.
    ``DATABASE_URL`` stands for the URL of the default database where a source does not set it otherwise.

    Attributes:
        databases: the databases by name.
        apps: apps declared or corrected here.
        enable_apps: the only apps that these databases hold, whatever else is installed; None for all.
        disable_plugins: names of plugins and apps that are not loaded.
        adapter: the adapter that ``Runtime.attach`` uses; None picks it by the class of the application.
        secrets_dir: a folder with one file for each secret, named as the environment variable would be.

    Raises:
        SettingsError: a value is wrong or unknown. The error names where it came from, and the near name.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        extra="forbid", hide_input_in_errors=True, frozen=True
    )

    databases: dict[str, DatabaseSettings] = {}
    apps: dict[str, AppSettings] = {}
    enable_apps: Names | None = None
    disable_plugins: Names = ()
    adapter: str | None = None
    secrets_dir: Path | None = None

    _layers: tuple[Layer, ...] = PrivateAttr(())

    def __init__(self, **values: Any) -> None:
        folder = values.pop("_folder", None) or Path.cwd()  # where to look for the nearest pyproject.toml
        layers = (Layer.of_arguments(values), *read_layers(folder, os.environ, values.get("secrets_dir")))
        try:
            super().__init__(**layered(layers))
        except ValidationError as error:
            raise SettingsError(_problems(error, layers)) from None
        self._layers = layers

    @classmethod
    def usable(cls) -> Settings:
        """Return the settings without those that are wrong, for who looks for what else is wrong.

        Raises:
            SettingsError: a file or a variable cannot be read at all.
        """
        layers = tuple(read_layers(Path.cwd(), os.environ))
        values = layered(layers)
        while True:
            settings = cls.__new__(cls)
            try:
                BaseSettings.__init__(settings, **values)
            except ValidationError as error:
                wrong = error.errors(include_url=False, include_input=False)
                for holder, name in [_place_of(found["loc"], values) for found in wrong]:
                    value = holder.pop(name, None)
                    if isinstance(value, dict) and "url" in value and len(value) > 1:
                        holder[name] = {"url": value["url"]}  # the options of the engine go first
            else:
                settings._layers = layers  # noqa: SLF001  # it is its own
                return settings

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the other sources are passed by name
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # pydantic-settings fixes the signature
        init_settings: PydanticBaseSettingsSource,
        **_: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the merged layers alone: pydantic-settings would not say where a value came from."""
        return (init_settings,)

    def origins(self) -> Iterator[tuple[str, str, str]]:
        """Yield every value as its dotted name, the value without secrets, and where it came from."""
        for path, value in leaves(self.model_dump(mode="json")):
            if value is None:
                continue
            name = ".".join(path)
            secret = "connect_args" in path or (SECRET.search(path[-1]) and path[-1] != "secrets_dir")
            yield name, "***" if secret and value else _shown(value), _origin(path, self._layers)


def database_settings(**values: Any) -> DatabaseSettings:
    """Return ``DatabaseSettings(**values)``; what is wrong with the values is a ``SettingsError``."""
    try:
        return DatabaseSettings(**values)
    except ValidationError as error:
        raise SettingsError(_problems(error, (), "argument")) from None


def settings_from_config(config: BaseModel | Mapping[str, Any]) -> DatabaseSettings:
    """Return the settings of a database from a configuration, which is not changed.

    Args:
        config: settings, or a part of them, that have ``sqlalchemy`` with ``url`` and any option of ``create_engine``,
            and ``alembic`` with ``migrations_path``; a model or a mapping. Whatever else is in it is left alone.

    Raises:
        SettingsError: the URL or an option is missing, unknown or wrong.
    """
    if isinstance(config, DatabaseSettings):
        return config
    values = dict(config)
    if "url" in values and "sqlalchemy" not in values:
        values = {"sqlalchemy": config}
    return database_settings(**{name: _part(values[name]) for name in DatabaseSettings.model_fields if name in values})


def _part(part: object) -> object:
    """Return a part of a configuration as pydantic can read it, without defaults of a model that are None."""
    if isinstance(part, BaseModel) and not isinstance(part, SQLAlchemySettings | AlembicSettings):
        given = part.model_fields_set
        return {name: value for name, value in part.model_dump().items() if name in given or value is not None}
    return part


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _origin(path: tuple[str, ...], layers: tuple[Layer, ...], otherwise: str = "default") -> str:
    return next((origin for layer in layers if (origin := layer.origin(path))), otherwise)


def _problems(error: ValidationError, layers: tuple[Layer, ...], otherwise: str = "default") -> Iterator[str]:
    for found in error.errors(include_url=False, include_input=False):
        where = path = tuple(str(part) for part in found["loc"])
        if found["type"] == "extra_forbidden":
            what = f"there is no such setting{suggest(path[-1], _siblings(path))}"
        elif found["type"] == "missing":
            what, where = "it is missing", path[:-1]
        else:
            what = found["msg"].removeprefix("Value error, ")
        yield f"setting {'.'.join(path)}: {what} ({_origin(where, layers, otherwise)})"


def _place_of(path: tuple[int | str, ...], values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the mapping and the key at which the value at ``path``, or the nearest that should hold it, stands."""
    holder, name = values, str(path[0])
    for part in map(str, path[1:]):
        below = holder.get(name)
        if not isinstance(below, dict) or part not in below:
            break
        holder, name = below, part
    return holder, name


def _siblings(path: tuple[str, ...]) -> set[str]:
    """Return the settings that stand beside the last part of ``path``."""
    model: Any = Settings
    for part in path[:-1]:
        fields = getattr(model, "model_fields", None)
        annotation = fields[part].annotation if fields and part in fields else model
        model = getattr(annotation, "__args__", (annotation,))[-1] if part in ("databases", "apps") else annotation
    return set(getattr(model, "model_fields", ()))
