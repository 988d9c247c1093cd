"""The commands by which a person decides: what can lose something asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sqlhelpers.cli.completion import revisions_of
from sqlhelpers.cli.group import cli, confirm, database, optional_app, yes
from sqlhelpers.cli.output import note, say
from sqlhelpers.cli.runtime import open_quietly
from sqlhelpers.exceptions import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlhelpers.runtime import Runtime


@cli.command()
@optional_app
@click.option("--revision", shell_complete=revisions_of, help="The revision that they are at. Default: the newest.")
@database
def adopt(app: str | None, revision: str | None, bind: str) -> None:
    """Record the revision of tables that were made without it, if they are as it makes them.

    Example: sqlhelpers adopt bookshop
    """
    current: Sequence[str] = ()
    with open_quietly() as runtime:
        history = runtime.database(bind).history(app)
        differences = runtime.perform(bind, lambda manager: manager.migrations.adopt(app, revision))
        if not differences:
            current = runtime.perform(bind, lambda manager: manager.migrations.get_current_revisions(app=history.app))
    made = f"revision {revision} has" if revision else "the models have"
    _refuse_if(differences, f"the tables are not as {made} them")
    say(f"{bind}  {history.app or '-'}  adopted at {', '.join(current)}")
    if history.revisions and history.revisions.environment_lacks(history.version_table):
        note(
            f"plain alembic looks into another table, and would run all revisions again: let {history.revisions.folder}"
            f"/env.py pass version_table={history.version_table!r} to context.configure()"
        )


@cli.command()
@optional_app
@click.option("--applied", is_flag=True, help="All that the revision does is done, by hand.")
@click.option("--rolled-back", is_flag=True, help="All that it had done is undone, by hand.")
@database
def repair(app: str | None, bind: str, *, applied: bool, rolled_back: bool) -> None:
    """Say that a revision which was interrupted has been completed, or undone, by hand.

    Example: sqlhelpers repair bookshop --rolled-back
    """
    if applied and rolled_back:
        raise click.UsageError("say either --applied or --rolled-back, not both")
    if not applied and not rolled_back:
        with open_quietly() as runtime:
            report = runtime.perform(bind, lambda manager: manager.migrations.get_report())
        reasons = [each.detail for each in report.apps if each.app == app or app is None]
        said = next(filter(None, reasons), "nothing was interrupted")
        raise Refused(f"say --applied or --rolled-back, once it is so: {said}")
    with open_quietly() as runtime:
        differences = runtime.perform(bind, lambda manager: manager.migrations.repair(app, applied=applied))
    _refuse_if(differences, "the tables are not as the models say")
    say(f"{bind}  {app or '-'}  repaired: {'applied' if applied else 'rolled back'}")


@cli.command()
@optional_app
@database
@yes
def drop(app: str | None, bind: str, *, yes: bool) -> None:
    """Drop the tables of an app, or of all apps, with all that is in them.

    Example: sqlhelpers drop bookshop
    """
    with open_quietly() as runtime:
        database = runtime.database(bind)
        histories = database.histories if app is None else [database.history(app)]
        names = [table.fullname for each in histories for table in each.tables]
        confirm(f"Drop {', '.join(names) or 'nothing'} with all rows in database {bind!r}?", yes=yes)
        runtime.perform(bind, lambda manager: manager.drop(app))
    say(f"{bind}  {app or 'all apps'}  dropped")


@cli.command()
@click.argument("app")
@click.option("--drop-tables", is_flag=True, help="Drop its tables as well, with all that is in them.")
@database
@yes
def retire(app: str, bind: str, *, drop_tables: bool, yes: bool) -> None:
    """Remove what records the position of an app that is not installed any more.

    Example: sqlhelpers retire oldshop --drop-tables
    """
    with open_quietly() as runtime:
        runtime.database(bind).refuse_installed(app)
        entries = runtime.perform(bind, lambda manager: manager.migrations.journal(app))
        _refuse_unknown(runtime, app, bind, has_entries=bool(entries))
        names = entries[-1].tables if entries and drop_tables else ()
        lost = f" and drop {', '.join(names)} with all rows" if names else ""
        confirm(f"Forget which revision {app!r} is at{lost} in database {bind!r}?", yes=yes)
        runtime.perform(bind, lambda manager: manager.migrations.retire(app, drop_tables=drop_tables))
    say(f"{bind}  {app}  retired")


def _refuse_unknown(runtime: Runtime, app: str, bind: str, *, has_entries: bool) -> None:
    """Refuse before a question is asked, if nothing in the database is of an app with this name."""
    from sqlhelpers.migrations.state import apps_of_version_tables
    from sqlhelpers.suggestions import suggest

    left = apps_of_version_tables(
        runtime.perform(bind, lambda manager: manager.migrations.get_report()).orphaned_version_tables
    ).values()
    has_schemas = any(each.version_table_schema for each in runtime.database(bind).histories)  # looked into later
    if not has_entries and app not in left and not has_schemas:
        raise Refused(f"there is no trace of an app {app!r} in this database{suggest(app, left)}")


def _refuse_if(differences: tuple[str, ...], reason: str) -> None:
    for difference in differences:
        say(difference)
    if differences:
        raise Refused(f"{reason}, so nothing was recorded; change one or the other first")
