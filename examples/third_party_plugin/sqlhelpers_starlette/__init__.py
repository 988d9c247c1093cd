"""The adapter for Starlette: ``attach(app)``, and sessions for endpoints."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse

from sqlhelpers import Adapter, Runtime, hookimpl
from sqlhelpers.engines import TRANSLATED, http_error_for
from sqlhelpers.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy.ext.asyncio import AsyncSession
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response

    from sqlhelpers.aio import AsyncDatabaseManager

_RUNTIME = "sqlhelpers_runtime"  # in ``app.state``


def attach(app: Starlette, runtime: Runtime | None = None) -> Runtime:
    """Serve an application with sessions, and close all connections when it shuts down.

    Args:
        app: the application, which has not started yet.
        runtime: the runtime to use; None makes one from the settings.

    Raises:
        ConfigurationError: a runtime is attached to this application already, or it has started.
    """
    if hasattr(app.state, _RUNTIME):
        raise ConfigurationError("this application has a runtime already; call sqlhelpers_starlette.attach(app) once")
    if app.middleware_stack is not None:
        raise ConfigurationError("this application has started; call sqlhelpers_starlette.attach(app) before")
    attached = Runtime() if runtime is None else runtime
    setattr(app.state, _RUNTIME, attached)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: Starlette) -> AsyncIterator[Any]:
        async with attached, inner(started) as state:  # the application's own code shuts down first
            yield state

    app.router.lifespan_context = lifespan
    for kind in TRANSLATED:
        app.exception_handlers.setdefault(kind, _answer)  # a handler of the application's own stays
    return attached


def manager(connection: HTTPConnection, bind: str = "default") -> AsyncDatabaseManager:
    """Return the manager of a database for a request or a WebSocket."""
    runtime: Runtime | None = getattr(connection.app.state, _RUNTIME, None)
    if runtime is None:
        raise ConfigurationError("this application has no runtime; call sqlhelpers_starlette.attach(app)")
    return runtime.async_manager(bind)


def session(connection: HTTPConnection, bind: str = "default") -> AbstractAsyncContextManager[AsyncSession]:
    """Open a session: commit when the block succeeds, roll back when it raises. Leave the block, then respond."""
    return manager(connection, bind).session()


def with_session(bind: str = "default") -> Callable[[Callable[..., Awaitable[Response]]], Callable[..., Any]]:
    """Give an endpoint a session as its second argument, committed before the response that it returns is sent."""

    def decorate(endpoint: Callable[..., Awaitable[Response]]) -> Callable[..., Any]:
        @wraps(endpoint)
        async def with_its_session(request: Request) -> Response:
            async with session(request, bind) as opened:
                return await endpoint(request, opened)

        return with_its_session

    return decorate


async def _answer(_request: Request, error: Exception) -> Response:
    answer = http_error_for(error)
    if answer is None:
        raise error
    return PlainTextResponse(answer.detail, answer.status, answer.headers)


@dataclass(frozen=True)
class StarletteAdapter:
    """What ``Runtime.attach`` finds under the entry point ``starlette``."""

    framework: str = "starlette"

    def attach(self, app: Starlette, runtime: Runtime | None = None) -> Runtime:
        """Do as ``attach`` does."""
        return attach(app, runtime)


@hookimpl
def sqlhelpers_register_adapter() -> Adapter:
    """Return the adapter."""
    return StarletteAdapter()
