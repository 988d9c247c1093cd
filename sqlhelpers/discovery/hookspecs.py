"""What each hook means. A plugin implements a hook by a function of the same name marked ``@hookimpl``.

Hooks are synchronous, and an implementation may leave out arguments that it does not need.
Wrappers are not supported: every implementation is called for itself, so that one that fails is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    import click
    from sqlalchemy.engine import URL, Connection, Engine

    from sqlhelpers.backends import Backend
    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.discovery.adapter import Adapter
    from sqlhelpers.discovery.app import App
    from sqlhelpers.reports import DatabaseReport, Diagnosis

PROJECT = "sqlhelpers"

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker(PROJECT)

#: Marks a function as the implementation of the hook of the same name.
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker(PROJECT)


@hookspec
def sqlhelpers_register_app() -> App | Iterable[App]:  # type: ignore[empty-body]
    """Return the app, or the apps, that this plugin provides."""


@hookspec(firstresult=True)
def sqlhelpers_register_adapter() -> Adapter:  # type: ignore[empty-body]
    """Return the adapter for one framework. Asked of one adapter package at a time, by name."""


@hookspec
def sqlhelpers_register_backend() -> Backend | Iterable[Backend]:  # type: ignore[empty-body]
    """Return the backend of another kind of database, or the backends of several.

    A kind that is known already is overridden by the plugin that is loaded last.
    """


@hookspec(firstresult=True)
def sqlhelpers_resolve_url(bind: str, settings: DatabaseSettings) -> str | None:
    """Return the URL of a database, from a secret store for instance; None leaves it to the settings.

    Args:
        bind: the name of the configured database.
        settings: its settings.
    """


@hookspec
def sqlhelpers_engine_options(bind: str, url: URL) -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Return more ``create_engine`` options. The user's settings win; then the plugin loaded last.

    Args:
        bind: the name of the database.
        url: its URL, with the driver that will be used.
    """


@hookspec
def sqlhelpers_engine_created(bind: str, engine: Engine) -> None:
    """Attach event listeners to a new engine.

    Args:
        bind: the name of the database.
        engine: the sync ``Engine``, also of an async engine.
    """


@hookspec
def sqlhelpers_before_sync(bind: str, connection: Connection, status: DatabaseReport) -> None:
    """Look at a database before anything in it is changed. An exception refuses the run (exit status 3).

    Args:
        bind: the name of the database.
        connection: the connection that the changes will be made on, in a transaction.
        status: what was found, app by app.
    """


@hookspec
def sqlhelpers_after_sync(bind: str, connection: Connection, result: DatabaseReport) -> None:
    """Seed or check data once the schema is as the code expects. Called on every run that is not a dry one.

    An exception fails the run, and undoes all of it where the database can undo DDL.

    Args:
        bind: the name of the database.
        connection: the connection that the changes were made on, in the same transaction.
        result: what was done, app by app: ``"countries" in result`` tells whether an app lives here.
    """


@hookspec
def sqlhelpers_examine(bind: str, connection: Connection) -> Iterable[Diagnosis]:  # type: ignore[empty-body]
    """Return what else ``sqlhelpers doctor`` should say of a database. Called for each that can be connected to.

    Args:
        bind: the name of the database.
        connection: a connection that changes nothing, where the server can see to that.
    """


@hookspec
def sqlhelpers_register_commands(cli: click.Group) -> None:
    """Add commands to the command line.

    Args:
        cli: the ``sqlhelpers`` group.
    """
