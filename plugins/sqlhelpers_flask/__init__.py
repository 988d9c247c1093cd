"""The adapter for Flask: ``attach(app)``, a session for each request, ``flask db``, and queries that answer 404."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import abort
from werkzeug.local import LocalProxy

from sqlhelpers import Adapter, Runtime, hookimpl
from sqlhelpers.engines import STATUSES, check_http_errors
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_flask.commands import add_commands
from sqlhelpers_flask.probes import add_probes
from sqlhelpers_flask.requests import Requests
from sqlhelpers_flask.sessions import (
    OutOfContext,
    abandon_context,
    abandon_request,
    current_sessions,
    runtime_of_app,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from flask import Flask
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from sqlhelpers import DatabaseManager

__all__ = [
    "FlaskAdapter",
    "OutOfContext",
    "attach",
    "first_or_404",
    "get_manager",
    "get_or_404",
    "get_session",
    "one_or_404",
    "session",
    "session_provider",
    "sqlhelpers_register_adapter",
]

M = TypeVar("M")


def attach(
    app: Flask,
    runtime: Runtime | None = None,
    *,
    http_errors: Collection[int] = STATUSES,
    livez: str | None = "/livez",
    readyz: str | None = "/readyz",
) -> Runtime:
    """Serve an application with a session for each request, and close all connections when the process ends.

    Call it where the application is made, in a factory for instance. The runtime is then in
    ``app.extensions["sqlhelpers"]``. Methods of this one object are wrapped: what a view has written is committed
    when it returns, and rolled back if it raises.

    Args:
        app: the application.
        runtime: the runtime to use; None makes one from the settings.
        http_errors: the statuses that errors of SQLAlchemy are answered with where the application has no handler for
            them: 404 for ``NoResultFound``, 409 for a key that is there already, 503 for a database out of reach.
        livez: the path that answers 200 as long as the process does; None for none.
        readyz: the path that answers 200 or 503, and says why for each database; None for none.

    Raises:
        ConfigurationError: a runtime is attached already, the application has answered a request, or a status is
            unknown.
    """
    if "sqlhelpers" in app.extensions:
        raise ConfigurationError("this application has a runtime already; call sqlhelpers_flask.attach(app) once")
    check_http_errors(http_errors)
    try:
        app.teardown_request(abandon_request)
    except AssertionError as error:
        raise ConfigurationError(
            "this application has answered a request; call sqlhelpers_flask.attach(app) where it is made",
        ) from error
    app.teardown_appcontext(abandon_context)
    attached = Runtime() if runtime is None else runtime
    app.extensions["sqlhelpers"] = attached
    Requests(app, http_errors).wrap()
    add_probes(app, attached, livez, readyz)
    add_commands(app, attached)
    weakref.finalize(app, attached.dispose)  # when the interpreter ends, at the latest
    return attached


def get_session(bind: str = "default") -> Session:
    """Return the session of the current request for a database, always the same one.

    It is opened when it is first asked for, committed when the view returns, and rolled back if that raises. In an
    application context without a request, a command for instance, what you do not commit is rolled back at its end.

    Raises:
        OutOfContext: there is no application context, no runtime, or the response is made.
        UnknownBind: no such database is configured.
    """
    return current_sessions().get(bind)


def get_manager(bind: str = "default") -> DatabaseManager:
    """Return the manager of a database of the current application."""
    return runtime_of_app().manager(bind)


def session_provider(bind: str = "default") -> Callable[[], AbstractContextManager[Session]]:
    """Return a function that opens sessions of their own, for streams and threads that outlive the request.

    Ask for it in the view; ``with provider() as session`` then commits or rolls back, and closes, anywhere.
    """
    return get_manager(bind).session


#: The session of the current request for the default database, as ``get_session()`` returns it.
session: Session = cast("Session", LocalProxy(get_session))


def get_or_404(
    model: type[M],
    pk: Any,
    *,
    description: str | None = None,
    bind: str = "default",
    **options: Any,
) -> M:
    """Return the row of a model with this primary key, or answer with 404.

    Args:
        model: a mapped class.
        pk: the value; for a key of several columns a tuple, in the order of the columns.
        description: a text for the client.
        bind: the database to ask.
        options: those of ``Session.get``.
    """
    return _or_404(get_session(bind).get(model, pk, **options), description)


def first_or_404(
    statement: TypedReturnsRows[tuple[M]] | TypedReturnsRows[M],
    *,
    description: str | None = None,
    bind: str = "default",
) -> M:
    """Return the first value of the first row, the first object that is, or answer with 404."""
    return _or_404(cast("M | None", get_session(bind).scalars(statement).first()), description)


def one_or_404(
    statement: TypedReturnsRows[tuple[M]] | TypedReturnsRows[M],
    *,
    description: str | None = None,
    bind: str = "default",
) -> M:
    """Return the first value of the only row, or answer with 404.

    Raises:
        MultipleResultsFound: there are several rows.
    """
    return _or_404(cast("M | None", get_session(bind).scalars(statement).one_or_none()), description)


def _or_404(found: M | None, description: str | None) -> M:
    return abort(404, description) if found is None else found


@dataclass(frozen=True)
class FlaskAdapter:
    """What ``Runtime.attach`` finds under the entry point ``flask``."""

    framework: str = "flask"

    def attach(self, app: Flask, runtime: Runtime | None = None) -> Runtime:
        """Do as ``attach`` does."""
        return attach(app, runtime)


@hookimpl
def sqlhelpers_register_adapter() -> Adapter:
    """Return the adapter."""
    return FlaskAdapter()
