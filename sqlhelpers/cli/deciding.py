"""The commands by which a person decides: what can lose something asks first."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import click

from sqlhelpers.cli.completing import revisions_of
from sqlhelpers.cli.group import cli, confirm, database, optional_app, yes
from sqlhelpers.cli.runtimes import open_runtime
from sqlhelpers.cli.verbosity import say
from sqlhelpers.exceptions import Refused


@cli.command()
@optional_app
@click.option("--revision", shell_complete=revisions_of, help="The revision that they are at. Default: the newest.")
@database
def adopt(app: str | None, revision: str | None, bind: str) -> None:
    """Record the revision of tables that were made without it, if they are as it makes them.

    Example: sqlhelpers adopt bookshop
    """
    with open_runtime() as runtime, redirect_stdout(sys.stderr):
        differences = runtime.perform(bind, lambda manager: manager.adopt(app, revision))
    made = f"revision {revision} has" if revision else "the models have"
    _refuse_if(differences, f"the tables are not as {made} them")
    say(f"{bind}  {app or '-'}  adopted" + (f" at {revision}" if revision else ""))


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
        with open_runtime() as runtime:
            report = runtime.perform(bind, lambda manager: manager.get_report())
        reasons = [each.detail for each in report.apps if each.app == app or app is None]
        said = next(filter(None, reasons), "nothing was interrupted")
        raise Refused(f"say --applied or --rolled-back, once it is so: {said}")
    with open_runtime() as runtime, redirect_stdout(sys.stderr):
        differences = runtime.perform(bind, lambda manager: manager.repair(app, applied=applied))
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
    with open_runtime() as runtime, redirect_stdout(sys.stderr):
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
    with open_runtime() as runtime, redirect_stdout(sys.stderr):
        runtime.database(bind).refuse_installed(app)
        entries = runtime.perform(bind, lambda manager: manager.journal(app))
        names = entries[-1].tables if entries and drop_tables else ()
        lost = f" and drop {', '.join(names)} with all rows" if names else ""
        confirm(f"Forget which revision {app!r} is at{lost} in database {bind!r}?", yes=yes)
        runtime.perform(bind, lambda manager: manager.retire(app, drop_tables=drop_tables))
    say(f"{bind}  {app}  retired")


def _refuse_if(differences: tuple[str, ...], reason: str) -> None:
    for difference in differences:
        say(difference)
    if differences:
        raise Refused(f"{reason}, so nothing was recorded; change one or the other first")
