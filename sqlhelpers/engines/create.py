"""Settings become engines."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sqlalchemy import create_engine, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, StaticPool

from sqlhelpers import urls
from sqlhelpers.discovery import merge_options
from sqlhelpers.engines import dialects, forks, sqlite, timeouts
from sqlhelpers.exceptions import DriverNotInstalled, InvalidURL, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.discovery import Hooks

_POOL: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 15, "max_overflow": 0, "pool_timeout": 30}

#: What libpq reads from a URL and asyncpg reads only from a DSN, which it parses as libpq does.
_LIBPQ = frozenset(
    """
    application_name gsslib krbsrvname options passfile service sslcert sslcrl sslkey sslmode sslnegotiation
    sslpassword sslrootcert ssl_max_protocol_version ssl_min_protocol_version target_session_attrs
    """.split(),  # noqa: SIM905  # a list of words reads better than a list of strings
)


def make_engine(bind: str, settings: DatabaseSettings, hooks: Hooks) -> Engine:
    """Return a new engine for a database.

    Args:
        bind: the name of the database, for messages and hooks.
        settings: its settings; they are not changed.
        hooks: the plugins to ask for more options, and to tell about the engine.

    Raises:
        DriverNotInstalled: the driver's package is missing.
        SettingsError: ``create_engine`` does not take an option.
    """
    url, options = _arguments(bind, settings, hooks, aio=False)
    return _made(bind, settings, hooks, url, options)


def make_async_engine(bind: str, settings: DatabaseSettings, hooks: Hooks) -> AsyncEngine:
    """Return a new async engine for a database; otherwise as ``make_engine``."""
    from sqlalchemy.ext.asyncio import create_async_engine

    url, options = _arguments(bind, settings, hooks, aio=True)
    with _explained(bind, url):
        engine = create_async_engine(url, **options)
    _announce(bind, settings, engine.sync_engine, hooks)
    return engine


def make_scratch_engine(
    bind: str,
    settings: DatabaseSettings,
    hooks: Hooks,
    database: str | None,
    *,
    aio: bool,
) -> Engine:
    """Return a new engine for another database on the same server; for SQLite, for one in memory.

    Args:
        bind: the name of the database that it stands in for.
        settings: the settings of that database.
        hooks: the plugins to ask for more options, and to tell about the engine.
        database: the name of the other database; None for SQLite.
        aio: whether the driver is the async one, whose engine has to be used below ``greenlet_spawn``.
    """
    if database is None:
        url, options = urls.parse("sqlite+pysqlite://"), dict[str, Any](poolclass=StaticPool)
    else:
        url, options = _arguments(bind, settings, hooks, aio=aio)
        options = {name: value for name, value in options.items() if name not in _POOL}
        url, options = url.set(database=database), {**options, "poolclass": NullPool}
    return _made(bind, settings, hooks, url, options)


def _made(bind: str, settings: DatabaseSettings, hooks: Hooks, url: URL, options: dict[str, Any]) -> Engine:
    with _explained(bind, url):
        engine = create_engine(url, **options)
    _announce(bind, settings, engine, hooks)
    return engine


def database_url(bind: str, settings: DatabaseSettings, hooks: Hooks) -> URL:
    """Return the URL of a database as a plugin or the settings give it, not yet resolved to a driver."""
    found = hooks.resolve_url(bind, settings)
    return urls.parse(found) if found else settings.url


def _arguments(bind: str, settings: DatabaseSettings, hooks: Hooks, *, aio: bool) -> tuple[URL, dict[str, Any]]:
    try:
        url = urls.resolve(database_url(bind, settings, hooks), aio=aio, drivers=hooks.drivers())
    except (InvalidURL, DriverNotInstalled) as error:
        raise type(error)(f"database {bind!r}: {error}") from error
    bounds = {"connect_args": timeouts.connect_arguments(url, settings)}
    defaults = merge_options(bounds, hooks.engine_options(bind, url))
    defaults["connect_args"] = {
        name: value for name, value in (defaults.get("connect_args") or {}).items() if name not in url.query
    }
    url, connect_args = _translate(url)
    if settings.pooler == "transaction":
        connect_args |= _without_prepared_statements(url)
    elif url.get_driver_name() == "asyncpg":
        connect_args["connection_class"] = dialects.asyncpg_connection_class()
    defaults = merge_options(defaults, {"connect_args": connect_args})
    chosen = settings.sqlalchemy.engine_options()
    if defaults.get("poolclass") is StaticPool and "poolclass" not in chosen:
        chosen = {name: value for name, value in chosen.items() if name not in _POOL}  # there is one connection
    options = merge_options(defaults, chosen)
    kind_chosen = "pool" in options or "poolclass" in options  # another kind of pool would refuse our sizes
    return url, options if kind_chosen else {**_POOL, **options}


def _translate(url: URL) -> tuple[URL, dict[str, Any]]:
    """Return the URL with its query in the driver's own words, and what has to go to ``connect_args``."""
    driver, query, arguments = url.get_driver_name(), dict(url.query), dict[str, Any]()
    if driver == "asyncpg":
        if "connect_timeout" in query:
            arguments["timeout"] = float(str(query.pop("connect_timeout")))
        moved = {name: query.pop(name) for name in tuple(query) if name in _LIBPQ}
        if moved:
            arguments["dsn"] = f"postgresql://?{urlencode(moved, doseq=True)}"
        if "host" in query and "port" not in query:
            hosts = ",".join([query["host"]] if isinstance(query["host"], str) else query["host"]).split(",")
            query["host"] = tuple(host if ":" in host else f"{host}:5432" for host in hosts)
    elif driver == "psycopg" and "ssl" in query:
        query.setdefault("sslmode", query.pop("ssl"))
    elif url.get_backend_name() in ("mysql", "mariadb"):
        query.setdefault("charset", "utf8mb4")
    return url.set(query=query), arguments


def _without_prepared_statements(url: URL) -> dict[str, Any]:
    if url.get_driver_name() == "asyncpg":
        return {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,  # the empty name: an unnamed statement
        }
    return {"prepare_threshold": None} if url.get_driver_name() == "psycopg" else {}


@contextmanager
def _explained(bind: str, url: URL) -> Iterator[None]:
    try:
        yield
    except (TypeError, ArgumentError) as error:
        raise SettingsError([f"setting databases.{bind}.sqlalchemy: {error}"]) from error
    except ModuleNotFoundError as error:
        raise DriverNotInstalled(
            f"database {bind!r}: the driver {url.drivername} needs the package {error.name}, which is not installed",
        ) from error


def _announce(bind: str, settings: DatabaseSettings, engine: Engine, hooks: Hooks) -> None:
    if not isinstance(engine.pool, StaticPool):  # a database in memory goes along with its one connection
        forks.guard(engine)
    timeouts.bound(engine, settings)
    if engine.dialect.is_async:
        dialects.name_failures_to_connect(engine)
    if engine.dialect.name == "postgresql" and settings.pooler is None:
        event.listen(engine, "handle_error", partial(dialects.suspect_pooler, bind))
        event.listen(engine, "connect", dialects.number_statements)
    elif engine.driver == "asyncpg":
        event.listen(engine, "do_execute", dialects.execute_at_once)
    hooks.engine_created(bind, engine)
    if engine.dialect.name == "sqlite" and settings.sqlite_pragmas:
        event.listen(engine, "connect", lambda connection, _: sqlite.set_pragmas(connection, settings.sqlite_pragmas))
