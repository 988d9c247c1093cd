"""Sessions, managers and session providers as dependencies of FastAPI.

FastAPI reads the annotations of dependencies while the application runs, so they are not deferred here.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Annotated, Any

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from sqlhelpers import DatabaseManager, Runtime
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers.sessions import SessionProvider, SyncSessionProvider, refuse_use

RUNTIME = "sqlhelpers_runtime"  # in ``app.state``


def manager_dependency(bind: str = "default") -> Callable[..., Any]:
    """Return the dependency that gives the async manager of a database; for one ``bind`` always the same function."""
    return _manager(bind)


def session_dependency(bind: str = "default") -> Callable[..., AsyncIterator[AsyncSession]]:
    """Return the dependency that gives a session to an ``async def``; for one ``bind`` always the same function.

    Declare it as ``Annotated[AsyncSession, Depends(session_dependency("reports"), scope="function")]``. The session
    is committed before the response starts, and rolled back if the path operation raises. Without the scope
    it would be committed after the response; FastAPI then raises ``DependencyScopeError``.
    """
    return _session(bind)


def session_provider(bind: str = "default") -> Callable[..., AsyncIterator[SessionProvider]]:
    """Return the dependency that gives a ``SessionProvider``; for one ``bind`` always the same function.

    For streaming responses, WebSockets and background tasks, which go on after the session of ``session_dependency``
    is closed. Declare it as ``Annotated[SessionProvider, Depends(session_provider("reports"))]``: without a scope,
    so that it lives until the response is sent. No connection is held while no block is open.
    """
    return _provider(bind)


def sync_manager_dependency(bind: str = "default") -> Callable[..., Any]:
    """Return the dependency that gives the sync manager of a database; for one ``bind`` always the same function."""
    return _sync_manager(bind)


def sync_session_dependency(bind: str = "default") -> Callable[..., Iterator[Session]]:
    """Return the dependency that gives a session to a ``def``; otherwise as ``session_dependency``.

    Pass the session to query methods of models: the path operation may run in another thread than its dependencies.
    """
    return _sync_session(bind)


def sync_session_provider(bind: str = "default") -> Callable[..., Iterator[SyncSessionProvider]]:
    """Return the dependency that gives a ``SyncSessionProvider`` to a ``def``; otherwise as ``session_provider``."""
    return _sync_provider(bind)


def runtime_of(connection: HTTPConnection) -> Runtime:
    """Return the runtime of the application that a request came to.

    Raises:
        ConfigurationError: none is attached to it.
    """
    runtime: Runtime | None = getattr(connection.app.state, RUNTIME, None)
    if runtime is None:
        raise ConfigurationError(
            "this application has no runtime; call sqlhelpers_fastapi.attach(app) before it starts,"
            " also for one that is mounted in another: attach(mounted, attach(app))",
        )
    return runtime


_OVER = (
    "the session of this request ended before its response: in streams and background tasks,"
    " open one with SessionProviderDep, or SyncSessionProviderDep in a def"
)


async def _within_function() -> None:
    """Do nothing, in the scope of a function.

    FastAPI refuses a dependency that outlives one of its own: so a session cannot lose its scope unnoticed.
    """


_WITHIN_FUNCTION = Depends(_within_function, scope="function")


@cache  # one function for each bind: the key in dependency_overrides, and of a session shared within a request
def _manager(bind: str) -> Callable[..., Any]:
    async def manager(connection: HTTPConnection) -> AsyncDatabaseManager:
        return runtime_of(connection).async_manager(bind)

    return manager


@cache
def _session(bind: str) -> Callable[..., AsyncIterator[AsyncSession]]:
    async def session(connection: HTTPConnection, _: Annotated[None, _WITHIN_FUNCTION]) -> AsyncIterator[AsyncSession]:
        async with runtime_of(connection).async_manager(bind).session() as opened:
            yield opened
        refuse_use(opened.sync_session, _OVER)

    return session


@cache
def _provider(bind: str) -> Callable[..., AsyncIterator[SessionProvider]]:
    async def provider(
        manager: Annotated[AsyncDatabaseManager, Depends(_manager(bind))],
    ) -> AsyncIterator[SessionProvider]:
        async with SessionProvider(manager.session) as sessions:
            yield sessions

    return provider


@cache
def _sync_manager(bind: str) -> Callable[..., Any]:
    async def manager(connection: HTTPConnection) -> DatabaseManager:  # without a thread: it waits for nothing
        return runtime_of(connection).manager(bind)

    return manager


@cache
def _sync_session(bind: str) -> Callable[..., Iterator[Session]]:
    def session(connection: HTTPConnection, _: Annotated[None, _WITHIN_FUNCTION]) -> Iterator[Session]:
        with runtime_of(connection).manager(bind).session() as opened:
            yield opened
        refuse_use(opened, _OVER)

    return session


@cache
def _sync_provider(bind: str) -> Callable[..., Iterator[SyncSessionProvider]]:
    def provider(
        manager: Annotated[DatabaseManager, Depends(_sync_manager(bind))],
    ) -> Iterator[SyncSessionProvider]:
        with SyncSessionProvider(manager.session) as sessions:
            yield sessions

    return provider


#: The async manager of the default database.
ManagerDep = Annotated[AsyncDatabaseManager, Depends(manager_dependency())]

#: A session of the default database, for an ``async def``; committed before the response starts.
SessionDep = Annotated[AsyncSession, Depends(session_dependency(), scope="function")]

#: Opens sessions of the default database, for what goes on after the response has started.
SessionProviderDep = Annotated[SessionProvider, Depends(session_provider())]

#: The sync manager of the default database.
SyncManagerDep = Annotated[DatabaseManager, Depends(sync_manager_dependency())]

#: A session of the default database, for a ``def``; committed before the response starts.
SyncSessionDep = Annotated[Session, Depends(sync_session_dependency(), scope="function")]

#: Opens sync sessions of the default database, for what goes on after the response has started.
SyncSessionProviderDep = Annotated[SyncSessionProvider, Depends(sync_session_provider())]
