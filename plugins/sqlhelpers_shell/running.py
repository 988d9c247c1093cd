"""``shell``: a Python prompt with the models of the apps and a session, whose ``await`` works at the top level."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import threading
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import event

from sqlhelpers import interrupts
from sqlhelpers.sessions import opened
from sqlhelpers_shell import prompt
from sqlhelpers_shell.names import TOOLS, ModelNames, model_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

    from sqlhelpers.aio import AsyncDatabaseManager
    from sqlhelpers.manager import DatabaseManager
    from sqlhelpers.runtime import Runtime

_READS = re.compile(r"\s*(select|show|explain|values|pragma|describe)\b", re.IGNORECASE)


def run_shell(
    runtime: Runtime,
    bind: str = "default",
    *,
    aio: bool | None = None,
    source: str | None = None,
    where: str = "<string>",
    plain: bool = False,
    note: Callable[[str], None] | None = None,
) -> int:
    """Run code, or a prompt, with a session of a database; roll back at the end what was not committed.

    Args:
        runtime: the settings, plugins and apps.
        bind: the name of the database.
        aio: whether the session is the async one; None for the sync one where its driver is installed.
        source: the code; None to read it from the terminal.
        where: where the code comes from, for tracebacks.
        plain: Python's own prompt, also where IPython is installed.
        note: called with what is good to know at the end; None to print it to stderr.

    Returns:
        an exit status: 1 if the code raised, or what it ended itself with.
    """
    with redirect_stdout(sys.stderr):  # what plugins print
        if aio is None:
            aio = not runtime.database(bind).has_sync_driver
        manager = runtime.async_manager(bind) if aio else runtime.manager(bind)
        models = model_names(runtime, bind)
    with _as_a_prompt_hears_them(), asyncio.Runner() as runner:
        try:
            with _session(manager, runner, note or _print_note) as session:
                own = {"runtime": runtime, "manager": manager, "session": session}
                names = {**models.namespaces(), **models.single, **TOOLS, **own}
                if source is not None:
                    return prompt.execute(source, where, names, runner.run)
                ask = prompt.interact if plain or not prompt.has_ipython() else prompt.interact_with_ipython
                return ask(names, _banner(manager, models, [*TOOLS, *own]), runner.run)
        except SystemExit as ended:
            return prompt.status_of(ended)
        finally:
            runner.run(runtime.dispose_async())


@contextmanager
def _session(
    manager: DatabaseManager | AsyncDatabaseManager,
    runner: asyncio.Runner,
    note: Callable[[str], None],
) -> Iterator[Any]:
    """Give a session that is neither committed nor begun; query methods of sync models use it."""
    session: Any = manager.Session()
    watched = getattr(session, "sync_session", session)
    changes = _Changes(watched)
    try:
        if watched is session:
            with opened(session, manager, manager.database.serves):
                yield session
        else:
            yield session
    finally:
        if changes.are_there():
            note("what was not committed is rolled back; session.commit() keeps it")
        closed = session.close()
        if closed is not None:
            runner.run(closed)


def _print_note(text: str) -> None:
    sys.stderr.write(f"note: {text}\n")


class _Changes:
    """Whether a session has changes that are not committed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._were_sent = False
        event.listen(session, "after_flush", self._sent)
        event.listen(session, "do_orm_execute", self._executed)
        event.listen(session, "after_transaction_end", self._ended)

    def are_there(self) -> bool:
        """Tell whether there are any, sent to the database or not."""
        session = self._session
        unsent = session.new or session.deleted or any(map(session.is_modified, session.dirty))
        return self._were_sent or bool(unsent)

    def _sent(self, *_: object) -> None:
        self._were_sent = True

    def _executed(self, state: ORMExecuteState) -> None:
        text = getattr(state.statement, "text", "")  # nobody knows of a text what it does
        if not state.is_select and not (isinstance(text, str) and _READS.match(text)):
            self._were_sent = True

    def _ended(self, _: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self._were_sent = False


@contextmanager
def _as_a_prompt_hears_them() -> Iterator[None]:
    """Let Ctrl-C end what runs and not the prompt, and SIGTERM all of it."""
    with interrupts.handled(_terminated):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)  # with which asyncio cancels what is awaited
        yield


def _terminated(*_: object) -> NoReturn:
    raise SystemExit(interrupts.exit_status(interrupts.Terminated()))


def _banner(manager: DatabaseManager | AsyncDatabaseManager, models: ModelNames, others: list[str]) -> str:
    is_async = type(manager).__name__.startswith("Async")
    wait, kind = ("await ", "async") if is_async else ("", "sync")
    lines = [
        f"sqlhelpers {version('sqlhelpers')}, Python {sys.version.split()[0]}, SQLAlchemy {version('sqlalchemy')}",
        f"database {manager.bind}: {manager.database.masked_url}",
        f"session  {kind}; nothing is committed unless you do: {wait}session.commit()",
        f"models   {', '.join(sorted(models.single)) or 'none'}",
        f"also     {', '.join(sorted(others))}; await works at the prompt",
    ]
    lines += (
        f"note: several apps have a {name}: {', '.join(f'{app}.{name}' for app in apps)}"
        for name, apps in sorted(models.shared.items())
    )
    lines += (
        f"note: {name} is the shell's own here; the model is an attribute of its app's name"
        for name in sorted(set(models.single) & set(others))
    )
    lines += (
        f"note: the models of {app} are in database {bind} (-d {bind}); here they are {app}.NAME"
        for app, bind in sorted(models.elsewhere.items())
    )
    return "\n".join(lines)
