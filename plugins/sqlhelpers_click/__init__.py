"""The adapter for click and Typer: the database commands on your own command line, and sessions for its commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import click

from sqlhelpers import Adapter, Runtime, cli, hookimpl
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_click.passing import pass_manager, pass_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    import typer
    from pydantic import BaseModel
    from sqlalchemy.orm import DeclarativeBase

__all__ = ["ClickAdapter", "attach", "pass_manager", "pass_session", "sqlhelpers_register_adapter", "syncdb"]


@overload
def attach(app: click.Group | typer.Typer, runtime: Runtime, *, name: str = "db") -> Runtime: ...
@overload
def attach(app: click.Group | typer.Typer, runtime: None = None, *, name: str = "db") -> None: ...
def attach(app: click.Group | typer.Typer, runtime: Runtime | None = None, *, name: str = "db") -> Runtime | None:
    """Mount the database commands on a command line, and give its own commands sessions.

    Without a runtime, each call of the command line makes one from the settings when a command needs it: nothing is
    read before. The connections are closed when the call ends.

    Args:
        app: the group, or the Typer app.
        runtime: the runtime to use.
        name: the name of the group of database commands.

    Returns:
        the runtime, if one was given.

    Raises:
        ConfigurationError: a runtime is attached already, the name is taken, or it is no group.
    """
    attachment = cli.Attachment(runtime)
    if isinstance(app, click.Group):
        _refuse(app, name, app.commands)
        app.add_command(cli.mounted(name, attachment))
        setattr(app, cli.ATTRIBUTE, attachment)
        return runtime
    if not any(each.__module__.partition(".")[0] == "typer" for each in type(app).__mro__):
        raise ConfigurationError(f"attach(cli) takes a click.Group or a typer.Typer, not {type(app).__name__}")
    from sqlhelpers_click import typerapps

    _refuse(app, name, typerapps.names(app))
    typerapps.mount(app, cli.mounted(name, attachment), attachment)
    setattr(app, cli.ATTRIBUTE, attachment)
    return runtime


def syncdb(config: BaseModel | Mapping[str, Any], *, base_model: type[DeclarativeBase] | None = None) -> None:
    """Bring a database to the state that the code expects, and print one line that says what was done.

    For a click command; what goes wrong is one line and the exit status that ``sqlhelpers`` has for it.

    Args:
        config: settings, or a part of them, that have ``sqlalchemy`` with ``url`` and any option of ``create_engine``,
            and ``alembic`` with ``migrations_path``; a model or a mapping.
        base_model: the declarative base of the models; ``sqlhelpers.aio.Base`` if None.
    """
    from sqlhelpers_click import syncing  # brings SQLAlchemy

    with cli.explained():
        syncing.syncdb(config, base_model=base_model)


def _refuse(app: object, name: str, known: object) -> None:
    if hasattr(app, cli.ATTRIBUTE):
        raise ConfigurationError("this command line has a runtime already; call sqlhelpers_click.attach(cli) once")
    if name in known:  # type: ignore[operator]
        raise ConfigurationError(f"there is a command {name!r} already; call sqlhelpers_click.attach(cli, name=...)")


@dataclass(frozen=True)
class ClickAdapter:
    """What ``Runtime.attach`` finds under the entry points ``click`` and ``typer``."""

    framework: str = "click"

    def attach(self, app: click.Group | typer.Typer, runtime: Runtime | None = None) -> Runtime:
        """Do as ``attach`` does, with one runtime for all calls."""
        return attach(app, Runtime() if runtime is None else runtime)


@hookimpl
def sqlhelpers_register_adapter() -> Adapter:
    """Return the adapter."""
    return ClickAdapter()
