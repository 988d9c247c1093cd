"""How the functions of an application's own commands are called: with a session or a manager, in a loop or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlhelpers import interrupts
from sqlhelpers.cli import out_of_reach_named
from sqlhelpers.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

    from sqlhelpers.runtime import Runtime

_LOOP = "sqlhelpers.loop"  # in ``ctx.meta``: the loop that runs the coroutines of this call


@dataclass(frozen=True)
class Passing:
    """What a function gets as its first argument.

    Attributes:
        bind: the name of a database.
        is_session: whether it gets a session of it, which lives as long as the call, or its manager.
        is_async: whether the function is one: it gets the async twin, and is run in an event loop.
    """

    bind: str
    is_session: bool
    is_async: bool

    def call(self, ctx: click.Context, runtime: Runtime, function: Callable[..., Any]) -> Any:
        """Call a function, and return what it returns.

        A session is committed when the function returns, or ends the command with status 0, and else rolled back.
        Within the loop of an async function, another one is not run but returned, to be awaited.

        Raises:
            DatabaseFailure: the database cannot be reached.
            ConfigurationError: the function is async, and a loop that is not ours runs already.
        """
        if not self.is_async:
            with interrupts.listening():
                return self._call(runtime, function)
        import asyncio

        from sqlhelpers_asyncio import loops

        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None

        async def whole() -> Any:
            ctx.meta[_LOOP] = loop = asyncio.get_running_loop()
            loops.at_shutdown(loop, runtime.dispose_async)
            return await self._call_async(runtime, function)

        if running is None:
            return loops.run(whole)
        if ctx.meta.get(_LOOP) is running:
            return self._call_async(runtime, function)
        raise ConfigurationError(
            "an event loop runs in this thread already, and an async command needs one of its own; "
            "call it in another thread: await asyncio.to_thread(CliRunner().invoke, cli, [...])",
        )

    def _call(self, runtime: Runtime, function: Callable[..., Any]) -> Any:
        manager, outcome = runtime.manager(self.bind), _Outcome()
        with out_of_reach_named(manager):
            if not self.is_session:
                return function(manager)
            with manager.session() as session, outcome:
                outcome.result = function(session)
        return outcome.get()

    async def _call_async(self, runtime: Runtime, function: Callable[..., Any]) -> Any:
        manager, outcome = runtime.async_manager(self.bind), _Outcome()
        with out_of_reach_named(manager):
            if not self.is_session:
                return await function(manager)
            async with manager.session() as session:
                with outcome:
                    outcome.result = await function(session)
        return outcome.get()


class _Outcome:
    """What has come of a call: its result, or an exit with status 0, held back until the session is committed."""

    def __init__(self) -> None:
        self.result: Any = None
        self._exit: BaseException | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        ended = isinstance(error, SystemExit) and not error.code
        left = isinstance(error, RuntimeError) and getattr(error, "exit_code", 1) == 0  # click's Exit, or Typer's own
        self._exit = error if ended or left else None
        return ended or left

    def get(self) -> Any:
        """Return the result, or raise the exit."""
        if self._exit is not None:
            raise self._exit
        return self.result
