"""``sqlhelpers lint``: which revisions it looks at, what it prints, what comments allow, and what it needs."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from databases import MODELS as TABLES
from databases import REVISIONS, execute, runtime
from lints import FIRST_LINE, MODELS, lint, lint_body, rules_in, url_of
from projects import revision_text, run

import sqlhelpers_lint
from sqlhelpers.exceptions import AppError, ConfigurationError, Refused
from sqlhelpers_lint import RULES, LintFinding
from sqlhelpers_lint.command import lint as command_of_lint

SHOP = '[tool.sqlhelpers.apps.shop]\npackage = "shop"\n'
DROP = 'op.drop_column("book", "x")'
VERSIONS = "shop/migrations/versions"


@pytest.fixture(autouse=True)
def shop(project, monkeypatch):
    """The app of these tests: three revisions, each of which drops a column."""
    texts = {f"r{n}.py": revision_text(f"r{n}", DROP, f"r{n - 1}" if n > 1 else None) for n in (1, 2, 3)}
    project.write_app("shop", MODELS, texts)
    project.write_pyproject(SHOP)
    monkeypatch.setenv("DATABASE_URL", url_of("postgresql"))
    return project


@pytest.fixture
def repository(shop):
    """A repository of git that holds the project, at whose branch ``main`` the app has its first two revisions."""
    third = shop.folder / VERSIONS / "r3.py"
    text = third.read_text()
    third.unlink()
    git(shop, "init", "-q", "-b", "main")
    git(shop, "add", ".")
    git(shop, "commit", "-qm", "two revisions")
    git(shop, "switch", "-qc", "branch")
    third.write_text(text)
    return shop


def git(project, *arguments):
    """Run git in the project."""
    name = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *name, *arguments], cwd=project.folder, check=True, capture_output=True)


def revisions(*words, dialect="postgresql", **options):
    """Return the revisions in which something is found."""
    return [finding.revision for finding in lint(dialect, *words, **options)]


def test_a_finding_says_where_what_and_what_is_safer(shop):
    """In one line, whose path leads from the working directory to the file."""
    (finding,) = lint_body(shop, "\n" * 3 + DROP)
    name = next(Path(VERSIONS).glob("*.py")).name

    assert (finding.path, finding.line, finding.rule) == (f"{VERSIONS}/{name}", FIRST_LINE + 3, "drop-column")
    assert (finding.database, finding.app, finding.revision, finding.direction) == ("default", "shop", "r1", "upgrade")
    assert str(finding) == (
        f"{VERSIONS}/{name}:{FIRST_LINE + 3}: drop-column: drops column book.x: its values are gone for good, and the "
        "release before, which still runs meanwhile, names it in every query; safer: make it nullable, release models "
        "without it, and drop it in a later revision"
    )


def test_a_file_elsewhere_has_its_whole_path(shop, monkeypatch, tmp_path):
    """So that it can be found."""
    monkeypatch.chdir(tmp_path / "project" / "shop" / "migrations" / "versions")
    monkeypatch.setenv("SQLHELPERS_APPS__SHOP__PACKAGE", "shop")

    inside = lint()
    monkeypatch.chdir(tmp_path / "project" / "shop" / "migrations")
    (shop.folder / "elsewhere").mkdir()
    monkeypatch.chdir(shop.folder / "elsewhere")

    assert inside[0].path == "r3.py"
    assert lint()[0].path == str(shop.folder / VERSIONS / "r3.py")


def test_the_line_is_that_of_the_operation(shop):
    """In a batch that of each operation, in a helper its own line, in a call of several lines the first of them."""
    body = (
        'with op.batch_alter_table("book") as batch:\n'
        '    batch.drop_column("x")\n'
        '    batch.add_column(\n        sa.Column("y", sa.Integer(), nullable=False),\n    )\n'
        "helper()\n\n\n"
        "def_ = None\n"
    )
    path = f"{VERSIONS}/r9.py"
    text = revision_text("r9", body, "r3") + '\n\ndef helper():\n    op.drop_table("author")\n'
    shop.write(path, text)
    lines = text.splitlines()

    found = {finding.rule: finding.line for finding in lint("postgresql", "r9")}

    assert found == {
        "drop-column": FIRST_LINE + 1,
        "not-null-without-default": FIRST_LINE + 2,
        "drop-table": lines.index('    op.drop_table("author")') + 1,
    }


def test_a_batch_on_sqlite_needs_no_table(shop):
    """Where it would rebuild the table, which has to be looked at for that, its operations are known all the same."""
    body = (
        'with op.batch_alter_table("book"{}) as batch:\n    batch.drop_column("x")\nop.rename_table("book", "books")\n'
    )
    table = ', copy_from=sa.Table("book", sa.MetaData(), sa.Column("x", sa.Integer), sa.Column("y", sa.Integer))'

    for options in ("", ', recreate="always"', table):
        assert rules_in(shop, body.format(options), "sqlite") == ["drop-column", "rename-table"]


def test_the_newest_revision_is_looked_at_by_default(shop):
    """Old ones have run everywhere; of a branched history, each head."""
    assert revisions() == ["r3"]

    shop.write(f"{VERSIONS}/r4.py", revision_text("r4", DROP, "r2"))

    assert revisions() == ["r3", "r4"]


def test_all_can_be_looked_at_and_a_baseline_set():
    """What comes after a revision is what is neither it nor before it."""
    assert revisions(every=True) == ["r1", "r2", "r3"]
    assert revisions(since=["r1"]) == ["r2", "r3"]
    assert revisions(since=["r3"]) == []


def test_a_merge_comes_after_both_its_sides(shop):
    """And what it depends on is before it."""
    shop.write(f"{VERSIONS}/r4.py", revision_text("r4", DROP, "r2"))
    merge = revision_text("r5", DROP).replace("down_revision = None", 'down_revision = ("r3", "r4")')
    shop.write(f"{VERSIONS}/r5.py", merge)

    assert revisions(since=["r4"]) == ["r3", "r5"]
    assert revisions(since=["r3", "r4"]) == ["r5"]


def test_revisions_and_files_can_be_named(shop):
    """In full, by their begin if that is clear, or by the path of their file; and with the app before them."""
    shop.write(f"{VERSIONS}/long.py", revision_text("abcdef", DROP, "r3"))

    assert revisions("r1", "abcd") == ["abcdef", "r1"]
    assert revisions("shop", "head") == ["abcdef"]
    assert revisions(f"{VERSIONS}/r2.py") == ["r2"]
    assert revisions("shop") == ["abcdef"]
    assert revisions("shop", "r1") == ["r1"]
    shop.write(f"{VERSIONS}/longer.py", revision_text("abcdee", DROP, "abcdef"))
    with pytest.raises(AppError, match="'abcde' is the beginning of several revisions: abcdee, abcdef"):
        lint("postgresql", "abcde")
    with pytest.raises(
        AppError, match=r"no app, no revision and no revision file 'shap' \(apps: shop\); did you mean shop\?"
    ):
        lint("postgresql", "shap")
    with pytest.raises(AppError, match=r"no revision file 'nothing.py' \(apps: shop\)$"):
        lint("postgresql", "nothing.py")


def test_one_of_two_apps_can_be_looked_at(shop, command):
    """A baseline is one of the app that has the revision; a name that both have needs the app before it."""
    shop.write_app("notes", MODELS.replace("book", "note"), {"n1.py": revision_text("r1", DROP)})
    shop.write_pyproject(f'{SHOP}[tool.sqlhelpers.apps.notes]\npackage = "notes"\n')

    def found(*words):
        return {(row["app"], row["revision"]) for row in json.loads(command("lint", "--json", *words).stdout)}

    assert found() == {("shop", "r3"), ("notes", "r1")}
    assert found("notes") == {("notes", "r1")}
    assert found("shop", "r1") == {("shop", "r1")}
    assert found("--since", "r2") == {("shop", "r3")}
    assert "r1 can be meant for several apps: name one of notes, shop" in command("lint", "r1").errors[0]
    assert found("head") == {("shop", "r3"), ("notes", "r1")}


def test_what_a_branch_has_changed_is_looked_at(repository):
    """Whether it is committed or not, or was merged from elsewhere; what is not in git counts, unless it is ignored."""
    assert revisions(since_git="main") == ["r3"]

    git(repository, "add", ".")
    git(repository, "commit", "-qm", "a third")
    first = repository.folder / VERSIONS / "r1.py"
    first.write_text(first.read_text() + "\n")

    assert revisions(since_git="main") == ["r1", "r3"]
    assert revisions(since_git="main", since=["r2"]) == ["r3"]


def test_a_commit_that_git_does_not_know_is_an_error(repository, monkeypatch, shop):
    """The message says what CI has to fetch; so it does without git."""
    with pytest.raises(ConfigurationError, match=r"--since-git gone: git merge-base: .*fetch-depth: 0"):
        lint(since_git="gone")

    git(repository, "switch", "-q", "--orphan", "other")
    shop.write("x.txt", "")
    git(repository, "add", "x.txt")
    git(repository, "commit", "-qm", "another begin")
    shop.write(f"{VERSIONS}/r1.py", revision_text("r1", DROP))
    with pytest.raises(ConfigurationError, match="they have no commit in common"):
        lint(since_git="main")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="--since-git needs git"):
        lint(since_git="main")


def test_what_is_pending_is_looked_at(command, shop, monkeypatch, sqlite_url):
    """The database is asked which revisions it has not run."""
    texts = {**REVISIONS, "r4.py": revision_text("r4", DROP.replace("x", "title"), "r3")}
    shop.write_app("shop", TABLES, {name: texts[name] for name in REVISIONS})
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    command("run-sync")
    shop.write(f"{VERSIONS}/r4.py", texts["r4.py"])

    behind = command("lint", "--pending")
    execute(sqlite_url, "UPDATE alembic_version_shop SET version_num = 'r4'")
    none = command("lint", "--pending")
    execute(sqlite_url, "DROP TABLE alembic_version_shop")
    unknown = command("lint", "--pending")

    assert behind.stdout.startswith(f"{VERSIONS}/r4.py:{FIRST_LINE}: drop-column")
    assert none.status == 0
    assert none.stderr == "note: there is no revision to look at\n"
    assert unknown.status == 3
    assert "no revision is recorded" in unknown.errors[0]


def test_a_folder_that_two_databases_share_is_looked_at_once(shop, command):
    """For each dialect that they have."""
    shop.write_app("alone", "", {"a1.py": revision_text("a1", DROP)})
    alone = 'alembic = {migrations_path = "alone/migrations"}'
    shop.write_pyproject(
        "[tool.sqlhelpers.databases]\n"
        + "".join(f'{name} = {{sqlalchemy = {{url = "{url_of(dialect)}"}}, {alone}}}\n' for name, dialect in DATABASES)
    )

    rows = json.loads(command("lint", "--json").stdout)

    assert [(row["database"], row["app"], row["revision"]) for row in rows] == [("a", None, "a1"), ("c", None, "a1")]
    assert "note: a: " in command("lint", "-d", "a").stderr


DATABASES = (("a", "postgresql"), ("b", "postgresql"), ("c", "sqlite"))


def test_the_command_prints_a_line_for_each_finding(command):
    """Data on stdout, and what was looked at on stderr; the exit status tells whether there is anything."""
    done, zero = command("lint"), command("lint", "--exit-zero")

    assert done.status == 1
    assert done.stdout == "".join(f"{finding}\n" for finding in lint())
    assert done.stderr == (
        "note: default: shop: looked at 1 of 3 revisions for postgresql: r3\n"
        "note: --since, --since-git, --pending and --all look at more than the newest\n"
    )
    assert zero.status == 0
    assert zero.stdout == done.stdout


def test_more_than_three_revisions_are_not_all_named(command, shop):
    """A note stays short."""
    shop.write(f"{VERSIONS}/r4.py", revision_text("r4", "print('not data')", "r3"))

    done = command("lint", "--all", "--downgrade")

    assert "looked at 4 of 4 revisions for postgresql: r1, r2, r3, ...\n" in done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_findings_can_be_read_by_machines(command):
    """As JSON, and as annotations of GitHub, which have signs of their own for what would end a part of them."""
    rows = json.loads(command("lint", "--json").stdout)
    github = command("lint", "--format", "github").stdout
    zero = command("lint", "--format", "github", "--exit-zero").stdout

    assert [LintFinding(**row) for row in rows] == list(lint())
    begin = f"::error file={VERSIONS}/r3.py,line={FIRST_LINE},title=drop-column::drops column book.x: "
    assert github.startswith(begin)
    assert zero.startswith("::warning file=")
    assert github.count("\n") == 1


def test_rules_can_be_listed(command):
    """With their dialects and reasons; nothing else is read."""
    rows = json.loads(command("lint", "--rules", "--json").stdout)
    words = command("lint", "--rules").stdout.splitlines()

    assert [row["rule"] for row in rows] == list(RULES)
    assert [line.partition(" ")[0] for line in words] == list(RULES)
    assert rows[0]["dialects"] == "all"
    assert next(line for line in words if line.startswith("table-copy")).split()[1:3] == ["MariaDB,", "MySQL"]


def test_usage_is_checked(command):
    """A dialect that there is not, and options that say the opposite, are named."""
    assert command("lint", "--dialect", "postgres").status == 2
    assert "no dialect 'postgres'" in command("lint", "--dialect", "postgres").errors[0]
    assert command("lint", "--all", "--pending").status == 2
    assert command("lint", "--dialect", "sqlite", "r1").status == 1


def test_downgrades_are_looked_at_when_asked(shop):
    """A revision without one is no fault."""
    text = revision_text("r9", DROP, "r3").replace("downgrade():\n    pass", "downgrade():\n    op.drop_table('book')")
    shop.write(f"{VERSIONS}/r9.py", text)
    shop.write(f"{VERSIONS}/r8.py", text.partition("\n\ndef downgrade")[0].replace("r9", "r8"))

    assert [(each.rule, each.direction) for each in lint(downgrade=True)] == [
        ("drop-column", "upgrade"),
        ("drop-column", "upgrade"),
        ("drop-table", "downgrade"),
    ]
    assert {each.direction for each in lint()} == {"upgrade"}


ALLOWED = [
    DROP + "  # lint: allow drop-column nobody reads it",
    "# lint: allow drop-column nobody reads it\n" + DROP,
    "# lint: allow drop-column: nobody reads it\n# and a comment more\n" + DROP,
    'op.drop_column(\n    "book",  # lint: allow drop-column nobody reads it\n    "x",\n)',
    'op.drop_column(\n    "book",\n    # lint: allow drop-column nobody reads it\n    "x",\n)',
    'with op.batch_alter_table("book") as b:\n    # lint: allow drop-column nobody reads it\n    b.drop_column("x")',
    f"if True:\n    {DROP}  #lint:allow drop-column nobody reads it",
    f"# lint: allow-file drop-column nobody reads it\n\n{DROP}\n{DROP}",
]


@pytest.mark.parametrize("body", ALLOWED)
def test_a_comment_allows_a_rule(shop, body):
    """On a line of the statement or above it, or for the whole file."""
    assert rules_in(shop, body) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"# lint: allow drop-table it is another rule\n{DROP}", ["unused-allowance", "drop-column"]),
        (f"# lint: allow drop-column it stands too far above\n\n{DROP}", ["unused-allowance", "drop-column"]),
        (f"{DROP}\n# lint: allow drop-column it stands below", ["drop-column", "unused-allowance"]),
        (f"if True:  # lint: allow drop-column it is within\n    {DROP}", ["unused-allowance", "drop-column"]),
        (f"{DROP}  # lint: allow drop-column", ["bad-allowance"]),
        (f"{DROP}  # lint: allow", ["bad-allowance", "drop-column"]),
        (f"{DROP}  # lint: allow drop-colum nobody reads it", ["bad-allowance", "drop-column"]),
        (f"{DROP}  # lint: allow unused-allowance it is not allowed", ["bad-allowance", "drop-column"]),
        (f"{DROP}  # lint: alow drop-column nobody reads it", ["bad-allowance"]),
        (f"{DROP}  # pylint: disable=all", ["drop-column"]),
        (f'{DROP}; x = "# lint: allow drop-column in a string"', ["drop-column"]),
        ("# lint: allow index-not-concurrent for another dialect\npass", []),
        ("# lint: allow squawk/ban-drop-view asked on PostgreSQL only\npass", []),
        ("# lint: allow drop-table what comes is not known\nint('x')", ["not-as-sql"]),
    ],
)  # fmt: skip
def test_a_comment_that_does_not_say_it_well_is_told_of(shop, body, expected):
    """One that allows nothing as well; if its rule was asked, and all was seen."""
    assert rules_in(shop, body, "sqlite") == expected


def test_a_mistyped_comment_is_told_with_the_near_word(shop):
    """Both for the rule and for the verb."""
    near = {
        "# lint: allow drop-colum why": "there is no rule 'drop-colum' to allow; did you mean drop-column?",
        "# lint: alow drop-column why": "there is no `lint: alow`; did you mean allow?",
        "# lint: ignore": "there is no `lint: ignore`",
        "# lint: allow drop-column": "it does not say why drop-column is no harm here",
        "# lint: allow": "it names no rule",
    }

    for comment, text in near.items():
        assert lint_body(shop, f"pass  {comment}")[0].text == text


def test_a_comment_for_a_downgrade_is_judged_with_it(shop):
    """Without it nobody knows; with it, one for the whole file is judged as well."""
    text = revision_text("r9", "pass", "r3") + "    # lint: allow drop-table it was empty\n    op.drop_table('book')\n"
    shop.write(f"{VERSIONS}/r9.py", "# lint: allow-file drop-column nothing is dropped\n" + text)

    assert lint() == ()
    assert [each.rule for each in lint(downgrade=True)] == ["unused-allowance"]


def test_queries_are_told_of_and_answered_with_nothing(shop):
    """So that what comes after them is looked at too, whichever way they are made."""
    body = (
        "bind = op.get_bind()\n"
        'assert bind.scalar(sa.text("SELECT 1")) is None\n'
        'assert bind.scalars(sa.select(sa.column("x"))).all() == []\n'
        'assert bind.exec_driver_sql("WITH x AS (SELECT 1) SELECT * FROM x").first() is None\n'
        'assert bind.execute(sa.table("book", sa.column("x")).insert().returning(sa.column("x"))).all() == []\n'
        'while bind.execute(sa.text("UPDATE book SET x = 1 WHERE x = 2")).rowcount:\n    pass\n'
        'bind.execute(sa.text(""))\n'
        f"{DROP}\n"
    )

    found = [(each.line - FIRST_LINE, each.rule) for each in lint_body(shop, body)]

    assert found == [*((line, "not-as-sql") for line in range(1, 6)), (8, "drop-column")]


def test_what_is_given_to_the_connection_is_looked_at(shop):
    """SQL, and the tables that models make."""
    body = (
        "bind = op.get_bind()\n"
        'bind.execute(sa.text("DELETE FROM author"))\n'
        'table = sa.Table("new", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("x", sa.Integer))\n'
        "table.metadata.create_all(bind)\n"
        'op.drop_column("new", "x")\n'
        'table = sa.table("book", sa.column("id"), sa.column("x"))\n'
        'bind.execute(table.update().values(x=sa.bindparam("new")), [{"new": 1}])\n'
        "bind.execute(table.update().values(x=object()))\n"
    )

    found = [(each.line - FIRST_LINE, each.rule) for each in lint_body(shop, body)]

    assert found == [(1, "empty-table"), (6, "unbounded-update"), (7, "unbounded-update")]


def test_what_cannot_run_without_a_database_is_told_of(shop):
    """With its line and the reason; what came before is told as well."""
    body = f'{DROP}\nif "x" in sa.inspect(op.get_bind()).get_table_names():\n    op.drop_table("x")\n'

    first, second = lint_body(shop, body)

    assert (first.rule, second.rule, second.line) == ("drop-column", "not-as-sql", FIRST_LINE + 1)
    assert "what comes after it was not looked at: NoInspectionAvailable: " in second.text
    assert [each.line for each in lint_body(shop, "bind = op.get_bind()\nbind.execute(sa.text('SELECT 1')).one()")] == [
        FIRST_LINE + 1
    ]
    assert rules_in(shop, "raise SystemExit(1)") == ["not-as-sql"]


def test_an_operation_of_the_user_is_known_by_its_sql(shop):
    """One that is registered with Alembic, and calls others or writes SQL itself."""
    shop.write(
        "shop/operations.py",
        "from alembic.operations import MigrateOperation, Operations\n\n\n"
        '@Operations.register_operation("clear")\n'
        "class Clear(MigrateOperation):\n"
        "    @classmethod\n"
        "    def clear(cls, operations, table):\n"
        "        operation = cls()\n"
        "        operation.table = table\n"
        "        return operations.invoke(operation)\n\n\n"
        "@Operations.implementation_for(Clear)\n"
        "def clear(operations, operation):\n"
        '    operations.impl.execute(f"DELETE FROM {operation.table}")\n'
        '    operations.execute(f"DROP TABLE {operation.table}")\n',
    )

    found = [(each.line, each.rule) for each in lint_body(shop, "import shop.operations\nop.clear('book')")]

    assert found == [(FIRST_LINE + 1, "drop-table")]


def test_a_file_that_cannot_be_imported_is_an_error(command, shop):
    """There is nothing to look at."""
    shop.write(f"{VERSIONS}/r4.py", revision_text("r4", DROP, "r3") + "\nraise ValueError('no')\n")

    done = command("lint")

    assert done.status == 2
    assert "r4.py cannot be run: ValueError: no" in done.errors[0]


ENVIRONMENT = """
from alembic import context
import shop.operations

context.configure(url=context.config.get_main_option("sqlalchemy.url"), literal_binds=True, {})
with context.begin_transaction():
    context.run_migrations()
"""


def test_an_environment_of_the_user_is_honoured(shop):
    """It says whether there are transactions, and brings what revisions need."""
    shop.write("shop/operations.py", "")
    concurrent = 'op.create_index("i", "book", ["x"], postgresql_concurrently=True)'

    shop.write("shop/migrations/env.py", ENVIRONMENT.format("transaction_per_migration=True"))
    assert rules_in(shop, concurrent) == ["concurrently-in-transaction"]
    shop.write("shop/migrations/env.py", ENVIRONMENT.format("transactional_ddl=False"))
    assert rules_in(shop, concurrent) == []


def test_an_environment_that_does_not_do_is_named(shop):
    """It may need a database, or run nothing without one."""
    shop.write("shop/migrations/env.py", "raise KeyError('DATABASE')")
    with pytest.raises(AppError, match=r"env.py cannot be used without a database: KeyError: 'DATABASE'"):
        lint()
    shop.write("shop/migrations/env.py", "")
    with pytest.raises(AppError, match=r"env.py does not run migrations where there is no database"):
        lint()


TRUNCATED = f"op.create_table('t', sa.Column('x', sa.Integer))\nop.create_index('{'i' * 64}', 't', ['x'])"
DOMAIN = 'op.execute("CREATE DOMAIN price AS int CHECK (VALUE > 0)")'
NEEDS_SQUAWK = pytest.mark.skipif(
    shutil.which("squawk", path=sysconfig.get_path("scripts")) is None, reason="squawk has no wheel for this platform"
)


@NEEDS_SQUAWK
def test_squawk_is_asked_on_postgresql(shop):
    """What it finds has the line of the operation, a name of its own, and can be allowed."""
    body = f'op.execute("""\n    SELECT 1;\n""")\n{DROP}\n{DOMAIN}'

    found = [(each.line - FIRST_LINE, each.rule) for each in lint_body(shop, body)]

    assert found == [(3, "drop-column"), (4, "squawk/ban-create-domain-with-constraint")]
    assert rules_in(shop, DOMAIN, "sqlite") == []
    assert rules_in(shop, DOMAIN, use_squawk=False) == []
    allowed = f"# lint: allow squawk/ban-create-domain-with-constraint it is never changed\n{DOMAIN}"
    assert rules_in(shop, allowed) == []
    assert rules_in(shop, allowed.replace("-with-", "-without-"))[0] == "unused-allowance"


@NEEDS_SQUAWK
def test_squawk_says_nothing_of_new_tables_and_obeys_its_file(shop, monkeypatch):
    """``.squawk.toml`` of the working directory holds."""
    body = "op.create_table('t', sa.Column('x', sa.Integer))\nop.alter_column('t', 'x', comment='y')"
    monkeypatch.chdir(shop.folder)
    assert rules_in(shop, body) == []
    shop.write(".squawk.toml", 'excluded_rules = ["ban-create-domain-with-constraint"]\n')
    assert rules_in(shop, DOMAIN) == []
    shop.write(".squawk.toml", "excluded_rules = 1\n")
    with pytest.raises(ConfigurationError, match=r"squawk \(.*\) failed: "):
        lint()


def fake_squawk(monkeypatch, folder, printed):
    """Put a program in the place of squawk that prints this."""
    program = folder / "squawk"
    program.write_text(f"#!{sys.executable}\nprint({printed!r})\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(folder))


def test_what_squawk_says_of_begin_or_of_a_new_table_is_left_out(shop, monkeypatch, tmp_path):
    """And a rule without advice leads to its page."""
    body = 'op.create_table("t", sa.Column("x", sa.Integer))\nop.create_table_comment("t", "new")\nop.execute("VACUUM")'

    def said(line):
        return {"file": "0.sql", "line": line, "rule_name": "new-rule", "message": "It is\nbad.", "help": None}

    fake_squawk(monkeypatch, tmp_path, json.dumps([said(line) for line in (0, 1, 4, 5, 90)]))

    (finding,) = lint_body(shop, body)

    assert (finding.line, finding.rule, finding.text) == (FIRST_LINE + 2, "squawk/new-rule", "It is bad")
    assert finding.safer == "see https://squawkhq.com/docs/new-rule"


def test_a_new_table_is_new_with_and_without_its_schema(shop, monkeypatch, tmp_path):
    """Also where the revision names its schema only once."""
    body = 'op.create_table("t", sa.Column("x", sa.Integer), schema="public")\nop.create_table_comment("t", "new")'
    said = {"file": "0.sql", "line": 5, "rule_name": "new-rule", "message": "bad", "help": None}
    fake_squawk(monkeypatch, tmp_path, json.dumps([said | {"line": line} for line in range(12)]))

    assert [each.rule for each in lint_body(shop, body)] == []


def test_a_squawk_that_says_nothing_has_failed(monkeypatch, tmp_path):
    """Its exit status is told where it gave no reason."""
    fake_squawk(monkeypatch, tmp_path, "")

    with pytest.raises(ConfigurationError, match="failed: it ended with 0"):
        lint()


def test_without_squawk_there_is_a_note(command, monkeypatch, tmp_path):
    """Where it would have been asked: on PostgreSQL, unless it is not wanted."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    note = "note: squawk has more rules for PostgreSQL: pip install 'sqlhelpers[lint]'\n"

    assert note in command("lint").stderr
    assert note not in command("lint", "--no-squawk").stderr
    assert note not in command("lint", "--dialect", "mariadb").stderr


def test_the_command_is_quickly_there(tmp_path):
    """Importing the plugin imports nothing that takes a while, so that help is quick."""
    code = "import sqlhelpers_lint, sqlhelpers_lint.command, sys; print(*sys.modules)"

    done = run([sys.executable, "-c", code], tmp_path)

    assert not {"sqlalchemy", "alembic", "pydantic"} & set(done.stdout.split())
    assert command_of_lint.name == "lint"


def test_the_names_of_the_plugin_are_there():
    """Each when it is first used; another is an error."""
    assert {each for each in sqlhelpers_lint.__all__ if getattr(sqlhelpers_lint, each) is None} == set()
    with pytest.raises(AttributeError, match="module 'sqlhelpers_lint' has no attribute 'nothing'"):
        _ = sqlhelpers_lint.nothing


def test_an_app_at_a_state_in_doubt_has_nothing_pending(sqlite_url):
    """A person must decide first, as for a run."""
    execute(sqlite_url, "CREATE TABLE book (id INTEGER PRIMARY KEY)")

    with runtime(sqlite_url) as made, pytest.raises(Refused, match="app shop: its tables are there"):
        sqlhelpers_lint.lint(made, pending=True)
