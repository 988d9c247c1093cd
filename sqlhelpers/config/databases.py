"""The shape of one database's settings, which can be embedded in settings of a user's own."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003  # pydantic reads the annotation
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ImportString,
    SecretStr,
    field_serializer,
    model_validator,
)
from sqlalchemy.engine import URL

from sqlhelpers import urls
from sqlhelpers.exceptions import InvalidURL
from sqlhelpers.suggestions import suggest

#: How an empty database gets the tables of an app: from its models, or by its revisions.
Bootstrap = Literal["models", "migrations"]

#: No unknown setting, no value in an error, no change.
STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True, arbitrary_types_allowed=True)


#: The names of settings whose values are not shown.
SECRET = re.compile("pass|secret|token|key|dsn", re.IGNORECASE)


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


#: A time limit in seconds.
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SQLAlchemySettings(BaseModel):
    """The URL of a database, and any option of ``create_engine``, under SQLAlchemy's names.

    https://docs.sqlalchemy.org/en/21/core/engines.html#sqlalchemy.create_engine.
    Options that only one dialect knows are accepted where the URL has that dialect.

    Attributes:
        url: the database, with or without a driver: ``postgresql://user:password@host/database``.
        connect_args: what the driver's own ``connect`` is given.
        creator: a function that makes the driver's connections, instead of the URL.
        echo: log every statement; ``"debug"`` logs the rows as well.
        echo_pool: log what the pool does.
        enable_from_linting: warn of a SELECT whose tables are not joined.
        execution_options: the options that every statement gets.
        hide_parameters: leave the values of statements out of logs and errors.
        insertmanyvalues_page_size: how many rows one INSERT has.
        isolation_level: the isolation level of transactions.
        json_deserializer: a function that reads JSON columns.
        json_serializer: a function that writes JSON columns.
        label_length: how long labels of columns in statements may be.
        logging_name: what the engine is called in logs.
        max_identifier_length: how long names may be, where the server has another limit than its dialect.
        max_overflow: how many connections there may be beside those that the pool keeps; none unless you say otherwise.
        paramstyle: how the driver writes parameters.
        plugins: names of SQLAlchemy's own engine plugins to load.
        pool: a pool that is made already.
        pool_logging_name: what the pool is called in logs.
        pool_pre_ping: ask a pooled connection whether it is alive before it is used; true unless you say otherwise.
        pool_recycle: after how many seconds a pooled connection is replaced.
        pool_reset_on_return: what ends the transaction of a connection that comes back: ``"rollback"`` or ``"commit"``.
        pool_size: how many connections the pool keeps; 15 unless you say otherwise.
        pool_timeout: how many seconds to wait for a connection of the pool; 30 unless you say otherwise.
        pool_use_lifo: take the connection that came back last, so that idle ones can end.
        poolclass: the class of the pool.
        query_cache_size: how many compiled statements are kept.
        skip_autocommit_rollback: send no ROLLBACK where the isolation level is AUTOCOMMIT.
        use_insertmanyvalues: put many rows into one INSERT where their keys are asked for.
    """

    model_config: ClassVar[ConfigDict] = {**STRICT, "extra": "allow"}

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
                hint = suggest(name, {*known, *type(self).model_fields})
                raise ValueError(f"{name} is not an option of create_engine for {url.get_backend_name()}{hint}")
        return self

    @field_serializer("url", when_used="json")
    def _masked(self, url: SecretUrl) -> str:
        return str(url)

    @field_serializer("connect_args", when_used="json")
    def _without_secrets(self, arguments: dict[str, Any] | None) -> dict[str, Any] | None:
        return arguments and {name: "***" if SECRET.search(name) else value for name, value in arguments.items()}

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
        ddl_lock_timeout: how many seconds a statement of a revision waits for a table or a row that others
            use; 0 for no limit. A revision file may set it for itself.
        ddl_statement_timeout: how many seconds a statement of a revision may take; 0 for no limit. A revision
            file may set it for itself.
        journal: whether to keep the table ``sqlhelpers_journal``, which knows what was run, and what was interrupted.
        strict: whether a revision file that was edited after it ran refuses the next run, or is only told of.
        file_template: how new revision files are named, as Alembic's option of this name has it.
        timezone: the time zone of the dates in them.
        post_write_hooks: what goes over a new revision file, a formatter for instance, as under ``[tool.alembic]``.
    """

    model_config = STRICT

    migrations_path: Path | None = None
    version_table: str = "alembic_version"
    version_table_schema: str | None = None
    ddl_lock_timeout: Seconds = 10
    ddl_statement_timeout: Seconds = 3600
    journal: bool = True
    strict: bool = False
    file_template: str = "%(rev)s_%(slug)s"
    timezone: str = "UTC"
    post_write_hooks: tuple[dict[str, str], ...] = ()


class DatabaseSettings(BaseModel):
    """One database. It can be written as a text, which is its URL, and embedded in settings of your own.

    Attributes:
        sqlalchemy: the URL and the options of the engine.
        alembic: the migrations that belong to the database rather than to an app.
        pooler: ``"transaction"`` where a pooler such as PgBouncer lends a connection for a transaction
            at a time: named prepared statements are then not used.
        sqlite_pragmas: pragmas for every connection to a SQLite database, beside
            ``foreign_keys = 1`` and, for a new file, ``journal_mode = "wal"``.
        connect_timeout: how many seconds it may take until a connection is there.
        command_timeout: how many seconds the server may take over one command of a session, and SQLite to wait
            for another writer; 0 for no limit.
        lock_timeout: how many seconds a run waits for another run on the same database.
    """

    model_config = STRICT

    sqlalchemy: SQLAlchemySettings
    alembic: AlembicSettings = AlembicSettings()
    connect_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10
    command_timeout: Seconds = 60
    lock_timeout: Seconds = 60
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
