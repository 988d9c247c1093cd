"""``lint()``: the rules, squawk and the allowances, brought together."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

from sqlhelpers_lint import squawk
from sqlhelpers_lint.allowances import SQUAWK, allowances_in
from sqlhelpers_lint.findings import LintFinding
from sqlhelpers_lint.looking import look_at
from sqlhelpers_lint.rules import POSTGRESQL, RULES, kind_of
from sqlhelpers_lint.selection import Wanted, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlhelpers import Runtime
    from sqlhelpers_lint.allowances import Allowance
    from sqlhelpers_lint.looking import Look
    from sqlhelpers_lint.selection import Selected


def lint(
    runtime: Runtime,
    *words: str,
    binds: Sequence[str] = (),
    since: Sequence[str] = (),
    since_git: str | None = None,
    pending: bool = False,
    every: bool = False,
    dialect: str = "",
    downgrade: bool = False,
    use_squawk: bool = True,
) -> tuple[LintFinding, ...]:
    """Return what revisions would do to a live database, in the order of their files and lines.

    Nothing is connected to, unless ``pending`` is asked for. If nothing is said, the newest revision of each app
    is looked at.

    Args:
        runtime: the databases and apps.
        *words: apps, revisions, or revision files.
        binds: the databases; all of them if empty.
        since: revisions: look at what comes after them.
        since_git: a branch, tag or commit: look at the files that were added or changed since.
        pending: look at what the databases have not run.
        every: look at all revisions.
        dialect: SQLAlchemy's name of a dialect; that of the database's URL if empty.
        downgrade: look at the downgrades as well.
        use_squawk: ask squawk as well, if it is installed.

    Raises:
        AppError: there is no such app or revision, or a revision file cannot be imported.
        ConfigurationError: git or squawk cannot do what is asked of them.
        Refused: what is pending was asked, and a database is in a state that only a person can resolve.
    """
    wanted = Wanted(words, binds, since, since_git, pending=pending, every=every, dialect=dialect)
    return lint_selected(runtime, select(runtime, wanted), downgrade=downgrade, use_squawk=use_squawk)


def lint_selected(
    runtime: Runtime,
    selections: Sequence[Selected],
    *,
    downgrade: bool = False,
    use_squawk: bool = True,
) -> tuple[LintFinding, ...]:
    """Return what the revisions that ``select()`` has found would do to a live database."""
    directions = ("upgrade", "downgrade") if downgrade else ("upgrade",)
    looks: list[Look] = []
    with catch_warnings():  # Alembic's, about what it cannot do without a database
        simplefilter("ignore")
        for selected in selections:
            if selected.revisions:
                seconds = runtime.settings.databases[selected.bind].lock_timeout
                looks += look_at(selected, directions, seconds)
    program = squawk.program() if use_squawk else None
    findings = [finding for look in looks for finding in _findings(look)]
    findings += _of_squawk(program, looks) if program else ()
    by_path = defaultdict(list)
    for look in looks:
        by_path[look.path].append(look)
    kept = (each for path in by_path for each in _judged(by_path[path], findings, has_squawk=program is not None))
    return tuple(sorted(set(kept), key=lambda each: (each.path, each.line, each.rule, each.text, each.database)))


def _finding(look: Look, line: int, rule: str, text: str, safer: str) -> LintFinding:
    bind, app = look.selected.bind, look.selected.history.app
    return LintFinding(_shown(look.path), line, rule, text, safer, bind, app, look.revision, look.direction)


def _shown(path: str) -> str:
    folder = Path.cwd()
    return Path(path).relative_to(folder).as_posix() if Path(path).is_relative_to(folder) else path


def _findings(look: Look) -> Iterator[LintFinding]:
    dialect, recording = look.selected.dialect, look.recording
    for line, hit in look.hits:
        rule = RULES[hit.rule]
        yield _finding(look, line, rule.name, f"{hit.subject}: {rule.reason_for(dialect)}", rule.safer)
    rule = RULES["not-as-sql"]
    if recording.failure is not None:
        line, reason = recording.failure
        text = f"it cannot run without a database, and what comes after it was not looked at: {reason}"
        yield _finding(look, line, rule.name, text, rule.safer)
    for line in recording.queries:
        if recording.failure is None or line != recording.failure[0]:
            yield _finding(look, line, rule.name, rule.reason, rule.safer)


def _of_squawk(program: str, looks: Sequence[Look]) -> Iterator[LintFinding]:
    of_recording = {id(look.recording): look for look in looks if kind_of(look.selected.dialect) == POSTGRESQL}
    for said in squawk.ask(program, [look.recording for look in of_recording.values()]):
        look = of_recording[id(said.recording)]
        if not look.is_of_new_table(said.step):
            yield _finding(look, said.step.line, f"{SQUAWK}{said.rule}", said.text, said.safer)


def _judged(looks: Sequence[Look], findings: Sequence[LintFinding], *, has_squawk: bool) -> Iterator[LintFinding]:
    """Yield the findings in one file that no comment allows, and what is wrong with the comments."""
    first = looks[0]
    allowances = allowances_in(Path(first.path).read_text("utf-8"))
    used: set[Allowance] = set()
    for finding in findings:
        if finding.path == _shown(first.path):
            fitting = [each for each in allowances if each.allows(finding.rule, finding.line)]
            used.update(fitting)
            if not fitting:
                yield finding
    for each in allowances:
        if each.problem:
            rule = RULES["bad-allowance"]
            yield _finding(first, each.line, rule.name, each.problem, rule.safer)
        elif each not in used and _can_be_judged(each, looks, has_squawk=has_squawk):
            rule = RULES["unused-allowance"]
            yield _finding(first, each.line, rule.name, f"{each.rule}: {rule.reason}", rule.safer)


def _can_be_judged(allowance: Allowance, looks: Sequence[Look], *, has_squawk: bool) -> bool:
    """Tell whether all has been looked at that an allowance may be there for."""
    dialect = looks[0].selected.dialect
    if any(look.recording.failure for look in looks):
        return False
    if allowance.rule.startswith(SQUAWK):
        is_asked = has_squawk and kind_of(dialect) == POSTGRESQL
    else:
        is_asked = RULES[allowance.rule].applies_to(dialect)
    return is_asked and (len(looks) > 1 or allowance.is_of_upgrade)
