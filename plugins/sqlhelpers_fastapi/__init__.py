"""The adapter for FastAPI: ``attach(app)``, sessions and managers as dependencies, and the ancestor's functions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlhelpers import Adapter, Runtime, hookimpl
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.engines import STATUSES
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers.sessions import SessionProvider, SyncSessionProvider
from sqlhelpers_fastapi.ancestor import make_db_session, manager_from_config, syncdb
from sqlhelpers_fastapi.dependencies import (
    RUNTIME,
    ManagerDep,
    SessionDep,
    SessionProviderDep,
    SyncManagerDep,
    SyncSessionDep,
    SyncSessionProviderDep,
    manager_dependency,
    session_dependency,
    session_provider,
    sync_manager_dependency,
    sync_session_dependency,
    sync_session_provider,
)
from sqlhelpers_fastapi.responses import add_probes, answer_failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from fastapi import FastAPI

__all__ = [
    "AsyncDatabaseManager",
    "FastAPIAdapter",
    "ManagerDep",
    "SessionDep",
    "SessionProvider",
    "SessionProviderDep",
    "SyncManagerDep",
    "SyncSessionDep",
    "SyncSessionProvider",
    "SyncSessionProviderDep",
    "attach",
    "make_db_session",
    "manager_dependency",
    "manager_from_config",
    "session_dependency",
    "session_provider",
    "sqlhelpers_register_adapter",
    "sync_manager_dependency",
    "sync_session_dependency",
    "sync_session_provider",
    "syncdb",
]


def attach(
    app: FastAPI,
    runtime: Runtime | None = None,
    *,
    sync: bool = False,
    http_errors: Collection[int] = STATUSES,
    livez: str | None = "/livez",
    readyz: str | None = "/readyz",
) -> Runtime:
    """Serve an application with sessions, and close all connections when it shuts down.

    Call it before the application starts. The runtime is then in ``app.state.sqlhelpers_runtime``. It lives
    around the application's own lifespan and those of its routers. An application that is mounted in another
    one is attached to the same runtime: ``attach(mounted, attach(app))``.

    Args:
        app: the application.
        runtime: the runtime to use; None makes one from the settings.
        sync: bring every configured database to the expected state before the application starts.
        http_errors: which errors of sessions clients get an answer to, by its status: 404 for ``NoResultFound``, 409
            for a key that is there already, 503 for a pool that is exhausted and a database that cannot be reached. All
            other errors, and all handlers of the application itself, stay as they are.
        livez: the path that answers 200 as long as the process does; None for none.
        readyz: the path that answers 200 or 503, and says why for each database; None for none.

    Raises:
        ConfigurationError: a runtime is attached to this application already, it has started, or a status is unknown.
    """
    if hasattr(app.state, RUNTIME):
        raise ConfigurationError("this application has a runtime already; call sqlhelpers_fastapi.attach(app) once")
    if app.middleware_stack is not None:
        raise ConfigurationError("this application has started; call sqlhelpers_fastapi.attach(app) before")
    answer_failures(app, http_errors)
    attached = Runtime() if runtime is None else runtime
    add_probes(app, attached, livez, readyz)
    app.state.sqlhelpers_runtime = attached
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: FastAPI) -> AsyncIterator[Any]:
        async with attached:
            if sync:
                await attached.async_run_sync()
            async with inner(started) as state:
                yield state

    app.router.lifespan_context = lifespan
    return attached


@dataclass(frozen=True)
class FastAPIAdapter:
    """What ``Runtime.attach`` finds under the entry point ``fastapi``."""

    framework: str = "fastapi"

    def attach(self, app: FastAPI, runtime: Runtime | None = None) -> Runtime:
        """Do as ``attach`` does."""
        return attach(app, runtime)


@hookimpl
def sqlhelpers_register_adapter() -> Adapter:
    """Return the adapter."""
    return FastAPIAdapter()
