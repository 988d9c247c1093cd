"""Which session is current, sessions that outlive a response, and what a failed one means to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.sessions.current import opened as opened
    from sqlhelpers.sessions.current import session_for as session_for
    from sqlhelpers.sessions.http_errors import STATUSES as STATUSES
    from sqlhelpers.sessions.http_errors import TRANSLATED as TRANSLATED
    from sqlhelpers.sessions.http_errors import HttpError as HttpError
    from sqlhelpers.sessions.http_errors import check_http_errors as check_http_errors
    from sqlhelpers.sessions.http_errors import codes_of as codes_of
    from sqlhelpers.sessions.http_errors import http_error_for as http_error_for
    from sqlhelpers.sessions.providers import SessionProvider as SessionProvider
    from sqlhelpers.sessions.providers import SyncSessionProvider as SyncSessionProvider
    from sqlhelpers.sessions.providers import refuse_use as refuse_use

__all__ = [
    "STATUSES",
    "TRANSLATED",
    "Answer",
    "SessionProvider",
    "SyncSessionProvider",
    "check_http_errors",
    "codes_of",
    "http_error_for",
    "opened",
    "refuse_use",
    "session_for",
]

__getattr__ = lazily(
    __name__,
    {
        "current": ("opened", "session_for"),
        "http_errors": ("TRANSLATED", "Answer", "STATUSES", "http_error_for", "check_http_errors", "codes_of"),
        "providers": ("SessionProvider", "SyncSessionProvider", "refuse_use"),
    },
)
