"""``sqlhelpers lint``: what a revision would do to a live database, told from its SQL; see ``docs/lint.md``.

``lint(runtime)`` does the same in code. Its names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlhelpers import hookimpl

if TYPE_CHECKING:
    import click

    from sqlhelpers_lint.findings import LintFinding as LintFinding
    from sqlhelpers_lint.linting import lint as lint
    from sqlhelpers_lint.rules import RULES as RULES
    from sqlhelpers_lint.rules import Rule as Rule

_MODULES = {"LintFinding": "findings", "RULES": "rules", "Rule": "rules", "lint": "linting"}

__all__ = ["RULES", "LintFinding", "Rule", "lint"]


@hookimpl
def sqlhelpers_register_commands(cli: click.Group) -> None:
    """Add ``sqlhelpers lint``."""
    from sqlhelpers_lint.command import lint as command

    cli.add_command(command)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"sqlhelpers_lint.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
