"""Scratch databases: empty ones on the same server, to see in them what revisions make. They are dropped at the end."""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from sqlhelpers.dialects import connected_once
from sqlhelpers.engines import make_scratch_engine
from sqlhelpers.locks import connected
from sqlhelpers.server_locks import Lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.histories import History
    from sqlhelpers.hooks import Hooks
    from sqlhelpers.settings import DatabaseSettings

_log = logging.getLogger(__name__)

#: How the names of scratch databases begin.
PREFIX = "sqlhelpers_scratch_"
_FORCES = (13,)  # the version of PostgreSQL


@contextmanager
def scratch_database(engine: Engine, bind: str, settings: DatabaseSettings, hooks: Hooks) -> Iterator[Connection]:
    """Connect to an empty database on the server of ``engine``; for SQLite it is in memory.

    Raises:
        SQLAlchemyError: the role may not create databases.
    """
    if engine.dialect.name == "sqlite":
        with connected_once(make_scratch_engine(bind, settings, hooks, None, aio=False)) as connection:
            yield connection
        return
    name = PREFIX + secrets.token_hex(6)
    with connected(engine, Lock()) as administering:
        administering.execution_options(isolation_level="AUTOCOMMIT")
        administering.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            aio = engine.dialect.is_async
            with connected_once(make_scratch_engine(bind, settings, hooks, name, aio=aio)) as connection:
                yield connection
        finally:
            _drop(administering, name)


def _drop(administering: Connection, name: str) -> None:
    dialect = administering.dialect
    # a pooler may still keep a connection to it
    force = " WITH (FORCE)" if dialect.name == "postgresql" and (dialect.server_version_info or ()) >= _FORCES else ""
    try:
        administering.exec_driver_sql(f"DROP DATABASE {name}{force}")
    except DBAPIError as error:
        _log.warning("the scratch database %s could not be dropped: %s", name, error.orig)


def create_schemas(connection: Connection, histories: Iterable[History]) -> None:
    """Create the schemas that tables and positions of the histories are in, which revisions find there as a rule."""
    if connection.dialect.name != "sqlite":
        names = {table.schema for history in histories for table in history.tables}
        for name in names | {history.version_table_schema for history in histories}:
            if name:
                connection.execute(CreateSchema(name, if_not_exists=True))
        connection.commit()
