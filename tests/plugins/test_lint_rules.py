"""The rules of ``sqlhelpers lint``: what each finds, and what it leaves alone, dialect by dialect."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from lints import FIRST_LINE, MODELS, lint_body, rules_in
from projects import Project, revision_text
from sqlalchemy import create_mock_engine, types
from sqlalchemy.dialects import mysql, postgresql

from sqlhelpers_lint import RULES
from sqlhelpers_lint.columntypes import change_of, in_words
from sqlhelpers_lint.names import is_same, plain
from sqlhelpers_lint.sqltext import statements_in

PAGE = (Path(__file__).parents[2] / "docs" / "lint.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### `([\w-]+)`\n(.*?)(?=^###|\Z)", PAGE, re.DOTALL | re.MULTILINE))
EXAMPLES = {
    name: re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for name, text in SECTIONS.items()
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The app of these tests, made once: there are many."""
    project = Project(tmp_path_factory.mktemp("lint"))
    project.write_app("shop", MODELS, {})
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("SQLHELPERS_", "DATABASE_URL"))]:
            patch.delenv(name)
        patch.chdir(project.folder)
        patch.syspath_prepend(project.folder)
        yield project
    for name in ("shop", "shop.models"):
        sys.modules.pop(name, None)


def dialect_of(rule):
    """Return a dialect that the rule is asked for."""
    return (RULES[rule].dialects or ("postgresql",))[0]


def test_the_page_has_every_rule():
    """And none that there is not."""
    assert list(SECTIONS) == list(RULES)


def test_the_page_begins_with_what_is_printed(shop):
    """Wrapped, since it is a long line."""
    (shown,) = re.findall(r"^```console\n\$ sqlhelpers lint\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (index,) = lint_body(shop, EXAMPLES["index-not-concurrent"][0].strip(), "postgresql")

    assert " ".join(shown.split()).endswith(str(index).partition(f":{index.line}: ")[2])


def test_the_code_on_the_page_runs(shop, monkeypatch, capsys):
    """And prints what comes after the revision that it names."""
    (code,) = re.findall(r"^## In code\n\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (first,) = re.findall(r'since=\["(\w+)"\]', code)
    lint_body(shop, "pass")  # takes away what was there
    for number, body, parent in ((first, 'op.drop_table("old")', None), ("next", 'op.drop_table("book")', first)):
        shop.write(f"shop/migrations/versions/page_{number}.py", revision_text(number, body, parent))
    for old in shop.folder.glob("shop/migrations/versions/r*.py"):
        old.unlink()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere.invalid/shop")
    monkeypatch.setenv("SQLHELPERS_APPS__SHOP__PACKAGE", "shop")
    monkeypatch.setenv("SQLHELPERS_ENABLE_APPS", "shop")

    exec(code, {})

    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"shop/migrations/versions/page_next.py:{FIRST_LINE}: drop-table: ")


@pytest.mark.parametrize("rule", RULES)
def test_the_bad_example_of_the_page_yields_its_rule(shop, rule):
    """And nothing else, so that one mistake is told once."""
    assert rules_in(shop, EXAMPLES[rule][0].strip(), dialect_of(rule)) == [rule]


@pytest.mark.parametrize(("rule", "number"), [(rule, n) for rule in RULES for n in range(1, len(EXAMPLES[rule]))])
def test_the_good_examples_of_the_page_yield_nothing(shop, rule, number):
    """Neither their rule nor another."""
    assert rules_in(shop, EXAMPLES[rule][number].strip(), dialect_of(rule)) == []


ADD = 'op.add_column("book", sa.Column("x", {}))'
ALTER = 'op.alter_column("book", "x", {})'


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        ("sqlite", ADD.format("sa.Integer, nullable=False"), ["not-null-without-default"]),
        ("sqlite", 'op.create_index("i", "book", ["x"])', []),
        ("sqlite", 'op.execute("UPDATE book SET x = 1")', []),
        ("sqlite", 'op.execute("DELETE FROM book")', ["empty-table"]),
        ("sqlite", ALTER.format('new_column_name="y"'), ["rename-column"]),
        ("mariadb", ADD.format("sa.Integer, nullable=False"), ["not-null-without-default"]),
        ("mariadb", 'op.create_index("i", "book", ["x"])', []),
        ("mariadb", 'op.create_foreign_key("f", "book", "author", ["x"], ["id"])', ["table-copy"]),
        ("mysql", 'op.create_check_constraint("c", "book", "x > 0", postgresql_not_valid=True)', ["table-copy"]),
        ("mariadb", ADD.format('sa.Integer, sa.ForeignKey("author.id")'), ["table-copy"]),
        ("mariadb", 'op.create_unique_constraint("u", "book", ["x"])', []),
        ("mariadb", ALTER.format("existing_type=sa.Integer(), nullable=False"), []),
        (
            *("mariadb", ALTER.format("new_column_name='y', existing_type=sa.Integer()")),
            ["modify-forgets-not-null", "rename-column"],
        ),
        ("mariadb", ALTER.format("type_=sa.Text(), existing_nullable=True"), ["table-copy"]),
        ("mariadb", ALTER.format("server_default='1', existing_type=sa.Integer()"), []),
        ("postgresql", ALTER.format("type_=sa.Text"), ["type-change"]),
        ("postgresql", ALTER.format("type_=sa.Text, existing_type=sa.String"), []),
        (
            *("postgresql", ALTER.format("type_=sa.Text, existing_type=sa.String, postgresql_using='upper(x)'")),
            ["type-change"],
        ),
        ("postgresql", ALTER.format("server_default='1'"), []),
        ("postgresql", ALTER.format("nullable=True"), []),
        ("postgresql", ADD.format("sa.Integer, sa.ForeignKey('author.id')"), ["foreign-key-not-valid"]),
        ("postgresql", ADD.format("sa.Integer, sa.CheckConstraint('x > 0')"), ["check-not-valid"]),
        ("postgresql", ADD.format("sa.Integer, unique=True"), ["unique-constraint"]),
        ("postgresql", ADD.format("sa.Integer, index=True, unique=True"), ["index-not-concurrent"]),
        ("postgresql", ADD.format("sa.Integer, sa.Identity(), nullable=False"), ["volatile-default"]),
        ("postgresql", ADD.format("sa.Integer, sa.Computed('id + 1', persisted=True)"), ["volatile-default"]),
        ("postgresql", ADD.format("sa.Integer, primary_key=True"), ["volatile-default"]),
        ("postgresql", ADD.format("sa.DateTime, server_default=sa.func.now(), nullable=False"), []),
        ("postgresql", ADD.format("sa.DateTime, server_default=sa.func.clock_timestamp()"), ["volatile-default"]),
        ("postgresql", 'op.create_primary_key("pk", "book", ["x"])', ["unique-constraint"]),
        ("postgresql", 'op.drop_index("i")', ["index-not-concurrent"]),
        ("postgresql", 'op.drop_index("i", "book", postgresql_concurrently=True)', ["concurrently-in-transaction"]),
        ("postgresql", 'op.drop_index("i", "book")\nop.drop_table("book")', ["drop-table"]),
        ("postgresql", 'op.add_column("book", sa.Column("x", sa.Integer))\nop.drop_column("book", "x")', []),
        ("postgresql", 'op.rename_table("book", "books", schema="shop")', ["rename-table"]),
        ("postgresql", 'op.drop_constraint("c", "book")', []),
        ("oracle", 'op.create_index("i", "book", ["x"])\nop.drop_column("book", "x")', ["drop-column"]),
    ],
)  # fmt: skip
def test_what_operations_yield(shop, dialect, body, expected):
    """Each dialect has the rules that hold for it."""
    assert rules_in(shop, body, dialect, use_squawk=False) == expected


SQL = [
    ("DROP TABLE IF EXISTS a, s.b CASCADE", ["drop-table", "drop-table"]),
    ("TRUNCATE ONLY book", ["empty-table"]),
    ("delete from book -- where id = 1", ["empty-table"]),
    ("DELETE FROM book WHERE id = 1", []),
    ("DELETE FROM book USING author WHERE author.id = book.id", []),
    ("UPDATE book SET x = 'where'", ["unbounded-update"]),
    ("UPDATE book SET x = (SELECT y FROM z WHERE z.id = (book.id))", ["unbounded-update"]),
    ("UPDATE book SET x = 1 WHERE x IN (SELECT 1)", []),
    ("INSERT INTO book VALUES (1)", []),
    ("CREATE INDEX i ON book (x)", ["index-not-concurrent"]),
    ("CREATE UNIQUE INDEX ON book (x)", ["index-not-concurrent"]),
    ("CREATE INDEX i ON ONLY book (x)", []),
    ("CREATE INDEX CONCURRENTLY i ON book (x)", ["concurrently-in-transaction"]),
    ("DROP INDEX i", ["index-not-concurrent"]),
    ("DROP INDEX CONCURRENTLY i", ["concurrently-in-transaction"]),
    ("CREATE INDEX i ON book (x); DROP INDEX s.i", ["index-not-concurrent"]),
    ("ALTER TABLE book RENAME TO books", ["rename-table"]),
    ("ALTER TABLE book RENAME x TO y", ["rename-column"]),
    ("ALTER TABLE book RENAME CONSTRAINT x TO y", []),
    ('ALTER TABLE ONLY "s"."Book" DROP COLUMN "X", DROP y', ["drop-column", "drop-column"]),
    ("ALTER TABLE book DROP CONSTRAINT x", []),
    ("ALTER TABLE book ALTER x SET NOT NULL, ALTER y TYPE bigint", ["set-not-null", "type-change"]),
    ("ALTER TABLE book ALTER x DROP NOT NULL", []),
    ("ALTER TABLE book ADD COLUMN x numeric(10, 2) NOT NULL, ADD y int", ["not-null-without-default"]),
    ("ALTER TABLE book ADD x int NOT NULL DEFAULT 0", []),
    ("ALTER TABLE book ADD x serial", ["volatile-default"]),
    ("ALTER TABLE book ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES author (id)", ["foreign-key-not-valid"]),
    ("ALTER TABLE book ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES author (id) NOT VALID", []),
    ("ALTER TABLE book ADD CHECK (x > 0)", ["check-not-valid"]),
    ("ALTER TABLE book ADD CONSTRAINT u UNIQUE (x)", ["unique-constraint"]),
    ("ALTER TABLE book ADD PRIMARY KEY (x)", ["unique-constraint"]),
    ("ALTER TABLE book ADD CONSTRAINT u PRIMARY KEY USING INDEX i", []),
    ("CREATE FUNCTION f() RETURNS trigger AS 'x' LANGUAGE sql; DELETE FROM book", []),
    ("DO $body$ BEGIN DELETE FROM book; END $body$", []),
    ("SELECT E'it\\'s; DROP TABLE book'", []),
    ("/* ; */ CREATE TEMP TABLE t (x int); CREATE INDEX i ON t (x); DROP TABLE t", []),
]


@pytest.mark.parametrize(("sql", "expected"), SQL)
def test_what_sql_yields(shop, sql, expected):
    """SQL by hand is read as far as the rules need it: strings, comments and bodies are no statements."""
    assert rules_in(shop, f"op.execute({sql!r})", use_squawk=False) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE `book` CHANGE `x` `y` int", ["rename-column"]),
        ("ALTER TABLE `book` CHANGE x x bigint, DROP INDEX i", []),
        ("RENAME TABLE book TO books", ["rename-table"]),
        ("ALTER TABLE book ADD FOREIGN KEY (x) REFERENCES author (id)", ["table-copy"]),
        ("UPDATE book SET x = 'it\\'s; DROP TABLE book' LIMIT 9", []),
        ("ALTER TABLE book ADD x int NOT NULL AUTO_INCREMENT", []),
    ],
)
def test_what_sql_of_mariadb_yields(shop, sql, expected):
    """Its quotes and words are known."""
    assert rules_in(shop, f"op.execute({sql!r})", "mariadb") == expected


def test_concurrently_is_right_outside_of_a_transaction(shop):
    """Whether Alembic is told or SQL is written by hand."""
    body = (
        "with op.get_context().autocommit_block():\n"
        '    op.drop_index("i", "book", postgresql_concurrently=True)\n'
        '    op.execute("DROP INDEX CONCURRENTLY j; CREATE INDEX CONCURRENTLY k ON book (x)")\n'
    )

    assert rules_in(shop, body) == []


def test_a_table_of_the_same_revision_is_never_told_of(shop):
    """Nobody uses it yet, whatever its rows cost; also if it is made by hand, or got its name in the revision."""
    body = (
        'op.create_table("new", sa.Column("id", sa.Integer), schema="s")\n'
        'op.create_index("i", "new", ["id"], schema="s")\n'
        'op.create_unique_constraint("u", "new", ["id"], schema="s")\n'
        'op.execute("UPDATE s.new SET id = 1")\n'
        'op.alter_column("new", "id", nullable=False, schema="s")\n'
        'op.rename_table("new", "newer", schema="s")\n'
        'op.drop_column("newer", "id", schema="s")\n'
        'op.execute("CREATE TABLE IF NOT EXISTS third (id int)")\n'
        'op.drop_table("third")\n'
    )

    assert rules_in(shop, body) == []


def test_a_table_of_the_same_name_in_another_schema_is_another(shop):
    """But one without a schema may be any."""
    body = (
        'op.create_table("new", sa.Column("id", sa.Integer), schema="s")\n'
        'op.drop_table("new", schema="t")\n'
        'op.drop_table("new")\n'
    )

    (finding,) = lint_body(shop, body)

    assert (finding.line, finding.rule) == (FIRST_LINE + 1, "drop-table")


CHANGES = [
    ("postgresql", types.String(50), types.String(20), "narrower"),
    ("postgresql", types.String(50), types.String(50), "free"),
    ("postgresql", types.String(50), types.String(60), "free"),
    ("postgresql", types.String(50), types.Text(), "free"),
    ("postgresql", types.Text(), types.String(50), "narrower"),
    ("postgresql", types.String(50), types.CHAR(50), "rewrite"),
    ("postgresql", types.BigInteger(), types.Integer(), "narrower"),
    ("postgresql", types.SmallInteger(), types.Integer(), "rewrite"),
    ("postgresql", types.Numeric(10, 2), types.Numeric(12, 2), "free"),
    ("postgresql", types.Numeric(10, 2), types.Numeric(), "free"),
    ("postgresql", types.Numeric(10, 2), types.Numeric(12, 4), "rewrite"),
    ("postgresql", types.Numeric(10, 2), types.Numeric(10, 1), "narrower"),
    ("postgresql", types.Numeric(10, 2), types.Numeric(10, 4), "narrower"),
    ("postgresql", types.Numeric(10, 2), types.Integer(), "narrower"),
    ("postgresql", types.Double(), types.REAL(), "narrower"),
    ("postgresql", types.DateTime(), types.Date(), "narrower"),
    ("postgresql", types.DateTime(), types.DateTime(timezone=True), "rewrite"),
    ("postgresql", types.JSON(), postgresql.JSONB(), "rewrite"),
    ("mysql", types.String(30), types.String(60), "free"),
    ("mysql", types.String(30), types.String(100), "rewrite"),
    ("mysql", types.String(100), types.String(200), "free"),
    ("mysql", types.Text(), mysql.TINYTEXT(), "narrower"),
    ("mysql", types.Integer(), types.BigInteger(), "rewrite"),
    ("oracle", types.String(50), types.String(20), "narrower"),
    ("oracle", types.String(50), types.String(60), "rewrite"),
]


@pytest.mark.parametrize(("dialect", "old", "new", "expected"), CHANGES)
def test_what_a_change_of_type_takes(dialect, old, new, expected):
    """What the database does with the rows follows from both types as the dialect writes them."""
    speaks = create_mock_engine({"mysql": "mysql+pymysql"}.get(dialect, dialect) + "://", executor=None).dialect
    words = [in_words(each, speaks).replace("VARCHAR2", "VARCHAR").replace(" CHAR)", ")") for each in (old, new)]

    assert change_of(*words, dialect) == expected


def test_a_type_that_a_dialect_cannot_write_is_told_as_python_has_it(shop):
    """What is compared is then nothing but that."""
    body = 'op.alter_column("book", "x", type_=sa.Integer(), existing_type=sa.types.NullType())'

    (finding,) = lint_body(shop, body)

    assert "from NullType() to INTEGER" in finding.text


def test_names_are_the_same_whatever_their_quotes():
    """A schema that is not said may be any."""
    assert plain('"S". "Book"') == "s.book"
    assert plain("`a`.b") == "a.b"
    assert is_same("s.book", "book")
    assert not is_same("s.book", "t.book")


def test_statements_are_told_apart():
    """Semicolons in quotes, strings and comments end nothing."""
    sql = "SELECT 'a;b', \"c;d\"; -- e;\n/* f; */ DROP\n TABLE g;"

    assert statements_in(sql, "postgresql") == ["SELECT '', \"c;d\"", "DROP TABLE g"]
