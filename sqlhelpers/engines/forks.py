"""What a forked child has inherited of its parent's connections: nothing that it could use, or do harm with."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

#: The engines whose pools a child empties, and the connections that it disarms. It knows nothing else to go by.
_ENGINES: WeakSet[Engine] = WeakSet()
_CONNECTIONS: WeakSet[Any] = WeakSet()


def guard(engine: Engine, *, has_server: bool) -> None:
    """Keep forked children from using the connections of ``engine``.

    Args:
        engine: the engine.
        has_server: whether they lead to a server.
    """
    _ENGINES.add(engine)
    if has_server:
        event.listen(engine, "connect", _remember)


def _remember(connection: Any, _: object) -> None:
    with suppress(TypeError):  # a driver that nobody knows may make connections without weak references
        _CONNECTIONS.add(getattr(connection, "driver_connection", connection))


def _in_child() -> None:
    """Cut the child off from the parent's servers, without a word to them, and let it connect anew.

    A connection that is in use when the process forks would otherwise be used by both: the child, leaving a
    session's block, would roll back what the parent is about to commit.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for connection in tuple(_CONNECTIONS):
        with suppress(Exception):  # it may be closed, or half open
            os.dup2(nowhere, _socket_of(connection), inheritable=False)
    os.close(nowhere)
    for engine in tuple(_ENGINES):
        engine.dispose(close=False)


def _socket_of(connection: Any) -> int:
    if hasattr(connection, "fileno"):  # psycopg
        return int(connection.fileno())
    if hasattr(connection, "_sock"):  # PyMySQL
        return int(connection._sock.fileno())
    transport = getattr(connection, "_transport", None) or connection._writer.transport  # asyncpg, asyncmy, aiomysql
    return int(transport.get_extra_info("socket").fileno())


if hasattr(os, "register_at_fork"):  # pragma: no branch  # there is none on Windows
    os.register_at_fork(after_in_child=_in_child)
