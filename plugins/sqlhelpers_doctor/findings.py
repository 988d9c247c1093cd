"""How a ``Diagnosis`` is made, and what an examination of a database is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlhelpers import urls
from sqlhelpers.reports import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import URL

    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.discovery import Hooks
    from sqlhelpers.exceptions import SqlhelpersError
    from sqlhelpers.migrations.state import History

FAILED, MISCONFIGURED, UNDECIDED = 1, 2, 3


def ok(subject: str, text: str) -> Diagnosis:
    """Return that something is as it should be."""
    return Diagnosis(subject=subject, level="ok", text=text)


def note(subject: str, text: str, advice: str = "") -> Diagnosis:
    """Return something to know, which is not wrong."""
    return Diagnosis(subject=subject, level="note", text=text, advice=advice)


def warning(subject: str, text: str, advice: str, exit_status: int = FAILED) -> Diagnosis:
    """Return something that will go wrong, now and then or later."""
    return Diagnosis(subject=subject, level="warning", text=text, advice=advice, exit_status=exit_status)


def error(subject: str, text: str, advice: str, exit_status: int = FAILED) -> Diagnosis:
    """Return something that does not work."""
    return Diagnosis(subject=subject, level="error", text=text, advice=advice, exit_status=exit_status)


def of_run(subject: str, text: str, advice: str, *, is_pending: bool) -> Diagnosis:
    """Return what is wrong for runs only, and so not before there is something for the next one to do."""
    return error(subject, f"{text}, as the next run has to", advice) if is_pending else note(subject, text, advice)


def of_error(subject: str, raised: SqlhelpersError, advice: str = "") -> Iterator[Diagnosis]:
    """Yield a diagnosis for each line of an error, whose text says how to go on unless there is ``advice``."""
    for line in raised.lines:
        yield error(subject, line, advice or "correct it, and run `sqlhelpers doctor` again", raised.exit_status)


@dataclass(frozen=True)
class Examined:
    """A database that is examined.

    Attributes:
        bind: its name.
        settings: its settings.
        url: its URL, as a plugin or the settings give it.
        hooks: the plugins.
        histories: its apps, as far as they can be used, in order.
        unusable: the names of apps that cannot be used.
    """

    bind: str
    settings: DatabaseSettings = field(repr=False)
    url: URL
    hooks: Hooks = field(repr=False)
    histories: tuple[History, ...] = field(default=(), repr=False)
    unusable: frozenset[str] = frozenset()

    @property
    def shown(self) -> str:
        """The URL without secrets."""
        return urls.mask(self.url)

    def plain(self, raised: Exception) -> str:
        """Return the text of an error in one line, without secrets, and without the name of the database."""
        line = urls.scrub(str(getattr(raised, "orig", None) or raised), self.url)
        return line.removeprefix(f"database {self.bind!r} ({self.shown}): ")


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return names with commas between them, the first few if there are many."""
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def counted(number: int, noun: str) -> str:
    """Return a number of things: ``1 table``, ``2 tables``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
