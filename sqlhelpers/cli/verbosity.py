"""``-q`` and ``-v``, which may stand anywhere on the line: how much is said beside what was asked for."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERBOSITY = "sqlhelpers.verbosity"  # in ``ctx.meta``, which all contexts of one call share
_QUIET = "sqlhelpers.quiet"

#: What is heard with one ``-v``, and with two; nothing more with three.
_LOGGERS = (("sqlhelpers", "alembic"), ("sqlalchemy.engine",))


def verbosity() -> int:
    """Return how many ``-v`` there are on the line."""
    ctx = click.get_current_context(silent=True)
    return int(ctx.meta.get(_VERBOSITY, 0)) if ctx else 0


def is_quiet() -> bool:
    """Tell whether there is a ``-q`` on the line."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.meta.get(_QUIET))


def note(text: str, file: IO[Any] | None = None) -> None:
    """Print a line to stderr, or another file, that is good to know, unless ``-q`` forbids it."""
    if not is_quiet():
        click.echo(f"note: {text}", file, err=True)


def say(text: str) -> None:
    """Print a line to stdout that says what was done, unless ``-q`` forbids it."""
    if not is_quiet():
        click.echo(text)


def _louder(ctx: click.Context, _: click.Parameter, value: int) -> None:
    before = ctx.meta.get(_VERBOSITY, 0)
    if value and not ctx.resilient_parsing:
        import logging

        from sqlhelpers import loggers

        ctx.meta[_VERBOSITY] = before + value
        for names in _LOGGERS[before : before + value]:
            ctx.with_resource(loggers.shown(names, logging.INFO))  # until the context closes


def _quieter(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's signature
    if value:
        ctx.meta[_QUIET] = True


def options(*, hidden: bool) -> Iterator[click.Option]:
    """Yield the options, which do all they do when they are read."""
    shared = {"expose_value": False, "hidden": hidden}
    quiet_help = "Print errors, and only what was asked for as JSON or SQL."
    verbose_help = "Tell more, and show what is logged; -vv shows the SQL statements as well."
    yield click.Option(["-v", "--verbose"], count=True, callback=_louder, help=verbose_help, **shared)
    yield click.Option(["-q", "--quiet"], is_flag=True, callback=_quieter, help=quiet_help, **shared)


def add_options(command: click.Command) -> None:
    """Let a command, and those below it, take the options as well; one that it has itself stays its own."""
    taken = {name for param in command.params for name in param.opts}
    command.params += [option for option in options(hidden=True) if taken.isdisjoint(option.opts)]
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        add_options(each)
