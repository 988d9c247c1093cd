"""What is printed: tables, JSON, progress, notes, and how much of it."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlhelpers.reports import AppReport, DatabaseReport, RevisionInfo, Trace

_VERBOSITY = "sqlhelpers.verbosity"  # in ``ctx.meta``, which all contexts of one call share
_QUIET = "sqlhelpers.quiet"

#: What is heard with one ``-v``, and with two; nothing more with three.
_LOGGERS = (("sqlhelpers", "alembic"), ("sqlalchemy.engine",))


def verbosity() -> int:
    """Return how many ``-v`` there are on the line."""
    ctx = click.get_current_context(silent=True)
    return int(ctx.meta.get(_VERBOSITY, 0)) if ctx else 0


def is_quiet() -> bool:
    """Tell whether there is a ``-q`` on the line."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.meta.get(_QUIET))


def note(text: str, file: IO[Any] | None = None) -> None:
    """Print a line to stderr, or another file, that is good to know, unless ``-q`` forbids it."""
    if not is_quiet():
        click.echo(f"note: {text}", file, err=True)


def say(text: str) -> None:
    """Print a line to stdout that says what was done, unless ``-q`` forbids it."""
    if not is_quiet():
        click.echo(text)


def _louder(ctx: click.Context, _: click.Parameter, value: int) -> None:
    before = ctx.meta.get(_VERBOSITY, 0)
    if value and not ctx.resilient_parsing:
        import logging

        ctx.meta[_VERBOSITY] = before + value
        for names in _LOGGERS[before : before + value]:
            ctx.with_resource(shown(names, logging.INFO))  # until the context closes


def _quieter(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's signature
    if value:
        ctx.meta[_QUIET] = True


def options(*, hidden: bool) -> Iterator[click.Option]:
    """Yield the options, which do all they do when they are read."""
    shared = {"expose_value": False, "hidden": hidden}
    quiet_help = "Print errors, and only what was asked for as JSON or SQL."
    verbose_help = "Tell more, and show what is logged; -vv shows the SQL statements as well."
    yield click.Option(["-v", "--verbose"], count=True, callback=_louder, help=verbose_help, **shared)
    yield click.Option(["-q", "--quiet"], is_flag=True, callback=_quieter, help=quiet_help, **shared)


def add_options(command: click.Command) -> None:
    """Let a command, and those below it, take the options as well; one that it has itself stays its own."""
    taken = {name for param in command.params for name in param.opts}
    command.params += [option for option in options(hidden=True) if taken.isdisjoint(option.opts)]
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        add_options(each)


_HEADINGS = ("app", "revision", "follows", "", "written", "message")


@dataclass
class Row:
    """A revision that is shown, and what databases have to do with it."""

    info: RevisionInfo
    current_in: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def marks(self) -> str:
        """Return what stands out about it, each in parentheses."""
        info = self.info
        found = [*info.marks, *(f"branch {label}" for label in info.branch_labels)]
        found += [f"depends on {each}" for each in info.depends_on]
        plain = " ".join(f"({mark})" for mark in found)
        current = styled(f"(current in {', '.join(self.current_in)})", "green") if self.current_in else ""
        return f"{plain} {current}".strip()

    def as_mapping(self) -> dict[str, Any]:
        """Return all facts, for JSON."""
        return {**asdict(self.info), "marks": self.info.marks, "current_in": self.current_in}


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print revisions, a line each, or as JSON, or with ``-v`` all about them."""
    if as_json:
        click.echo(json.dumps([row.as_mapping() for row in rows], indent=2))
    elif verbosity():
        print_blocks(rows)
    else:
        table(map(_cells, rows), _HEADINGS)


def _cells(row: Row) -> list[str]:
    info = row.info
    place = [info.app or "-", info.revision, ", ".join(info.down_revisions)]
    return [each or "-" for each in (*place, row.marks(), info.date[:16], info.message)]


def print_shown(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print all about revisions and what databases know of them, with ``-v`` their source as well."""
    if not as_json:
        print_blocks(rows, with_source=bool(verbosity()))
        return
    found = []
    for row in rows:
        source = {"source": _source(row.info)} if verbosity() else {}
        mapping = {key: value for key, value in row.as_mapping().items() if key != "current_in"}
        found.append({**mapping, "databases": [as_mapping(each) for each in row.traces], **source})
    click.echo(json.dumps(found, indent=2, default=as_text))


def print_blocks(rows: Sequence[Row], *, with_source: bool = False) -> None:
    """Print all about some revisions, a fact a line, and then their text."""
    from sqlhelpers.migrations.state import text_of

    for place, row in enumerate(rows):
        if is_quiet():
            return
        if place:
            click.echo()
        table([[name, value] for name, value in _facts(row) if value])
        text = _source(row.info) if with_source else text_of(row.info)
        if text:
            click.echo("".join(f"\n    {line}".rstrip(" ") for line in text.splitlines()))


def _facts(row: Row) -> Iterable[tuple[str, str]]:
    info = row.info
    yield "revision", f"{info.revision} {row.marks()}".strip()
    yield "app", info.app or ""
    yield "follows", ", ".join(info.down_revisions)
    yield "followed by", ", ".join(info.next_revisions)
    yield "needed by", ", ".join(info.needed_by)
    yield "written", info.date
    yield "file", info.path
    for trace in row.traces:
        state = "current" if trace.is_current else "applied" if trace.is_applied else "not applied"
        yield f"in {trace.bind}", state
        for each in trace.entries:
            took = f" in {each.seconds:.2f} s" if each.seconds is not None else ""
            yield (
                "",
                f"{each.action} {each.begun:%Y-%m-%d %H:%M:%S} UTC{took}, {each.outcome or 'not finished'}, {each.who}",
            )


def _source(info: RevisionInfo) -> str:
    return Path(info.path).read_text("utf-8", errors="replace").rstrip()


T = TypeVar("T")

_GAP, _LEAST = 3, 8  # columns of a terminal: between two cells, and for a cell; words are whole where there is room
_MANY = 5  # revisions: from so many on, a bar on a terminal is worth having


@contextmanager
def printed(as_json: bool, words: Callable[[AppReport], list[str]]) -> Iterator[Callable[[DatabaseReport], None]]:  # noqa: FBT001
    """Collect reports and print them at the end, those that came before an error included."""
    reports: list[DatabaseReport] = []
    try:
        with redirect_stdout(sys.stderr):  # what plugins and revisions print is not data
            yield reports.append
    finally:
        if as_json:
            rows = [_as_mapping(report, app) for report in reports for app in report.apps]
            click.echo(json.dumps(rows, indent=2))
        else:
            rows_of = (
                [report.bind, report.url, app.app or "-", *words(app)] for report in reports for app in report.apps
            )
            table(rows_of, ("database", "URL", "app", "state", "to note"))
            if reports and not any(report.apps for report in reports):
                note("no app is registered under sqlhelpers.apps; is the project installed?")
            for report in reports:
                if not report.apps and not is_quiet():
                    click.echo(f"{report.bind}  {report.url}  no apps", err=True)
                for app in report.apps:
                    for revision in app.edited:
                        text = f"revision {revision} was edited after it ran here"
                        note(f"{report.bind}: {app.app or '-'}: {text}")
                for name in report.orphaned_version_tables:
                    app_name = name.removeprefix("alembic_version_")
                    way = f"its tables stay until `sqlhelpers retire {app_name}`, or it is installed again"
                    note(f"{report.bind}: {name} belongs to an app that is not installed: {way}")


def _as_mapping(report: DatabaseReport, app: AppReport) -> dict[str, Any]:
    return {
        "database": report.bind,
        "url": report.url,
        **asdict(app),
        "status": app.status.name.lower(),
        "result": app.result.name.lower() if app.result else None,
    }


def done(app: AppReport) -> list[str]:
    """Return the last columns of a line that says what was done."""
    at = ", ".join(app.heads)
    if app.result is None or app.result.name == "ALREADY_UP_TO_DATE":
        return [styled("up to date", "green") + (f" at {at}" if at else ""), ""]
    if app.result.name == "CREATED":
        return [styled("created", "green") + (f" at {at}" if at else ""), count(app.tables, "table")]
    return [styled("upgraded", "green") + f" {', '.join(app.current)} -> {at}", count(len(app.pending), "revision")]


def planned(app: AppReport) -> list[str]:
    """Return the last columns of a line that says what would be done."""
    at = ", ".join(app.heads)
    if app.status.name == "NO_INFO":
        return ["would be created" + (f" at {at}" if at else ""), count(app.tables, "table")]
    if app.status.name == "UPGRADE_AVAILABLE":
        return [f"would be upgraded {', '.join(app.current)} -> {at}", count(len(app.pending), "revision")]
    return done(app)


def found(app: AppReport) -> list[str]:
    """Return the last columns of a line that says what was found."""
    current = f" at {', '.join(app.current)}" if app.current else ""
    if app.status.name == "UP_TO_DATE":
        return [styled("up to date", "green") + current, ""]
    if app.status.name == "NO_INFO":
        return [styled("not there yet", "yellow"), ""]
    if app.status.name == "UPGRADE_AVAILABLE":
        return [styled("behind", "yellow") + current, f"{count(len(app.pending), 'revision')} to run"]
    return [styled(app.status.name.lower(), "red") + current, app.detail]


def count(number: int, noun: str) -> str:
    """Return a number and a noun, which is plural unless there is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def is_terminal(stream: Any = None) -> bool:
    """Tell whether a stream, stdout if None, goes to a terminal that can do more than print lines."""
    return bool((stream or sys.stdout).isatty()) and os.environ.get("TERM") != "dumb"


def styled(text: str, colour: str, stream: Any = None) -> str:
    """Return the text in a colour, if it goes to a terminal and NO_COLOR is not set."""
    return click.style(text, fg=colour) if is_terminal(stream) and not os.environ.get("NO_COLOR") else text


def table(rows: Iterable[list[str]], headings: Sequence[str] = ()) -> None:
    """Print rows in columns that line up, two spaces apart; on a terminal as a table that fits into it.

    Args:
        rows: the cells.
        headings: what stands above them on a terminal. What is piped has none: it is for scripts.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if is_quiet() or not cells:
        return
    if is_terminal():
        _rich_table(cells, headings)
        return
    widths = [max(len(click.unstyle(row[i])) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        padded = (cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _rich_table(cells: Sequence[list[str]], headings: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    shown = [i for i in range(len(cells[0])) if any(row[i] for row in cells)]
    drawn = Table(box=box.SIMPLE_HEAD, show_header=bool(headings), pad_edge=False)
    columns = [[click.unstyle(row[i]) for row in cells] + ([headings[i]] if headings else []) for i in shown]
    widths = _widths(columns, console.width - _GAP * len(shown))
    for i, width in zip(shown, widths, strict=True):
        drawn.add_column(headings[i] if headings else "", overflow="fold", width=width)
    for row in cells:
        drawn.add_row(*(Text.from_ansi(row[i]) for i in shown))
    console.print(drawn)


def _widths(columns: Sequence[Sequence[str]], left: int) -> list[int | None]:
    """Return how wide columns may be; None to leave it to rich, which breaks words anywhere if it has to.

    What stands on the left are names, so their words are whole as long as there is room for something on the right.
    """
    wanted = [max(map(len, column)) for column in columns]
    if sum(wanted) <= left or _LEAST * len(columns) > left:
        return [None] * len(columns)
    longest = [max((len(word) for cell in column for word in cell.split()), default=1) for column in columns]
    fit = sum(longest) <= left
    widths = []
    for place, word in enumerate(longest, 1):
        rest = sum(longest[place:]) if fit else _LEAST * (len(columns) - place)
        widths.append(word if word + rest <= left else min(_LEAST, word))
        left -= widths[-1]
    for place, whole in enumerate(wanted):
        more = min(whole - widths[place], left)
        widths[place] += more
        left -= more
    return list(widths)


@contextmanager
def listed(
    as_json: bool,  # noqa: FBT001
    words: Callable[[T], list[str]],
    headings: Sequence[str] = (),
) -> Iterator[Callable[[Iterable[T]], None]]:
    """Collect values and print them at the end, those that came before an error included.

    Args:
        as_json: print them as JSON.
        words: the cells of a value.
        headings: what stands above them on a terminal.
    """
    found: list[T] = []
    try:
        with redirect_stdout(sys.stderr):  # what plugins and revisions print is not data
            yield found.extend
    finally:
        if as_json:
            click.echo(json.dumps([as_mapping(each) for each in found], indent=2, default=as_text))
        else:
            table(map(words, found), headings)


def as_mapping(value: Any) -> dict[str, Any]:
    """Return a value of ours as JSON has it; ``bind`` is called ``database`` there."""
    found = asdict(value)
    return {"database": found.pop("bind"), **found} if "bind" in found else found


def as_text(value: Any) -> str:
    """Return a time, which is in UTC, as JSON has it."""
    return f"{value.isoformat()}Z"


class Bar:
    """A progress bar on stderr, if stderr is a terminal and there is much to do: for databases, and for revisions."""

    def __init__(self) -> None:
        self._wanted = (
            is_terminal(sys.stderr) and not is_quiet() and not verbosity()
        )  # asked once: the bar puts something else in the place of stderr
        self._progress: Any = None
        self._databases: Any = None
        self._revisions: Any = None

    def __enter__(self) -> Self:
        return self

    def over(self, total: int, done: Callable[[DatabaseReport], None]) -> Callable[[DatabaseReport], None]:
        """Return what is to be called when one of so many databases is done: it calls ``done``, and shows it."""
        if total < _MANY or not self._wanted:
            return done
        progress = self._started()
        self._databases = progress.add_task("databases", total=total)

        def seen(report: DatabaseReport) -> None:
            done(report)
            progress.update(self._databases, advance=1, description=report.bind)

        return seen

    def advance(self, app: str | None, revision: str, position: int, total: int) -> None:
        """Show that a revision is about to run."""
        if total < _MANY or not self._wanted:
            return
        progress = self._started()
        if self._revisions is None or position == 1:
            if self._revisions is not None:
                progress.remove_task(self._revisions)  # of the app, or the database, before
            self._revisions = progress.add_task("", total=total)
        progress.update(self._revisions, completed=position - 1, description=f"{app or ''} {revision}".strip())

    def _started(self) -> Any:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.start()
        return self._progress

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def shown(names: Iterable[str], level: int) -> Iterator[None]:
    """Print what some loggers say in the block to stderr, from a level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.name != "alembic.runtime.plugins")  # of each of its parts that is loaded
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    found = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in found]
    for logger in found:
        logger.setLevel(min(level, logger.getEffectiveLevel()))
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, before in zip(found, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(before)
