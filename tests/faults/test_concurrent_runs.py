"""Every pod runs ``run-sync`` when it starts: many at once are one after another, and each revision runs once."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from callers import within
from databases import execute, rows
from processes import finish_all, until
from shops import ASYNC_ONLY, ROUNDS, SYNC, WAITING, position, ran

from sqlhelpers import DatabaseManager, SyncResult
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.config.settings import DatabaseSettings
from sqlhelpers.exceptions import LockTimeout

EIGHT = 8
ONCE_EACH = ["r1", "r2", "r3"]


@pytest.fixture(params=[pytest.param(number, id=f"round{number + 1}") for number in range(ROUNDS)])
def rounds(request):
    """Repeats a test as often as SQLHELPERS_ROUNDS says."""
    return request.param


def statuses(finished):
    """Return the exit statuses of processes; fail with what they printed if one is not 0."""
    assert all(each.status == 0 for each in finished), [each.output for each in finished]
    return [each.status for each in finished]


@pytest.mark.usefixtures("rounds")
def test_eight_runs_create_an_empty_database(shop, place):
    """One of them creates the tables from the models, the others find them, and all of them succeed."""
    shop.use(place, bootstrap="models")

    finished = finish_all([shop.start() for _ in range(EIGHT)])

    assert statuses(finished) == [0] * EIGHT
    assert sum("created at r3" in each.stdout for each in finished) == 1
    assert sum("up to date at r3" in each.stdout for each in finished) == EIGHT - 1
    assert position(place) == ["r3"]


@pytest.mark.usefixtures("rounds")
@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_runs_at_once_migrate_an_empty_database(shop, place):
    """Where the tables come from the revisions, every revision runs once, and all of the runs succeed."""
    shop.use(place)

    finished = finish_all([shop.start() for _ in range(4)])

    assert statuses(finished) == [0] * 4
    assert ran(place) == ONCE_EACH


@pytest.mark.usefixtures("rounds")
def test_eight_runs_upgrade_a_database_that_is_behind(shop, place):
    """Every revision that is missing runs once, and all of them succeed."""
    shop.use(place)
    shop.upgrade("r1")

    finished = finish_all([shop.start() for _ in range(EIGHT)])

    assert statuses(finished) == [0] * EIGHT
    assert sum("upgraded r1 -> r3" in each.stdout for each in finished) == 1
    assert ran(place) == ONCE_EACH


def test_sync_and_async_drivers_run_at_once(shop, place):
    """Both managers, and the command line with either driver, keep each other out."""
    shop.use(place)
    shop.upgrade("r1")
    commands = [lambda: shop.children.python(ASYNC_ONLY, "run-sync"), shop.start]
    commands += [lambda kind=kind: shop.children.python(SYNC, kind) for kind in ("sync", "async")]

    finished = finish_all([start() for start in commands])

    assert statuses(finished) == [0] * 4
    assert ran(place) == ONCE_EACH


def test_threads_of_one_process_run_at_once(shop, url):
    """Eight threads that share a manager: one of them upgrades, the others find it done."""
    shop.use(url)
    shop.upgrade("r1")

    with shop.runtime() as runtime, ThreadPoolExecutor(EIGHT) as pool:
        results = list(pool.map(lambda _: runtime.manager().sync(), range(EIGHT)))

    assert results.count(SyncResult.UPGRADED) == 1
    assert results.count(SyncResult.ALREADY_UP_TO_DATE) == EIGHT - 1
    assert ran(url) == ONCE_EACH


async def test_tasks_of_one_process_run_at_once(shop, url):
    """Eight tasks that share a manager: one of them upgrades, the others find it done."""
    shop.use(url)
    async with shop.runtime() as runtime:
        await runtime.async_manager().upgrade("r1")

        results = await asyncio.gather(*(runtime.async_manager().sync() for _ in range(EIGHT)))

    assert results.count(SyncResult.UPGRADED) == 1
    assert results.count(SyncResult.ALREADY_UP_TO_DATE) == EIGHT - 1
    assert ran(url) == ONCE_EACH


async def test_threads_and_tasks_run_at_once(shop, url):
    """The managers of both kinds in one process keep each other out, and nobody blocks the event loop."""
    shop.use(url)
    async with shop.runtime() as runtime:
        await runtime.async_manager().upgrade("r1")

        threads = (asyncio.to_thread(runtime.manager().sync) for _ in range(4))
        tasks = (runtime.async_manager().sync() for _ in range(4))
        results = await asyncio.gather(*threads, *tasks)

    assert results.count(SyncResult.UPGRADED) == 1
    assert ran(url) == ONCE_EACH


def test_two_databases_upgraded_at_once_in_one_process_are_never_mixed_up(shop, postgres_server, tmp_path):
    """Two threads, pair after pair: what was to be done in one database is done there, and all of it."""
    shop.use(f"sqlite:///{tmp_path}/unused.db")
    for number in range(4, 7):
        shop.revision(f"r{number}", f"op.add_column('author', sa.Column('c{number}', sa.Integer))")

    for number in range(50 if ROUNDS > 1 else 5):
        with postgres_server.fresh_database() as one:
            urls = [one, f"sqlite:///{tmp_path}/{number}.db"]
            with shop.runtime(urls[0]) as first, shop.runtime(urls[1]) as second, ThreadPoolExecutor(2) as pool:
                results = list(pool.map(lambda runtime: runtime.manager().sync(), (first, second)))

            assert results == [SyncResult.CREATED] * 2
            for url in urls:
                assert position(url) == ["r6"]
                assert ran(url) == ["r1", "r2", "r3", "r4", "r5", "r6"]
                assert rows(url, "SELECT c4, c5, c6 FROM author") == []


def test_a_holder_that_keeps_the_lock_is_named(shop, place, command):
    """Who waits in vain ends with status 4 and says who holds the lock; nothing has been changed."""
    shop.use(place, lock_timeout=1)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    holder = shop.start_at("r4")
    before = position(place)

    refused = command("run-sync")

    assert refused.status == 4, refused
    assert len(refused.errors) == 1
    assert "lock_timeout" in refused.stderr
    if place.startswith("mariadb"):
        assert re.search(rf"connection \d+ of {place.rpartition('/')[2]} at ", refused.stderr)
    else:
        assert re.search(rf"pid {holder.pid}\b", refused.stderr)
    assert position(place) == before
    shop.let_go("r4")
    assert holder.finish().status == 0
    assert ran(place) == [*ONCE_EACH, "r4"]


def test_a_run_waits_for_another_and_then_finds_its_work_done(shop, place):
    """The state is read after the lock was taken: the second run does not act on what it saw before."""
    shop.use(place)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    holder = shop.start_at("r4")
    with shop.runtime() as runtime, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runtime.manager().sync)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        shop.let_go("r4")

        assert waiting.result(30) is SyncResult.ALREADY_UP_TO_DATE
    assert holder.finish().status == 0
    assert ran(place) == [*ONCE_EACH, "r4"]


def test_two_databases_do_not_block_each_other(shop, pair):
    """While a run is under way in one, another process upgrades the other on the same server."""
    one, other = pair
    shop.use(one, lock_timeout=1)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    holder = shop.start_at("r4")

    shop.upgrade("r3", other)

    assert holder.is_running
    assert ran(other) == ONCE_EACH
    shop.let_go("r4")
    assert holder.finish().status == 0


def test_the_state_can_be_asked_for_during_a_run(shop, place, command):
    """``status`` does not wait for the run that is under way, and tells what was before it."""
    shop.use(place)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    shop.start_at("r4")

    with within(0):
        done = command("status")

    assert done.status == 0
    assert "r3" in done.stdout


def test_every_way_in_takes_the_same_lock(shop, place, command):
    """While a run is under way, neither a manager of either kind nor any command that changes something gets in."""
    shop.use(place, lock_timeout=0.2)
    shop.upgrade("r3")
    execute(place, "CREATE TABLE alembic_version_gone (version_num VARCHAR(32) PRIMARY KEY)")
    shop.revision("r4", WAITING)
    holder = shop.start_at("r4")
    alembic = {"migrations_path": shop.project.folder / "shop/migrations"}
    settings = DatabaseSettings(sqlalchemy={"url": place}, alembic=alembic, lock_timeout=0.2, pooler=shop.pooler)

    async def with_await():
        async with AsyncDatabaseManager.from_settings(settings) as manager:
            await manager.upgrade()

    with DatabaseManager.from_settings(settings) as manager, pytest.raises(LockTimeout):
        manager.upgrade()
    with pytest.raises(LockTimeout):
        asyncio.run(with_await())
    commands = ["run-sync"], ["adopt", "shop"], ["repair", "shop", "--applied"], ["downgrade", "shop", "r1", "--yes"]
    commands += ["upgrade", "shop", "r1"], ["stamp", "shop", "r1", "--yes"]
    commands += ["drop", "--yes"], ["retire", "gone", "--yes"]
    assert {command(*words).status for words in commands} == {4}
    assert holder.is_running
    shop.let_go("r4")
    assert holder.finish().status == 0


def test_a_revision_that_starts_another_run_is_told_so(shop, place, command):
    """It would wait for itself: it gets an error at once, and all is rolled back."""
    shop.use(place)
    shop.upgrade("r3")
    shop.revision("r4", "from sqlhelpers import Runtime\nwith Runtime() as runtime:\n    runtime.manager().sync()")

    with within(3):
        done = command("run-sync")

    assert done.status in {1, 4}, done
    assert "revision" in done.errors[0]
    assert position(place) == ["r3"]


def test_a_sqlite_file_has_one_lock_by_whatever_name(shop, sqlite_url, tmp_path):
    """Through a symbolic link and a relative path it is the same database."""
    (tmp_path / "linked").symlink_to(tmp_path)
    shop.use(sqlite_url, lock_timeout=0.2)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    holder = shop.start_at("r4")

    for url in (f"sqlite:///{tmp_path}/linked/test.db", "sqlite:///../test.db"):
        with shop.runtime(url) as runtime, pytest.raises(LockTimeout, match=str(holder.pid)):
            runtime.manager().sync()


async def test_waiting_for_another_run_lets_the_event_loop_go_on(shop, place):
    """A task that waits for the lock of another process does not keep other tasks from running."""
    shop.use(place)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    holder = await asyncio.to_thread(shop.start_at, "r4")
    async with shop.runtime() as runtime:
        waiting = asyncio.create_task(runtime.async_manager().sync())
        for _ in range(50):  # a loop that stood still would come to the end of this when the wait is over
            await asyncio.sleep(0.01)
        is_waiting = not waiting.done()
        shop.let_go("r4")
        result = await waiting

    assert is_waiting
    assert result is SyncResult.ALREADY_UP_TO_DATE
    assert holder.finish().status == 0


def test_a_run_leaves_no_lock_behind(shop, place, request):
    """Neither success nor failure leaves a lock in the server, in a connection of the pooler, or on the file."""
    shop.use(place, lock_timeout=1)
    shop.upgrade("r2")
    shop.revision("r4", "1 / 0")

    with shop.runtime() as runtime, pytest.raises(Exception, match="r4"):
        runtime.manager().sync()
    shop.revision("r4")
    done = shop.start().finish()

    assert done.status == 0, done
    if place.startswith("postgresql"):
        server = request.getfixturevalue("postgres_server")
        until(lambda: not server.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), "no lock is left")
