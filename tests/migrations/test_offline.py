"""Revisions as SQL, without a connection."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from databases import MODELS, REVERSIBLE, app_tables, connected, snapshot
from projects import revision_text
from sqlalchemy import make_url, text

from sqlhelpers import Runtime
from sqlhelpers.migrations.running.offline import Script, as_sql


@pytest.fixture(autouse=True)
def shop(project):
    """The app of these tests."""
    project.write_app("shop", MODELS, REVERSIBLE)
    project.write_pyproject('[tool.sqlhelpers.apps.shop]\npackage = "shop"\n')
    return project


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_sql_needs_no_server_and_shows_no_secret(command, monkeypatch, server):
    """Everything that the revisions do is printed, with the record of the position, and nothing is connected to."""
    monkeypatch.setenv("DATABASE_URL", f"{server}://user:a-secret-word@nowhere.invalid/shop")

    done = command("run-sync", "--sql")

    assert done.status == 0
    assert "a-secret-word" not in done.output
    for part in ("CREATE TABLE author", "ALTER TABLE book ADD COLUMN title", "alembic_version_shop"):
        assert part in done.stdout


def test_the_sql_makes_the_database(command, monkeypatch, postgres_url):
    """What is printed can be run by hand; afterwards a run finds nothing to do."""
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    script = command("run-sync", "--sql").stdout
    with connected(postgres_url) as connection:
        connection.connection.driver_connection.execute(script)
        connection.execute(text("COMMIT"))
    done = command("run-sync")

    assert "up to date at r3" in done.stdout
    assert app_tables(postgres_url) == {"author", "book", "alembic_version_shop"}


def test_a_revision_that_needs_rows_is_named(command, shop, monkeypatch):
    """What reads from the database cannot be told without one."""
    body = "op.get_bind().execute(sa.text('SELECT 1')).all()"
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", body, "r3"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere.invalid/shop")

    done = command("run-sync", "--sql")

    assert done.status == 1
    assert "revision r4 of app 'shop'" in done.errors[0]
    assert "cannot be told without a database" in done.errors[0]


#: What has to be quoted with care.
ODD = r"""a 'quoted' \\ back\\slash, 100 % and a :colon; and "more"; -- no comment
on two lines"""
ROWS = f"""op.bulk_insert(
    sa.table("author", sa.column("id", sa.Integer), sa.column("name", sa.String)),
    [{{"id": 1, "name": {ODD!r}}}],
)
op.execute(sa.text("UPDATE author SET name = :name WHERE id = 2").bindparams(name={ODD!r}))"""


NOTICE = 'NOTICE:  relation "alembic_version_shop" already exists, skipping\n'


def program(url: str) -> list[str]:
    """Return the command of the program that reads SQL for a database."""
    place = make_url(url)
    words = {
        "sqlite": ["sqlite3", "-bail", str(place.database)],
        "postgresql": ["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", url],
        "mariadb": [
            *("mariadb", f"--host={place.host}", f"--port={place.port}", f"--user={place.username}"),
            *("--protocol=tcp", "--skip-ssl", str(place.database)),
        ],
    }[place.get_backend_name()]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return words


def fed(url: str, script: str) -> None:
    """Let the program of a database run a script."""
    env = {**os.environ, "MYSQL_PWD": make_url(url).password or ""}
    done = subprocess.run(program(url), input=script, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.replace(NOTICE, "")) == (0, "")


def without_journal(url: str) -> dict[str, object]:
    """Return all that is in a database, but for the journal, which a script does not write, and an empty record.

    Alembic before 1.18.5 drops that when all is undone.
    """
    found = {name: each for name, each in snapshot(url).items() if name != "sqlhelpers_journal"}
    return {name: each for name, each in found.items() if not name.startswith("alembic_version") or each[1]}


def test_programs_of_databases_take_the_scripts(shop, command, monkeypatch, url):
    """Up, further up, down and a stamp: they leave behind what our own run does, rows and positions included."""
    author = REVERSIBLE["r1.py"].replace("sa.String(50)", "sa.String(200)")
    shop.write("shop/migrations/versions/r1.py", author)
    shop.write(
        "shop/migrations/versions/r4.py", revision_text("r4", ROWS, "r3", downgrade="op.execute('DELETE FROM author')")
    )
    monkeypatch.setenv("DATABASE_URL", url)
    seen: dict[str, list[object]] = {"theirs": [], "ours": []}
    scripts = [
        ("upgrade", "shop", ":r2"),
        ("upgrade", "r2:r4"),
        ("downgrade", "shop", "r4:r2"),
        ("downgrade", "r2:base"),
        ("stamp", "shop", "r1"),
        ("stamp", "r1:r3"),
    ]
    steps = [tuple(words.split()) for words in ("upgrade r2", "upgrade r4", "downgrade r2", "downgrade base")]
    steps += [("stamp", "r1"), ("stamp", "r3")]
    for words in scripts:
        done = command(*words, "--sql")
        assert (done.status, done.stderr) == (0, "")
        fed(url, done.stdout)
        seen["theirs"].append(without_journal(url))
    command("stamp", "base", "--yes")
    for words in steps:
        done = command(*words, *(["--yes"] if words[0] != "upgrade" else []))
        assert done.status == 0, done
        seen["ours"].append(without_journal(url))

    positions = [each["alembic_version_shop"][1] for each in seen["theirs"] if "alembic_version_shop" in each]
    assert positions == [[("r2",)], [("r4",)], [("r2",)], [("r1",)], [("r3",)]]
    assert seen["theirs"] == seen["ours"]
    assert seen["ours"][1]["author"][1][0][1] == ODD


def test_each_database_and_app_has_a_comment(shop, command):
    """So that the scripts of several can be told apart, each in its own dialect."""
    shop.write_app("other", "from shop.models import Base\n", {"o1.py": revision_text("o1")})
    shop.write_pyproject(
        '[tool.sqlhelpers]\ndatabases = {default = "postgresql://u:secret@nowhere.invalid/x", more = "mysql://nowhere.invalid/y"}'
        '\napps = {shop = {package = "shop"}, other = {package = "other", bind = "more"}}\n'
    )
    up, down = command("run-sync", "--sql"), command("downgrade", "head:base", "--sql")
    one = command("upgrade", "o1", "--sql")

    assert [line for line in up.stdout.splitlines() if line.startswith("-- database")] == [
        "-- database default (postgresql), app shop: upgrade base -> head",
        "-- database more (mysql), app other: upgrade base -> head",
    ]
    assert "-- database default (postgresql), app shop: downgrade head -> base" in down.stdout
    assert one.stdout.startswith("-- database more (mysql), app other: upgrade base -> o1\n")
    assert "secret" not in up.output + down.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["downgrade", "shop", "r1"], "say FROM:TO"),
        (["downgrade", "shop", "r1:"], "say FROM:TO"),
        (["stamp", "shop", "r1", "--purge"], "--purge looks into the database"),
        (["stamp", "shop", "r1:r2", "r2:r3"], "say the same FROM for all"),
        (["upgrade", "shop", "r1:r2:r3"], "is no range of revisions"),
        (["upgrade", "shop", "r1:r9"], "app 'shop': there is no revision 'r9'"),
        (["downgrade", "shop", "r1:r3"], "Destination r3 is not a valid downgrade target"),
        (["upgrade", "shop", "current:r3"], "current"),
    ],
)
def test_what_cannot_be_told_as_sql(command, monkeypatch, words, reason):
    """Is a mistake of usage, in one line."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere.invalid/shop")

    done = command(*words, "--sql")

    assert (done.status, done.stdout, len(done.errors)) == (2, "", 1)
    assert reason in done.stderr


def test_a_file_that_cannot_be_run_is_named(shop, command, monkeypatch):
    """As in a run."""
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", "pass", "r3") + "1 / 0\n")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere.invalid/shop")

    done = command("upgrade", "--sql", "r3:")

    assert done.status == 2
    assert "r4.py cannot be run: ZeroDivisionError" in done.errors[0]


def test_other_dialects_get_what_alembic_writes(shop, monkeypatch):  # noqa: ARG001  # the app of the runtime
    """Not all of them know IF NOT EXISTS."""
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    with Runtime() as runtime:
        script = as_sql(runtime.registry.histories("default")[0], "mssql", Script())

    assert "CREATE TABLE alembic_version_shop (" in script


def test_an_env_py_is_asked_for_sql_too(shop, monkeypatch, tmp_path):
    """The position is recorded in the table of the app; what goes wrong in it is told with its folder."""
    env = (
        "from alembic import context\n"
        "context.configure(url=context.config.get_main_option('sqlalchemy.url'), literal_binds=True)\n"
        "with context.begin_transaction():\n    context.run_migrations()\n"
    )
    shop.write("shop/migrations/env.py", env)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    with Runtime() as runtime:
        manager = runtime.manager()
        script = manager.migrations.sql(Script(start="r1", targets=("r2",)), "shop")
        stamped = manager.migrations.sql(Script(action="stamp", targets=("r2",)))
        shop.write("shop/migrations/env.py", "1 / 0")
        with pytest.raises(Exception, match=r"migrations\): this revision cannot be told .* division by zero"):
            manager.migrations.sql()

    assert "UPDATE alembic_version_shop SET version_num='r2'" in script
    assert "INSERT INTO alembic_version_shop (version_num) VALUES ('r2')" in stamped
    assert script.count("BEGIN;") == script.count("COMMIT;") == 1
    assert not (tmp_path / "x.db").exists()
