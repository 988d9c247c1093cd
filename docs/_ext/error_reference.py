"""The directives ``error-tree`` and ``error-reference``: every error with its cause, what it says, and its cure.

Cause and cure are read from the docstrings, what it says from one that is raised. A class without a paragraph that
begins with ``Cure:``, or without a sample, is a warning, which ends the build.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from error_samples import ROOTS, samples
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from sqlhelpers import exceptions
from sqlhelpers.exceptions import SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_log = logging.getLogger(__name__)


class ErrorTree(SphinxDirective):
    """The tree of errors."""

    def run(self) -> list[nodes.Node]:
        """Return the tree as it stands in the module."""
        tree = (exceptions.__doc__ or "").partition("\n\n")[2].rstrip()
        return self.parse_text_to_nodes(f"```text\n{tree}\n```")


class ErrorReference(SphinxDirective):
    """Each error."""

    def run(self) -> list[nodes.Node]:
        """Return a description of each class, in the order of the module."""
        told = samples()
        entries = "\n\n".join(_entry(each, told.get(each.__name__, [])) for each in all_errors())
        return self.parse_text_to_nodes(entries, allow_section_headings=True)


def all_errors() -> Iterator[type[SqlhelpersError]]:
    """Yield the classes of the tree, in the order of the module."""
    for name, each in vars(exceptions).items():
        if inspect.isclass(each) and issubclass(each, SqlhelpersError) and not name.startswith("_"):
            yield each


def _entry(error: type[SqlhelpersError], lines: list[str]) -> str:
    cause, _, cure = (inspect.getdoc(error) or "").partition("\n\nCure: ")
    if not cure:
        _log.warning("the docstring of the error %s has no paragraph that begins with 'Cure:'", error.__name__)
    if not lines and error not in ROOTS:
        _log.warning("the error %s has no sample in error_samples", error.__name__)
    text = "\n".join(lines)
    says = f"```{{code-block}} text\n:class: says\n\n{text}\n```\n\n" if lines else ""
    status = error.exit_status if isinstance(error.exit_status, int) else "the highest of what it holds"
    parents = ", ".join(f"`{base.__name__}`" for base in error.__bases__ if not base.__name__.startswith("_"))
    heading = f"## {error.__name__}\n\n" if SqlhelpersError in (error, *error.__bases__) else ""
    return (
        f"{heading}::::{{py:exception}} sqlhelpers.exceptions.{error.__name__}\n\n{cause}\n\n{says}"
        f"**Cure:** {cure}\n\nExit status {status}; a kind of {parents}.\n::::"
    )


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directives."""
    app.add_directive("error-reference", ErrorReference)
    app.add_directive("error-tree", ErrorTree)
    return {"parallel_read_safe": True}
