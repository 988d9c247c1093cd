"""Keeps engines that the kit does not know of away from the configured databases."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from sqlhelpers_pytest.errors import NotIsolated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import URL, Dialect

    from sqlhelpers_pytest.testdatabases import TestDatabase

_LOCAL = (None, "", "localhost", "127.0.0.1", "::1")


class Guard:
    """Refuses connections to the configured databases while tests run.

    Args:
        databases: what stands in for them.
    """

    def __init__(self, databases: Sequence[TestDatabase]) -> None:
        self._forbidden = {key: each for each in databases if (key := _key_of_url(each.configured)) is not None}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch every engine of the process in the block, whoever has made it."""
        event.listen(Engine, "do_connect", self._check)
        try:
            yield
        finally:
            event.remove(Engine, "do_connect", self._check)

    def _check(self, dialect: Dialect, _: object, arguments: Sequence[Any], parameters: dict[str, Any]) -> None:
        found = self._forbidden.get(_key(dialect.name, arguments, parameters))
        if found is not None:
            raise NotIsolated(
                f"an engine would connect to the configured database {', '.join(found.binds)!r} while tests run: it was"
                " made before the first of them asked for the database, or not by sqlhelpers. Take engines and"
                " sessions from a runtime or a manager, in the test or when they are needed",
            )


def _key_of_url(url: URL) -> tuple[str, Any, Any, Any] | None:
    """Return what tells a database from others; None for one in memory."""
    if url.get_backend_name() != "sqlite":
        parameters = {"host": url.host, "port": url.port, "database": url.database}
        return _key(_family(url.get_backend_name()), (), parameters)
    name = url.database or ":memory:"
    return None if ":" in name and not Path(name).is_absolute() else _key("sqlite", (name,), {})


def _key(dialect: str, arguments: Sequence[Any], parameters: dict[str, Any]) -> tuple[str, Any, Any, Any]:
    if dialect == "sqlite":
        return "sqlite", None, None, str(Path(str(arguments[0] if arguments else parameters.get("database"))).resolve())
    name = next((parameters[each] for each in ("dbname", "database", "db") if each in parameters), None)
    host, port = parameters.get("host"), parameters.get("port")
    usual = {"postgresql": 5432, "mysql": 3306}.get(_family(dialect))
    return _family(dialect), "local" if host in _LOCAL else str(host), int(port or usual or 0), name


def _family(dialect: str) -> str:
    return "mysql" if dialect == "mariadb" else dialect
