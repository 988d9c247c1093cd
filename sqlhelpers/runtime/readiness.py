"""Whether each database of a runtime can serve, all asked at once, and what ``/readyz`` answers."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sqlhelpers.exceptions import SqlhelpersError
from sqlhelpers.reports import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlhelpers.managers import AsyncDatabaseManager, DatabaseManager

_log = logging.getLogger(__name__)


def summary(found: Iterable[Readiness]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return what ``/readyz`` answers: the status, 200 or 503, and for each bind what there is to say."""
    body = {each.bind: {"is_ready": each.is_ready, "detail": each.detail} for each in found}
    return (200 if all(each["is_ready"] for each in body.values()) else 503), body


def ask_all(find: Callable[[], Sequence[DatabaseManager]], timeout: float | None) -> tuple[Readiness, ...]:
    """Return whether each database can serve, all asked at once.

    Args:
        find: returns the managers.
        timeout: how many seconds each may take; None for as long as the limits of its database let it.
    """
    try:
        managers = find()
    except SqlhelpersError as error:
        return _misconfigured(error)
    with ThreadPoolExecutor(len(managers)) as threads:
        return tuple(threads.map(lambda manager: manager.get_readiness(timeout), managers))


async def ask_all_async(
    find: Callable[[], Sequence[AsyncDatabaseManager]],
    timeout: float | None,  # noqa: ASYNC109  # as its twin
) -> tuple[Readiness, ...]:
    """Return the same, asked with async managers."""
    try:
        managers = find()
    except SqlhelpersError as error:
        return _misconfigured(error)
    return tuple(await asyncio.gather(*(manager.get_readiness(timeout) for manager in managers)))


def _misconfigured(error: SqlhelpersError) -> tuple[Readiness, ...]:
    """Log an error that leaves no manager to ask; "default" stands for all databases, as none may be known."""
    _log.warning("not ready, misconfigured: %s", " ".join(str(error).split()))
    return (Readiness("default", is_ready=False, detail="misconfigured"),)
