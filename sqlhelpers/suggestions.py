"""What is said of a name that is not there: which ones are, and which of them may have been meant."""

from __future__ import annotations

from difflib import SequenceMatcher, get_close_matches
from typing import TYPE_CHECKING

from sqlhelpers.exceptions import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable


_ALIKE = 0.05  # how much less like a name the second guess may be


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the names among ``known`` that may be meant; empty if none is near."""
    found = get_close_matches(name, list(dict.fromkeys(known)), 2)
    likeness = [SequenceMatcher(None, each, name).ratio() for each in found]
    if likeness and likeness[-1] < likeness[0] - _ALIKE:
        found.pop()
    return f"; did you mean {' or '.join(found)}?" if found else ""


def unknown_app(
    name: str,
    apps: Iterable[str],
    *,
    bind: str | None = None,
    kinds: str = "app",
    others: Iterable[str] = (),
) -> AppError:
    """Return the error that says that there is no app of a name.

    Args:
        name: the name.
        apps: those that there are.
        bind: the only database in question; None where it may be in any.
        kinds: what else it could have been, for the message: ``app and no revision``.
        others: the names of what else it could have been.
    """
    known = list(apps)
    where = f" in database {bind!r}" if bind else ""
    hint = suggest(name.split(maxsplit=1)[0] if name else "", (*known, *others))
    return AppError(f"there is no {kinds} {name!r}{where} (apps: {', '.join(known) or 'none'}){hint}", [name])


def refuse_unknown_apps(names: Iterable[str], apps: Iterable[str]) -> None:
    """Raise if one of the names is not that of an app.

    Raises:
        AppError: there is no such app.
    """
    known = list(apps)
    for name in names:
        if name not in known:
            raise unknown_app(name, known)
