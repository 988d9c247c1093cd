"""The commands that open a prompt: Python's, or that of a database's own client."""

from __future__ import annotations

import sys

import click

from sqlhelpers.cli import database, note, open_quietly, open_runtime


@click.command()
@database
@click.option("--async/--sync", "aio", default=None, help="Which session. Default: sync where its driver is installed.")
@click.option("-c", "source", metavar="CODE", help="Run this, and end; 1 if it raises.")
@click.option("--plain", is_flag=True, help="Python's own prompt, also where IPython is installed.")
def shell(bind: str, source: str | None, *, aio: bool | None, plain: bool) -> None:
    """Open a Python prompt with the models, a session, and await. Nothing is committed unless you do.

    Code that is piped in is run as with -c.

    Example: sqlhelpers shell -c 'print(session.scalars(select(Book)).all())'
    """
    from sqlhelpers_shell import run_shell

    where = "<string>"
    if source is None and not sys.stdin.isatty():
        source, where = sys.stdin.read(), "<stdin>"
    with open_runtime() as runtime:
        status = run_shell(runtime, bind, aio=aio, source=source, where=where, plain=plain, note=note)
    raise click.exceptions.Exit(status)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@database
def dbshell(arguments: tuple[str, ...], bind: str) -> None:
    """Open psql, mariadb or sqlite3 for a database; what follows -- is handed on to it.

    The password is in no process list. The exit status is that of the client.

    Example: sqlhelpers dbshell -- -c 'select 1'
    """
    with open_quietly() as runtime:
        client = runtime.database(bind).client(arguments)
    client.replace_process()
