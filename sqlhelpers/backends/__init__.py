"""What differs between kinds of databases: one class for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.backends.base import OPTION as OPTION
    from sqlhelpers.backends.base import Backend as Backend
    from sqlhelpers.backends.base import backend_of as backend_of
    from sqlhelpers.backends.base import built_in as built_in
    from sqlhelpers.backends.base import meanings_of as meanings_of
    from sqlhelpers.backends.base import relative_to as relative_to
    from sqlhelpers.backends.base import sqlite_file as sqlite_file
    from sqlhelpers.backends.clients import Client as Client
    from sqlhelpers.backends.errors import Meaning as Meaning
    from sqlhelpers.backends.errors import codes_of as codes_of
    from sqlhelpers.backends.errors import is_of_driver as is_of_driver
    from sqlhelpers.backends.limits import NoLimits as NoLimits
    from sqlhelpers.backends.limits import RevisionLimits as RevisionLimits
    from sqlhelpers.backends.limits import limit_waits as limit_waits
    from sqlhelpers.backends.limits import pause as pause
    from sqlhelpers.backends.locks import Lock as Lock
    from sqlhelpers.backends.locks import connected as connected
    from sqlhelpers.backends.locks import connected_once as connected_once
    from sqlhelpers.backends.locks import process_identity as process_identity
    from sqlhelpers.backends.postgresql import PostgreSQL as PostgreSQL
    from sqlhelpers.backends.postgresql import suspect_pooler as suspect_pooler
    from sqlhelpers.backends.sqlite import empty_database as empty_database
    from sqlhelpers.backends.sqlite import is_sqlite as is_sqlite
    from sqlhelpers.backends.tables import Naming as Naming
    from sqlhelpers.backends.tables import TableName as TableName

__all__ = [
    "OPTION",
    "Backend",
    "Client",
    "Lock",
    "Meaning",
    "Naming",
    "NoLimits",
    "PostgreSQL",
    "RevisionLimits",
    "TableName",
    "backend_of",
    "built_in",
    "codes_of",
    "connected",
    "connected_once",
    "empty_database",
    "is_of_driver",
    "is_sqlite",
    "limit_waits",
    "meanings_of",
    "pause",
    "process_identity",
    "relative_to",
    "sqlite_file",
    "suspect_pooler",
]

__getattr__: Final = lazily(
    __name__,
    {
        "base": ("Backend", "OPTION", "backend_of", "built_in", "meanings_of", "relative_to", "sqlite_file"),
        "clients": ("Client",),
        "errors": ("Meaning", "codes_of", "is_of_driver"),
        "limits": ("NoLimits", "RevisionLimits", "limit_waits", "pause"),
        "locks": ("Lock", "connected", "connected_once", "process_identity"),
        "postgresql": ("PostgreSQL", "suspect_pooler"),
        "sqlite": ("empty_database", "is_sqlite"),
        "tables": ("Naming", "TableName"),
    },
)
