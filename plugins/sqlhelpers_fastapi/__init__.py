"""The adapter for FastAPI: ``attach(app)``, sessions and managers as dependencies, and the ancestor's functions.

FastAPI reads the annotations of dependencies while the application runs, so they are not deferred here.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection
from sqlalchemy.ext.asyncio import AsyncSession

from sqlhelpers import Adapter, Runtime, hookimpl
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_fastapi.ancestor import make_db_session, manager_from_config, syncdb

__all__ = [
    "AsyncDatabaseManager",
    "FastAPIAdapter",
    "ManagerDep",
    "SessionDep",
    "attach",
    "make_db_session",
    "manager_dependency",
    "manager_from_config",
    "session_dependency",
    "sqlhelpers_register_adapter",
    "syncdb",
]

_RUNTIME = "sqlhelpers_runtime"  # in ``app.state``


def attach(app: FastAPI, runtime: Runtime | None = None, *, sync: bool = False) -> Runtime:
    """Serve an application with sessions, and close all connections when it shuts down.

    Call it before the application starts. The runtime is then in ``app.state.sqlhelpers_runtime``. It lives
    around the application's own lifespan and those of its routers. An application that is mounted in another
    one is attached to the same runtime: ``attach(mounted, attach(app))``.

    Args:
        app: the application.
        runtime: the runtime to use; None makes one from the settings.
        sync: bring every configured database to the expected state before the application starts.

    Raises:
        ConfigurationError: a runtime is attached to this application already, or it has started.
    """
    if hasattr(app.state, _RUNTIME):
        raise ConfigurationError("this application has a runtime already; call sqlhelpers_fastapi.attach(app) once")
    if app.middleware_stack is not None:
        raise ConfigurationError("this application has started; call sqlhelpers_fastapi.attach(app) before")
    attached = Runtime() if runtime is None else runtime
    app.state.sqlhelpers_runtime = attached
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: FastAPI) -> AsyncIterator[Any]:
        async with attached:
            for bind in attached.binds() if sync else ():
                await attached.async_manager(bind).sync()
            async with inner(started) as state:
                yield state

    app.router.lifespan_context = lifespan
    return attached


def manager_dependency(bind: str = "default") -> Callable[..., Any]:
    """Return the dependency that gives the async manager of a database; for one ``bind`` always the same function."""
    return _manager_dependency(bind)


def session_dependency(bind: str = "default") -> Callable[..., AsyncIterator[AsyncSession]]:
    """Return the dependency that gives a session; for one ``bind`` always the same function.

    Declare it as ``Annotated[AsyncSession, Depends(session_dependency("reports"), scope="function")]``. The session
    is committed before the response starts, and rolled back if the path operation raises. Without the scope
    it would be committed after the response; FastAPI then raises ``DependencyScopeError``.
    """
    return _session_dependency(bind)


@cache  # one function for each bind: the key in dependency_overrides, and of a session shared within a request
def _manager_dependency(bind: str) -> Callable[..., Any]:
    async def manager(connection: HTTPConnection) -> AsyncDatabaseManager:
        runtime = getattr(connection.app.state, _RUNTIME, None)
        if runtime is None:
            raise ConfigurationError(
                "this application has no runtime; call sqlhelpers_fastapi.attach(app) before it starts",
            )
        found: AsyncDatabaseManager = runtime.async_manager(bind)
        return found

    return manager


@cache
def _session_dependency(bind: str) -> Callable[..., AsyncIterator[AsyncSession]]:
    # FastAPI refuses a dependency that outlives one of its own: so this one cannot lose its scope unnoticed
    manager_within_function = Depends(_manager_dependency(bind), scope="function")

    async def session(manager: Annotated[AsyncDatabaseManager, manager_within_function]) -> AsyncIterator[AsyncSession]:
        async with manager.session() as opened:
            yield opened

    return session


#: The async manager of the default database.
ManagerDep = Annotated[AsyncDatabaseManager, Depends(manager_dependency())]

#: A session of the default database, committed before the response starts.
SessionDep = Annotated[AsyncSession, Depends(session_dependency(), scope="function")]


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
