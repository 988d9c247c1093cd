"""Waits for a server that is not up yet."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers.backends import backend_of, pause

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


def wait_for(engine: Engine, seconds: float) -> None:
    """Wait until a server lets us in, at most for so many seconds; then raise what it said.

    What will not pass by itself is raised at once: a wrong password, a database that does not exist.
    """
    deadline = time.monotonic() + seconds

    def hurry(_: object, __: object, ___: object, arguments: dict[str, Any]) -> None:
        left = max(deadline - time.monotonic(), 1)
        for name, limit in backend_of(engine).connect_arguments(engine.url, left).items():
            arguments[name] = min(limit, arguments.get(name) or limit)

    event.listen(engine, "do_connect", hurry)
    try:
        while True:
            try:
                with engine.connect():
                    return
            except (SQLAlchemyError, OSError) as error:
                if _WILL_NOT_PASS.search(str(error)) or time.monotonic() >= deadline:
                    raise
            pause(_BETWEEN_ATTEMPTS)
    finally:
        event.remove(engine, "do_connect", hurry)


_BETWEEN_ATTEMPTS = 0.25  # seconds
_WILL_NOT_PASS = re.compile(
    "authentication failed|pg_hba.conf|does not exist|access denied|unknown database", re.IGNORECASE
)
