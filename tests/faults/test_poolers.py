"""PgBouncer in transaction mode: each transaction may have another connection of the server."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import sqlalchemy.exc
from callers import Caller, with_driver, within
from databases import connected, execute, rows
from processes import finish_all
from shops import ASYNC_ONLY, CONCURRENT_INDEX, WAITING, ran
from sqlalchemy import inspect, text

from sqlhelpers import SyncResult
from sqlhelpers.exceptions import LockTimeout, SqlhelpersError

if TYPE_CHECKING:
    from servers import PostgresServer

WORKERS = 20
TIMES = 10
POOLED = ["asyncpg", "psycopg", "psycopg-async"]


@pytest.fixture(params=["pgbouncer_url", "small_pgbouncer_url"])
def pooled(request, shop):
    """The URL of an empty database behind PgBouncer, with a pool of twenty and of two; it is said that there is one."""
    shop.pooler = "transaction"
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg-async"])
def test_tasks_under_load_get_right_answers(shop, pooled, driver):
    """Twenty tasks at once, more than the pooler has connections: each gets the answers to its own questions."""
    shop.use(with_driver(pooled, driver), sqlalchemy={"pool_size": WORKERS})
    caller = Caller(shop.runtime(), is_async=True)

    answers = caller.run(ask_in_tasks)
    caller.close()

    assert answers == [[(worker, turn) for turn in range(TIMES)] for worker in range(WORKERS)]


async def ask_in_tasks(manager):
    """Ask in twenty tasks, several questions in each transaction."""

    async def ask(worker):
        answers = []
        for turn in range(TIMES):
            async with manager.session() as session:
                first = await session.scalar(text("SELECT CAST(:n AS integer)"), {"n": worker})
                await session.scalar(text("SELECT CAST(:n AS text)"), {"n": f"{worker}"})
                answers.append((first, await session.scalar(text("SELECT CAST(:n AS integer)"), {"n": turn})))
        return answers

    return await asyncio.gather(*map(ask, range(WORKERS)))


def test_threads_under_load_get_right_answers(shop, pooled):
    """The same with psycopg in twenty threads."""
    shop.use(pooled, sqlalchemy={"pool_size": WORKERS})

    def ask(worker):
        answers = []
        for turn in range(TIMES):
            with manager.session() as session:
                first = session.scalar(text("SELECT CAST(:n AS integer)"), {"n": worker})
                session.scalar(text("SELECT CAST(:n AS text)"), {"n": f"{worker}"})
                answers.append((first, session.scalar(text("SELECT CAST(:n AS integer)"), {"n": turn})))
        return answers

    with shop.runtime() as runtime, ThreadPoolExecutor(WORKERS) as pool:
        manager = runtime.manager()
        answers = list(pool.map(ask, range(WORKERS)))

    assert answers == [[(worker, turn) for turn in range(TIMES)] for worker in range(WORKERS)]


@pytest.mark.parametrize("driver", POOLED)
def test_the_error_without_the_setting_names_it(shop, small_pgbouncer_url, driver):
    """A prepared statement that was left in another connection fails, with the way out: ``pooler = "transaction"``."""
    shop.use(with_driver(small_pgbouncer_url, driver))
    caller = Caller(shop.runtime(), is_async=driver != "psycopg")
    many = ["SELECT 1"] * 7  # psycopg prepares what it has seen five times
    caller.in_session(*many)

    with connected(small_pgbouncer_url) as other:
        other.execute(text("SELECT 2"))  # has the connection that was used last
        with pytest.raises((sqlalchemy.exc.DBAPIError, SqlhelpersError), match='pooler = "transaction"'):
            caller.in_session(*many)
    caller.close()


@pytest.mark.parametrize("driver", POOLED)
def test_no_two_programs_name_a_statement_alike(shop, postgres_url, driver):
    """Without the setting too: a connection never has a prepared statement under a name that others use."""
    execute(postgres_url, "CREATE TYPE mood AS ENUM ('good', 'bad')", "CREATE TYPE pair AS (a mood, b integer)")
    shop.use(with_driver(postgres_url, driver))
    children = [shop.children.python(PREPARES, "sync" if driver == "psycopg" else "async") for _ in range(2)]

    finished = finish_all(children)

    assert [each.status for each in finished] == [0, 0], finished
    names = [name for each in finished for name in each.stdout.split()]
    assert len(names) >= 2 * 2 * 2  # programs, connections, statements
    assert sorted(names) == sorted(set(names))


#: Prepares statements on two connections, in a manager of the kind that is the first argument, and prints their names.
PREPARES = """
import asyncio, sys
from sqlalchemy import text
from sqlhelpers import Runtime

QUESTIONS = ["SELECT 1", "SELECT CAST('good' AS mood)", "SELECT CAST(ROW('bad', 1) AS pair)"]
QUESTIONS = [text(each) for each in QUESTIONS for _ in range(7)]  # psycopg prepares what it has seen five times
NAMES = text("SELECT name FROM pg_prepared_statements")


def sync():
    with Runtime() as runtime, runtime.manager().session() as one, runtime.manager().session() as two:
        for session in (one, two):
            for question in QUESTIONS:
                session.execute(question).all()
            print(*session.scalars(NAMES))


async def with_await():
    async with Runtime() as runtime:
        manager = runtime.async_manager()
        async with manager.session() as one, manager.session() as two:
            for session in (one, two):
                for question in QUESTIONS:
                    (await session.execute(question)).all()
                print(*await session.scalars(NAMES))


asyncio.run(with_await()) if sys.argv[1] == "async" else sync()
"""


def test_no_answer_to_the_question_of_another_program(shop, small_pgbouncer_url):
    """Without the setting a connection may be another's, with its prepared statements: an error, no wrong answer."""
    shop.use(small_pgbouncer_url)
    one, two = (Caller(shop.runtime(), is_async=False) for _ in range(2))
    mine, others = ["SELECT 'one'"] * 7, ["SELECT 'two'"] * 7
    one.in_session(*mine, lambda: two.in_session(*others))  # each is prepared in a connection of its own

    with connected(small_pgbouncer_url) as other:
        other.execute(text("SELECT 2"))  # has the connection that was used last, so the next one is that of the other
        with pytest.raises((sqlalchemy.exc.DBAPIError, SqlhelpersError), match='pooler = "transaction"'):
            pytest.fail(f"the answer was {one.in_session(mine[0])}")
    one.close()
    two.close()


def test_a_run_without_the_setting_works_or_names_it(shop, small_pgbouncer_url, command):
    """A run that meets prepared statements of another has names apart, or ends with status 1 and says what to set."""
    shop.use(small_pgbouncer_url)
    finished = []
    for number in range(4, 8):
        shop.revision(f"r{number}", "for _ in range(7):\n    op.execute('SELECT 1')")
        finished.append(command("run-sync"))

    failed = [each for each in finished if each.status]
    assert all(each.status == 1 and 'pooler = "transaction"' in each.stderr for each in failed), failed
    if not failed:
        assert ran(small_pgbouncer_url) == [f"r{number}" for number in range(1, 8)]


def test_a_run_that_is_lent_another_connection_names_it(shop, pgbouncer_url, command):
    """A run without the setting whose prepared statements are elsewhere ends with status 1 and says what to set."""
    shop.use(pgbouncer_url)
    shop.upgrade("r3")
    shop.revision("r4", CHANGES_CONNECTIONS)

    failed = command("run-sync")

    assert failed.status == 1, failed
    assert 'pooler = "transaction"' in failed.stderr
    assert len(failed.errors) == 1


#: Prepares a statement, and is lent another connection for its next transaction.
CHANGES_CONNECTIONS = """import psycopg
url = op.get_bind().engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
with op.get_context().autocommit_block():
    for _ in range(7):
        op.execute("SELECT 1")
    with psycopg.connect(url) as other:
        other.execute("SELECT 2")  # has the connection that was used last
        op.execute("SELECT 1")"""


@pytest.fixture(params=["postgres_url", "pgbouncer_url", "small_pgbouncer_url"], ids=["direct", "pooled", "two"])
def served(request, shop):
    """The URL of an empty PostgreSQL database: direct, behind PgBouncer, and behind a PgBouncer with a pool of two."""
    shop.pooler = "transaction" if "pgbouncer" in request.param else None
    return request.getfixturevalue(request.param)


def test_an_index_is_built_concurrently_while_others_wait(shop, served):
    """CREATE INDEX CONCURRENTLY waits for every snapshot; who waits for the lock has none."""
    shop.use(served)
    shop.upgrade("r3")
    shop.revision("r4", CONCURRENT_INDEX)
    shop.revision("r5")

    children = [shop.start() for _ in range(3)] + [shop.children.python(ASYNC_ONLY, "run-sync") for _ in range(2)]
    finished = finish_all(children)

    assert [each.status for each in finished] == [0] * 5, finished
    assert ran(served) == ["r1", "r2", "r3", "r4", "r5"]
    with connected(served) as connection:
        indexes = {index["name"] for index in inspect(connection).get_indexes("author")}
    assert "ix_author_name" in indexes


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_pool_of_one_is_too_small_for_a_run(shop, narrow_pgbouncer_url, kind):
    """A run needs two connections: it ends within its limits, and the error says so; nothing hangs afterwards."""
    shop.pooler = "transaction"
    shop.use(narrow_pgbouncer_url, lock_timeout=1, command_timeout=1, connect_timeout=2)
    caller = Caller(shop.runtime(), is_async=kind == "async")

    with within(3), pytest.raises((LockTimeout, sqlalchemy.exc.DBAPIError, SqlhelpersError), match="needs two"):
        caller.call("sync")

    assert caller.in_session("SELECT 1") == 1
    caller.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_pool_of_one_will_do_for_a_run_that_has_nothing_to_do(shop, narrow_pgbouncer_url, postgres_server, kind):
    """It takes no lock."""
    shop.pooler = "transaction"
    shop.use(narrow_pgbouncer_url)
    shop.upgrade("r3", _direct(narrow_pgbouncer_url, postgres_server))
    caller = Caller(shop.runtime(), is_async=kind == "async")

    with within(3):
        assert caller.call("sync") is SyncResult.ALREADY_UP_TO_DATE
    caller.close()


def test_a_run_that_waits_leaves_the_pool_to_others(shop, small_pgbouncer_url):
    """With a pool of two, one holds the lock and works; who waits takes a connection for moments only."""
    shop.pooler = "transaction"
    shop.use(small_pgbouncer_url)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    holder = shop.start_at("r4")
    waiting = [shop.start() for _ in range(2)]
    shop.let_go("r4")

    finished = finish_all([holder, *waiting])

    assert [each.status for each in finished] == [0] * 3
    assert ran(small_pgbouncer_url) == ["r1", "r2", "r3", "r4"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_run_leaves_no_setting_in_a_connection_of_the_pooler(shop, narrow_pgbouncer_url, postgres_server, kind):
    """Limits of a run are over with its transactions: the next client of the same connection has the server's own."""
    shop.pooler = "transaction"
    shop.use(narrow_pgbouncer_url, lock_timeout=1, command_timeout=1, connect_timeout=2)
    shop.upgrade("r2", _direct(narrow_pgbouncer_url, postgres_server))
    names = "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "application_name"
    query = "SELECT concat_ws(' ', {})".format(", ".join(f"current_setting('{each}')" for each in names))
    fresh = rows(narrow_pgbouncer_url, query)
    caller = Caller(shop.runtime(), is_async=kind == "async")
    with pytest.raises((LockTimeout, sqlalchemy.exc.DBAPIError, SqlhelpersError)):
        caller.call("sync")

    assert caller.in_session(query) == fresh[0][0]
    assert caller.in_session("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    caller.close()


def test_sessions_and_runs_share_a_small_pool(shop, small_pgbouncer_url):
    """Requests that come in while a run is under way are answered, and so is the run."""
    shop.pooler = "transaction"
    shop.use(small_pgbouncer_url)
    shop.upgrade("r1")
    stop = threading.Event()

    def ask():
        answers = set()
        while not stop.is_set():
            with runtime.manager().session() as session:
                answers.add(session.scalar(text("SELECT 1")))
        return answers

    with shop.runtime() as runtime, ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            with shop.runtime() as another:
                result = another.manager().sync()
        finally:
            stop.set()

        assert [each.result(30) for each in asking] == [{1}] * 3
    assert result is SyncResult.UPGRADED
    assert ran(small_pgbouncer_url) == ["r1", "r2", "r3"]


@pytest.mark.parametrize("driver", POOLED)
def test_an_error_in_a_session_leaves_nothing_in_the_pool(shop, small_pgbouncer_url, driver):
    """What a failed transaction did is rolled back, whichever connection it had."""
    shop.pooler = "transaction"
    shop.use(with_driver(small_pgbouncer_url, driver))
    execute(small_pgbouncer_url, "CREATE TABLE t (id integer PRIMARY KEY)")
    caller = Caller(shop.runtime(), is_async=driver != "psycopg")

    for _ in range(5):
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            caller.in_session("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)")

    assert caller.in_session("SELECT count(*) FROM t") == 0
    caller.close()


def _direct(pooled: str, server: PostgresServer) -> str:
    """Return the URL of a database without the pooler in front of it."""
    before, _, name = pooled.rpartition("/")
    return f"{before.rpartition('@')[0]}@127.0.0.1:{server.port}/{name}"
