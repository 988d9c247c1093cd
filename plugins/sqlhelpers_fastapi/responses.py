"""What clients hear of failed sessions, and what probes hear."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse

from sqlhelpers.engines import TRANSLATED, check_http_errors, http_error_for
from sqlhelpers.runtime import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastapi import FastAPI
    from fastapi.responses import Response

    from sqlhelpers import Runtime

_log = logging.getLogger(__name__)
_UNAVAILABLE = 503


def answer_failures(app: FastAPI, http_errors: Collection[int]) -> None:
    """Let the application answer errors of sessions; its own handlers come first, whenever they are registered.

    Args:
        app: the application.
        http_errors: the statuses that are answered. All other errors are raised again.

    Raises:
        ConfigurationError: one of the statuses is none that a failed session can have.
    """
    check_http_errors(http_errors)

    async def answer(connection: Any, error: Exception) -> Any:
        own = _handler(app, error, answer)
        if own is not None:
            return await _handled(own, connection, error)
        found = (
            http_error_for(error, http_errors) if isinstance(connection, Request) else None
        )  # a WebSocket has no answer
        if found is None:
            raise error
        if found.status == _UNAVAILABLE:
            named = type(getattr(error, "orig", None) or error).__name__  # its text may name hosts
            path = quote(connection.url.path)  # decoded, it may have what a terminal obeys
            _log.warning("%s %s is answered with %d: %s", connection.method, path, found.status, named)
        answered = HTTPException(found.status, found.detail, found.headers or None)
        shaped = app.exception_handlers.get(found.status) or _handler(app, answered, answer)
        return await _handled(shaped or http_exception_handler, connection, answered)

    for kind in TRANSLATED if http_errors else ():
        app.exception_handlers.setdefault(kind, answer)


def _handler(app: FastAPI, error: Exception, ours: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return the application's own handler for an error, found by its class as Starlette finds it."""
    kinds = (kind for kind in type(error).__mro__ if kind is not Exception)  # which is the last resort
    found = (app.exception_handlers.get(kind) for kind in kinds)
    return next((handler for handler in found if handler is not None and handler is not ours), None)


async def _handled(handler: Callable[..., Any], connection: Any, error: Exception) -> Any:
    response = handler(connection, error)
    return await response if inspect.isawaitable(response) else response


def add_probes(app: FastAPI, runtime: Runtime, livez: str | None, readyz: str | None) -> None:
    """Add the routes of the probes: without the application's dependencies, and not in its OpenAPI document."""

    async def is_alive(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def is_ready(_: Request) -> Response:
        status, body = summary(await runtime.async_readiness())
        return JSONResponse(body, status)

    for path, endpoint in ((livez, is_alive), (readyz, is_ready)):
        if path is not None:
            app.add_route(path, endpoint, include_in_schema=False)
