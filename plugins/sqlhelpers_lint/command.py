"""``sqlhelpers lint``: reads options, calls ``lint``, and prints what it returns."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from sqlhelpers.cli import databases, json_option, note, open_runtime, revisions_of, say, table, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlhelpers_lint.findings import LintFinding
    from sqlhelpers_lint.selection import Selected, Wanted


@click.command()
@words_of("[APP] [REVISION]...")
@databases
@click.option(
    "--since",
    multiple=True,
    metavar="REVISION",
    shell_complete=revisions_of,
    help="Look at what comes after it; once for each app.",
)
@click.option("--since-git", metavar="REF", help="Look at the files that were added or changed since, as in a branch.")
@click.option("--pending", is_flag=True, help="Look at what the databases have not run; connects to them.")
@click.option("--all", "every", is_flag=True, help="Look at all revisions.")
@click.option("--dialect", default="", metavar="NAME", help="postgresql, mariadb, mysql, sqlite. Default: the URL's.")
@click.option("--downgrade", is_flag=True, help="Look at the downgrades as well.")
@click.option("--no-squawk", is_flag=True, help="Ask our own rules alone.")
@click.option("--rules", is_flag=True, help="List the rules, and look at nothing.")
@click.option("--exit-zero", is_flag=True, help="End with 0 whatever is found.")
@click.option("--format", "form", type=click.Choice(["text", "github"]), default="text", help="github: annotations.")
@json_option
def lint(
    *,
    rules: bool,
    exit_zero: bool,
    form: str,
    as_json: bool,
    downgrade: bool,
    no_squawk: bool,
    **wanted: Any,
) -> None:
    """Find what revisions would do to a live database, from their SQL. 1 if there is anything.

    Looks at the newest revision of each app, or those that are named; a revision file may be named as well. Nothing is
    connected to, but for --pending.

    Example: sqlhelpers lint --since-git origin/main
    """
    if rules:
        _list_rules(as_json=as_json)
        return
    from sqlhelpers_lint.linting import lint_selected
    from sqlhelpers_lint.selection import Wanted, select

    if wanted["every"] and (wanted["since"] or wanted["since_git"] or wanted["pending"]):
        raise click.UsageError("--all leaves nothing to --since, --since-git and --pending")
    with open_runtime() as runtime, redirect_stdout(sys.stderr):  # what revisions print is not data
        asked = Wanted(**wanted)
        selections = select(runtime, asked)
        findings = lint_selected(runtime, selections, downgrade=downgrade, use_squawk=not no_squawk)
    _print(findings, form=form, as_json=as_json, level="warning" if exit_zero else "error")
    if not findings and any(each.revisions for each in selections):
        note("nothing was found")
    _tell(selections, asked, misses_squawk=not no_squawk)
    if findings and not exit_zero:
        raise click.exceptions.Exit(1)


def _print(findings: Iterable[LintFinding], *, form: str, as_json: bool, level: str) -> None:
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    for finding in findings:
        if form == "github":
            click.echo(_annotation(finding, level))
        else:
            say(f"{finding}")


def _annotation(finding: LintFinding, level: str) -> str:
    """Return a line that GitHub shows beside the line of the file."""
    path, rule = (_escaped(each).replace(":", "%3A").replace(",", "%2C") for each in (finding.path, finding.rule))
    text = _escaped(f"{finding.text}; safer: {finding.safer}")
    return f"::{level} file={path},line={finding.line},title={rule}::{text}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _tell(selections: Sequence[Selected], wanted: Wanted, *, misses_squawk: bool) -> None:
    """Say what was looked at, and what was not."""
    from sqlhelpers_lint import squawk
    from sqlhelpers_lint.rules import POSTGRESQL

    for each in selections:
        name = each.history.app or (each.history.revisions and each.history.revisions.folder)
        if each.revisions:
            shown = ", ".join(each.revisions[:3]) + (", ..." if len(each.revisions) > 3 else "")  # noqa: PLR2004
            of = f"{len(each.revisions)} of {each.total} revisions"
            note(f"{each.bind}: {name}: looked at {of} for {each.dialect}: {shown}")
    if not any(each.revisions for each in selections):
        note("there is no revision to look at")
    elif wanted.is_plain and any(each.total > len(each.revisions) for each in selections):
        note("--since, --since-git, --pending and --all look at more than the newest")
    is_postgresql = any(each.dialect == POSTGRESQL and each.revisions for each in selections)
    if misses_squawk and is_postgresql and squawk.program() is None:
        note("squawk has more rules for PostgreSQL: pip install 'sqlhelpers[lint]'")


def _list_rules(*, as_json: bool) -> None:
    from sqlhelpers_lint.rules import described

    names = ("rule", "dialects", "reason", "safer")
    if as_json:
        click.echo(json.dumps([dict(zip(names, each, strict=True)) for each in described()], indent=2))
    else:
        cells = ([rule, dialects, f"{reason}; safer: {safer}"] for rule, dialects, reason, safer in described())
        table(cells, ("rule", "dialects", "reason"))
