"""The sessions of one request, or of one application context outside of requests, and where they are kept."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from flask import current_app, has_app_context, has_request_context
from flask.globals import app_ctx, request_ctx

from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers.sessions import refuse_use

if TYPE_CHECKING:
    from flask.ctx import AppContext, RequestContext
    from sqlalchemy.orm import Session

    from sqlhelpers import Runtime

_SESSIONS = "sqlhelpers_sessions"  # an attribute of the context

_OVER = "this session ended with its request, or its context; in streams and threads, open one with session_provider()"
_TOO_LATE = (
    "the response to this request is made already, and what is written now would be lost; "
    "use a session of its own: with sqlhelpers_flask.session_provider()() as session"
)


class OutOfContext(ConfigurationError, RuntimeError):
    """There is no session here. It is a ``RuntimeError`` too, as Flask's own is, because its proxies look for that."""


class Sessions:
    """The sessions of one context, by database, each opened when it is first asked for.

    Attributes:
        is_answered: the response is made, so that there are no more sessions to be had.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.is_answered = False
        self._runtime = runtime
        self._open: dict[str, Session] = {}
        self._blocks = ExitStack()

    def get(self, bind: str) -> Session:
        """Return the session of a database.

        Raises:
            OutOfContext: it is too late.
            UnknownBind: no such database is configured.
        """
        if self.is_answered:
            raise OutOfContext(_TOO_LATE)
        if bind not in self._open:
            self._open[bind] = self._blocks.enter_context(self._runtime.manager(bind).session())
        return self._open[bind]

    def commit(self) -> None:
        """Commit what was written so far. The sessions stay open, and what they have loaded stays usable."""
        for session in self._open.values():
            session.commit()

    def leave(self, error: BaseException | None = None) -> None:
        """Leave the sessions: they commit, or roll back if there is an error, and close. Others can be had then."""
        blocks, self._blocks = self._blocks, ExitStack()
        left, self._open = self._open, {}
        try:
            blocks.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        finally:
            for session in left.values():
                refuse_use(session, _OVER)

    def abandon(self) -> None:
        """Leave the sessions, and roll back what was not committed."""
        self.leave(_Abandoned())


class _Abandoned(Exception):
    """Nobody is left who could be told of a commit."""


def runtime_of_app() -> Runtime:
    """Return the runtime of the current application.

    Raises:
        OutOfContext: there is no current application, or it has none.
    """
    if not has_app_context():
        raise OutOfContext(
            "there is no application here; use sessions in a request, a command, or `with app.app_context():`",
        )
    runtime: Runtime | None = current_app.extensions.get("sqlhelpers")
    if runtime is None:
        raise OutOfContext(
            f"the application {current_app.name!r} has no runtime; call sqlhelpers_flask.attach(app) where it is made",
        )
    return runtime


def current_sessions() -> Sessions:
    """Return the sessions of the current request, or of the current context where there is no request.

    A context that is pushed within a request of the same application belongs to that request.
    """
    runtime = runtime_of_app()
    in_request = has_request_context() and request_ctx.app is app_ctx.app
    return _sessions_in(request_ctx if in_request else app_ctx, runtime)


def abandon_request(_error: BaseException | None) -> None:
    """Roll back what a request has left open, at its very end."""
    _sessions_in(request_ctx, runtime_of_app()).abandon()


def abandon_context(_error: BaseException | None) -> None:
    """Roll back what a context has left open, at its end."""
    _sessions_in(app_ctx, runtime_of_app()).abandon()


def _sessions_in(context: RequestContext | AppContext, runtime: Runtime) -> Sessions:
    found: Sessions | None = getattr(context, _SESSIONS, None)
    if found is None:
        found = Sessions(runtime)
        setattr(context, _SESSIONS, found)
    return found
