"""The rules: what each finds, why that hurts on a live database, and the safer way."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: SQLAlchemy's names of the dialects that the rules tell apart; ``mysql`` stands for MariaDB as well.
POSTGRESQL, MYSQL = "postgresql", "mysql"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: its name, as allowances have it.
        reason: what a revision that breaks it does to a live database.
        safer: what to do instead.
        dialects: where it applies; empty for everywhere.
        reasons: other reasons, by dialect.
    """

    name: str
    reason: str
    safer: str
    dialects: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    def applies_to(self, dialect: str) -> bool:
        """Tell whether the rule is asked where the dialect is this one."""
        return not self.dialects or kind_of(dialect) in self.dialects

    def reason_for(self, dialect: str) -> str:
        """Return the reason as it is with a dialect."""
        return self.reasons.get(kind_of(dialect), self.reason)


def kind_of(dialect: str) -> str:
    """Return the dialect whose rules are those of ``dialect``."""
    return MYSQL if dialect == "mariadb" else dialect


def unless_copied(rule: str, dialect: str) -> str:
    """Return the name of a rule, or of the one that is broken instead where the dialect copies the whole table."""
    return "table-copy" if kind_of(dialect) == MYSQL else rule


_OLD_CODE = "the release before, which still runs meanwhile,"
_NOT_VALID = "postgresql_not_valid=True, and op.execute('ALTER TABLE ... VALIDATE CONSTRAINT ...') in a later revision"
_ROWS_FIRST = "first a nullable column, then its values in small transactions, then the constraint"
_CHUNKS = "give the rows a WHERE, a thousand at a time, in transactions of their own"

_ALL = (
    Rule(
        "drop-table",
        f"its rows are gone for good, and {_OLD_CODE} fails without it",
        "release code that does not use it, and drop it in a later revision",
    ),
    Rule(
        "drop-column",
        f"its values are gone for good, and {_OLD_CODE} names it in every query",
        "make it nullable, release models without it, and drop it in a later revision",
    ),
    Rule(
        "rename-table",
        f"{_OLD_CODE} fails on the old name",
        "keep the name and change the model's alone, or leave a view under the old name until no code uses it",
    ),
    Rule(
        "rename-column",
        f"{_OLD_CODE} fails on the old name",
        'keep the name and change the attribute\'s alone, with mapped_column("old_name"), or add a column, write both, '
        "and drop the old one in a later revision",
    ),
    Rule(
        "not-null-without-default",
        "fails if the table has rows, and INSERTs of the release before, which does not know the column, fail",
        f"a server_default, or {_ROWS_FIRST}",
        reasons={
            MYSQL: "rows that are there get 0 or '' unasked, and INSERTs of the release before lack a value and fail",
        },
    ),
    Rule(
        "type-narrowing",
        "fails on the first value that does not fit, or rounds it, after the table was locked and read",
        "look for such values first; then a new column, both written until the old one is dropped in a later revision",
        dialects=(POSTGRESQL, MYSQL),
    ),
    Rule(
        "empty-table",
        "all rows are gone for good",
        "say with a WHERE which rows must go, or allow it with the reason why none is wanted",
    ),
    Rule(
        "unbounded-update",
        "every row is written and stays locked until the revision ends, and those who write one wait",
        _CHUNKS,
        dialects=(POSTGRESQL, MYSQL),
    ),
    Rule(
        "set-not-null",
        "all rows are read while nobody else can read or write the table (ACCESS EXCLUSIVE)",
        "a CHECK (column IS NOT NULL) with postgresql_not_valid=True first; in a later revision VALIDATE CONSTRAINT, "
        "and then this, which reads nothing any more",
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "type-change",
        "the table is written anew while nobody else can read or write it (ACCESS EXCLUSIVE)",
        "a new column, filled in small transactions, both written until the old one is dropped in a later revision",
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "volatile-default",
        "each row needs a value of its own, so the table is written anew while nobody else can read or write it",
        "add the column without it, set the default in a second step, and fill old rows in small transactions",
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "index-not-concurrent",
        "those who write the table wait until it is done (a DROP INDEX: those who read it as well)",
        "postgresql_concurrently=True within `with op.get_context().autocommit_block():`",
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "concurrently-in-transaction",
        "PostgreSQL refuses CONCURRENTLY within a transaction, so the revision fails",
        "put it within `with op.get_context().autocommit_block():`",
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "foreign-key-not-valid",
        "all rows are checked while nobody else can write either table (SHARE ROW EXCLUSIVE)",
        _NOT_VALID,
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "check-not-valid",
        "all rows are checked while nobody else can read or write the table (ACCESS EXCLUSIVE)",
        _NOT_VALID,
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "unique-constraint",
        "its index is built while nobody else can read or write the table (ACCESS EXCLUSIVE)",
        "a unique index with postgresql_concurrently=True first, then op.execute('ALTER TABLE ... ADD CONSTRAINT ... "
        "UNIQUE USING INDEX ...')",
        dialects=(POSTGRESQL,),
    ),
    Rule(
        "table-copy",
        "the whole table is copied, and those who write it wait (all but MariaDB 11.2 and newer)",
        "when nobody writes, or with a tool that copies beside them, as pt-online-schema-change or gh-ost does",
        dialects=(MYSQL,),
    ),
    Rule(
        "modify-forgets-not-null",
        "MODIFY states the whole column again: without existing_nullable or nullable it may be NULL from now on",
        "say existing_nullable=False, or True if NULL is meant; and existing_server_default, if it has one",
        dialects=(MYSQL,),
    ),
    Rule(
        "not-as-sql",
        "the database is asked, so the revision cannot be shown or reviewed as SQL (run-sync --sql fails)",
        "one statement that does it in the database, or allow it with the reason why that does not do",
    ),
    Rule(
        "bad-allowance",
        "the comment says nothing that can be followed",
        "# lint: allow RULE reason",
    ),
    Rule(
        "unused-allowance",
        "nothing that it allows is found there",
        "remove the comment",
    ),
)

#: All rules by name.
RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})

#: About allowances themselves: no comment allows these.
NOT_ALLOWED = frozenset(("bad-allowance", "unused-allowance"))


def described() -> Iterator[tuple[str, str, str, str]]:
    """Yield for each rule its name, where it applies, its reason and the safer way."""
    names = {POSTGRESQL: "PostgreSQL", MYSQL: "MariaDB, MySQL"}
    for rule in _ALL:
        yield rule.name, ", ".join(names[each] for each in rule.dialects) or "all", rule.reason, rule.safer
