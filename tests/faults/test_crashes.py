"""A run that is killed, interrupted or fails: all of it is undone, or where that cannot be, the next run says so."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from callers import PATIENCE, Caller, within
from databases import app_tables, connected, execute, rows, snapshot
from processes import until
from shops import (
    ASYNC_ONLY,
    BUSY,
    CONCURRENT_INDEX,
    HALF_WAY,
    MODELS,
    TELLS_WHEN_IT_WAITS,
    WAIT_AFTER_SYNC,
    WAIT_IN_CREATE,
    WAITING,
    position,
    ran,
)
from sqlalchemy import text

from sqlhelpers import DatabaseStatus, SyncResult
from sqlhelpers.exceptions import MigrationFailed, StateRefused

ONCE_EACH = ["r1", "r2", "r3"]
undoes_ddl = pytest.mark.parametrize("place", ["sqlite", "postgresql", "pgbouncer"], indirect=True)
cannot_undo_ddl = pytest.mark.parametrize("place", ["mariadb"], indirect=True)
both_kinds = pytest.mark.parametrize("kind", ["sync", "async"])
both_signals = pytest.mark.parametrize(
    ("kind", "number", "status"),
    [
        pytest.param("sync", signal.SIGTERM, 143, id="sync-SIGTERM"),
        pytest.param("async", signal.SIGINT, 130, id="async-SIGINT"),
    ],
)


@pytest.fixture
def behind(shop, place):
    """A shop whose database is at r3."""
    shop.use(place)
    shop.upgrade("r3")
    return shop


@pytest.fixture
def run_sync(shop, kind, command):
    """Run ``sqlhelpers run-sync``; with an async driver, in a process that has no other."""
    return lambda: command("run-sync") if kind == "sync" else shop.children.python(ASYNC_ONLY, "run-sync").finish()


def start_at(shop, revision, kind):
    """Start ``sqlhelpers run-sync`` with a sync or an async driver, and wait until it is in a revision."""
    child = shop.start() if kind == "sync" else shop.children.python(ASYNC_ONLY, "run-sync")
    shop.wait_for(child, revision)
    return child


def what_another_does(shop, end, limit=0):
    """Let a manager wait for the lock, end the run that holds it, and return what came of the manager's own run.

    It ends within the limit and two seconds.
    """

    def attempt():
        try:
            return runtime.manager().sync()
        except StateRefused as refused:
            return refused

    with shop.runtime() as runtime, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(attempt)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        with within(limit):
            end()
            return waiting.result(30)


@undoes_ddl
@both_kinds
def test_kill_9_in_a_revision_leaves_no_trace(behind, place, kind):
    """The database is as it was before the run, and the next run does all of it, once."""
    before = snapshot(place)
    behind.revision("r4")
    behind.revision("r5", WAITING)

    start_at(behind, "r5", kind).kill()

    behind.let_go("r5")
    assert snapshot(place) == before
    behind.sync()
    assert ran(place) == [*ONCE_EACH, "r4", "r5"]


@cannot_undo_ddl
@both_kinds
def test_kill_9_in_a_revision_that_cannot_be_undone_is_told(behind, place, kind, command):
    """The next run ends with status 3, names the revision and the way out, and changes nothing, however often."""
    behind.revision("r4")
    behind.revision("r5", WAITING)

    start_at(behind, "r5", kind).kill()

    before = snapshot(place)
    behind.let_go("r5")
    for refused in (command("run-sync"), behind.children.python(ASYNC_ONLY, "run-sync").finish()):
        assert refused.status == 3, refused
        assert len(refused.errors) == 1
        assert re.search(r"\br5\b.*sqlhelpers repair shop", refused.stderr)
    assert snapshot(place) == before
    assert position(place) == ["r4"]
    with behind.runtime() as runtime:
        assert runtime.manager().get_status() is DatabaseStatus.INTERRUPTED


@pytest.mark.parametrize("place", ["postgresql", "pgbouncer"], indirect=True)
@both_kinds
def test_kill_9_during_a_long_statement_ends_the_statement(behind, place, kind, postgres_server):
    """The server does not go on with what nobody waits for: another run soon has the tables, and nothing is left."""
    behind.revision("r4", BUSY)
    child = start_at(behind, "r4", kind)
    behind.revision("r4", "op.add_column('author', sa.Column('other', sa.Integer))")

    result = what_another_does(behind, child.kill, limit=2)  # two seconds for the lock, and two for the tables

    assert result is SyncResult.UPGRADED
    assert ran(place) == [*ONCE_EACH, "r4"]
    query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(30)'"
    until(lambda: not postgres_server.execute(query), "the statement ends in the server")


@both_kinds
def test_a_killed_holder_delays_the_others_under_two_seconds(behind, place, kind):
    """The lock goes with the process that held it, even if that could do nothing more."""
    behind.revision("r4", WAITING)
    child = start_at(behind, "r4", kind)
    behind.revision("r4")  # what the next run finds does not wait

    result = what_another_does(behind, child.kill)

    if place.startswith("mariadb"):
        assert "r4" in str(result)
    else:
        assert result is SyncResult.UPGRADED


@undoes_ddl
def test_kill_9_during_create_leaves_no_trace(shop, place, command):
    """A database in which the first tables were being created is empty again, and is created by the next run."""
    shop.use(place, bootstrap="models")
    shop.project.write("shop/models.py", MODELS + WAIT_IN_CREATE)

    shop.start_at("create").kill()

    shop.let_go("create")
    assert snapshot(place) == {}
    assert "created at r3" in command("run-sync").stdout


@cannot_undo_ddl
def test_kill_9_during_create_that_cannot_be_undone_is_told(shop, place, command):
    """The next run is refused; after the tables were dropped by hand and ``repair`` was told so, it creates them."""
    shop.use(place, bootstrap="models")
    shop.project.write("shop/models.py", MODELS + WAIT_IN_CREATE)

    shop.start_at("create").kill()

    shop.let_go("create")
    before = snapshot(place)
    refused = command("run-sync")
    assert refused.status == 3
    assert "creation of its tables" in refused.stderr
    assert "sqlhelpers repair shop" in refused.stderr
    assert command("repair", "shop", "--applied").status == 3
    assert snapshot(place) == before
    execute(place, *(f"DROP TABLE {name}" for name in app_tables(place)))
    assert command("repair", "shop", "--rolled-back").status == 0
    assert "created at r3" in command("run-sync").stdout


@undoes_ddl
def test_kill_9_after_the_sync_leaves_no_trace(behind, place):
    """What a plugin adds after the sync is in the same transaction: all is there, or nothing."""
    before = snapshot(place)
    behind.revision("r4")

    child = behind.children.python(WAIT_AFTER_SYNC)
    behind.wait_for(child, "seed")
    child.kill()

    behind.let_go("seed")
    assert snapshot(place) == before
    assert behind.children.python(WAIT_AFTER_SYNC).finish().status == 0
    assert ran(place) == [*ONCE_EACH, "r4", "seed"]


@cannot_undo_ddl
def test_kill_9_after_the_sync_keeps_what_was_finished(behind, place):
    """Where each revision is committed as it ends, the next run adds what the plugin could not."""
    behind.revision("r4")

    child = behind.children.python(WAIT_AFTER_SYNC)
    behind.wait_for(child, "seed")
    child.kill()

    behind.let_go("seed")
    assert position(place) == ["r4"]
    assert behind.children.python(WAIT_AFTER_SYNC).finish().status == 0
    assert ran(place) == [*ONCE_EACH, "r4", "seed"]


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
@both_kinds
def test_an_exception_half_way_undoes_everything(behind, place, run_sync):
    """The revisions before it in the same run included; mended, the next run succeeds."""
    before = snapshot(place)
    behind.revision("r4")
    behind.revision("r5", HALF_WAY)

    failed = run_sync()

    assert failed.status == 1
    assert re.search(r"revision r5 of app 'shop' failed \(.*r5.py\): RuntimeError: half-way", failed.errors[0])
    assert snapshot(place) == before
    behind.revision("r5")
    behind.sync()
    assert ran(place) == [*ONCE_EACH, "r4", "r5"]


@cannot_undo_ddl
@both_kinds
def test_an_exception_half_way_that_cannot_be_undone_is_told(behind, place, run_sync, command):
    """The run ends with status 1, the next one with status 3, and a person says when it was mended."""
    behind.revision("r4", HALF_WAY)
    failed, refused = run_sync(), command("run-sync")

    assert failed.status == 1
    assert refused.status == 3
    assert re.search(r"\br4\b.*sqlhelpers repair shop", refused.stderr)
    execute(place, "ALTER TABLE author DROP COLUMN r4")
    assert command("repair", "shop", "--rolled-back").status == 0
    behind.revision("r4")
    behind.sync()
    assert position(place) == ["r4"]


@cannot_undo_ddl
def test_a_revision_that_failed_before_it_changed_anything_runs_again(behind, place, command):
    """An error before its first statement leaves nothing to repair."""
    behind.revision("r4", "1 / 0")
    failed = command("run-sync")
    behind.revision("r4")

    assert failed.status == 1
    behind.sync()
    assert position(place) == ["r4"]


@both_kinds
def test_a_connection_that_is_lost_in_the_first_statement_is_told(shop, mariadb_url, mariadb_proxy, kind, command):
    """The server may go on with it: the revision stays in the journal, and the next run ends with status 3."""
    shop.use(mariadb_proxy.url(mariadb_url))
    shop.upgrade("r3")
    shop.revision("r4", "op.add_column('author', sa.Column('r4', sa.Integer))")
    query = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'ALTER TABLE author%'"

    with connected(mariadb_url) as reader:
        reader.execute(text("SELECT * FROM author"))  # the statement has to wait for its end
        child = shop.start() if kind == "sync" else shop.children.python(ASYNC_ONLY, "run-sync")
        until(lambda: rows(mariadb_url, query) or not child.is_running, "the statement runs")
        mariadb_proxy.reset()
        failed = child.finish()

    refused = command("run-sync")
    assert failed.status == 1, failed
    assert refused.status == 3, refused
    assert re.search(r"\br4\b.*sqlhelpers repair shop", refused.stderr)
    assert rows(mariadb_url, "SELECT revision FROM sqlhelpers_journal WHERE finished IS NULL") == [("r4",)]
    assert position(mariadb_url) == ["r3"]


@cannot_undo_ddl
@both_kinds
def test_a_first_statement_that_is_refused_is_tried_again(behind, place, run_sync):
    """The server has answered that it did nothing: there is nothing to repair, and the next run begins again."""
    behind.revision("r4", 'op.execute("ALTER TABLE author ADD COLUM r4 integer")')
    failed = run_sync()
    behind.revision("r4")

    assert failed.status == 1, failed
    assert rows(place, "SELECT revision FROM sqlhelpers_journal WHERE finished IS NULL") == []
    behind.sync()
    assert ran(place) == [*ONCE_EACH, "r4"]


@both_signals
def test_a_signal_in_a_revision_undoes_the_run(behind, place, kind, number, status):
    """The process ends with 130 or 143 and one line, what can be undone is, and within 2 s the lock is free."""
    behind.revision("r4", WAITING)
    child = start_at(behind, "r4", kind)
    behind.revision("r4")

    result = what_another_does(behind, lambda: child.send(number))

    finished = child.finish()
    assert finished.status == status
    assert len(finished.stderr.strip().splitlines()) == 1, finished
    if place.startswith("mariadb"):
        assert "sqlhelpers repair shop" in str(result)
        assert position(place) == ["r3"]
    else:
        assert result is SyncResult.UPGRADED
        assert ran(place) == [*ONCE_EACH, "r4"]


@pytest.mark.parametrize("place", ["postgresql", "mariadb"], indirect=True)
@both_signals
def test_a_signal_during_a_long_statement_is_heard(behind, place, kind, number, status, postgres_server):
    """Nobody waits for the end of the statement: the process ends within 2 s, and PostgreSQL stops as well."""
    behind.revision("r4", BUSY)
    child = start_at(behind, "r4", kind)

    child.send(number)

    assert child.finish(2 + PATIENCE).status == status
    if place.startswith("postgresql"):
        query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(30)' AND state = 'active'"
        until(lambda: not postgres_server.execute(query), "the statement ends in the server")


@pytest.mark.parametrize("place", ["postgresql", "pgbouncer"], indirect=True)
@both_signals
def test_a_signal_while_an_index_is_built_concurrently_is_heard(behind, place, kind, number, status, postgres_server):
    """It waits for a writer, outside of any transaction: the process ends within 2 s, with the status of the signal."""
    behind.revision("r4", CONCURRENT_INDEX)
    query = f"SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE datname = '{place.rpartition('/')[2]}'"
    query += " AND NOT l.granted AND query LIKE 'CREATE INDEX CONCURRENTLY%'"

    with connected(place) as writer:
        writer.execute(text("INSERT INTO author (id, name) VALUES (1, 'old')"))
        child = behind.start() if kind == "sync" else behind.children.python(ASYNC_ONLY, "run-sync")
        until(lambda: postgres_server.execute(query) or not child.is_running, "it waits for the writer")
        child.send(number)
        finished = child.finish(2 + PATIENCE)

    assert finished.status == status, finished
    assert len(finished.stderr.strip().splitlines()) == 1, finished
    assert position(place) == ["r3"]


@pytest.mark.parametrize("place", ["sqlite", "postgresql", "mariadb"], indirect=True)
@both_signals
def test_a_signal_that_a_revision_swallows_ends_the_run(behind, place, kind, number, status):
    """A bare ``except`` does not make the run deaf: it ends before it commits, or begins another revision."""
    behind.revision("r4", SWALLOWS)
    if place.startswith("mariadb"):
        behind.revision("r5")
    child = start_at(behind, "r4", kind)

    child.send(number)

    assert child.finish(2 + PATIENCE).status == status
    assert "r5" not in ran(place)
    if not place.startswith("mariadb"):
        assert ran(place) == ONCE_EACH
        assert position(place) == ["r3"]


#: Catches all that is raised while it sleeps, and goes on.
SWALLOWS = """import os, pathlib, time
pathlib.Path("at-{revision}").write_text(str(os.getpid()))
try:
    time.sleep(30)
except:
    pass"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("place", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_a_signal_while_waiting_for_the_lock_is_heard(behind, place, number, status):
    """A run that waits for another ends at once; the other is not disturbed."""
    behind.revision("r4", WAITING)
    holder = behind.start_at("r4")
    waiting = behind.children.python(TELLS_WHEN_IT_WAITS, "run-sync")
    until((behind.project.folder / "is-waiting").exists, "it waits for the lock")

    waiting.send(number)

    assert waiting.finish(2 + PATIENCE).status == status
    behind.let_go("r4")
    assert holder.finish().status == 0
    assert ran(place) == [*ONCE_EACH, "r4"]


@pytest.mark.parametrize("place", ["postgresql", "pgbouncer", "mariadb"], indirect=True)
@both_kinds
def test_a_run_that_has_lost_its_lock_stops(behind, place, kind, request):
    """When the connection that holds the lock is ended, no further revision begins and nothing is committed."""
    behind.revision("r4", WAITING)
    behind.revision("r5")
    child = start_at(behind, "r4", kind)

    end_lock_connections(place, request)
    behind.let_go("r4")
    stopped = child.finish()

    assert stopped.status == 1
    assert "lock" in stopped.errors[0]
    assert "r5" not in ran(place)
    if not place.startswith("mariadb"):
        assert ran(place) == ONCE_EACH
        behind.sync()
        assert ran(place) == [*ONCE_EACH, "r4", "r5"]


def end_lock_connections(place, request):
    """End the server's connections that hold a lock of ours in the database of ``place``."""
    name = place.rpartition("/")[2]
    if place.startswith("mariadb"):
        server = request.getfixturevalue("mariadb_server")
        found = server.execute(f"SELECT IS_USED_LOCK('sqlhelpers:{name}')")
        server.execute(f"KILL {found[0][0]}")
    else:
        server = request.getfixturevalue("postgres_server")
        ended = server.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            f"WHERE l.locktype = 'advisory' AND d.datname = '{name}'",
        )
        assert len(ended) == 1


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
@both_kinds
def test_a_connection_that_is_lost_in_a_revision_undoes_the_run(behind, place, kind, postgres_server):
    """The run ends with status 1 and one line, and the next one succeeds."""
    behind.revision("r4", WAITING)
    child = start_at(behind, "r4", kind)

    name = place.rpartition("/")[2]
    postgres_server.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' "
        "AND query LIKE 'ALTER TABLE author%'"
    )
    behind.let_go("r4")
    failed = child.finish()

    assert failed.status == 1
    assert len(failed.stderr.splitlines()) == 1, failed
    assert ran(place) == ONCE_EACH
    behind.sync()
    assert ran(place) == [*ONCE_EACH, "r4"]


@pytest.mark.parametrize("place", ["sqlite", "postgresql", "mariadb"], indirect=True)
@both_kinds
def test_a_failed_revision_leaves_the_manager_usable(behind, place, kind):
    """After the error the same manager answers, and has no connection checked out."""
    behind.revision("r4", "1 / 0" if place.startswith("mariadb") else HALF_WAY)
    caller = Caller(behind.runtime(), is_async=kind == "async")
    with pytest.raises(MigrationFailed, match="r4"):
        caller.call("sync")
    behind.revision("r4")

    assert caller.call("sync") is SyncResult.UPGRADED
    assert caller.checked_out == 0
    caller.close()


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_what_an_autocommit_block_has_committed_is_not_run_again(behind, place, command):
    """When a later revision fails, the position of one that has committed for itself stays."""
    body = "with op.get_context().autocommit_block():\n    op.create_index('ix_author_name', 'author', ['name'])"
    behind.revision("r4", body)
    behind.revision("r5", HALF_WAY)

    failed = command("run-sync")
    behind.revision("r5")

    assert failed.status == 1
    assert position(place) == ["r4"]
    behind.sync()
    assert ran(place) == [*ONCE_EACH, "r4", "r5"]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_the_lock_file_of_a_killed_run_is_no_lock(behind, place):
    """The file stays where it is, and keeps nobody out."""
    behind.use(place, lock_timeout=0.2)
    behind.revision("r4", WAITING)
    behind.start_at("r4").kill()
    behind.revision("r4")

    assert list(behind.project.folder.parent.glob("test.db-lock"))
    behind.sync()


@pytest.mark.parametrize("place", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_the_journal_knows_who_was_interrupted(behind, place, command):
    """On a database that cannot undo DDL it has the revision that was begun; elsewhere the entry is undone as well."""
    behind.revision("r4", WAITING)
    child = behind.start_at("r4")
    child.kill()

    entries = rows(place, "SELECT revision, who FROM sqlhelpers_journal WHERE finished IS NULL")

    if place.startswith("mariadb"):
        assert entries[0][0] == "r4"
        assert f"pid {child.pid}" in entries[0][1]
        assert "r4" in command("journal").stdout
    else:
        assert entries == []
