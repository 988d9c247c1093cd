"""What probes hear: whether the process lives, and whether its databases can serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlhelpers.runtime import summary

if TYPE_CHECKING:
    from flask import Flask

    from sqlhelpers import Runtime

_LIVEZ, _READYZ = "sqlhelpers_livez", "sqlhelpers_readyz"

#: The endpoints that are served without the application's ``before_request`` functions.
PROBES = frozenset((_LIVEZ, _READYZ))


def add_probes(app: Flask, runtime: Runtime, livez: str | None, readyz: str | None) -> None:
    """Add the routes of the probes.

    Args:
        app: the application.
        runtime: whose databases are asked.
        livez: the path that answers as long as the process does; None for none.
        readyz: the path that tells whether the databases can serve; None for none.
    """

    def is_alive() -> dict[str, str]:
        return {"status": "alive"}

    def is_ready() -> tuple[dict[str, dict[str, Any]], int]:
        status, body = summary(runtime.readiness())
        return body, status

    if livez is not None:
        app.add_url_rule(livez, _LIVEZ, is_alive)
    if readyz is not None:
        app.add_url_rule(readyz, _READYZ, is_ready)
