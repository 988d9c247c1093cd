"""Settings become engines."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, StaticPool

from sqlhelpers import urls
from sqlhelpers.backends import OPTION, limit_waits
from sqlhelpers.discovery import merge_options
from sqlhelpers.engines.errors import name_failures_to_connect
from sqlhelpers.engines.forks import guard
from sqlhelpers.exceptions import DriverNotInstalled, InvalidURL, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlhelpers.backends import Backend
    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.discovery import Hooks

_POOL: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 15, "max_overflow": 0, "pool_timeout": 30}


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
    backend, url, options = _arguments(bind, settings, hooks, aio=False)
    return _made(bind, settings, hooks, backend, url, options)


def make_async_engine(bind: str, settings: DatabaseSettings, hooks: Hooks) -> AsyncEngine:
    """Return a new async engine for a database; otherwise as ``make_engine``."""
    from sqlalchemy.ext.asyncio import create_async_engine

    backend, url, options = _arguments(bind, settings, hooks, aio=True)
    with _explained(bind, url):
        engine = create_async_engine(url, **options)
    _announce(bind, settings, engine.sync_engine, backend, hooks)
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
        backend = hooks.backend(url)
    else:
        backend, url, options = _arguments(bind, settings, hooks, aio=aio)
        options = {name: value for name, value in options.items() if name not in _POOL}
        url, options = url.set(database=database), {**options, "poolclass": NullPool}
    return _made(bind, settings, hooks, backend, url, options)


def _made(
    bind: str, settings: DatabaseSettings, hooks: Hooks, backend: Backend, url: URL, options: dict[str, Any]
) -> Engine:
    with _explained(bind, url):
        engine = create_engine(url, **options)
    _announce(bind, settings, engine, backend, hooks)
    return engine


def database_url(bind: str, settings: DatabaseSettings, hooks: Hooks) -> URL:
    """Return the URL of a database as a plugin or the settings give it, not yet resolved to a driver."""
    found = hooks.resolve_url(bind, settings)
    return urls.parse(found) if found else settings.url


def _arguments(
    bind: str, settings: DatabaseSettings, hooks: Hooks, *, aio: bool
) -> tuple[Backend, URL, dict[str, Any]]:
    found = database_url(bind, settings, hooks)
    backend = hooks.backend(found)
    try:
        url = backend.resolve(found, aio=aio)
    except (InvalidURL, DriverNotInstalled) as error:
        raise type(error)(f"database {bind!r}: {error}") from error
    defaults = merge_options(backend.engine_options(url, settings), hooks.engine_options(bind, url))
    defaults["connect_args"] = {
        name: value for name, value in (defaults.get("connect_args") or {}).items() if name not in url.query
    }
    url, connect_args = backend.translate(url)
    if settings.pooler == "transaction":
        connect_args |= backend.without_prepared_statements(url)
    defaults = merge_options(defaults, {"connect_args": connect_args})
    chosen = settings.sqlalchemy.engine_options()
    if defaults.get("poolclass") is StaticPool and "poolclass" not in chosen:
        chosen = {name: value for name, value in chosen.items() if name not in _POOL}  # there is one connection
    options = merge_options(defaults, chosen)
    kind_chosen = "pool" in options or "poolclass" in options  # another kind of pool would refuse our sizes
    return backend, url, options if kind_chosen else {**_POOL, **options}


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


def _announce(bind: str, settings: DatabaseSettings, engine: Engine, backend: Backend, hooks: Hooks) -> None:
    engine.update_execution_options(**{OPTION: backend})
    if not isinstance(engine.pool, StaticPool):  # a database in memory goes along with its one connection
        guard(engine, has_server=backend.has_server)
    if backend.has_server:
        chosen = settings.sqlalchemy.connect_args or {}
        command = chosen.get("command_timeout") or chosen.get("read_timeout") or settings.command_timeout
        limit_waits(engine, settings.connect_timeout, command)
    if engine.dialect.is_async:
        name_failures_to_connect(engine)
    backend.prepare(engine, bind, settings)
    hooks.engine_created(bind, engine)
