"""The commands that plugins bring. Only what may bring some is loaded, and neither pydantic nor SQLAlchemy with it."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from sqlhelpers.cli.runtimes import attached_runtime, read_outline
from sqlhelpers.exceptions import ConfigurationError, HookFailed, SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import EntryPoint

    import click

    from sqlhelpers.hooks import Hooks

_HOOK = "sqlhelpers_register_commands"


def add_those_of_plugins(group: click.Group, ctx: click.Context) -> Sequence[SqlhelpersError]:
    """Let plugins add their commands to a group: those of its runtime, or else those that are installed.

    Args:
        group: the group.
        ctx: its context.

    Returns:
        why the commands of some plugins are left out.
    """
    from sqlhelpers.entrypoints import APPS, PLUGINS, installed, may_implement

    points = [each for each in installed(PLUGINS, APPS) if may_implement(each, _HOOK)]
    if not points:
        return ()
    try:
        with redirect_stdout(sys.stderr):  # what plugins print is neither help nor a completion
            attached = attached_runtime(ctx)
            if attached is None:
                return _added_from(points, group, ctx)
            with attached as runtime:
                return _added(runtime.plugins, group)
    except SqlhelpersError as error:
        return [error]


def _added_from(points: Sequence[EntryPoint], group: click.Group, ctx: click.Context) -> list[SqlhelpersError]:
    from sqlhelpers.entrypoints import by_name, label_of, load, refuse_doubles, why_not
    from sqlhelpers.hooks import Hooks

    outline, hooks = read_outline(ctx), Hooks()
    errors: list[SqlhelpersError] = []
    for same in by_name(points):
        if why_not(same[0], outline.disable_plugins, outline.enable_apps):
            continue
        try:
            refuse_doubles(same)
            hooks.register(load(same[0]), label_of(same[0]))
        except ConfigurationError as error:
            errors.append(error)
    return errors + _added(hooks, group)


def _added(hooks: Hooks, group: click.Group) -> list[SqlhelpersError]:
    return [result for _, result in hooks.outcomes(_HOOK, cli=group) if isinstance(result, HookFailed)]
