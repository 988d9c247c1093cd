"""What a dialect has to leave alone on a connection that it shares with others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlhelpers_pytest.connections import VirtualConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect

_LETS = "sqlhelpers_pytest"


def let_share(dialect: Dialect) -> None:
    """Change a dialect so that it can use virtual connections, beside those of its driver."""
    if _LETS in vars(dialect):
        return
    vars(dialect)[_LETS] = True
    _replace(dialect, "do_ping", lambda _: True)
    _replace(dialect, "do_close", lambda connection: connection.close())
    _replace(dialect, "do_terminate", lambda connection: connection.close())
    _replace(dialect, "get_driver_connection", lambda connection: connection.shared.driver)
    _replace(dialect, "set_isolation_level", _set_isolation_level)
    _replace(dialect, "reset_isolation_level", lambda connection: connection.set_autocommit(False))
    fetch = getattr(dialect, "_type_info_fetch", None)
    if fetch is not None:  # psycopg: what the async dialect would await

        def type_info_fetch(connection: Any, name: str) -> Any:
            if not isinstance(connection.connection.dbapi_connection, VirtualConnection):
                return fetch(connection, name)
            from psycopg.types import TypeInfo

            return TypeInfo.fetch(connection.connection.driver_connection, name)

        vars(dialect)["_type_info_fetch"] = type_info_fetch


def _replace(dialect: Dialect, method: str, on_virtual: Callable[..., Any]) -> None:
    usual = getattr(dialect, method)

    def replaced(connection: Any, *arguments: Any) -> Any:
        inner = getattr(connection, "dbapi_connection", connection)  # it may be the pool's
        return on_virtual(inner, *arguments) if isinstance(inner, VirtualConnection) else usual(connection, *arguments)

    vars(dialect)[method] = replaced


def _set_isolation_level(connection: VirtualConnection, level: str) -> None:
    """Do as if: the transaction around the test has one level, and that of the code is in it."""
    connection.set_autocommit(level == "AUTOCOMMIT")
