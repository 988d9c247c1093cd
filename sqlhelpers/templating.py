"""What the template of revision files calls; a copy of it may lie in a project."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any


def documented(message: str) -> str:
    """Return a message as it can stand in a docstring."""
    return message.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def literal(value: Any) -> str:
    """Return identifiers as Python, in double quotes."""
    return repr(tuple(value) if isinstance(value, list) else value).replace("'", '"')


def heading(imports: str, upgrades: str, downgrades: str) -> str:
    """Return the imports of a revision, sorted as import sorters have it, the project's own last.

    Args:
        imports: those that types need, a line for each.
        upgrades: what the revision does; empty if that is to be written by hand.
        downgrades: what undoes it.
    """
    body = f"{upgrades}{downgrades}"
    unused = "" if body else "  # noqa: F401"
    lines = imports.splitlines()
    own = sorted(line for line in lines if line.startswith("import ") and _is_of_project(line.split()[1]))
    plain = [line for line in lines if line.startswith("import ") and line not in own]
    named = ["from alembic import op", *(line for line in lines if line.startswith("from "))]
    if "sa." in body or not body:
        plain.append(f"import sqlalchemy as sa{unused}")
    listed = [*sorted(plain), *sorted(named)]
    shown = "\n".join(line + unused if line == named[0] else line for line in listed)
    return "\n\n".join([shown, "\n".join(own)] if own else [shown])


def _is_of_project(module: str) -> bool:
    spec = find_spec(module.partition(".")[0])
    return not re.search("site-packages|dist-packages", str(spec.origin if spec else ""))
