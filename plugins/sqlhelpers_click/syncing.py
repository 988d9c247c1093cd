"""``syncdb``, the command of applications that brings one database to the state that their code expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlhelpers.config import settings_from_config
from sqlhelpers.managers import AsyncDatabaseManager
from sqlhelpers_asyncio import loops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers import DatabaseReport


def syncdb(config: BaseModel | Mapping[str, Any], *, base_model: type[DeclarativeBase] | None = None) -> None:
    """Bring a database to the state that the code expects, and print one line that says what was done.

    For command lines of applications; ``sqlhelpers run-sync`` does it for all that is installed and configured.

    Args:
        config: settings, or a part of them, that have ``sqlalchemy`` with ``url`` and any option of ``create_engine``,
            and ``alembic`` with ``migrations_path``; a model or a mapping.
        base_model: the declarative base of the models; ``sqlhelpers.aio.Base`` if None.
    """

    async def sync() -> DatabaseReport:
        async with AsyncDatabaseManager.from_settings(settings_from_config(config), base_model) as manager:
            return await manager.migrations.sync()

    report = loops.run(sync)
    click.echo(f"{report.url}: {report.result.name.lower().replace('_', ' ')}")
