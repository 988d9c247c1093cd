"""The one configuration: what it may hold, where it is read from, and where each value came from."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ImportString,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import URL

from sqlhelpers import urls
from sqlhelpers.app import Bootstrap  # noqa: TC001  # pydantic reads the annotation
from sqlhelpers.exceptions import InvalidURL, SettingsError
from sqlhelpers.sources import Layer, layered, read_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRET = re.compile("pass|secret|token|key|dsn", re.IGNORECASE)
_STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True, arbitrary_types_allowed=True)


class SecretUrl(SecretStr):
    """A database URL that shows itself without its password; ``get_secret_value()`` has all of it."""

    def _display(self) -> str:
        return urls.mask(self.get_secret_value())


def _text(value: Any) -> Any:
    if isinstance(value, URL):
        return value.render_as_string(hide_password=False)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value)


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


#: Several names: a list, or one text with commas.
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


class SQLAlchemySettings(BaseModel):
    """The URL of a database, and any option of ``create_engine``, under SQLAlchemy's names.

    https://docs.sqlalchemy.org/en/21/core/engines.html#sqlalchemy.create_engine.
    Options that only one dialect knows are accepted where the URL has that dialect.
    """

    model_config = {**_STRICT, "extra": "allow"}

    url: Annotated[SecretUrl, BeforeValidator(_text)]
    connect_args: dict[str, Any] | None = Field(default=None, repr=False)
    creator: ImportString[Any] | None = None
    echo: bool | Literal["debug"] | None = None
    echo_pool: bool | Literal["debug"] | None = None
    enable_from_linting: bool | None = None
    execution_options: dict[str, Any] | None = None
    hide_parameters: bool | None = None
    insertmanyvalues_page_size: int | None = None
    isolation_level: str | None = None
    json_deserializer: ImportString[Any] | None = None
    json_serializer: ImportString[Any] | None = None
    label_length: int | None = None
    logging_name: str | None = None
    max_identifier_length: int | None = None
    max_overflow: int | None = None
    paramstyle: str | None = None
    plugins: list[str] | None = None
    pool: ImportString[Any] | None = None
    pool_logging_name: str | None = None
    pool_pre_ping: bool | None = None
    pool_recycle: int | None = None
    pool_reset_on_return: str | None = None
    pool_size: int | None = None
    pool_timeout: float | None = None
    pool_use_lifo: bool | None = None
    poolclass: ImportString[Any] | None = None
    query_cache_size: int | None = None
    skip_autocommit_rollback: bool | None = None
    use_insertmanyvalues: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> SQLAlchemySettings:
        try:
            url = urls.parse(self.url.get_secret_value())
        except InvalidURL as error:
            raise ValueError(f"url: {error}") from None
        known = urls.dialect_options(url)
        for name in self.model_extra or {}:
            if name not in known:
                near = _near(name, {*known, *type(self).model_fields})
                raise ValueError(f"{name} is not an option of create_engine for {url.get_backend_name()}{near}")
        return self

    @field_serializer("url", when_used="json")
    def _masked(self, url: SecretUrl) -> str:
        return str(url)

    def engine_options(self) -> dict[str, Any]:
        """Return the options that were set, ready for ``create_engine``; the caller owns the dictionary."""
        options = {name: getattr(self, name) for name in sorted(self.model_fields_set) if name != "url"}
        return {name: dict(value) if isinstance(value, dict) else value for name, value in options.items()}


class AlembicSettings(BaseModel):
    """What concerns migrations of a database whose migrations do not come from an installed app.

    Attributes:
        migrations_path: the folder that holds ``versions/``, relative to the file that says so.
        version_table: where Alembic keeps the position.
        version_table_schema: the schema of that table; None for the connection's.
    """

    model_config = _STRICT

    migrations_path: Path | None = None
    version_table: str = "alembic_version"
    version_table_schema: str | None = None


class DatabaseSettings(BaseModel):
    """One database. It can be written as a text, which is its URL, and embedded in settings of your own.

    Attributes:
        sqlalchemy: the URL and the options of the engine.
        alembic: the migrations that belong to the database rather than to an app.
        pooler: ``"transaction"`` where a pooler such as PgBouncer lends a connection for a transaction
            at a time: named prepared statements are then not used.
        sqlite_pragmas: pragmas for every connection to a SQLite database, beside
            ``foreign_keys = 1`` and, for a new file, ``journal_mode = "wal"``.
    """

    model_config = _STRICT

    sqlalchemy: SQLAlchemySettings
    alembic: AlembicSettings = AlembicSettings()
    pooler: Literal["transaction"] | None = None
    sqlite_pragmas: dict[str, str | int] = {}

    @model_validator(mode="before")
    @classmethod
    def _text_is_url(cls, value: Any) -> Any:
        if isinstance(value, (str, SecretStr, URL)):
            return {"sqlalchemy": {"url": value}}
        return value

    @property
    def url(self) -> URL:
        """The URL as SQLAlchemy's object, still as the user wrote it: with or without a driver."""
        return urls.parse(self.sqlalchemy.url.get_secret_value())


class AppSettings(BaseModel):
    """An app declared, or corrected, in the settings. See ``App`` for what each value means.

    ``package`` makes an app of a package that registers none; ``migrations = false`` says that there are none.
    """

    model_config = _STRICT

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

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    databases: dict[str, DatabaseSettings] = {}
    apps: dict[str, AppSettings] = {}
    enable_apps: Names | None = None
    disable_plugins: Names = ()
    adapter: str | None = None
    secrets_dir: Path | None = None

    _layers: tuple[Layer, ...] = PrivateAttr(())

    def __init__(self, **values: Any) -> None:
        layers = (Layer.of_arguments(values), *read_layers(Path.cwd(), os.environ, values.get("secrets_dir")))
        try:
            super().__init__(**layered(layers))
        except ValidationError as error:
            raise SettingsError(_problems(error, layers)) from None
        self._layers = layers

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
        for path, value in _leaves(self.model_dump(mode="json", exclude_unset=False), ()):
            name = ".".join(path)
            secret = "connect_args" in path or (_SECRET.search(path[-1]) and path[-1] != "secrets_dir")
            yield name, "***" if secret and value else _shown(value), _origin(path, self._layers)


def database_settings(**values: Any) -> DatabaseSettings:
    """Return ``DatabaseSettings(**values)``; what is wrong with the values is a ``SettingsError``."""
    try:
        return DatabaseSettings(**values)
    except ValidationError as error:
        raise SettingsError(_problems(error, (), "argument")) from None


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif value is not None:
        yield path, value


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _origin(path: tuple[str, ...], layers: tuple[Layer, ...], otherwise: str = "default") -> str:
    return next((origin for layer in layers if (origin := layer.origin(path))), otherwise)


def _near(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _problems(error: ValidationError, layers: tuple[Layer, ...], otherwise: str = "default") -> Iterator[str]:
    for found in error.errors(include_url=False, include_input=False):
        where = path = tuple(str(part) for part in found["loc"])
        if found["type"] == "extra_forbidden":
            what = f"there is no such setting{_near(path[-1], _siblings(path))}"
        elif found["type"] == "missing":
            what, where = "it is missing", path[:-1]
        else:
            what = found["msg"].removeprefix("Value error, ")
        yield f"setting {'.'.join(path)}: {what} ({_origin(where, layers, otherwise)})"


def _siblings(path: tuple[str, ...]) -> set[str]:
    """Return the settings that stand beside the last part of ``path``."""
    model: Any = Settings
    for part in path[:-1]:
        fields = getattr(model, "model_fields", None)
        annotation = fields[part].annotation if fields and part in fields else model
        model = getattr(annotation, "__args__", (annotation,))[-1] if part in ("databases", "apps") else annotation
    return set(getattr(model, "model_fields", ()))
