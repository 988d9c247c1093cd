"""When the sessions of a request are committed and rolled back: around five methods of one application object."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import request
from werkzeug.exceptions import ServiceUnavailable, default_exceptions

from sqlhelpers.engines import http_error_for
from sqlhelpers_flask.probes import PROBES
from sqlhelpers_flask.sessions import current_sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from flask import Flask, Response
    from werkzeug.exceptions import HTTPException

    from sqlhelpers.engines import HttpError

_METHODS = (
    "preprocess_request",
    "dispatch_request",
    "process_response",
    "handle_user_exception",
    "handle_exception",
)


class Requests:
    """Wraps methods of an application so that what its requests write is committed before they are answered.

    They are wrapped on the object, and so are those of a subclass that overrides them. What Flask does outside of
    ``handle_user_exception`` never reaches the application's error handlers: hence the commit in
    ``dispatch_request``, and not in an ``after_request`` function.

    Args:
        app: the application.
        http_errors: the statuses that errors of SQLAlchemy are answered with.
    """

    def __init__(self, app: Flask, http_errors: Collection[int]) -> None:
        self._app = app
        self._http_errors = http_errors

    def wrap(self) -> None:
        """Wrap the methods."""
        for name in _METHODS:
            setattr(self._app, name, partial(getattr(self, name), getattr(self._app, name)))

    def preprocess_request(self, inner: Callable[..., Any], *given: Any) -> Any:
        """Commit if a ``before_request`` function has answered in place of the view. Probes are not asked to log in."""
        if request.endpoint in PROBES:
            return None
        returned = inner(*given)
        return None if returned is None else self._committed(returned)

    def dispatch_request(self, inner: Callable[..., Any], *given: Any) -> Response:
        """Commit when the view has returned something that can be sent."""
        return self._committed(inner(*given))

    def handle_user_exception(self, inner: Callable[..., Any], *given: Any) -> Any:
        """Roll back, let the application's handlers answer, and answer in their place if there is none."""
        error = given[-1]
        current_sessions().leave(error)
        try:
            return inner(*given)
        except Exception as raised:
            answer = http_error_for(error, self._http_errors) if raised is error else None
            if answer is None:
                raise
        if answer.retry_after is not None:  # the fault is not the client's; the text of the error may name hosts
            named = type(getattr(error, "orig", None) or error).__name__
            path = quote(request.path)  # decoded, it may have line breaks
            self._app.logger.warning("%s %s is answered with %d: %s", request.method, path, answer.status, named)
        return inner(*given[:-1], _as_http_exception(answer, error))

    def process_response(self, inner: Callable[..., Response], *given: Any) -> Response:
        """Commit what error handlers and ``after_request`` functions have written; it is too late then for more."""
        response = inner(*given)
        sessions = current_sessions()
        try:
            sessions.leave()
        except Exception:
            if given[-1].status_code < 400:  # noqa: PLR2004  # Flask sends it if a handler for 500 has made it
                given[-1].status_code = 500
            raise
        sessions.is_answered = True
        return response

    def handle_exception(self, inner: Callable[..., Response], *given: Any) -> Response:
        """Roll back what nobody has handled."""
        current_sessions().leave(given[-1])
        return inner(*given)

    def _committed(self, returned: Any) -> Response:
        response = self._app.make_response(returned)
        current_sessions().commit()
        return response


def _as_http_exception(answer: HttpError, error: Exception) -> HTTPException:
    if answer.retry_after is not None:
        made: HTTPException = ServiceUnavailable(answer.detail, retry_after=answer.retry_after)
    else:
        made = default_exceptions[answer.status](answer.detail)
    made.__cause__ = error
    return made
