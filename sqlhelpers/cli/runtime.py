"""Which runtime a command uses: that of the command line which it is part of, or one for the working directory."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlhelpers.config import Preview, Settings
    from sqlhelpers.runtime import Runtime

#: The attribute of a command that holds its attachment.
ATTRIBUTE = "sqlhelpers_attachment"

_USES = "sqlhelpers.uses"  # in ``ctx.meta``, which all contexts of one call share


class _Use:
    """A runtime that serves one call of a command line, and is disposed of at its end."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._blocks = 0
        self._has_ended = False

    @contextmanager
    def block(self) -> Iterator[Runtime]:
        self._blocks += 1
        try:
            yield self._runtime
        finally:
            self._blocks -= 1
            self._dispose_at_the_end()

    def end(self) -> None:
        self._has_ended = True
        self._dispose_at_the_end()

    def _dispose_at_the_end(self) -> None:
        if self._has_ended and not self._blocks:  # ctx.exit() ends it while a session is open
            self._runtime.dispose()


class Attachment:
    """Gives the commands of a command line their runtime.

    Args:
        runtime: the runtime for all calls; None to make one from the settings each time that a command runs.
    """

    def __init__(self, runtime: Runtime | None = None) -> None:
        self._runtime = runtime

    @contextmanager
    def opened(self, ctx: click.Context) -> Iterator[Runtime]:
        """Give the runtime of this call, and dispose of it when the outermost context closes."""
        uses = ctx.meta.setdefault(_USES, {})
        if self not in uses:
            uses[self] = _Use(self._runtime or _new_runtime())
            ctx.find_root().call_on_close(uses[self].end)
        with uses[self].block() as runtime:
            yield runtime


def attachment_of(ctx: click.Context) -> Attachment | None:
    """Return the attachment of the innermost command that has one."""
    each: click.Context | None = ctx
    while each is not None:
        found = getattr(each.command, ATTRIBUTE, None)
        if isinstance(found, Attachment):
            return found
        each = each.parent
    return None


def open_runtime() -> AbstractContextManager[Runtime]:
    """Return the attached runtime, or one for the settings of the working directory."""
    return attached_runtime() or _new_runtime()


@contextmanager
def open_quietly() -> Iterator[Runtime]:
    """Give the same; what plugins, models and revisions print in the block is not data, and goes to stderr."""
    with open_runtime() as runtime, redirect_stdout(sys.stderr):
        yield runtime


@contextmanager
def open_settings(ctx: click.Context | None = None) -> Iterator[Settings]:
    """Give the settings of the attached runtime, or those of the working directory."""
    attached = attached_runtime(ctx)
    if attached is None:
        from sqlhelpers.config import Settings

        _let_import_from_the_project()
        yield Settings()
        return
    with attached as runtime:
        yield runtime.settings


def read_preview(ctx: click.Context | None = None) -> Preview:
    """Return what the settings of the attached runtime name, or those of the working directory, which are not checked.

    Raises:
        SettingsError: one of their sources cannot be read; or, of an attached runtime, they are wrong.
    """
    from sqlhelpers.config import preview_of
    from sqlhelpers.config import read_preview as read_from_folder

    attached = attached_runtime(ctx)
    if attached is None:
        _let_import_from_the_project()
        return read_from_folder(Path.cwd(), os.environ)
    with attached as runtime:
        return preview_of(runtime.settings)


def attached_runtime(ctx: click.Context | None = None) -> AbstractContextManager[Runtime] | None:
    """Return the attached runtime, to be entered; None if there is none."""
    context = ctx or click.get_current_context(silent=True)
    attachment = attachment_of(context) if context else None
    return attachment.opened(context) if context and attachment else None


def _new_runtime() -> Runtime:
    from sqlhelpers.runtime import Runtime

    _let_import_from_the_project()
    return Runtime()


def _let_import_from_the_project() -> None:
    from sqlhelpers.config import project_file

    project = project_file(Path.cwd())
    if project is not None and str(project.parent) not in sys.path:
        sys.path.append(str(project.parent))  # an app that is not installed may lie beside the settings
