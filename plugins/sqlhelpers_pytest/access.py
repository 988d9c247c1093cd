"""Connects to databases of the kit's own, with the driver that is installed."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from sqlhelpers import DatabaseManager

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.engine import URL, Connection

    from sqlhelpers import DatabaseSettings
    from sqlhelpers.aio import AsyncDatabaseManager
    from sqlhelpers.managers import Database

R = TypeVar("R")

OURS = "sqlhelpers_pytest"  # an execution option of the kit's own engines


def is_ours(settings: DatabaseSettings) -> bool:
    """Tell whether settings are those of an engine of the kit's own."""
    return OURS in (settings.sqlalchemy.execution_options or {})


def at(database: Database, url: URL, **connect_args: Any) -> Database:
    """Return a database with the same options and plugins at another URL."""
    options = database.settings.sqlalchemy
    changes = {
        "url": type(options.url)(url.render_as_string(hide_password=False)),
        "execution_options": {**(options.execution_options or {}), OURS: True},
        "connect_args": {**(options.connect_args or {}), **connect_args},
    }
    changed = database.settings.model_copy(update={"sqlalchemy": options.model_copy(update=changes)})
    changed.sqlalchemy.model_fields_set.update(changes)
    return replace(database, settings=changed)


def with_manager(
    database: Database,
    url: URL,
    work: Callable[[DatabaseManager], R],
    aio_work: Callable[[AsyncDatabaseManager], Coroutine[Any, Any, R]],
) -> R:
    """Let ``work`` use the sync manager of a database, or ``aio_work`` the async one where there is no sync driver."""
    made = at(database, url)
    if database.hooks.has_sync_driver(url):
        with DatabaseManager.for_database(made) as manager:
            return work(manager)

    async def run() -> R:
        from sqlhelpers.aio import AsyncDatabaseManager

        async with AsyncDatabaseManager.for_database(made) as aio_manager:
            return await aio_work(aio_manager)

    return in_a_loop(run)


def connected(database: Database, url: URL, work: Callable[[Connection], R], *, autocommit: bool = False) -> R:
    """Let ``work`` use a connection to a database; it is committed."""
    options = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}

    def use(manager: DatabaseManager) -> R:
        with manager.engine.execution_options(**options).begin() as connection:
            return work(connection)

    async def aio_use(manager: AsyncDatabaseManager) -> R:
        async with manager.engine.execution_options(**options).begin() as connection:
            return await connection.run_sync(work)

    return with_manager(database, url, use, aio_use)


def in_a_loop(main: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run ``main`` in a loop in a thread of its own: one may be running here."""
    results: list[R] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
