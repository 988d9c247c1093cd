"""The page that promises all this names every fault, and every fault that it names is tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
AT_LEAST = 60


def every_test():
    """Return the names of all tests of this folder, as the page has them, but for those about the page."""
    found = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        if file != Path(__file__):
            tree = ast.parse(file.read_text("utf-8"))
            functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
            names = (node.name for node in functions if node.name.startswith("test_"))
            found |= {f"tests/faults/{file.name}::{name}" for name in names}
    return found


def listed():
    """Return the tests in the rows of the page's tables, in their order."""
    return re.findall(r"^\|.*\[`(tests/faults/\w+\.py::\w+)`\]\(\S+\) \|$", PAGE.read_text("utf-8"), re.MULTILINE)


def test_every_fault_is_on_the_page_once():
    """A test without its row would be a promise that nobody knows."""
    assert sorted(listed()) == sorted(every_test())


def test_every_row_links_to_its_test():
    """The link goes to the file that the test is in, and that file is there."""
    links = re.findall(r"\[`(tests/faults/\w+\.py)::\w+`\]\(\.\./(\S+?)\)", PAGE.read_text("utf-8"))

    assert links
    assert all(file == target for file, target in links)
    assert all((ROOT / target).is_file() for _, target in links)


def test_there_are_enough_faults():
    """At least sixty, by name."""
    assert len(set(listed())) >= AT_LEAST
