"""Which session is current, and sessions that outlive a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.sessions.current import opened as opened
    from sqlhelpers.sessions.current import session_for as session_for
    from sqlhelpers.sessions.providers import SessionProvider as SessionProvider
    from sqlhelpers.sessions.providers import SyncSessionProvider as SyncSessionProvider
    from sqlhelpers.sessions.providers import refuse_use as refuse_use

__all__ = ["SessionProvider", "SyncSessionProvider", "opened", "refuse_use", "session_for"]

__getattr__: Final = lazily(
    __name__,
    {
        "current": ("opened", "session_for"),
        "providers": ("SessionProvider", "SyncSessionProvider", "refuse_use"),
    },
)
