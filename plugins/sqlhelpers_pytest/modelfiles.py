"""Finds model modules by reading files, so that those are found too that nobody imports."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlhelpers import App


@dataclass(frozen=True)
class ModelFile:
    """A module that defines tables.

    Attributes:
        module: its name.
        tables: the names of the tables, as far as they are written as text.
    """

    module: str
    tables: frozenset[str]


def modules_with_models(app: App) -> Iterator[ModelFile]:
    """Yield the modules in the package of an app that define tables, by ``__tablename__`` or ``Table(...)``."""
    spec = find_spec(app.package)
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        for file in sorted(folder.rglob("*.py")):
            path = file.relative_to(folder)
            if app.migrations is not None and path.is_relative_to(app.migrations):
                continue
            tables = frozenset(_tables(ast.parse(file.read_text("utf-8"), str(file))))
            if tables:
                yield ModelFile(".".join([app.package, *path.with_suffix("").parts]).removesuffix(".__init__"), tables)


def _tables(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            schema = _schema(node)
            for statement in node.body:
                name = _assigned(statement, "__tablename__")
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield f"{schema}{name.value}"
        elif isinstance(node, ast.Call) and _called(node.func) == "Table" and node.args:
            first = node.args[0]
            schemas = [f"{each.value.value}." for each in node.keywords if _is_schema(each)]  # type: ignore[attr-defined]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield f"{''.join(schemas)}{first.value}"


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    is_it = any(isinstance(target, ast.Name) and target.id == name for target in targets)
    return getattr(statement, "value", None) if is_it else None


def _is_schema(keyword: ast.keyword) -> bool:
    return keyword.arg == "schema" and isinstance(keyword.value, ast.Constant) and bool(keyword.value.value)


def _schema(node: ast.ClassDef) -> str:
    """Return the schema that ``__table_args__`` names, with its dot."""
    for statement in node.body:
        arguments = _assigned(statement, "__table_args__")
        for each in ast.walk(arguments) if arguments is not None else ():
            if isinstance(each, ast.Dict):
                for key, value in zip(each.keys, each.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "schema" and isinstance(value, ast.Constant):
                        return f"{value.value!s}."
    return ""
