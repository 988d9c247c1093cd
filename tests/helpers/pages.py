"""The code blocks of README.md, CONTRIBUTING.md and the pages in docs/, run in the order in which a reader meets them.

- ``python`` runs in one namespace for the page. If the first line is ``# shop/models.py``, it is written to that file.
- ``toml`` is written to the file that its first line names, else to ``pyproject.toml``, which must then be settings.
- ``ini`` is written to the file that its first line names.
- ``console``: what follows ``$`` is run by bash. If the page shows output, that is what has to come; ``...`` stands
  for anything in a line, and alone for any number of lines; an identifier of twelve digits, as ``revision`` makes them,
  stands for any. A command that shows ``error:`` may fail, every other one
  has to succeed; ``&`` leaves it running, until ``kill %1`` or the end of the page.
- ``<!-- skip: next "why" -->`` before a block leaves it out. It shows in the source only.
- ``<!-- invisible-code-block: python`` ... ``-->`` runs too, unseen: what a page takes for granted.
- ``<!-- run by: tests/... -->`` in a page says that a test of its own runs its blocks, because there is more to see.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from processes import until
from sybil import Document
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from wheels import ROOT

from sqlhelpers import Base, Settings, aio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from projects import Project
    from sybil import Example

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

_FILE = re.compile(r"# ([\w./-]+\.\w+)\b")
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n?", re.MULTILINE)
_WITHIN = 120.0  # seconds
_RANDOM = re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])")
_SHOWN_PORT = re.compile(r"\b(localhost|127\.0\.0\.1):8000\b")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return all fenced blocks of a page: what follows the fence, and the text."""
    found = re.findall(r"^(`{3,}|:{3,})([^\n]*)\n(.*?)^\1", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [(info, text) for _, info, text in found if info]


def run_by(page: Path) -> str | None:
    """Return the test that a page says its blocks are run by; None if they are run as those of any page."""
    found = re.search(r"^<!-- run by: (\S+) -->$", page.read_text("utf-8"), re.MULTILINE)
    return found[1] if found else None


class PageRun:
    """One page in a project folder, from its first block to its last.

    Args:
        page: the file.
        project: an empty project, which is the working directory.
        programs: the folder with ``python`` and ``sqlhelpers``; None for those of the tests.
        env: variables for commands, beside those of the test; None takes one away.
    """

    def __init__(
        self,
        page: Path,
        project: Project,
        programs: Path | None = None,
        env: Mapping[str, str | None] | None = None,
    ) -> None:
        self.skipped = 0
        self._project = project
        self._programs = programs or Path(sys.executable).parent
        self._port = _free_port()
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        changed = {"PATH": path, "PYTHONPATH": "", "UVICORN_PORT": str(self._port), "NO_COLOR": "1", **(env or {})}
        self._env = {name: text for name, text in {**os.environ, **changed}.items() if text is not None}
        self._left_running: list[subprocess.Popen[bytes]] = []
        kinds = {"python": self._python, "toml": self._toml, "console": self._console, "ini": self._ini}
        parsers = [CodeBlockParser(language, evaluator) for language, evaluator in kinds.items()]
        self._document = Document.parse(str(page), SkipParser(), *parsers)
        self.namespace: dict[str, Any] = self._document.namespace
        self.namespace["__name__"] = f"page_{page.stem.replace('-', '_').lower()}"

    def run(self) -> dict[str, Any]:
        """Run all blocks, and return the namespace of those in Python."""
        known = {base.metadata: [*base.metadata.tables.values()] for base in (Base, aio.Base)}
        for metadata in known:  # pages, and what else the process has imported, have tables of one name
            metadata.clear()
        try:
            for example in self._document:
                try:
                    example.evaluate()
                except SkipTest:
                    self.skipped += 1
        finally:
            self._stop()
            for metadata, tables in known.items():
                metadata.clear()
                for table in tables:
                    metadata._add_table(table.name, table.schema, table)
        return self.namespace

    def _python(self, example: Example) -> None:
        if self._written(example):
            return
        source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
        code = compile(source, example.path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, self.namespace)
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))

    def _toml(self, example: Example) -> None:
        if not self._written(example):
            self._project.write_pyproject(example.parsed)
        Settings()

    def _ini(self, example: Example) -> None:
        assert self._written(example), f"line {example.line}: the first line has to name a file"

    def _console(self, example: Example) -> None:
        shown = _COMMAND.split(example.parsed)
        assert not shown[0].strip(), f"line {example.line}: output comes before the first command"
        for command, expected in zip(shown[1::2], shown[2::2], strict=True):
            self._command(command, expected, f"{Path(example.path).name}, line {example.line}: $ {command}")

    def _command(self, command: str, expected: str, where: str) -> None:
        command = _SHOWN_PORT.sub(rf"\1:{self._port}", self._installing(command))
        if command == "kill %1":
            self._stop()
            return
        if command.endswith(" &"):
            self._start(command.removesuffix(" &"))
            return
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._project.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=_WITHIN,
            check=False,
        )
        got = _SHOWN_PORT.sub(r"\1:8000", done.stdout.replace(f":{self._port}", ":8000"))
        assert done.returncode == 0 or "error:" in expected, f"{where}: status {done.returncode}\n{got}"
        assert not expected.strip() or _pattern(expected).fullmatch(f"{_plain(got)}\n"), (
            f"{where}\n-- shown\n{_plain(expected)}\n-- got\n{_plain(got)}"
        )

    def _installing(self, command: str) -> str:
        """Let uv do what pip is told to, from its cache if that has all of it."""
        if not command.startswith("pip install "):
            return command
        assert not self._programs.samefile(Path(sys.executable).parent), "nothing is installed beside the tests"
        words = command.removeprefix("pip install ")
        with_uv = f"{sys.executable} -m uv pip install -q --python {self._programs.parent}"
        return f"{with_uv} --offline {words} 2>/dev/null || {with_uv} {words}"

    def _start(self, command: str) -> None:
        with (self._project.folder / "server.log").open("wb") as log:
            self._left_running.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {command}"],
                    cwd=self._project.folder,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )
        until(lambda: _listens(self._port), f"somebody listens: {command}")

    def _stop(self) -> None:
        while self._left_running:
            process = self._left_running.pop()
            process.terminate()
            process.wait(_WITHIN)

    def _written(self, example: Example) -> bool:
        named = _FILE.match(example.parsed)
        if named:
            self._project.write(named[1], example.parsed)
        return bool(named)


async def _awaited(result: Any) -> None:
    await result


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _pattern(expected: str) -> re.Pattern[str]:
    """Return what output has to look like."""
    anything = re.escape("...")
    lines = (
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(anything, ".*") + r"\n"
        for line in _plain(expected).splitlines()
    )
    return re.compile(_RANDOM.sub("[0-9a-f]{12}", "".join(lines)))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the targets of the links of a page that lead to files here, and their anchors."""
    text = re.sub(r"^(`{3,}).*?^\1", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, anchor = target.partition("#")
            yield path, anchor
