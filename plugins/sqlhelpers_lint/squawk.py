"""Asks squawk, a linter for PostgreSQL, about the SQL of revisions, and tells what ours do not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlhelpers.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlhelpers_lint.recording import Recording, Step

#: Rules of squawk that find what one of ours does, which knows more of the revision.
SAME = frozenset(
    (
        "adding-field-with-default",
        "adding-foreign-key-constraint",
        "adding-not-nullable-field",
        "adding-required-field",
        "adding-serial-primary-key-field",
        "ban-concurrent-index-creation-in-transaction",
        "ban-drop-column",
        "ban-drop-table",
        "changing-column-type",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "renaming-column",
        "renaming-table",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
    ),
)
#: Rules about taste, about steps on a safe way, or about what a run sees to: time limits, transactions.
BESIDE = frozenset(
    (
        "ban-char-field",
        "ban-drop-constraint",
        "ban-drop-not-null",
        "ban-uncommitted-transaction",
        "require-enum-value-ordering",
        "require-lock-timeout",
        "require-statement-timeout",
        "require-timeout-settings",
        "syntax-error",
        "transaction-nesting",
        "unused-ignore",
    ),
)


class Said(NamedTuple):
    """One thing that squawk has found: in which recording, at which step, its rule, what it is, and what helps."""

    recording: Recording
    step: Step
    rule: str
    text: str
    safer: str


def program() -> str | None:
    """Return the path of squawk: the one that is installed with this Python, or another; None if there is none."""
    return shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")


def ask(squawk: str, recordings: Sequence[Recording]) -> Iterator[Said]:
    """Yield what squawk finds in the SQL of revisions. A ``.squawk.toml`` of the project holds.

    Args:
        squawk: the program.
        recordings: what the revisions do.

    Raises:
        ConfigurationError: squawk fails.
    """
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{position}.sql" for position in range(len(recordings))]
        for file, recording in zip(files, recordings, strict=True):
            file.write_text("\n".join(sql for sql, _ in recording.script), "utf-8")
        found = _run(squawk, [str(file) for file in files]) if files else []
    for each in found:
        rule = each["rule_name"]
        recording = recordings[int(Path(each["file"]).stem)]
        step = _step_at(recording, each["line"])
        if step is not None and rule not in SAME | BESIDE and not rule.startswith("prefer-"):
            safer = each["help"] or f"see https://squawkhq.com/docs/{rule}"
            yield Said(recording, step, rule, " ".join(each["message"].split()).rstrip("."), safer.rstrip("."))


def _run(squawk: str, files: list[str]) -> list[dict[str, Any]]:
    command = (squawk, "--reporter", "json", *files)
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)  # noqa: S603  # no shell
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError as error:
        reason = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
        raise ConfigurationError(f"squawk ({squawk}) failed: {reason}") from error
    return found


def _step_at(recording: Recording, line: int) -> Step | None:
    """Return the step that a line of the script is of."""
    for sql, step in recording.script:
        line -= sql.count("\n") + 1
        if line < 0:
            return step
    return None
