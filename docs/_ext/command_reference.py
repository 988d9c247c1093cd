"""The directive ``command-reference``: the command line, read from click.

A command without an example, and an option without help, are warnings, which end the build.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import click
from sphinx.addnodes import index
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from sqlhelpers import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_log = logging.getLogger(__name__)
#: What arguments are, since click has no help for them.
_ARGUMENTS = {
    "app": "The name of an app, as `sqlhelpers plugins` lists it.",
    "apps": "Names of apps, as `sqlhelpers plugins` lists them.",
    "revision": "A revision of the app; `-1` for the one before, `base` for none.",
}
_EXAMPLE = re.compile(r"\s*^Examples?:\s*", re.MULTILINE)


class CommandReference(SphinxDirective):
    """Every command: its usage, what it does, an example, its arguments and options."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each command."""
        text = "\n\n".join(_section(context) for context in all_commands())
        made = self.parse_text_to_nodes(text, allow_section_headings=True)
        for entry in (found for node in made for found in node.findall(index)):
            entry["entries"].clear()  # of each option once for each command: the index is for names
        return made


def all_commands(parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context for each command, those of plugins and of groups included."""
    parent = parent or click.Context(cli.cli, info_name="sqlhelpers")
    group = parent.command
    if isinstance(group, click.Group):
        for name in group.list_commands(parent):
            command = group.get_command(parent, name)
            if command is not None and not command.hidden:
                context = click.Context(command, parent, info_name=name)
                if not isinstance(command, click.Group):
                    yield context
                yield from all_commands(context)


def _section(context: click.Context) -> str:
    command, path = context.command, context.command_path
    told, example = _parts(inspect.cleandoc(command.help or ""))
    if not example:
        _log.warning("the help of the command %s has no example", path)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## {path}", told, f"```console\n$ {example}\n```", f"Usage: `{path} {usage}`"]
    parts += [f":::{{program}} {path}\n:::"]
    parts += [_parameter(path, each, context) for each in command.params if not getattr(each, "hidden", False)]
    return "\n\n".join(parts)


def _parts(text: str) -> tuple[str, str]:
    """Return what the help of a command tells, and its examples, each line but the first with its prompt."""
    told, *example = _EXAMPLE.split(text.replace("\b\n", ""), maxsplit=1)
    return told, "\n$ ".join(line.strip() for line in "".join(example).splitlines() if line.strip())


def _parameter(path: str, parameter: click.Parameter, context: click.Context) -> str:
    if isinstance(parameter, click.Option):
        names, text = parameter.get_help_record(context) or ("", "")
        if not parameter.help:
            _log.warning("the option %s of %s has no help", parameter.name, path)
        return f":::{{option}} {names}\n\n{text}\n:::"
    choices = getattr(parameter.type, "choices", None)
    listed = f"One of {', '.join(f'`{each}`' for each in choices)}." if choices else ""
    said = listed or _ARGUMENTS.get(str(parameter.name), "")
    number = " Any number of them." if parameter.nargs < 0 else ""
    optional = "" if parameter.required else " May be left out."
    return f":::{{option}} {str(parameter.name).upper()}\n\n{said}{number}{optional}\n:::"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directive."""
    app.add_directive("command-reference", CommandReference)
    return {"parallel_read_safe": True}
