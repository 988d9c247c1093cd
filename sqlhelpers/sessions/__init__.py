"""Which session is current, sessions that outlive a response, and what a failed one means to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.sessions.current import opened as opened
    from sqlhelpers.sessions.current import session_for as session_for
    from sqlhelpers.sessions.http_errors import ANSWERED as ANSWERED
    from sqlhelpers.sessions.http_errors import STATUSES as STATUSES
    from sqlhelpers.sessions.http_errors import Answer as Answer
    from sqlhelpers.sessions.http_errors import answer_to as answer_to
    from sqlhelpers.sessions.http_errors import check_statuses as check_statuses
    from sqlhelpers.sessions.http_errors import codes_of as codes_of
    from sqlhelpers.sessions.providers import SessionProvider as SessionProvider
    from sqlhelpers.sessions.providers import SyncSessionProvider as SyncSessionProvider
    from sqlhelpers.sessions.providers import refuse_use as refuse_use

__all__ = [
    "ANSWERED",
    "STATUSES",
    "Answer",
    "SessionProvider",
    "SyncSessionProvider",
    "answer_to",
    "check_statuses",
    "codes_of",
    "opened",
    "refuse_use",
    "session_for",
]

__getattr__ = lazily(
    __name__,
    {
        "current": ("opened", "session_for"),
        "http_errors": ("ANSWERED", "Answer", "STATUSES", "answer_to", "check_statuses", "codes_of"),
        "providers": ("SessionProvider", "SyncSessionProvider", "refuse_use"),
    },
)
