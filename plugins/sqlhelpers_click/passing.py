"""The decorators that give a command a session or a manager, in the manner of ``click.pass_context``."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

import click

from sqlhelpers import cli
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_click.calls import Passing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from sqlhelpers import DatabaseManager, Runtime
    from sqlhelpers.aio import AsyncDatabaseManager

P = ParamSpec("P")
R = TypeVar("R")


class SessionPasser(Protocol):
    """A decorator that gives a command a session: an ``AsyncSession`` if it is ``async def``."""

    @overload
    def __call__(self, function: Callable[Concatenate[AsyncSession, P], Coroutine[Any, Any, R]]) -> Callable[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Session, P], R]) -> Callable[P, R]: ...


class ManagerPasser(Protocol):
    """A decorator that gives a command a manager: an ``AsyncDatabaseManager`` if it is ``async def``."""

    @overload
    def __call__(
        self,
        function: Callable[Concatenate[AsyncDatabaseManager, P], Coroutine[Any, Any, R]],
    ) -> Callable[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[DatabaseManager, P], R]) -> Callable[P, R]: ...


@overload
def pass_session(bind: Callable[Concatenate[AsyncSession, P], Coroutine[Any, Any, R]], /) -> Callable[P, R]: ...
@overload
def pass_session(bind: Callable[Concatenate[Session, P], R], /) -> Callable[P, R]: ...
@overload
def pass_session(bind: str = "default") -> SessionPasser: ...
def pass_session(bind: Any = "default") -> Any:
    """Give a command a session as its first argument: ``@pass_session``, or ``@pass_session("reports")``.

    It is committed when the command succeeds, ``ctx.exit(0)`` and ``sys.exit(0)`` included, and rolled back when
    that raises, aborts, is interrupted, or ends with another status. A command that is ``async def`` gets an
    ``AsyncSession``, and is run in an event loop.

    Args:
        bind: the name of the database.
    """
    return _passing(bind, is_session=True)


@overload
def pass_manager(bind: Callable[Concatenate[AsyncDatabaseManager, P], Coroutine[Any, Any, R]], /) -> Callable[P, R]: ...
@overload
def pass_manager(bind: Callable[Concatenate[DatabaseManager, P], R], /) -> Callable[P, R]: ...
@overload
def pass_manager(bind: str = "default") -> ManagerPasser: ...
def pass_manager(bind: Any = "default") -> Any:
    """Give a command the manager of a database as its first argument, the async one if it is ``async def``.

    Args:
        bind: the name of the database.
    """
    return _passing(bind, is_session=False)


def _passing(bind: Any, *, is_session: bool) -> Any:
    if isinstance(bind, str):
        return partial(_decorated, partial(Passing, bind, is_session))
    return _decorated(partial(Passing, "default", is_session), bind)


def _decorated(passing: Callable[..., Passing], function: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(function) or hasattr(function, "callback"):
        raise ConfigurationError("pass_session and pass_manager decorate a function: put @command() above them")
    passed = passing(is_async=inspect.iscoroutinefunction(inspect.unwrap(function)))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _serving() as (ctx, runtime):
            return passed.call(ctx, runtime, lambda given: function(given, *args, **kwargs))

    update_wrapper(wrapper, function)
    signature = inspect.signature(function)
    if not signature.parameters:
        raise ConfigurationError(
            f"{function.__name__}() takes no argument, so it cannot be given a session or a manager"
        )
    first, *others = signature.parameters.values()
    if first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):  # Typer takes what it sees for its own
        wrapper.__annotations__ = {k: v for k, v in wrapper.__annotations__.items() if k != first.name}
        setattr(wrapper, "__signature__", signature.replace(parameters=others))  # noqa: B010
    return wrapper


@contextmanager
def _serving() -> Iterator[tuple[Any, Runtime]]:
    """Give the context of the command and its runtime; what goes wrong ends the command as ``sqlhelpers`` would."""
    ctx: Any = click.get_current_context(silent=True)
    if ctx is None and "typer" in sys.modules:
        from sqlhelpers_click import typerapps

        ctx = typerapps.current_context()
    try:
        with cli.explained():
            if ctx is None or (attachment := cli.attachment_of(ctx)) is None:
                raise ConfigurationError("this command line has no runtime; call sqlhelpers_click.attach(cli)")
            with attachment.opened(ctx) as runtime:
                yield ctx, runtime
    except cli.Failure as failure:
        if ctx is None or isinstance(ctx, click.Context):
            raise
        failure.show()
        ctx.exit(failure.exit_code)  # Typer's own
