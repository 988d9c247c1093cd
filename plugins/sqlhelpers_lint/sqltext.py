"""What the rules find in SQL that a revision wrote by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlhelpers_lint.findings import Hit
from sqlhelpers_lint.names import IN_SQL, plain
from sqlhelpers_lint.rules import MYSQL, kind_of, unless_copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlhelpers_lint.scope import Scope

_STRING = r"'(?:[^']|'')*'"
_ESCAPED = r"[Ee]'(?:[^'\\]|\\.|'')*'"
_OF_MYSQL = r"'(?:[^'\\]|\\.|'')*'"
_DOLLARS = r"(\$\w*\$).*?\2"
_TOKENS = r"(--[^\n]*|/\*.*?\*/)|(?:{strings})|{dollars}|(\"(?:[^\"]|\"\")*\"|`[^`]*`)|(;)|(\s+)"


def statements_in(sql: str, dialect: str) -> list[str]:
    """Return the statements of a text, without comments, and with nothing in the strings.

    The body of a function or trigger is left out.
    """
    is_mysql = kind_of(dialect) == MYSQL
    strings = _OF_MYSQL if is_mysql else f"{_ESCAPED}|{_STRING}"
    tokens = _TOKENS.format(strings=strings, dollars=_DOLLARS)
    masked = re.sub(tokens, _mask, sql, flags=re.DOTALL)
    found = []
    for each in masked.split("\0"):
        found.append(each.strip())
        if re.match(r"CREATE\b.*?\b(TRIGGER|PROCEDURE|FUNCTION|EVENT)\b", found[-1], re.IGNORECASE):
            break
    return [each for each in found if each]


def _mask(match: re.Match[str]) -> str:
    comment, _, quoted, end, space = match.groups()
    if comment is not None or space is not None:
        return " "
    return quoted or ("\0" if end else "''")


def hits_in(sql: str, scope: Scope, *, in_transaction: bool) -> Iterator[Hit]:
    """Yield what the rules find in SQL, and note in the scope what it makes.

    Args:
        sql: one statement or several.
        scope: what the revision has made before.
        in_transaction: whether a transaction is open.
    """
    for statement in statements_in(sql, scope.dialect):
        for pattern, reader in _READERS:
            match = re.match(pattern, statement, re.IGNORECASE)
            if match:
                yield from reader(match, scope, in_transaction)
                break


def _create_table(match: re.Match[str], scope: Scope, _: bool) -> Iterator[Hit]:  # noqa: FBT001
    scope.created.append(plain(match[1]))
    yield from ()


def _create_view(match: re.Match[str], scope: Scope, _: bool) -> Iterator[Hit]:  # noqa: FBT001
    scope.views.append(plain(match[1]))
    yield from ()


def _drop_table(match: re.Match[str], scope: Scope, _: bool) -> Iterator[Hit]:  # noqa: FBT001
    for name in re.findall(IN_SQL, re.sub(r"\b(CASCADE|RESTRICT)\b", "", match[1], flags=re.IGNORECASE)):
        yield Hit("drop-table", f"drops table {plain(name)}", plain(name))
        scope.dropped.append(plain(name))


def _empty(match: re.Match[str], _: Scope, __: bool) -> Iterator[Hit]:  # noqa: FBT001
    table = plain(match[1])
    if not _is_bounded(match[2]):
        yield Hit("empty-table", f"empties table {table}", table)


def _update(match: re.Match[str], _: Scope, __: bool) -> Iterator[Hit]:  # noqa: FBT001
    table = plain(match[1])
    if not _is_bounded(match[2]):
        yield Hit("unbounded-update", f"updates every row of {table}", table)


def _is_bounded(rest: str) -> bool:
    """Tell whether a statement says which rows; what subqueries say of theirs does not count."""
    inner = r"\([^()]*\)"
    while re.search(inner, rest):
        rest = re.sub(inner, " ", rest)
    return re.search(r"\bWHERE\b|\bLIMIT\b", rest, re.IGNORECASE) is not None


def _rename_table(match: re.Match[str], _: Scope, __: bool) -> Iterator[Hit]:  # noqa: FBT001
    yield Hit("rename-table", f"renames table {plain(match[1])} to {plain(match[2])}", plain(match[1]))


def _create_index(match: re.Match[str], scope: Scope, in_transaction: bool) -> Iterator[Hit]:  # noqa: FBT001
    concurrently, name, only, table = match[1], plain(match[2] or ""), match[3], plain(match[4])
    subject = f"creates index {name} on {table}".replace("  ", " ")
    if concurrently and in_transaction:
        yield Hit("concurrently-in-transaction", subject, "", name)
    elif not concurrently and not only:  # ON ONLY is for the parent of partitions, and builds nothing
        yield Hit("index-not-concurrent", subject, table, "")
    scope.indexes.append(name)


def _drop_index(match: re.Match[str], _: Scope, in_transaction: bool) -> Iterator[Hit]:  # noqa: FBT001
    subject, name = f"drops index {plain(match[2])}", plain(match[2]).rpartition(".")[2]
    if not match[1]:
        yield Hit("index-not-concurrent", subject, "", name)
    elif in_transaction:
        yield Hit("concurrently-in-transaction", subject, "", name)


def _alter_table(match: re.Match[str], scope: Scope, _: bool) -> Iterator[Hit]:  # noqa: FBT001
    table = plain(match[1])
    for action in _split(match[2]):
        for pattern, reader in _ACTIONS:
            found = re.match(pattern, action, re.IGNORECASE)
            if found:
                yield from reader(found, table, scope)
                break


def _split(actions: str) -> list[str]:
    """Return the parts between the commas that are in no parentheses."""
    depth, parts = 0, [""]
    for each in re.findall(r"\"[^\"]*\"|`[^`]*`|.", actions):
        depth += (each == "(") - (each == ")")
        if each == "," and not depth:
            parts.append("")
        else:
            parts[-1] += each
    return [part.strip() for part in parts]


def _validate(_: re.Match[str], table: str, scope: Scope) -> Iterator[Hit]:
    scope.validated.append(table)
    yield from ()


def _rename(match: re.Match[str], table: str, _: Scope) -> Iterator[Hit]:
    yield Hit("rename-table", f"renames table {table} to {plain(match[1])}", table)


def _rename_column(match: re.Match[str], table: str, _: Scope) -> Iterator[Hit]:
    old, new = plain(match[1]), plain(match[2])
    if old != new:
        yield Hit("rename-column", f"renames column {table}.{old} to {new}", table, old)


def _drop_column(match: re.Match[str], table: str, _: Scope) -> Iterator[Hit]:
    name = plain(match[1])
    yield Hit("drop-column", f"drops column {table}.{name}", table, name)


def _set_not_null(match: re.Match[str], table: str, _: Scope) -> Iterator[Hit]:
    yield Hit("set-not-null", f"makes column {table}.{plain(match[1])} NOT NULL", table)


def _set_type(match: re.Match[str], table: str, _: Scope) -> Iterator[Hit]:
    yield Hit("type-change", f"changes the type of {table}.{plain(match[1])} to {match[2].strip()}", table)


def _add_key(match: re.Match[str], table: str, scope: Scope) -> Iterator[Hit]:
    what, rest = match[1].upper(), match[2].upper()
    if what.startswith(("UNIQUE", "PRIMARY")):
        if "USING INDEX" not in rest:
            yield Hit("unique-constraint", f"adds a {'primary key' if what[0] == 'P' else 'UNIQUE constraint'}", table)
    elif "NOT VALID" not in rest or kind_of(scope.dialect) == MYSQL:
        rule, words = _CHECKED[what[0]]
        yield Hit(unless_copied(rule, scope.dialect), f"adds a {words} to {table}", table)


_CHECKED = {"F": ("foreign-key-not-valid", "foreign key"), "C": ("check-not-valid", "CHECK constraint")}


def _add_column(match: re.Match[str], table: str, scope: Scope) -> Iterator[Hit]:
    name, definition = plain(match[1]), match[2]
    subject = f"adds column {table}.{name}"
    has_value = re.search(r"\b(DEFAULT|GENERATED|AUTO_INCREMENT|\w*SERIAL|IDENTITY)\b", definition, re.IGNORECASE)
    if re.search(r"\bNOT NULL\b", definition, re.IGNORECASE) and not has_value:
        yield Hit("not-null-without-default", f"{subject} NOT NULL without a default", table)
    if is_volatile(definition):
        yield Hit("volatile-default", f"{subject} with a value for each row", table)
    scope.columns.append((table, name))


def is_volatile(definition: str) -> bool:
    """Tell whether the definition of a column gives each row another value, so that PostgreSQL writes all rows."""
    return re.search(_VOLATILE, definition, re.IGNORECASE) is not None


_VOLATILE = (
    r"\b(clock_timestamp|timeofday|random|random_normal|gen_random_uuid|uuidv[47]|uuid_generate_v\w+|nextval)\s*\("
    r"|\b(SMALL|BIG)?SERIAL\d?\b|\bGENERATED\b.*\bAS\s+IDENTITY\b|\bSTORED\b"
)

_READERS: list[tuple[str, Callable[[re.Match[str], Scope, bool], Iterator[Hit]]]] = [
    (rf"CREATE (?:(?:GLOBAL |LOCAL )?TEMP(?:ORARY)? |UNLOGGED )?TABLE (?:IF NOT EXISTS )?({IN_SQL})", _create_table),
    (rf"CREATE (?:OR REPLACE )?(?:TEMP(?:ORARY)? )?VIEW (?:IF NOT EXISTS )?({IN_SQL})", _create_view),
    (r"DROP TABLE (?:IF EXISTS )?(.+)", _drop_table),
    (rf"TRUNCATE (?:TABLE )?(?:ONLY )?({IN_SQL})()", _empty),
    (rf"DELETE FROM (?:ONLY )?({IN_SQL})(.*)", _empty),  # noqa: S608  # a pattern
    (rf"UPDATE (?:ONLY )?({IN_SQL})(.*)", _update),
    (rf"RENAME TABLE ({IN_SQL}) TO ({IN_SQL})", _rename_table),
    (
        rf"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?((?!ON\b){IN_SQL} )?ON (ONLY )?({IN_SQL})",
        _create_index,
    ),
    (rf"DROP INDEX (CONCURRENTLY )?(?:IF EXISTS )?({IN_SQL})", _drop_index),
    (rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?({IN_SQL}) (.*)", _alter_table),
]

_NO_COLUMN = r"(?!(?:CONSTRAINT|INDEX|KEY|UNIQUE|PRIMARY|FOREIGN|CHECK|FULLTEXT|SPATIAL|PARTITION|PERIOD|EXCLUDE)\b)"
_NAMED = rf"(?:CONSTRAINT (?:IF NOT EXISTS )?(?:{IN_SQL} )?)?"
_ACTIONS: list[tuple[str, Callable[[re.Match[str], str, Scope], Iterator[Hit]]]] = [
    (r"VALIDATE CONSTRAINT\b", _validate),
    (rf"RENAME (?:TO |AS )({IN_SQL})", _rename),
    (rf"RENAME (?:COLUMN )?(?!CONSTRAINT\b|INDEX\b|KEY\b)({IN_SQL}) TO ({IN_SQL})", _rename_column),
    (rf"CHANGE (?:COLUMN )?(?:IF EXISTS )?({IN_SQL}) ({IN_SQL})", _rename_column),
    (rf"DROP (?:COLUMN )?(?:IF EXISTS )?{_NO_COLUMN}({IN_SQL})", _drop_column),
    (rf"ALTER (?:COLUMN )?({IN_SQL}) SET NOT NULL", _set_not_null),
    (rf"ALTER (?:COLUMN )?({IN_SQL}) (?:SET DATA )?TYPE (.+)", _set_type),
    (rf"ADD {_NAMED}(UNIQUE|PRIMARY KEY|FOREIGN KEY|CHECK)\b(.*)", _add_key),
    (rf"ADD (?:COLUMN )?(?:IF NOT EXISTS )?{_NO_COLUMN}({IN_SQL}) (.+)", _add_column),
]
