"""What the client of a service should hear when its session has failed: one rule for all adapters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exc
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound, OperationalError

from sqlhelpers.backends import Meaning, codes_of, meanings_of
from sqlhelpers.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class HttpError:
    """The answer to a request whose session has failed.

    Attributes:
        status: the status code of HTTP.
        detail: a text for the client, which tells nothing about the database.
        retry_after: in how many seconds it is worth to try again; None if it is not.
    """

    status: int
    detail: str
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


_NOT_FOUND = HttpError(404, "Not Found")
_CONFLICT = HttpError(409, "Conflict")
_UNAVAILABLE = HttpError(503, "Service Unavailable", retry_after=2)

#: The statuses that ``http_error_for`` knows, and the classes of the errors that it may have an answer for.
STATUSES = frozenset((404, 409, 503))
TRANSLATED = (NoResultFound, DBAPIError, exc.TimeoutError)


def check_http_errors(statuses: Collection[int]) -> None:
    """Check what an adapter was told to answer.

    Raises:
        ConfigurationError: one of the statuses is none that a failed session can have.
    """
    unknown = sorted(set(statuses) - STATUSES)
    if unknown:
        known = ", ".join(map(str, sorted(STATUSES)))
        raise ConfigurationError(
            f"attach(http_errors=...): {unknown[0]} is no answer to a failed session; choose of {known}"
        )


def http_error_for(error: BaseException, statuses: Collection[int] = STATUSES) -> HttpError | None:
    """Return the answer to an error of SQLAlchemy, or None if the error is the service's own fault.

    404 if the one row that was asked for is not there, 409 if a row with the same key is there already, 503 if the
    pool is exhausted or the database cannot be reached.

    Args:
        error: what a session, or its commit, has raised.
        statuses: the statuses that are wanted.
    """
    answer = _answer_to(error)
    return answer if answer is not None and answer.status in statuses else None


def _answer_to(error: BaseException) -> HttpError | None:
    if isinstance(error, NoResultFound):
        return _NOT_FOUND
    if isinstance(error, exc.TimeoutError):
        return _UNAVAILABLE
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or _is_out_of_reach(error):
            return _UNAVAILABLE
        if isinstance(error, IntegrityError) and Meaning.UNIQUE in meanings_of(error):
            return _CONFLICT
    return None


def _is_out_of_reach(error: DBAPIError) -> bool:
    if not codes_of(error):  # drivers number what a server says
        return isinstance(error, OperationalError)
    return Meaning.UNAVAILABLE in meanings_of(error)
