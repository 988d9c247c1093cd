"""What the client of a service should hear when its session has failed: one rule for all adapters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound, OperationalError

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
        codes = codes_of(error)
        if error.connection_invalidated or _is_out_of_reach(error, codes):
            return _UNAVAILABLE
        if isinstance(error, IntegrityError) and codes & _UNIQUE:
            return _CONFLICT
    return None


def _is_out_of_reach(error: DBAPIError, codes: set[Any]) -> bool:
    if not codes:  # drivers number what a server says
        return isinstance(error, OperationalError)
    return bool(codes & _OUT_OF_REACH) or any(str(code)[:2] in _OUT_OF_REACH_CLASSES for code in codes)


def codes_of(error: DBAPIError) -> set[Any]:
    """Return what the driver's error says that it is: an SQLSTATE of PostgreSQL, a number of MySQL or SQLite."""
    original: Any = error.orig
    code = getattr(original, "sqlite_errorcode", None)
    found = {code, code & 0xFF} if code else {getattr(original, "sqlstate", None), getattr(original, "pgcode", None)}
    if original is not None and original.args and isinstance(original.args[0], int):
        found.add(original.args[0])
    return found - {None}


# SQLSTATE; ER_DUP_ENTRY and two like it; SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE and _ROWID
_UNIQUE = frozenset(("23505", 1062, 1169, 1586, 1555, 2067, 2579))

# the server starts, stops, or has no slot left; the same of MySQL, and what its clients say; SQLITE_BUSY and _CANTOPEN
_OUT_OF_REACH = frozenset(("57P01", "57P02", "57P03", "57P05", 1040, 1053, 1203, 2002, 2003, 2006, 2013, 5, 14))
_OUT_OF_REACH_CLASSES = ("08", "53")
