"""Break the code in small ways, one at a time, and see whether the tests notice: ``make mutants``.

mutmut does it. It leaves out two things that matter here: functions with a decorator, and so the context managers that
locks are, and statements that could as well be missing. Both are added below.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libcst as cst
from mutmut import __main__ as mutmut
from mutmut import configuration
from mutmut.mutation import file_mutation
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.mutators import mutation_operators, operator_string
from mutmut.runners.harness import PytestRunner
from mutmut.stats import status_by_exit_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]
_NOTICED = {"killed", "timeout", "segfault"}
_ON_SQLITE = ("-k", "not postgres and not mariadb and not pgbouncer")

#: What tells whether a module is broken: tests that take a few seconds together.
TESTS = {
    "urls": ("tests/test_urls.py", "tests/engines", "tests/config"),
    "queries/rows": ("tests/queries/test_queries.py", *_ON_SQLITE),
    "migrations/revisions/files": ("tests/migrations/test_revision_files.py", "tests/migrations/test_revisions.py"),
    "migrations/revisions/folder": ("tests/migrations/test_revision_files.py", "tests/migrations/test_revisions.py"),
    "migrations/revisions/graph": ("tests/migrations/test_revisions.py", "tests/migrations/test_revision_files.py"),
    "migrations/running/sync": (
        *(f"tests/migrations/test_{name}.py" for name in ("migrations", "moving", "states")),
        *_ON_SQLITE,
    ),
    "migrations/running/locks": ("tests/migrations/test_locks.py",),
    "backends/locks": ("tests/migrations/test_locks.py", "-k", "not sqlite"),
}

_TRANSPARENT = {"cached_property", "contextmanager", "property"}  # they may stay outside of what mutmut puts in


def _name(node: cst.BaseString) -> Iterator[cst.CSTNode]:
    """Change what is a name or a sign; how a message is worded is nobody's concern."""
    if not isinstance(node, cst.SimpleString) or " " not in node.value:
        yield from operator_string(node)


def _remove(node: cst.Expr) -> Iterator[cst.Pass]:
    """Leave a call out whose result nobody uses."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def _turn(node: cst.If) -> Iterator[cst.If]:
    """Turn a condition round, where no operator in it can be turned."""
    if isinstance(node.test, cst.Name | cst.Attribute | cst.Call):
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), node.test))


def _is_transparent(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.FunctionDef) and all(
        isinstance(each.decorator, cst.Name) and each.decorator.value in _TRANSPARENT for each in node.decorators
    )


def _extend() -> None:
    """Let mutmut do what it leaves out."""
    mutation_operators[:] = [each for each in mutation_operators if each[1] is not operator_string]
    mutation_operators.extend([(cst.BaseString, _name), (cst.Expr, _remove), (cst.If, _turn)])
    skips = file_mutation.MutationVisitor._skip_node_and_children
    arrange = file_mutation.function_trampoline_arrangement
    run_stats = PytestRunner.run_stats

    def skips_but(self: Any, node: cst.CSTNode) -> bool:
        return skips(self, node.with_changes(decorators=()) if _is_transparent(node) else node)

    def arrange_below(function: cst.FunctionDef, *arguments: Any, **options: Any) -> Any:
        if not _is_transparent(function):
            return arrange(function, *arguments, **options)
        before, (trampoline, *others), *after = arrange(function.with_changes(decorators=()), *arguments, **options)
        outside = trampoline.with_changes(decorators=(*function.decorators, *trampoline.decorators))
        return before, [outside, *others], *after

    def run_stats_here(self: PytestRunner, **options: Any) -> int:
        os.environ.pop("MUTANT_UNDER_TEST")  # processes that tests start have no place to count in
        return run_stats(self, **options)

    file_mutation.MutationVisitor._skip_node_and_children = skips_but
    file_mutation.function_trampoline_arrangement = arrange_below
    PytestRunner.run_stats = run_stats_here


def _enter(module: str) -> None:
    """Go to the folder of a module, with a copy of the code: mutmut keeps what it knows where it is called."""
    folder = _ROOT / "build" / "mutants" / module
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("sqlhelpers", "tests"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(_ROOT / "pyproject.toml", folder)
    os.chdir(folder)


def _results(module: str) -> SourceFileMutationData:
    found = SourceFileMutationData(path=Path(f"sqlhelpers/{module}.py"))
    found.load()
    return found


def _alive(results: SourceFileMutationData) -> list[str]:
    """Return the mutants that no test has noticed."""
    return [name for name, code in results.exit_code_by_key.items() if status_by_exit_code[code] not in _NOTICED]


def _mutate(module: str) -> None:
    """Run the tests of a module on those of its mutants that are new, or that no test has noticed so far."""
    os.environ["PYTHONPATH"] = str(Path("mutants").absolute())  # also for the processes that tests start
    configuration._config = replace(
        configuration._load_config(),
        only_mutate=[f"sqlhelpers/{module}.py"],
        pytest_add_cli_args_test_selection=list(TESTS[module]),
    )
    results = _results(module)
    if alive := _alive(results):  # there may be tests by now that do
        results.exit_code_by_key.update(dict.fromkeys(alive))
        results.save()
    mutmut._run([], max_children=int(os.environ.get("JOBS", "2")))


def _report(module: str) -> str:
    """Return how many mutants of a module were noticed, and what the others are."""
    results = _results(module)
    alive = _alive(results)
    lines = [f"{module}: {len(results.exit_code_by_key)} mutants, {len(alive)} of them not noticed"]
    for name in alive:
        changes = get_diff_for_mutant(name, path=results.path).splitlines()[2:]
        lines += [f"  {name}", *(f"    {line}" for line in changes if line[:1] in "+-")]
    return "\n".join(lines)


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(TESTS)
    _extend()
    for each in chosen:
        _enter(each)
        if os.fork() == 0:  # what mutmut and pytest know of one module stays there
            _mutate(each)
            os._exit(0)
        _, status = os.wait()
        if status:
            sys.exit(f"{each}: its tests fail, or do not run")
    for each in chosen:
        os.chdir(_ROOT / "build" / "mutants" / each)
        print(_report(each))
