"""``Defaults``: the core's own hook implementations. What they need is imported when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlhelpers.discovery import Hooks, hookimpl
from sqlhelpers.urls import Drivers, sqlite_file

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine


class Defaults:
    """The core's own hook implementations: drivers, and what each dialect needs to be safe."""

    @hookimpl
    def sqlhelpers_register_drivers(self) -> dict[str, Drivers]:
        """Return the drivers of SQLite, PostgreSQL, MySQL and MariaDB."""
        mysql = Drivers(sync=("pymysql",), aio=("asyncmy", "aiomysql"))
        return {
            "sqlite": Drivers(sync=("pysqlite",), aio=("aiosqlite",)),
            "postgresql": Drivers(sync=("psycopg",), aio=("asyncpg", "psycopg")),
            "mysql": mysql,
            "mariadb": mysql,
        }

    @hookimpl
    def sqlhelpers_engine_options(self, url: URL) -> dict[str, Any]:
        """Return one shared connection for SQLite in memory."""
        if url.get_backend_name() == "sqlite" and sqlite_file(url) is None:
            from sqlalchemy.pool import StaticPool

            return {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        return {}

    @hookimpl
    def sqlhelpers_engine_created(self, engine: Engine) -> None:
        """Make SQLite's transactions explicit and its foreign keys hold; send MySQL's passwords as UTF-8."""
        if engine.dialect.name == "sqlite":
            from sqlhelpers.engines import sqlite

            sqlite.prepare(engine)
        elif engine.dialect.name in ("mysql", "mariadb"):
            from sqlhelpers.engines import dialects

            dialects.prepare_mysql(engine)


def default_hooks() -> Hooks:
    """Return hooks that only the core implements: what a manager has that was made without a runtime."""
    hooks = Hooks()
    hooks.register(Defaults(), "sqlhelpers")
    return hooks
