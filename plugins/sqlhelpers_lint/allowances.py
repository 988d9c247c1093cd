"""The comments ``# lint: allow RULE reason`` of a revision file."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlhelpers.suggestions import suggest
from sqlhelpers_lint.rules import NOT_ALLOWED, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the names of squawk's rules begin with here.
SQUAWK = "squawk/"
_COMMENT = re.compile(r"#\s*lint:\s*(?P<verb>[\w-]*)[\s:]*(?P<rule>[\w/-]*)[\s:]*(?P<reason>.*)")
_VERBS = ("allow", "allow-file")


@dataclass(frozen=True)
class Allowance:
    """One comment.

    Attributes:
        line: where it stands.
        rule: the rule that it allows; empty if it allows none.
        first: the first line that it is about.
        last: the last one.
        is_of_upgrade: whether only ``upgrade()`` can need it.
        problem: what is wrong with it; empty if nothing is.
    """

    line: int
    rule: str
    first: int
    last: int
    is_of_upgrade: bool
    problem: str = ""

    def allows(self, rule: str, line: int) -> bool:
        """Tell whether it allows a rule in a line."""
        return rule == self.rule and self.first <= line <= self.last


def allowances_in(source: str) -> tuple[Allowance, ...]:
    """Return the allowances in the text of a revision file."""
    if "lint:" not in source:
        return ()
    lines = _Lines(source)
    found = (_COMMENT.match(token.string) and (_COMMENT.match(token.string), token) for token in _comments(source))
    return tuple(_read(each[0], each[1], lines) for each in found if each and each[0])


def _comments(source: str) -> Iterator[tokenize.TokenInfo]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token


def _read(match: re.Match[str], token: tokenize.TokenInfo, lines: _Lines) -> Allowance:
    line, verb, rule = token.start[0], match["verb"], match["rule"]
    first, last = (1, len(lines)) if verb == "allow-file" else lines.about(line)
    known = rule in RULES.keys() - NOT_ALLOWED or rule.startswith(SQUAWK)
    problem = ""
    if verb not in _VERBS:
        problem = f"there is no `lint: {verb}`{suggest(verb, _VERBS)}"
    elif not rule:
        problem = "it names no rule"
    elif not known:
        problem = f"there is no rule {rule!r} to allow{suggest(rule, sorted(RULES.keys() - NOT_ALLOWED))}"
    elif not match["reason"].strip():
        problem = f"it does not say why {rule} is no harm here"
    is_of_upgrade = verb == "allow" and lines.function(line) in (
        "upgrade",
        "",
    )  # no code outside of functions is at fault
    return Allowance(line, rule if known else "", first, last, is_of_upgrade, problem)


class _Lines:
    """Knows which statement a line of a file belongs to."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines()
        tree = ast.parse(source)
        self._statements = [_extent(each) for each in ast.walk(tree) if isinstance(each, ast.stmt)]
        functions = (each for each in tree.body if isinstance(each, ast.FunctionDef))
        self._functions = [(each.lineno, each.end_lineno or each.lineno, each.name) for each in functions]

    def __len__(self) -> int:
        return len(self._lines)

    def about(self, line: int) -> tuple[int, int]:
        """Return the lines of the statement that a comment is about: the one that it stands in, or the next one."""
        while line < len(self) and self._lines[line - 1].lstrip().startswith("#") and not self._around(line):
            line += 1
        return self._around(line) or (line, line)

    def _around(self, line: int) -> tuple[int, int] | None:
        found = [each for each in self._statements if each[0] <= line <= each[1]]
        return max(found, default=None)

    def function(self, line: int) -> str:
        """Return the name of the function that a line stands in."""
        return next((name for first, last, name in self._functions if first <= line <= last), "")


def _extent(statement: ast.stmt) -> tuple[int, int]:
    """Return the first and the last line of a statement, without the statements within."""
    if not hasattr(statement, "body"):
        return statement.lineno, statement.end_lineno or statement.lineno
    heads = (each for each in ast.iter_child_nodes(statement) if not isinstance(each, ast.stmt | ast.ExceptHandler))
    ends = [getattr(node, "end_lineno", None) or 0 for head in heads for node in ast.walk(head)]
    return statement.lineno, max([statement.lineno, *ends])
