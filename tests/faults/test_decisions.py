"""What a person decides: nothing is recorded unverified, nothing is lost unasked, and what was done can be read."""

from __future__ import annotations

import json
import os
import pty
import re
from datetime import UTC, datetime
from functools import partial

import pytest
from databases import allow_scratch, connected, execute, rows, snapshot, tables
from processes import until
from shops import HALF_WAY, MODELS, REBUILD, TITLE, position, ran

from sqlhelpers import DatabaseStatus

BOOKKEEPING = {"alembic_version_shop", "sqlhelpers_journal"}
OURS = {"ran", "author", "book"} | BOOKKEEPING
LOSING = (
    ["downgrade", "shop", "r1"],
    ["drop"],
    ["drop", "shop"],
)


@pytest.fixture
def synced(shop, url):
    """A shop whose database was created from the models."""
    shop.url = url
    shop.use(url, bootstrap="models")
    shop.sync()
    return shop


@pytest.fixture
def unversioned(synced):
    """A shop whose tables are there, and no revision says in which shape."""
    execute(synced.url, *(f"DROP TABLE {name}" for name in BOOKKEEPING))
    return synced


# adopt


def test_tables_that_match_are_adopted(unversioned, command):
    """The newest revision is recorded, the journal says who did it, and a run finds nothing to do."""
    assert command("run-sync").status == 3
    assert command("adopt", "shop").status == 0

    assert position(unversioned.url) == ["r3"]
    assert rows(unversioned.url, "SELECT action, revision FROM sqlhelpers_journal") == [("adopt", "r3")]
    assert "up to date" in command("run-sync").stdout


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE book ADD COLUMN extra integer",
        "DROP INDEX {index}",
        "ALTER TABLE author ADD COLUMN note varchar(9) DEFAULT 'x' NOT NULL",
        "DROP TABLE book",
    ],
)
def test_tables_that_differ_are_not_adopted(unversioned, command, statement):
    """The differences are listed, the command ends with status 3, and nothing is recorded."""
    index = "ix_book_title" + (" ON book" if unversioned.url.startswith("mariadb") else "")
    execute(unversioned.url, statement.format(index=index))
    before = snapshot(unversioned.url)

    done = command("adopt", "shop")

    assert done.status == 3
    assert "book" in done.stdout or "author" in done.stdout
    assert snapshot(unversioned.url) == before


def test_tables_at_an_older_revision_are_adopted_there(shop, url, command, request):
    """``--revision`` records it, if the tables are as it makes them; the next run does the rest."""
    allow_scratch(request, url)
    shop.use(url)
    shop.upgrade("r2")
    execute(url, *(f"DROP TABLE {name}" for name in BOOKKEEPING))
    before = snapshot(url)

    newest, wrong, right = (command("adopt", "shop", *at) for at in ([], ["--revision", "r1"], ["--revision", "r2"]))

    assert newest.status == 3
    assert "title" in newest.stdout
    assert wrong.status == 3, wrong
    assert right.status == 0, right
    assert {name: table for name, table in snapshot(url).items() if name in before} == before
    assert command("run-sync").status == 0
    assert ran(url) == ["r1", "r2", "r3"]


def test_tables_that_cannot_be_compared_are_adopted_on_your_word(shop, postgres_url, command, caplog):
    """A role that may make no scratch database is told so; the revision that it names is recorded."""
    shop.use(postgres_url)
    shop.upgrade("r2")
    execute(postgres_url, *(f"DROP TABLE {name}" for name in BOOKKEEPING))

    done = command("adopt", "shop", "--revision", "r1")

    assert done.status == 0, done
    assert "adopted r1 on your word: no scratch database to compare with" in caplog.text
    assert position(postgres_url) == ["r1"]


def test_a_revision_that_does_not_exist_is_not_adopted(unversioned, command):
    """A wrong name is a mistake of the caller, status 2, and nothing is recorded."""
    assert command("adopt", "shop", "--revision", "r99").status == 2
    assert "tables are at one revision, and 'base' is 0" in command("adopt", "shop", "--revision", "base").errors[0]
    assert command("adopt", "shoop").status == 2
    assert not set(snapshot(unversioned.url)) & BOOKKEEPING


def test_an_empty_database_is_not_adopted(shop, url, command):
    """There is nothing to compare: status 3, and not even a file is made."""
    shop.use(url)

    assert command("adopt", "shop").status == 3
    assert tables(url) == set()


def test_a_database_that_is_interrupted_is_not_adopted(shop, mariadb_url, command):
    """``adopt`` is no way around ``repair``."""
    shop.use(mariadb_url)
    shop.upgrade("r3")
    shop.revision("r4", HALF_WAY)
    command("run-sync")
    before = snapshot(mariadb_url)

    done = command("adopt", "shop")

    assert done.status == 3
    assert "sqlhelpers repair shop" in done.stderr
    assert snapshot(mariadb_url) == before


# check


@pytest.fixture
def checked(synced, request):
    """A shop whose models and revisions agree, in a database whose role may make scratch databases."""
    for name in ("r1", "r2", "r3"):
        file = synced.project.folder / f"shop/migrations/versions/{name}.py"
        file.write_text(re.sub(r"\n +op.execute\(\"INSERT.*", "", file.read_text()))
    allow_scratch(request, synced.url)
    return synced


def findings(command):
    """Run ``check``, and return its exit status and the kinds of what it found."""
    done = command("check", "--json")
    found = json.loads(done.stdout)
    return done.status, {(each["app"], each["kind"]) for each in found}, found


def test_a_sound_database_passes_the_check(checked, command):
    """Status 0, also when everything was compared in scratch databases, of which none is left."""
    before = snapshot(checked.url)

    status, found, _ = findings(command)

    assert (status, found) == (0, set())
    assert snapshot(checked.url) == before


def test_drift_is_found(checked, command):
    """A column that somebody added by hand is named."""
    execute(checked.url, "ALTER TABLE author ADD COLUMN extra integer")

    status, kinds, found = findings(command)

    assert (status, kinds) == (1, {("shop", "drift")})
    assert "author.extra" in found[0]["text"]


def test_revisions_that_have_not_run_are_found(checked, command):
    """They are named."""
    checked.revision("r4", leaves_trace=False)

    status, kinds, found = findings(command)

    assert (status, kinds) == (1, {("shop", "unapplied")})
    assert "r4" in found[0]["text"]


def test_unknown_revisions_are_found(checked, command):
    """A position that the code does not have is named."""
    execute(checked.url, "UPDATE alembic_version_shop SET version_num = 'r99'")

    status, kinds, found = findings(command)

    assert (status, kinds) == (1, {("shop", "unknown")})
    assert "r99" in found[0]["text"]


def test_several_heads_are_found(checked, command):
    """Their files are named."""
    checked.revision("r4", after="r2", leaves_trace=False)

    status, kinds, found = findings(command)

    assert (status, kinds) == (1, {("shop", "heads")})
    assert "r4.py" in found[0]["text"]


def test_revisions_that_make_something_else_than_the_models_are_found(checked, command):
    """What an empty database would get depends on how it is made: the difference is named."""
    checked.revision("r4", "op.add_column('author', sa.Column('forgotten', sa.Integer))", leaves_trace=False)
    checked.sync()
    execute(checked.url, "ALTER TABLE author DROP COLUMN forgotten")

    status, kinds, found = findings(command)

    assert (status, kinds) == (1, {("shop", "missing_revision")})
    assert "author.forgotten" in found[0]["text"]


def test_an_edited_revision_is_found(shop, url, command, request):
    """``check`` names the file of a revision that was edited after it ran."""
    allow_scratch(request, url)
    shop.use(url)
    shop.upgrade("r3")
    file = shop.project.folder / "shop/migrations/versions/r3.py"
    file.write_text(file.read_text() + "\n# edited\n")

    status, kinds, _ = findings(command)

    assert status == 1
    assert ("shop", "edited") in kinds


def test_a_check_leaves_no_scratch_database(checked, command, request):
    """Neither a check that finds something nor one whose revisions fail leaves a database behind."""
    if checked.url.startswith("sqlite"):
        folder = checked.project.folder.parent
        list_all = lambda: sorted(each.name for each in folder.glob("*.db"))  # noqa: E731
    else:
        name = "postgres_server" if checked.url.startswith("postgresql") else "mariadb_server"
        query = "SELECT datname FROM pg_database" if name == "postgres_server" else "SHOW DATABASES"
        list_all = partial(request.getfixturevalue(name).execute, query)
    before = list_all()

    checked.revision("r4", HALF_WAY, leaves_trace=False)
    assert findings(command)[0] == 1

    assert list_all() == before


def test_a_check_behind_a_pooler_leaves_no_scratch_database(shop, pgbouncer_url, postgres_server):
    """A scratch database that a pooler keeps connections to is dropped, or named where the role may not end those."""
    role = re.search("//(.*?):", pgbouncer_url)[1]
    postgres_server.execute(f'ALTER ROLE "{role}" CREATEDB')
    shop.use(pgbouncer_url, bootstrap="models", pooler="transaction")
    shop.sync()
    query = "SELECT datname FROM pg_database WHERE datname LIKE '%scratch%'"
    before = postgres_server.execute(query)

    done = shop.start("check").finish()

    left = [name for (name,) in set(postgres_server.execute(query)) - set(before)]
    for name in left:  # the superuser of the pooler is connected to it
        assert f"the scratch database {name} could not be dropped" in done.stderr, done
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert done.status == 0, done


def test_a_role_that_may_not_create_databases_is_told_so(shop, postgres_url, command):
    """What could not be compared is said; the rest is checked."""
    shop.use(postgres_url, bootstrap="models")
    shop.sync()
    execute(postgres_url, "ALTER TABLE author ADD COLUMN extra integer")

    status, kinds, _ = findings(command)

    assert status == 1
    assert kinds == {("shop", "drift"), (None, "skipped")}


# the journal


def test_the_journal_tells_who_ran_what_and_for_how_long(shop, url, command):
    """One entry for each revision, with its time, its duration and the process; ``--json`` has all of it."""
    shop.use(url)
    began = datetime.now(UTC).replace(tzinfo=None)
    shop.revision("r4", "import time\ntime.sleep(0.2)")
    done = command("run-sync")

    entries = json.loads(command("journal", "shop", "--json").stdout)

    assert done.status == 0
    assert [entry["revision"] for entry in entries] == ["r1", "r2", "r3", "r4"]
    assert {entry["action"] for entry in entries} == {"upgrade"}
    assert {entry["outcome"] for entry in entries} == {"done"}
    assert all(re.search(rf"\bpid {os.getpid()}\b", entry["who"]) for entry in entries)
    assert entries[3]["seconds"] >= 0.2
    assert abs((datetime.fromisoformat(entries[0]["begun"].rstrip("Z")) - began).total_seconds()) < 60
    assert entries[3]["checksum"]
    assert set(entries[3]["tables"]) == {"ran", "author", "book"}
    assert re.search(r"shop +upgrade +r4 .*done", command("journal").stdout)


def test_a_file_that_was_edited_after_it_ran_is_a_note(shop, url, command):
    """The run goes on, and says which file it was."""
    shop.use(url)
    shop.upgrade("r3")
    edit(shop, "r2")
    shop.revision("r4")

    done = command("run-sync")

    assert done.status == 0
    assert re.search(r"note: .*r2", done.stderr)
    assert position(url) == ["r4"]


def edit(shop, revision):
    """Change the file of a revision."""
    file = shop.project.folder / f"shop/migrations/versions/{revision}.py"
    file.write_text(file.read_text() + "\n# edited\n")


def test_a_file_that_was_edited_after_it_ran_is_refused_when_strict(shop, url, command):
    """With ``alembic.strict`` the run ends with status 3, names the file, and changes nothing."""
    shop.use(url, alembic={"strict": True})
    shop.upgrade("r3")
    edit(shop, "r2")
    shop.revision("r4")
    before = snapshot(url)

    done = command("run-sync")

    assert done.status == 3
    assert re.search(r"r2\.py", done.errors[0])
    assert snapshot(url) == before


def test_another_line_end_is_no_edit(shop, url, command):
    """A checkout on another system is the same file."""
    shop.use(url, alembic={"strict": True})
    shop.upgrade("r3")
    file = shop.project.folder / "shop/migrations/versions/r2.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    done = command("run-sync")

    assert (done.status, done.stderr) == (0, "")


def test_without_a_journal_nothing_of_it_is_there(shop, url, command):
    """With ``alembic.journal = false`` no table is made, and every command that would read it works."""
    shop.use(url, alembic={"journal": False})

    assert command("run-sync").status == 0
    assert "sqlhelpers_journal" not in snapshot(url)
    assert command("journal").status == 0
    assert command("status").status == 0
    assert command("repair", "shop", "--applied").status == 3
    assert command("drop", "--yes").status == 0


# repair


def test_there_is_nothing_to_repair(synced, command):
    """Where nothing was interrupted, ``repair`` is refused, and changes nothing."""
    before = snapshot(synced.url)

    statuses = [command("repair", *words).status for words in (["shop", "--applied"], ["shop", "--rolled-back"])]

    assert statuses == [3, 3]
    assert command("repair", "shop").status == 3
    assert command("repair", "shoop", "--applied").status == 2
    assert snapshot(synced.url) == before


@pytest.fixture
def interrupted(shop, mariadb_url, command):
    """A shop whose revision r4 stopped half-way in a database that cannot undo it."""
    shop.url = mariadb_url
    shop.use(mariadb_url)
    shop.upgrade("r3")
    shop.revision("r4", HALF_WAY)
    assert command("run-sync").status == 1
    return shop


def test_an_interrupted_revision_that_was_completed_by_hand(interrupted, command):
    """After ``repair --applied`` it is recorded, the journal says so, and the next run goes on behind it."""
    interrupted.revision("r5")

    assert command("run-sync").status == 3
    assert command("repair", "shop", "--applied").status == 0

    assert position(interrupted.url) == ["r4"]
    assert command("run-sync").status == 0
    assert position(interrupted.url) == ["r5"]
    entries = json.loads(command("journal", "--json").stdout)
    assert [entry["outcome"] for entry in entries[-2:]] == ["applied", "done"]


def test_an_interrupted_revision_whose_file_has_gone(interrupted, command):
    """Its position cannot be recorded; the error names the revision and the folder."""
    (interrupted.project.folder / "shop" / "migrations" / "versions" / "r4.py").unlink()

    done = command("repair", "shop", "--applied")

    assert done.status == 2, done
    assert "revision r4 is not in" in done.stderr


def test_an_interrupted_revision_that_was_undone_by_hand(interrupted, command):
    """After ``repair --rolled-back`` the next run runs it again."""
    execute(interrupted.url, "ALTER TABLE author DROP COLUMN r4")
    interrupted.revision("r4", "op.add_column('author', sa.Column('r4', sa.Integer))")

    assert command("repair", "shop", "--rolled-back").status == 0

    assert position(interrupted.url) == ["r3"]
    assert command("run-sync").status == 0
    assert position(interrupted.url) == ["r4"]
    entries = json.loads(command("journal", "--json").stdout)
    assert [entry["outcome"] for entry in entries[-2:]] == ["rolled back", "done"]


@pytest.mark.usefixtures("interrupted")
def test_a_repair_with_two_words_is_a_mistake(command):
    """Nobody can have completed and undone it; nothing is recorded."""
    assert command("repair", "shop", "--applied", "--rolled-back").status == 2
    assert command("run-sync").status == 3


@pytest.mark.usefixtures("interrupted")
def test_a_repair_without_a_word_says_what_was_interrupted(command):
    """It is refused until a person says which it is."""
    done = command("repair", "shop")

    assert done.status == 3
    assert re.search(r"--applied or --rolled-back.*\br4\b", done.stderr)


def test_an_interrupted_database_is_seen_by_status_and_check(interrupted, command):
    """Both say so, and neither changes anything."""
    before = snapshot(interrupted.url)
    with interrupted.runtime() as runtime:
        assert runtime.manager().get_status() is DatabaseStatus.INTERRUPTED

    assert "interrupted" in command("status").stdout
    assert command("status", "--check").status == 1
    assert ("shop", "interrupted") in findings(command)[1]
    assert command("run-sync", "--dry-run").status == 3
    assert snapshot(interrupted.url) == before


def test_an_interrupted_downgrade_is_told_as_well(shop, mariadb_url, command):
    """After ``repair --applied`` the position is that before the revision."""
    shop.use(mariadb_url)
    shop.upgrade("r3")
    file = shop.project.folder / "shop/migrations/versions/r3.py"
    undo = "    op.drop_index('ix_book_title', 'book')\n    1 / 0"
    file.write_text(file.read_text().replace("def downgrade():\n    pass", f"def downgrade():\n{undo}"))

    assert command("downgrade", "shop", "r2", "--yes").status == 1
    assert command("run-sync").status == 3
    execute(mariadb_url, "ALTER TABLE book DROP COLUMN title")
    assert command("repair", "shop", "--applied").status == 0

    assert position(mariadb_url) == ["r2"]


# what loses something


@pytest.mark.parametrize("words", LOSING, ids=" ".join)
def test_without_a_terminal_nothing_is_lost_unasked(synced, command, words):
    """Without ``--yes`` the command ends with status 3 and says what to do; nothing was changed."""
    before = snapshot(synced.url)

    done = command(*words)

    assert done.status == 3
    assert "--yes" in done.errors[0]
    assert snapshot(synced.url) == before


@pytest.mark.parametrize(("answer", "status"), [("n", 3), ("", 3), ("y", 0)], ids=["no", "nothing", "yes"])
def test_a_person_at_a_terminal_is_asked(shop, sqlite_url, answer, status):
    """``drop`` names the tables and waits for the answer; only yes is a yes."""
    shop.use(sqlite_url, bootstrap="models")
    shop.sync()
    controller, terminal = pty.openpty()
    try:
        child = shop.children.sqlhelpers("drop", stdin=terminal)
        until(lambda: "[y/N]" in child.printed or not child.is_running, "it asks")
        asked = child.printed
        os.write(controller, f"{answer}\n".encode())
        finished = child.finish()
    finally:
        os.close(controller)
        os.close(terminal)

    assert "author" in asked
    assert finished.status == status
    assert set(snapshot(sqlite_url)) == (set() if answer == "y" else OURS)


def test_a_drop_takes_what_is_ours_and_nothing_else(synced, command):
    """Tables, positions and journal are gone; tables of others, and version tables of others, are as they were."""
    execute(
        synced.url,
        "CREATE TABLE stranger (id integer)",
        "INSERT INTO stranger VALUES (1)",
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('of somebody else')",
    )
    others = {name: table for name, table in snapshot(synced.url).items() if name not in OURS}

    assert command("drop", "--yes").status == 0

    assert snapshot(synced.url) == others
    assert command("run-sync").status == 0


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_drop_that_fails_changes_nothing(shop, postgres_url, kind):
    """It is one transaction: where a view of somebody else needs the last table, all tables stay."""
    shop.use(postgres_url, bootstrap="models")
    shop.sync()
    execute(postgres_url, "CREATE VIEW names AS SELECT name FROM author", "INSERT INTO ran VALUES (100, 'kept')")
    before = snapshot(postgres_url)

    code = "import asyncio, sys\nfrom sqlhelpers import Runtime\nruntime = Runtime()\n"
    code += "asyncio.run(runtime.async_manager().drop())" if kind == "async" else "runtime.manager().drop()"
    failed = shop.children.python(code).finish()

    assert failed.status == 1
    assert "DependentObjectsStillExist" in failed.stderr
    assert snapshot(postgres_url) == before


def test_a_drop_of_what_others_refer_to_is_refused(synced, command):
    """A foreign key of somebody else is named before anything is dropped, also where a drop cannot be undone."""
    reference = "FOREIGN KEY (author) REFERENCES author (id)"
    execute(synced.url, f"CREATE TABLE stranger (id integer PRIMARY KEY, author integer, {reference})")
    before = snapshot(synced.url)

    done = command("drop", "--yes")

    assert done.status == 3
    assert "stranger" in done.errors[0]
    assert snapshot(synced.url) == before


def test_a_drop_that_is_interrupted_is_not_taken_for_up_to_date(shop, mariadb_url, command):
    """Where a drop cannot be undone and stops half-way, runs are refused, and another ``drop`` completes it."""
    shop.use(mariadb_url, bootstrap="models", alembic={"ddl_lock_timeout": 1})
    shop.sync()
    with connected(mariadb_url) as reader:
        reader.exec_driver_sql("SELECT * FROM author")  # keeps the table from being dropped
        failed = command("drop", "--yes")

    assert failed.status == 1
    assert "book" not in tables(mariadb_url)
    assert "author" in tables(mariadb_url)
    assert command("run-sync").status == 3
    assert command("drop", "--yes").status == 0
    assert tables(mariadb_url) == set()
    assert command("run-sync").status == 0


def test_a_drop_of_an_empty_database_is_no_error(shop, url, command):
    """There is nothing to lose, and no file is made."""
    shop.use(url)

    assert command("drop", "--yes").status == 0
    assert tables(url) == set()


def test_a_downgrade_is_run_and_written_down(shop, url, command):
    """The revisions are undone one by one, the journal knows it, and the next run does them again."""
    shop.use(url)
    shop.upgrade("r2")
    shop.revision("r3", TITLE)
    file = shop.project.folder / "shop/migrations/versions/r3.py"
    undo = "    op.drop_index('ix_book_title', 'book')\n    op.drop_column('book', 'title')"
    file.write_text(file.read_text().replace("def downgrade():\n    pass", f"def downgrade():\n{undo}"))
    shop.upgrade("r3")

    done = command("downgrade", "shop", "-1", "--yes")

    assert (done.status, position(url)) == (0, ["r2"]), done
    entries = json.loads(command("journal", "--json").stdout)
    assert [(entry["action"], entry["revision"]) for entry in entries[-1:]] == [("downgrade", "r3")]
    assert command("run-sync").status == 0
    assert ran(url) == ["r1", "r2", "r3", "r3"]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_downgrade_that_fails_is_undone(shop, request, kind, command):
    """Where DDL can be undone, everything is as before."""
    url = request.getfixturevalue(f"{kind}_url")
    shop.use(url)
    shop.upgrade("r3")
    for name, undo in (("r3", "op.drop_index('ix_book_title', 'book')"), ("r2", "1 / 0")):
        file = shop.project.folder / f"shop/migrations/versions/{name}.py"
        file.write_text(file.read_text().replace("def downgrade():\n    pass", f"def downgrade():\n    {undo}"))
    before = snapshot(url)

    done = command("downgrade", "shop", "r1", "--yes")

    assert done.status == 1
    assert re.search(r"revision r2 of app 'shop' failed", done.errors[0])
    assert snapshot(url) == before


def test_a_downgrade_to_a_revision_that_does_not_exist(synced, command):
    """It is a mistake of the caller, status 2, and nothing is changed."""
    before = snapshot(synced.url)

    assert command("downgrade", "shop", "r99", "--yes").status == 2
    assert command("downgrade", "shoop", "r1", "--yes").status == 2
    assert snapshot(synced.url) == before


@pytest.fixture
def orphaned(synced):
    """A database with an app that is not installed any more: ``shop``. Another one is."""
    execute(synced.url, "INSERT INTO author (id, name) VALUES (1, 'Austen')", "CREATE TABLE stranger (id integer)")
    synced.project.write_app("other", MODELS.replace('"ran"', '"r"').replace('"author', '"a').replace('"book"', '"b"'))
    synced.project.write_pyproject(
        f'[tool.sqlhelpers]\ndatabases = {{default = "{synced.url}"}}\n'
        "[tool.sqlhelpers.apps.other]\npackage = 'other'\nmigrations = false\n",
    )
    return synced


def test_a_retired_app_keeps_its_tables(orphaned, command):
    """``retire`` removes its position and its journal, and nothing else."""
    before = snapshot(orphaned.url)

    done = command("retire", "shop", "--yes")

    assert done.status == 0, done
    assert snapshot(orphaned.url) == {name: table for name, table in before.items() if name not in BOOKKEEPING}


def test_a_retired_app_loses_its_tables_if_told_so(orphaned, command):
    """``retire --drop-tables`` drops those that the journal knows, and nothing else."""
    done = command("retire", "shop", "--drop-tables", "--yes")

    assert done.status == 0, done
    assert set(snapshot(orphaned.url)) == {"stranger"}


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_an_app_whose_record_is_in_another_schema_is_retired(orphaned, command):
    """Position and journal are found in the schema that the installed apps keep theirs in."""
    execute(orphaned.url, "CREATE SCHEMA records", *(f"ALTER TABLE {name} SET SCHEMA records" for name in BOOKKEEPING))
    with (orphaned.project.folder / "pyproject.toml").open("a") as settings:
        settings.write('version_table_schema = "records"\n')

    done = command("retire", "shop", "--drop-tables", "--yes")

    assert done.status == 0, done
    assert set(snapshot(orphaned.url)) == {"stranger"}
    assert command("retire", "shop", "--yes").status == 3


def test_an_app_that_is_installed_is_not_retired(synced, command):
    """It is refused with the command that would do it, and nothing is changed."""
    before = snapshot(synced.url)

    done = command("retire", "shop", "--drop-tables")

    assert done.status == 2
    assert "installed" in done.errors[0]
    assert snapshot(synced.url) == before


def test_an_app_that_was_never_there_is_not_retired(synced, command):
    """A misspelt name is refused, and nothing is changed."""
    before = snapshot(synced.url)

    assert command("retire", "shoop", "--yes").status == 3
    assert snapshot(synced.url) == before


def test_tables_that_an_installed_app_has_taken_over_are_not_dropped(orphaned, command):
    """``retire --drop-tables`` leaves tables alone that belong to another app now."""
    orphaned.project.write_app("other", MODELS)
    orphaned.project.write_pyproject(
        f'[tool.sqlhelpers]\ndatabases = {{default = "{orphaned.url}"}}\n'
        "[tool.sqlhelpers.apps.other]\npackage = 'other'\nmigrations = false\n",
    )

    done = command("retire", "shop", "--drop-tables", "--yes")

    assert done.status == 0, done
    assert {"author", "book", "ran"} <= tables(orphaned.url)
    assert rows(orphaned.url, "SELECT name FROM author") == [("Austen",)]


def test_a_run_that_has_nothing_to_do_writes_nothing(shop, sqlite_url, command):
    """It is silent: no note, and no new entry in the journal."""
    shop.use(sqlite_url)
    shop.revision("r4", REBUILD)
    command("run-sync")
    entries = rows(sqlite_url, "SELECT * FROM sqlhelpers_journal")

    done = command("run-sync")

    assert done.stderr == ""
    assert rows(sqlite_url, "SELECT * FROM sqlhelpers_journal") == entries
