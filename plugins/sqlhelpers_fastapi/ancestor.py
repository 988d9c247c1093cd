"""The functions of the ancestor's FastAPI guide: managers and sessions from an application's own settings."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.config import settings_from_config
from sqlhelpers_click.syncing import syncdb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from pydantic import BaseModel
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import DeclarativeBase

__all__ = ["make_db_session", "manager_from_config", "syncdb"]

_MOST_MANAGERS = 64

_lock = threading.Lock()
_shared: list[tuple[tuple[object, ...], AsyncDatabaseManager]] = []  # the latest used last
_disposals: set[asyncio.Task[None]] = set()


def manager_from_config(
    config: BaseModel | Mapping[str, Any],
    *,
    base_model: type[DeclarativeBase] | None = None,
) -> AsyncDatabaseManager:
    """Return the manager for a configuration: for equal ones the same manager, so that there is one engine.

    Args:
        config: settings, or a part of them, that have ``sqlalchemy`` with ``url`` and any option of ``create_engine``,
            and ``alembic`` with ``migrations_path``; a model or a mapping. It is not changed. Whatever
            else is in it is not ours, and left alone.
        base_model: the declarative base of the models; ``sqlhelpers.aio.Base`` if None.

    Raises:
        SettingsError: the URL or an option is missing, unknown or wrong.
    """
    settings = settings_from_config(config)
    key = (settings, settings.sqlalchemy.model_fields_set, base_model)  # an option set to None is not one left out
    with _lock:
        for place, (known, manager) in enumerate(_shared):
            if known == key:
                _shared.append(_shared.pop(place))
                return manager
        manager = AsyncDatabaseManager.from_settings(settings, base_model)
        _shared.append((key, manager))
        if len(_shared) > _MOST_MANAGERS:
            _dispose_soon(_shared.pop(0)[1])
        return manager


async def make_db_session(manager: AsyncDatabaseManager) -> AsyncGenerator[AsyncSession]:
    """Yield one session: commit it when the generator is resumed, roll back if it is not, close it in any case.

    The session may be committed and used on before that, as code written for the ancestor does. Where a
    dependency loops over this generator, declare it with ``Depends(..., scope="function")``, or the last commit
    comes after the response. When the path operation raises, the loop drops the generator, and the
    event loop closes it, and with it the session, right after.
    """
    async with manager.session() as session:
        yield session


def _dispose_soon(manager: AsyncDatabaseManager) -> None:
    """Close the idle connections of a manager that is not shared any more; who still has it can go on using it."""
    try:
        task = asyncio.get_running_loop().create_task(manager.dispose())
    except RuntimeError:  # a thread: the connections are closed when the manager is collected
        return
    _disposals.add(task)
    task.add_done_callback(_disposals.discard)
