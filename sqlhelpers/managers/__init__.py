"""Open, call, close: one database's engine, sessions and migrations, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.managers.aio import AsyncDatabaseManager as AsyncDatabaseManager
    from sqlhelpers.managers.aio import Base as Base
    from sqlhelpers.managers.aio import perform as perform
    from sqlhelpers.managers.base import BaseManager as BaseManager
    from sqlhelpers.managers.database import Database as Database
    from sqlhelpers.managers.sync import DatabaseManager as DatabaseManager
    from sqlhelpers.managers.sync import exists_in_db as exists_in_db

__all__ = ["AsyncDatabaseManager", "Base", "BaseManager", "Database", "DatabaseManager", "exists_in_db", "perform"]

__getattr__: Final = lazily(
    __name__,
    {
        "aio": ("AsyncDatabaseManager", "Base", "perform"),
        "base": ("BaseManager",),
        "database": ("Database",),
        "sync": ("DatabaseManager", "exists_in_db"),
    },
)
