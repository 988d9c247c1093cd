"""The commands that bring databases up to date, and that show their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sqlhelpers.cli.group import cli, databases, json_option
from sqlhelpers.cli.output import Bar, done, found, planned, printed
from sqlhelpers.cli.runtime import open_quietly, open_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pydantic import BaseModel
    from sqlalchemy.orm import DeclarativeBase

    from sqlhelpers.reports import DatabaseReport


@cli.command("run-sync")
@databases
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--wait", metavar="SECONDS", type=click.FloatRange(0), default=0, help="Wait for a server to be up.")
@click.option("--sql", "as_sql", is_flag=True, help="Print what all revisions do as SQL; connect to nothing.")
@json_option
def run_sync(binds: Sequence[str], *, dry_run: bool, wait: float, as_sql: bool, as_json: bool) -> None:
    """Create or upgrade databases; run it as often as you like.

    Example: sqlhelpers run-sync -d default --dry-run
    """
    if as_sql:
        with open_quietly() as runtime:
            texts = [runtime.manager(bind).migrations.sql() for bind in runtime.binds(binds)]
        click.echo("".join(texts), nl=False)
        return
    with open_runtime() as runtime, printed(as_json, planned if dry_run else done) as show, Bar() as bar:
        seen = bar.over(len(runtime.binds(binds)), show)
        runtime.run_sync(binds, dry_run=dry_run, wait=wait, progress=bar.advance, done=seen)


@cli.command()
@databases
@click.option("--check", is_flag=True, help="End with status 1 unless everything is up to date.")
@json_option
def status(binds: Sequence[str], *, check: bool, as_json: bool) -> None:
    """Show the state of databases, and change nothing.

    Example: sqlhelpers status --check
    """
    with open_runtime() as runtime, printed(as_json, found) as show:
        reports = runtime.status(binds, show)
    if check and any(report.status.name != "UP_TO_DATE" for report in reports):
        raise click.exceptions.Exit(1)


def syncdb(config: BaseModel | Mapping[str, Any], *, base_model: type[DeclarativeBase] | None = None) -> None:
    """Bring a database to the state that the code expects, and print one line that says what was done.

    For command lines of applications; ``sqlhelpers run-sync`` does it for all that is installed and configured.

    Args:
        config: settings, or a part of them, that have ``sqlalchemy`` with ``url`` and any option of ``create_engine``,
            and ``alembic`` with ``migrations_path``; a model or a mapping.
        base_model: the declarative base of the models; ``sqlhelpers.aio.Base`` if None.
    """
    from sqlhelpers import loops
    from sqlhelpers.config import settings_from_config
    from sqlhelpers.managers import AsyncDatabaseManager

    async def sync() -> DatabaseReport:
        async with AsyncDatabaseManager.from_settings(settings_from_config(config), base_model) as manager:
            return await manager.migrations.sync()

    report = loops.run(sync)
    click.echo(f"{report.url}: {report.result.name.lower().replace('_', ' ')}")
