"""Everything that a test shows anywhere, to be searched for secrets at its end."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from throwaway import MADE_UP

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_AROUND = 60  # characters of a leak's surroundings


class Shown(logging.Handler):
    """Collects texts by where they were shown. As a log handler, it takes every record as it would be printed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._texts: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a log record, its traceback included."""
        self.add(f"the log of {record.name}", self.format(record))

    def add(self, where: str, text: str) -> None:
        """Take a text."""
        self._texts.append((where, text))

    def add_object(self, thing: object) -> None:
        """Take the representation of an object, and of all its attributes."""
        self.add(f"the repr of a {type(thing).__name__}", repr(thing))
        self.add(f"the vars of a {type(thing).__name__}", repr(vars(thing)))

    def add_error(self, error: BaseException) -> None:
        """Take an error's text, representation and traceback, those of its causes included."""
        texts = [str(error), repr(error), *traceback.format_exception(error)]
        self.add(f"the traceback of a {type(error).__name__}", "\n".join(texts))

    def leaks(self) -> list[str]:
        """Return a line for each place where a password was shown, with the password crossed out."""
        found = []
        for where, text in self._texts:
            for password in MADE_UP:
                head, password_there, tail = text.partition(password)
                if password_there:
                    found.append(f"{where}: {head[-_AROUND:]}###{tail[:_AROUND]}")
        return found

    def recording(self, raises: Any) -> Any:
        """Return ``pytest.raises`` as it is, except that this takes every error that it catches."""

        @contextmanager
        def recorded(*arguments: Any, **options: Any) -> Iterator[pytest.ExceptionInfo[BaseException]]:
            with raises(*arguments, **options) as caught:
                yield caught
            self.add_error(caught.value)

        return recorded
