"""``RevisionFiles``: what the files of a migrations folder say of themselves, read without running them, and kept."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import time
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from stat import S_ISREG
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlhelpers.migrations.revisions.graph import RevisionFile, RevisionGraph

if TYPE_CHECKING:
    from collections.abc import Iterator


class Uncertain(Exception):
    """A file computes what it is: it has to be run to be known."""


class RevisionFiles:
    """The files in ``versions/`` of one migrations folder.

    A file is read again when its times or its size have changed, or when it is so new that it could change within the
    same tick of the clock. What was read is kept here, and in a file of its own in the user's cache folder.

    Args:
        folder: the folder that holds ``versions/``.
        cache: where to keep what was read; None to keep it here only.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder = folder
        self._versions = folder.absolute() / "versions"
        self._cache = cache
        self._known: dict[str, _Known] | None = None
        self._graph = RevisionGraph(())

    def graph(self) -> RevisionGraph:
        """Return what the files say, read anew where they have changed; the same object as long as none has.

        A file that computes what it is gets run, and may raise anything.
        """
        known = self._remembered if self._known is None else self._known
        found = {name: self._look(name, times, known.get(name)) for name, times in self._names()}
        if found != self._known:
            files = [each.file for each in found.values()]
            if self._known is None or files != [each.file for each in self._known.values()]:
                # in this order: another thread takes the graph as it is once the files are known
                self._graph = RevisionGraph(files, self._is_current)
            self._known = found
        if any(each is not known.get(name) for name, each in found.items()) or len(found) != len(known):
            self._keep(found)
        return self._graph

    def _is_current(self, graph: RevisionGraph) -> bool:
        known = self._known or {}
        are_settled = graph is self._graph and all(each.is_settled for each in known.values())
        return are_settled and dict(self._names()) == {name: each.times for name, each in known.items()}

    def _names(self) -> Iterator[tuple[str, _Times]]:
        """Yield the files that Alembic would take, in its order, and what tells that they have changed."""
        try:
            with os.scandir(self._versions) as entries:
                names = sorted(each.name for each in entries if _IS_REVISION(each.name))
        except (FileNotFoundError, NotADirectoryError):
            names = []
        folder = os.fspath(self._versions)
        for name in names:
            found = os.stat(f"{folder}{os.sep}{name}")  # noqa: PTH116  # an entry would keep what it is told: megabytes
            if not S_ISREG(found.st_mode):  # who reads a pipe waits until somebody writes
                raise _refused(self._versions / name, OSError("it is no file"))
            yield name, (found.st_mtime_ns, found.st_ctime_ns, found.st_size)

    def _look(self, name: str, times: _Times, known: _Known | None) -> _Known:
        if known is not None and known.times == times and known.is_settled:
            return known
        now = time.time_ns()
        path = self._versions / name  # a link in it may lead elsewhere when the file is run
        source, is_computed = path.read_bytes(), False
        try:
            said = identifiers(source)
        except Uncertain:
            said, is_computed = _run(path), True
        if said[0] in _WORDS or not set(said[0]).isdisjoint(_MEANINGFUL):
            raise _refused(
                path, ValueError(f"revision = {said[0]!r}, which Alembic or SQL would take for something else")
            )
        file = RevisionFile(str(path), *said, checksum_of(source))
        found = _Known(times, now - max(times[:2]) > _TICK, is_computed, file)
        return known if known is not None and known == found else found

    @cached_property
    def _store(self) -> Path | None:
        if self._cache is None:
            return None
        name = hashlib.sha256(os.fsencode(self._versions)).hexdigest()[:40]
        return self._cache / "revisions" / f"{name}.json"

    @cached_property
    def _remembered(self) -> dict[str, _Known]:
        """What an earlier process has kept; nothing if it cannot be trusted to the last byte."""
        if self._store is None:
            return {}
        try:
            digest, _, text = self._store.read_bytes().partition(b"\n")
            if digest != _digest(text):
                return {}
            kept = json.loads(text)
        except (OSError, ValueError):
            return {}
        if kept["format"] != _FORMAT or kept["folder"] != str(self._versions):
            return {}
        return {
            name: _Known((times[0], times[1], times[2]), is_settled=True, is_computed=False, file=_file(values))
            for name, times, values in kept["files"]
        }

    def _keep(self, found: dict[str, _Known]) -> None:
        if self._store is None:
            return
        files = [
            (name, each.times, each.file) for name, each in found.items() if each.is_settled and not each.is_computed
        ]
        text = json.dumps({"format": _FORMAT, "folder": str(self._versions), "files": files}).encode()
        with suppress(OSError):
            self._store.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._store.parent, delete=False) as written:
                part = Path(written.name)
                try:
                    written.write(_digest(text) + b"\n" + text)
                    written.flush()
                    part.replace(self._store)  # whole or not at all
                except OSError:
                    part.unlink()


_Times = tuple[int, int, int]  # when the content and the entry were changed, in nanoseconds, and the size


class _Known(NamedTuple):
    """What was read from a file, when it had these times."""

    times: _Times
    is_settled: bool  # a later change would show in the times
    is_computed: bool  # it had to be run, so another process may find something else
    file: RevisionFile


_TICK = 2_000_000_000  # nanoseconds: the coarsest clock of a file system
_FORMAT = f"3 {version('sqlhelpers')}"
_WORDS = frozenset(("base", "head", "heads"))  # they stand for other revisions
_MEANINGFUL = frozenset("@-+:'\"")  # Alembic puts it into SQL as it is, and reads a-1, a:b and branch@a its own way
_IS_REVISION = re.compile(r"(?!\.\#|__init__).*\.py$").match  # as Alembic's rule


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _file(values: list[Any]) -> RevisionFile:
    path, revision, downs, labels, depends_on, checksum = values
    return RevisionFile(path, revision, tuple(downs), tuple(labels), tuple(depends_on), checksum)


def checksum_of(source: bytes) -> str:
    """Return the checksum of a file's text, whatever its line ends are."""
    return hashlib.sha256(b"\n".join(source.splitlines())).hexdigest()


def identifiers(source: bytes) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the revision, its down revisions, its branch labels and what it depends on.

    Raises:
        Uncertain: the source does not give them as literals at its top level, and nowhere else.
    """
    head, function, rest = source.partition(b"\ndef ")
    tree = None
    if function and not _MAY_IDENTIFY.search(rest):
        with suppress(SyntaxError, ValueError):  # the line is within a string
            tree = ast.parse(head)
    if tree is None:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            raise Uncertain from error
    values = _literals(tree)
    try:
        revision, down_revisions = values["revision"], values["down_revision"]
    except KeyError as error:
        raise Uncertain from error
    if not isinstance(revision, str) or not revision:
        raise Uncertain
    return revision, _words(down_revisions), _words(values.get("branch_labels")), _words(values.get("depends_on"))


_NAMES = frozenset(("revision", "down_revision", "branch_labels", "depends_on"))
_TRICKS = frozenset(("globals", "locals", "vars", "exec", "eval", "setattr", "__dict__"))
_MAY_IDENTIFY = re.compile(rb"revision|branch_labels|depends_on|import\s*\*|" + "|".join(_TRICKS).encode())


def _literals(tree: ast.Module) -> dict[str, Any]:
    """Return the identifiers that a module assigns plainly.

    Raises:
        Uncertain: it may assign them in another way too.
    """
    found: dict[str, Any] = {}
    for node in tree.body:
        target, value = _assigned(node)
        if isinstance(target, ast.Name) and target.id in _NAMES:
            try:
                found[target.id] = ast.literal_eval(value)
            except ValueError as error:
                raise Uncertain from error
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) and any(
            _may_assign(each, is_local) for each, is_local in _walk(node)
        ):
            raise Uncertain
    return found


def _assigned(node: ast.stmt) -> tuple[Any, Any]:
    """Return the only target of an assignment, and what it gets; None if it is no such thing."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return node.targets[0], node.value
    return (node.target, node.value) if isinstance(node, ast.AnnAssign) and node.value else (None, None)


def _walk(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Yield a node and every node below, and whether it is in a function or a class."""
    waiting = [(node, False)]
    for each, is_local in waiting:  # it grows
        yield each, is_local
        inside = is_local or isinstance(each, _FUNCTIONS)
        waiting += ((child, inside) for child in ast.iter_child_nodes(each))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def _may_assign(node: ast.AST, is_local: bool) -> bool:  # noqa: FBT001
    if isinstance(node, ast.Global):
        return bool(_NAMES & set(node.names))
    if isinstance(node, ast.Name):
        return node.id in _TRICKS or (node.id in _NAMES and not isinstance(node.ctx, ast.Load) and not is_local)
    if isinstance(node, ast.Attribute):
        return node.attr in _TRICKS
    if is_local:
        return False
    if isinstance(node, ast.alias):
        return node.name == "*" or (node.asname or node.name) in _NAMES
    return isinstance(node, _FUNCTIONS) and getattr(node, "name", None) in _NAMES


def _run(path: Path) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return what a file says once it is run, as Alembic runs it."""
    from alembic.script import Script, ScriptDirectory

    try:
        script = Script._from_path(ScriptDirectory(path.parent), path)
        assert script is not None
        if not isinstance(script.revision, str) or not script.revision:
            raise TypeError(f"revision is {script.revision!r}, which is no identifier")  # noqa: TRY301  # told of below
        labels, depends_on = _words(script._orig_branch_labels), _words(script.dependencies)
        return script.revision, _words(script._versioned_down_revisions), labels, depends_on
    except Exception as error:
        _refused(path, error)
        raise


def _refused(path: Path, error: Exception) -> Exception:
    """Return the error, which now names the file: SyntaxError and AttributeError do not always do."""
    vars(error)["revision_file"] = str(path)
    return error


def _words(value: Any) -> tuple[str, ...]:
    words = () if value is None else (value,) if isinstance(value, str) else value
    if not isinstance(words, tuple | list) or not all(isinstance(word, str) for word in words):
        raise Uncertain(f"{value!r} names no revisions")
    return tuple(words)
