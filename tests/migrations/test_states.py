"""What ``sync`` does about each state that it can find, with both managers, on all databases."""

from __future__ import annotations

import pytest
from databases import MODELS, REVISIONS, app_tables, connected, execute, rows, runtime, snapshot, sync
from projects import revision_text
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from sqlhelpers import DatabaseStatus, SyncResult
from sqlhelpers.exceptions import AppError, DatabaseFailure, MigrationFailed, MultipleHeads, StateRefused

EVERYTHING = {"author", "book", "alembic_version_shop"}


@pytest.fixture(autouse=True)
def shop(project):
    """The app of these tests."""
    project.write_app("shop", MODELS, REVISIONS)
    return project


def test_an_empty_database_is_created_and_then_up_to_date(url, kind):
    """The tables come from the models, the newest revision is recorded, and nothing is done twice."""
    first, second = sync(kind, url), sync(kind, url)

    assert (first.status, first.result) == (DatabaseStatus.NO_INFO, SyncResult.CREATED)
    assert (second.status, second.result) == (DatabaseStatus.UP_TO_DATE, SyncResult.ALREADY_UP_TO_DATE)
    assert app_tables(url) == EVERYTHING
    assert rows(url, "SELECT version_num FROM alembic_version_shop") == [("r3",)]


def test_a_database_that_cannot_be_written(sqlite_url, kind, shop):
    """It serves as long as nothing is to be done; then the error names the app, and says why."""
    (shop.folder / "shop/migrations/versions/r3.py").unlink()
    sync(kind, sqlite_url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})
    read_only = sqlite_url.replace(":///", ":///file:") + "?mode=ro&uri=true"
    before = snapshot(sqlite_url)

    assert sync(kind, read_only).result is SyncResult.ALREADY_UP_TO_DATE
    shop.write("shop/migrations/versions/r3.py", REVISIONS["r3.py"])
    with pytest.raises(DatabaseFailure, match="app 'shop': OperationalError: attempt to write a readonly database"):
        sync(kind, read_only)

    assert snapshot(sqlite_url) == before


def test_a_revision_that_commits_for_itself(sqlite_url, kind, shop):
    """SQLite then has nothing to commit at the end, which is told; the state is what the database has."""
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", "op.execute('COMMIT')", "r3"))

    with pytest.raises(OperationalError, match="cannot commit - no transaction is active"):
        sync(kind, sqlite_url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})

    assert app_tables(sqlite_url) == EVERYTHING
    assert sync(kind, sqlite_url).status is DatabaseStatus.UP_TO_DATE


def test_bootstrap_by_migrations_makes_the_same(url, kind):
    """A database made by running every revision has the shape of one made from the models."""
    report = sync(kind, url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})
    migrated = snapshot(url)
    with runtime(url) as made:
        made.manager().drop()
    dropped = snapshot(url)
    sync(kind, url)

    assert report.result is SyncResult.CREATED
    assert dropped == {}
    created = snapshot(url)
    assert created.pop("sqlhelpers_journal") != migrated.pop("sqlhelpers_journal")  # it tells what was done
    assert created == migrated


def test_a_database_that_is_behind_is_upgraded(url, kind, shop):
    """Only the revisions that are missing run."""
    (shop.folder / "shop/migrations/versions/r3.py").unlink()
    sync(kind, url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})
    shop.write("shop/migrations/versions/r3.py", REVISIONS["r3.py"])
    execute(url, "INSERT INTO author VALUES (1, 'Austen')", "INSERT INTO book VALUES (1, 1)")

    report = sync(kind, url)

    assert (report.status, report.result) == (DatabaseStatus.UPGRADE_AVAILABLE, SyncResult.UPGRADED)
    assert report.apps[0].pending == ("r3",)
    assert rows(url, "SELECT title FROM book") == [(None,)]


@pytest.mark.parametrize("version_table", ["absent", "empty"])
def test_tables_without_a_revision_are_refused(url, kind, version_table):
    """Nothing is stamped unverified: whatever shape the tables have, the database stays as it was."""
    execute(url, "CREATE TABLE author (id integer PRIMARY KEY, old varchar(9))", "INSERT INTO author VALUES (1, 'x')")
    if version_table == "empty":
        execute(url, "CREATE TABLE alembic_version_shop (version_num varchar(32) NOT NULL)")
    before = snapshot(url)

    with pytest.raises(StateRefused, match=r"its tables are there .author.*sqlhelpers adopt shop"):
        sync(kind, url)

    assert snapshot(url) == before


def test_a_revision_that_the_code_does_not_know_is_refused(url, kind):
    """A newer version has been here: the error names app, revision and the way out."""
    sync(kind, url)
    execute(url, "UPDATE alembic_version_shop SET version_num = 'r99'")
    before = snapshot(url)

    with pytest.raises(StateRefused, match=r"app shop: .*revision r99, which shop does not have: install") as caught:
        sync(kind, url)

    assert caught.value.exit_status == 3
    assert snapshot(url) == before


def test_the_prefix_of_a_revision_is_not_that_revision(url, kind):
    """Alembic resolves abbreviations; a recorded ``r`` is still unknown."""
    sync(kind, url)
    execute(url, "UPDATE alembic_version_shop SET version_num = 'r'")

    with pytest.raises(StateRefused, match="revision r, which"):
        sync(kind, url)


def test_several_heads_are_refused_before_any_ddl(url, kind, shop):
    """The files are named, and the database is not even connected to."""
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", "pass", "r2"))

    with pytest.raises(MultipleHeads, match=r"r3 \(.*r3.py\), r4 \(.*r4.py\); merge"):
        sync(kind, url)

    assert not (shop.folder.parent / "test.db").exists()
    assert app_tables(url) == set()


def test_a_position_in_alembics_own_table_is_refused_and_moved_by_adopt(url, kind):
    """A project that was run by plain Alembic before is recognised; nothing is created over it."""
    sync(kind, url)
    execute(
        url,
        "DROP TABLE alembic_version_shop",
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('r3')",
    )
    before = snapshot(url)

    with pytest.raises(StateRefused, match="its revision r3 is recorded in alembic_version"):
        sync(kind, url)
    untouched = snapshot(url)
    with runtime(url) as made:
        differences = made.manager().migrations.adopt("shop")

    assert untouched == before
    assert differences == ()
    assert sync(kind, url).result is SyncResult.ALREADY_UP_TO_DATE
    assert rows(url, "SELECT * FROM alembic_version") == []


def test_an_existing_alembic_project_goes_on_as_it_is(url, kind):
    """With its version table in the settings, the app uses what plain Alembic wrote."""
    settings = {"shop": {"package": "shop", "version_table": "alembic_version"}}
    sync(kind, url, apps=settings)

    assert rows(url, "SELECT version_num FROM alembic_version") == [("r3",)]
    assert sync(kind, url, apps=settings).result is SyncResult.ALREADY_UP_TO_DATE


def test_a_failing_revision_is_named_and_undone(url, kind, shop):
    """SQLite and PostgreSQL are as before; MariaDB, which cannot undo DDL, keeps what was finished, recorded."""
    shop.write(
        "shop/migrations/versions/r4.py", revision_text("r4", "op.add_column('book', sa.Column('x', sa.Integer))", "r3")
    )
    shop.write("shop/migrations/versions/r5.py", revision_text("r5", "op.drop_column('book', 'nope')", "r4"))
    with runtime(url) as made:
        made.manager().upgrade("r3")
    before = snapshot(url)

    with pytest.raises(MigrationFailed, match=r"revision r5 of app 'shop' failed \(.*r5.py\): \w+: .*nope"):
        sync(kind, url)

    after = snapshot(url)
    if url.startswith("mariadb"):
        assert after["alembic_version_shop"][1] == [("r4",)]
        assert "x" in str(after["book"])
    else:
        assert after == before


def test_a_create_that_fails_is_undone(sqlite_url, postgres_url, kind, shop):
    """Where DDL can be undone, a fresh database is empty again after an error."""
    shop.write(
        "shop/models.py",
        MODELS + "\nfrom sqlalchemy import Index, text\nIndex('ix_bad', text('nope'), _table=Book.__table__)\n",
    )

    for url in (sqlite_url, postgres_url):
        with pytest.raises(Exception, match="nope"):
            sync(kind, url)
        assert app_tables(url) == set()


def test_autocommit_blocks_work(url, kind, shop):
    """A revision may leave the transaction, as CREATE INDEX CONCURRENTLY needs it."""
    body = (
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('ix_author_name', 'author', ['name'], postgresql_concurrently=True)"
    )
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", body, "r3"))
    shop.write(
        "shop/migrations/versions/r5.py",
        revision_text("r5", "op.execute(\"INSERT INTO author VALUES (7, 'x')\")", "r4"),
    )

    report = sync(kind, url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})

    with connected(url) as connection:
        indexes = {index["name"] for index in inspect(connection).get_indexes("author")}
    assert report.apps[0].pending == ("r1", "r2", "r3", "r4", "r5")
    assert "ix_author_name" in indexes
    assert rows(url, "SELECT id FROM author") == [(7,)]
    assert rows(url, "SELECT version_num FROM alembic_version_shop") == [("r5",)]


async def test_what_fails_in_an_autocommit_block_behind_a_pooler(postgres_url, shop):
    """Where asyncpg sends it in one message, the error is as everywhere else."""
    block = "with op.get_context().autocommit_block():\n    op.execute('CREATE INDEX ix_{0} ON {0} (id)')\n"
    body = block.format("author") + block.format("nothing")
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", body, "r3"))
    pooled = {"default": {"sqlalchemy": {"url": postgres_url}, "pooler": "transaction"}}

    with runtime(pooled, apps={"shop": {"package": "shop", "bootstrap": "migrations"}}) as made:
        async with made.async_manager() as manager:
            with pytest.raises(MigrationFailed, match=r'r4.*relation "nothing" does not exist'):
                await manager.sync()


def test_what_an_autocommit_block_committed_stays_recorded(url, kind, shop):
    """A later failure does not undo the position of a revision whose block was committed: the next run goes on."""
    body = "with op.get_context().autocommit_block():\n    op.create_index('ix_author_name', 'author', ['name'])"
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", body, "r3"))
    shop.write("shop/migrations/versions/r5.py", revision_text("r5", "1 / 0", "r4"))

    with pytest.raises(MigrationFailed, match="r5"):
        sync(kind, url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})
    recorded = rows(url, "SELECT version_num FROM alembic_version_shop")
    shop.write("shop/migrations/versions/r5.py", revision_text("r5", "pass", "r4"))
    report = sync(kind, url)

    assert recorded == [("r4",)]
    assert report.apps[0].pending == ("r5",)


def test_revisions_have_the_naming_convention_of_the_models(url, shop):
    """A constraint without a name gets the one that the models would give it."""
    body = (
        "op.create_table('n', sa.Column('id', sa.Integer), sa.Column('c', sa.Integer), sa.UniqueConstraint('id', 'c'))"
    )
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", body, "r3"))

    sync("sync", url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})

    with connected(url) as connection:
        names = {unique["name"] for unique in inspect(connection).get_unique_constraints("n")}
    assert names == {"uq_n_id_c"}


def test_an_environment_of_the_users_own_is_honoured(url, kind, shop):
    """An ``env.py`` that takes the connection from ``config.attributes`` runs, with our version table."""
    env = """
from pathlib import Path
from alembic import context

Path("env-was-here").touch()
context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""
    shop.write("shop/migrations/env.py", env)

    report = sync(kind, url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})

    assert report.result is SyncResult.CREATED
    assert (shop.folder / "env-was-here").exists()
    assert rows(url, "SELECT version_num FROM alembic_version_shop") == [("r3",)]


def test_an_environment_that_does_nothing_is_not_taken_for_success(url, kind, shop):
    """What its version table says is what counts."""
    shop.write("shop/migrations/env.py", "")

    with pytest.raises(AppError, match=r"env.py has not run the revisions .* alembic_version_shop is as it was"):
        sync(kind, url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})


def test_an_environment_that_connects_for_itself_is_honoured(url, kind, shop):
    """An ``env.py`` made by ``alembic init`` finds the URL in ``sqlalchemy.url`` and is not locked out by us."""
    env = """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
    shop.write("shop/migrations/env.py", env)

    report = sync(kind, url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})

    assert report.result is SyncResult.CREATED
    assert app_tables(url) == EVERYTHING


def test_alembics_async_environment_is_honoured(url, shop):
    """It finds the URL with an async driver; the command line runs it outside any event loop."""
    env = """
import asyncio
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine


def run(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def main():
    engine = create_async_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(main())
"""
    shop.write("shop/migrations/env.py", env)

    report = sync("sync", url, apps={"shop": {"package": "shop", "bootstrap": "migrations"}})

    assert report.result is SyncResult.CREATED
    assert app_tables(url) == EVERYTHING


def test_tables_of_nobody_are_left_alone(url, kind):
    """Neither a sync nor a drop touches a table that no app owns, and orphaned version tables are named."""
    execute(
        url,
        "CREATE TABLE stranger (id integer)",
        "INSERT INTO stranger VALUES (1)",
        "CREATE TABLE alembic_version_gone (version_num varchar(32))",
    )

    report = sync(kind, url)
    with runtime(url) as made:
        made.manager().drop()

    assert report.orphaned_version_tables == ("alembic_version_gone",)
    assert app_tables(url) == {"stranger", "alembic_version_gone"}
    assert rows(url, "SELECT * FROM stranger") == [(1,)]


@pytest.mark.parametrize(
    ("name", "value"), [("_WATCHES_ITS_CLIENT", (99,)), ("_TELL_14", ", set_config('no_setting', '', true)")]
)
def test_a_server_that_cannot_watch_its_client(postgres_url, kind, shop, monkeypatch, name, value):  # noqa: ARG001
    """One that is older, or whose operating system does not tell, is not asked to."""
    monkeypatch.setattr(f"sqlhelpers.backends.postgresql.{name}", value)

    assert sync(kind, postgres_url).result is SyncResult.CREATED
