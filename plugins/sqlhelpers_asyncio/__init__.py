"""The adapter for asyncio: scripts and workers without a framework, from their start to the signal that ends them."""

from __future__ import annotations

import asyncio
import atexit
import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, TypeVarTuple, overload

from sqlhelpers import Adapter, Runtime, hookimpl, interrupts
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_asyncio import loops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy.ext.asyncio import AsyncSession

    from sqlhelpers.aio import AsyncDatabaseManager

__all__ = [
    "AsyncioAdapter",
    "attach",
    "current_runtime",
    "manager",
    "run",
    "running",
    "session",
    "sqlhelpers_register_adapter",
    "with_session",
]

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_RUNTIME = "sqlhelpers_runtime"  # an attribute of the loop


def run(
    main: Callable[[*Ts], Coroutine[Any, Any, R]],
    *args: *Ts,
    runtime: Runtime | None = None,
    sync: bool = False,
    debug: bool | None = None,
) -> R:
    """Run ``main(*args)`` in an event loop of its own, as ``asyncio.run`` does, and return its result.

    SIGTERM and SIGINT cancel it: its sessions are rolled back, all connections are closed, and the process ends with
    status 143 or 130. Once it has ended, in whatever way, so have all tasks that it began.

    Args:
        main: an async function.
        args: its arguments.
        runtime: the runtime to use; None makes one from the settings.
        sync: bring every configured database to the expected state before.
        debug: the loop's debug mode; None for the default.

    Raises:
        SystemExit: a signal has ended it.
        ConfigurationError: an event loop runs in this thread already; use ``running()`` there.
    """

    async def whole() -> R:
        attached = attach(asyncio.get_running_loop(), runtime)
        if sync:
            await attached.async_run_sync()
        return await main(*args)

    try:
        return loops.run(whole, debug=debug)
    except KeyboardInterrupt as interrupt:
        atexit.register(interrupts.ignore)  # a further signal would have nothing to end but Python's own exit
        raise SystemExit(interrupts.exit_status(interrupt)) from None


@asynccontextmanager
async def running(runtime: Runtime | None = None, *, sync: bool = False) -> AsyncIterator[Runtime]:
    """Give the running loop a runtime until the block ends, and close its connections then.

    Args:
        runtime: the runtime to use; None makes one from the settings.
        sync: bring every configured database to the expected state before.

    Raises:
        ConfigurationError: this loop has a runtime already.
    """
    loop = asyncio.get_running_loop()
    async with _keep(loop, runtime) as kept:
        try:
            if sync:
                await kept.async_run_sync()
            yield kept
        finally:
            delattr(loop, _RUNTIME)


def attach(target: asyncio.AbstractEventLoop | asyncio.Runner, runtime: Runtime | None = None) -> Runtime:
    """Give a loop, or that of an ``asyncio.Runner``, a runtime.

    Its connections are closed when the loop shuts down its async generators, as ``asyncio.run`` and ``asyncio.Runner``
    let it do.

    Args:
        target: a loop that runs, or has not run yet.
        runtime: the runtime to use; None makes one from the settings.

    Raises:
        ConfigurationError: this loop has a runtime already.
    """
    loop = target.get_loop() if isinstance(target, asyncio.Runner) else target
    attached = _keep(loop, runtime)
    loops.at_shutdown(loop, attached.dispose_async)
    return attached


def current_runtime() -> Runtime:
    """Return the runtime of the running loop.

    Raises:
        ConfigurationError: it has none, or no loop runs.
    """
    try:
        found = getattr(asyncio.get_running_loop(), _RUNTIME, None)
    except RuntimeError:
        found = None
    if not isinstance(found, Runtime):
        how = "sqlhelpers_asyncio.run(main), or `async with sqlhelpers_asyncio.running():` in a loop of your own"
        raise ConfigurationError(f"there is no event loop with a runtime here; call {how}")
    return found


def manager(bind: str = "default") -> AsyncDatabaseManager:
    """Return the manager of a database in the runtime of the running loop."""
    return current_runtime().async_manager(bind)


def session(bind: str = "default") -> AbstractAsyncContextManager[AsyncSession]:
    """Open a session: commit when the block succeeds, roll back when it raises or is cancelled, close in any case.

    Args:
        bind: the name of the database.
    """
    return manager(bind).session()


@overload
def with_session(
    bind: Callable[Concatenate[AsyncSession, P], Coroutine[Any, Any, R]],
    /,
) -> Callable[P, Coroutine[Any, Any, R]]: ...
@overload
def with_session(
    bind: str = "default",
) -> Callable[
    [Callable[Concatenate[AsyncSession, P], Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]
]: ...
def with_session(bind: Any = "default") -> Any:
    """Give an async function a session as its first argument: ``@with_session``, or ``@with_session("reports")``.

    Each call has a session of its own, so that tasks never share one.

    Args:
        bind: the name of the database.
    """
    return partial(_with_session, bind) if isinstance(bind, str) else _with_session("default", bind)


def _with_session(bind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"with_session is for `async def` functions, which {function!r} is not")

    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async with session(bind) as opened:
            return await function(opened, *args, **kwargs)

    return wrapper


def _keep(loop: asyncio.AbstractEventLoop, runtime: Runtime | None) -> Runtime:
    if hasattr(loop, _RUNTIME):
        raise ConfigurationError("this event loop has a runtime already; sqlhelpers_asyncio.session() uses that")
    kept = Runtime() if runtime is None else runtime
    setattr(loop, _RUNTIME, kept)
    return kept


@dataclass(frozen=True)
class AsyncioAdapter:
    """What ``Runtime.attach`` finds under the entry point ``asyncio``."""

    framework: str = "asyncio"

    def attach(self, app: asyncio.AbstractEventLoop | asyncio.Runner, runtime: Runtime | None = None) -> Runtime:
        """Do as ``attach`` does."""
        return attach(app, runtime)


@hookimpl
def sqlhelpers_register_adapter() -> Adapter:
    """Return the adapter."""
    return AsyncioAdapter()
