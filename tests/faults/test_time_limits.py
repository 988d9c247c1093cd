"""Every wait ends within its limit and two seconds, whatever the network, the server or another session does."""

from __future__ import annotations

import re
import signal
import time
from threading import Timer

import pytest
import sqlalchemy.exc
from callers import DRIVERS, PATIENCE, Caller, with_driver, within
from databases import connected, execute, rows, snapshot
from processes import until
from proxy import proxy_to
from servers import MariadbServer, PostgresServer
from shops import BUSY, CONCURRENT_INDEX, TELLS_WHEN_IT_WAITS, WAITING, position, ran
from sqlalchemy import text
from throwaway import running

from sqlhelpers import SyncResult
from sqlhelpers.discovery.hooks import Hooks
from sqlhelpers.exceptions import MigrationFailed, SqlhelpersError

LIMIT = 1.0  # seconds, of each kind
SERVERS = [name for name, (_, _, server) in DRIVERS.items() if server != "sqlite"]
LIMITS = {"connect_timeout": LIMIT, "command_timeout": LIMIT, "lock_timeout": LIMIT}
FAILS = (sqlalchemy.exc.SQLAlchemyError, SqlhelpersError, OSError)


class Line:
    """A manager whose database is behind a network that a test can spoil.

    Attributes:
        shop: the app.
        proxy: the network.
        url: the URL of the database, without the proxy.
        through: its URL through the proxy.
        caller: calls the manager.
    """

    def __init__(self, shop, proxy, url, driver):
        self.shop, self.proxy, self.url, self._driver = shop, proxy, url, driver
        self.through = with_driver(proxy.url(url), driver)
        self._callers = []

    def caller(self, **settings):
        """Write settings, and return what calls the manager that has them."""
        self.shop.use(self.through, **{**LIMITS, **settings})
        made = Caller(self.shop.runtime(), is_async=DRIVERS[self._driver][1])
        self._callers.append(made)
        return made

    def close(self):
        """Mend the network, and close the managers."""
        self.proxy.resume()
        for caller in self._callers:
            caller.close()


@pytest.fixture(params=SERVERS)
def line(request, shop, nothing_left_open):  # noqa: ARG001
    """A database behind a proxy, for each driver."""
    server = request.getfixturevalue(f"{DRIVERS[request.param][2]}_server")
    with server.fresh_database() as url, proxy_to(server.port) as proxy:
        made = Line(shop, proxy, url, request.param)
        yield made
        made.close()


def test_connecting_to_a_server_that_does_not_answer(line):
    """A session that needs a connection fails within ``connect_timeout``."""
    caller = line.caller()
    line.proxy.stall()

    with within(LIMIT), pytest.raises(FAILS):
        caller.in_session("SELECT 1")


def test_a_pooled_connection_that_does_not_answer(line):
    """The ping before its use and the attempt to connect anew together end within ``connect_timeout``."""
    caller = line.caller()
    assert caller.in_session("SELECT 1") == 1
    line.proxy.stall()

    with within(LIMIT), pytest.raises(FAILS):
        caller.in_session("SELECT 1")


def test_a_command_that_is_not_answered(line):
    """A statement of a session fails within ``command_timeout``, and the error names the setting."""
    caller = line.caller()

    with within(LIMIT), pytest.raises(sqlalchemy.exc.DBAPIError, match=r"command_timeout"):
        caller.in_session("SELECT 1", line.proxy.stall, "SELECT 2")


def test_a_commit_that_is_not_answered(line):
    """A session whose commit gets no answer raises within ``command_timeout``: it is not taken for done."""
    caller = line.caller()
    execute(line.url, "CREATE TABLE t (id integer)")

    with within(LIMIT), pytest.raises(FAILS):
        caller.in_session("INSERT INTO t VALUES (1)", line.proxy.stall)


def test_a_rollback_that_is_not_answered(line):
    """A session that is rolled back because of an error raises that error, within ``command_timeout``."""
    caller = line.caller()
    execute(line.url, "CREATE TABLE t (id integer)")

    def fail():
        line.proxy.stall()
        raise ValueError("the block failed")

    with within(LIMIT), pytest.raises((ValueError, *FAILS)):
        caller.in_session("INSERT INTO t VALUES (1)", fail)
    line.proxy.resume()
    assert rows(line.url, "SELECT id FROM t") == []


def test_a_pool_recovers_from_a_stalled_network(line):
    """When the network is well again, so is the manager: connections that were given up are replaced."""
    caller = line.caller()
    with pytest.raises(FAILS):
        caller.in_session("SELECT 1", line.proxy.stall, "SELECT 2")
    line.proxy.resume()

    assert [caller.in_session("SELECT 3") for _ in range(5)] == [3] * 5
    assert caller.checked_out == 0


def test_disposing_while_nothing_answers(line):
    """Closing the pool does not wait for the server for longer than ``command_timeout``."""
    caller = line.caller()
    caller.in_session("SELECT 1")
    line.proxy.stall()

    with within(LIMIT):
        caller.call("dispose")


def test_the_status_of_a_server_that_does_not_answer(line, command):
    """The command ends within ``connect_timeout`` with status 1 and one line."""
    line.shop.use(line.through, **LIMITS)
    line.proxy.stall()

    with within(LIMIT):
        done = command("status")

    assert done.status == 1
    assert len(done.stderr.splitlines()) == 1, done


def test_the_status_when_the_server_stops_answering(line):
    """Asking for the state of a database is a command like others."""
    caller = line.caller()
    caller.call("get_status")
    line.proxy.stall()

    with within(LIMIT), pytest.raises(FAILS):
        caller.call("get_status")


def test_a_run_on_a_server_that_does_not_answer(line):
    """A run that cannot even connect ends within ``connect_timeout``."""
    caller = line.caller()
    line.proxy.stall()

    with within(LIMIT), pytest.raises(FAILS):
        caller.call("sync")


def test_a_run_whose_server_stops_answering(line, command):
    """In the middle of a revision it ends within ``ddl_statement_timeout``; later another run finds no lock."""
    line.shop.use(line.url)
    line.shop.upgrade("r3")
    line.shop.revision("r4", STALLS)
    caller = line.caller(alembic={"ddl_statement_timeout": LIMIT})
    line.shop.project.write("network.py", "")
    __import__("network").stall = line.proxy.stall

    with within(LIMIT), pytest.raises(FAILS):
        caller.call("sync")

    line.proxy.reset()
    line.shop.revision("r4")
    line.shop.use(line.url)
    done = command("run-sync")
    assert done.status == (3 if "mariadb" in line.url else 0), done


#: The network stalls after its first statement.
STALLS = """import network
op.add_column("author", sa.Column("{revision}", sa.Integer))
network.stall()
op.add_column("author", sa.Column("{revision}b", sa.Integer))"""


def test_waiting_for_the_lock_when_the_server_stops_answering(line):
    """A run that waits for another ends within ``lock_timeout``, and never believes that it has the lock."""
    line.shop.use(line.url)
    line.shop.upgrade("r3")
    line.shop.revision("r4", WAITING)
    holder = line.shop.start_at("r4")
    caller = line.caller(lock_timeout=3)
    line.shop.revision("r4", "import network\nnetwork.stall()")
    caller.in_session("SELECT 1")
    stalling = Timer(1, line.proxy.stall)
    stalling.start()

    with within(3), pytest.raises(FAILS):
        caller.call("sync")

    stalling.join()
    assert holder.is_running


def test_no_command_timeout(line):
    """With ``command_timeout = 0`` a statement may take as long as it likes."""
    caller = line.caller(command_timeout=0)
    sleeps = "SELECT SLEEP(1.5)" if "mariadb" in line.url else "SELECT pg_sleep(1.5)"

    began = time.monotonic()
    caller.in_session(sleeps)

    assert time.monotonic() - began > LIMIT


def test_a_long_statement_of_a_session(line):
    """It is ended by ``command_timeout``, at the server as well, and the next session has a connection that works."""
    caller = line.caller()
    sleeps = "SELECT SLEEP(30)" if "mariadb" in line.url else "SELECT pg_sleep(30)"

    with within(LIMIT), pytest.raises(sqlalchemy.exc.DBAPIError, match="command_timeout"):
        caller.in_session(sleeps)

    assert caller.in_session("SELECT 1") == 1
    assert caller.checked_out == 0


def test_a_large_statement_into_a_network_that_stalls(line):
    """Sending ends within ``command_timeout`` as well, when nobody takes the bytes."""
    caller = line.caller(connect_timeout=30)
    large = sqlalchemy.select(sqlalchemy.func.length("x" * 12_000_000))  # more than the buffers in between can take

    with within(LIMIT), pytest.raises(FAILS):
        caller.in_session("SELECT 1", line.proxy.stall, large)


def test_a_long_statement_with_aiomysql(shop, mariadb_url):
    """The driver that is used where asyncmy is not installed is bound by ``command_timeout`` as well."""
    shop.use(f"mariadb+aiomysql{mariadb_url[mariadb_url.index(':') :]}", **LIMITS)
    caller = Caller(shop.runtime(), is_async=True)

    with within(LIMIT), pytest.raises(sqlalchemy.exc.DBAPIError, match="command_timeout"):
        caller.in_session("SELECT SLEEP(30)")

    assert caller.in_session("SELECT 1") == 1
    assert caller.checked_out == 0
    caller.close()


def test_connections_that_were_reset_between_requests(line):
    """A network that has dropped all pooled connections costs no request."""
    caller = line.caller()
    for _ in range(3):
        caller.in_session("SELECT 1")
        line.proxy.reset()

    assert caller.in_session("SELECT 2") == 2


def test_a_connection_that_is_reset_within_a_session(line):
    """The session fails, nothing of it is committed, and the next one has a new connection."""
    caller = line.caller()
    execute(line.url, "CREATE TABLE t (id integer)")

    with within(LIMIT), pytest.raises(FAILS):
        caller.in_session("INSERT INTO t VALUES (1)", line.proxy.reset)

    assert caller.in_session("SELECT count(*) FROM t") == 0
    assert caller.checked_out == 0


def test_a_server_that_refuses(line):
    """Nobody listens: the error comes at once."""
    caller = line.caller()
    line.proxy.refuse()

    with within(0), pytest.raises(FAILS):
        caller.in_session("SELECT 1")


def test_an_exhausted_pool(line):
    """Who waits for a connection in vain gets SQLAlchemy's ``TimeoutError`` after ``pool_timeout``."""
    caller = line.caller(sqlalchemy={"pool_size": 1, "pool_timeout": LIMIT})

    with within(LIMIT), pytest.raises(sqlalchemy.exc.TimeoutError, match="QueuePool limit"):
        caller.in_two_sessions()

    assert caller.in_session("SELECT 1") == 1
    assert caller.checked_out == 0


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def served(request):
    """An empty database on each server."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_table_that_others_use(shop, served, kind):
    """A revision waits for it no longer than ``ddl_lock_timeout``, names the setting, and changes nothing."""
    shop.use(served, alembic={"ddl_lock_timeout": LIMIT})
    shop.upgrade("r3")
    shop.revision("r4", "op.add_column('author', sa.Column('r4', sa.Integer))")
    before = snapshot(served)
    caller = Caller(shop.runtime(), is_async=kind == "async")

    with connected(served) as reader:
        reader.execute(text("SELECT * FROM author"))
        with within(LIMIT), pytest.raises(MigrationFailed, match=r"r4.*ddl_lock_timeout"):
            caller.call("sync")

    assert snapshot(served) == before
    assert caller.call("sync") is SyncResult.UPGRADED
    caller.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_statement_of_a_revision_that_takes_too_long(shop, served, kind):
    """It is ended by ``ddl_statement_timeout``, which the error names."""
    shop.use(served, alembic={"ddl_statement_timeout": LIMIT})
    shop.upgrade("r3")
    shop.revision("r4", BUSY)
    caller = Caller(shop.runtime(), is_async=kind == "async")

    with within(LIMIT), pytest.raises(MigrationFailed, match=r"r4.*ddl_statement_timeout"):
        caller.call("sync")
    caller.close()


@pytest.mark.parametrize("place", ["postgres_url", "pgbouncer_url"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_index_that_is_built_concurrently_for_too_long(shop, request, place, kind):
    """It waits for a writer, outside of any transaction: ``ddl_statement_timeout`` ends it, and is named."""
    shop.pooler = "transaction" if place == "pgbouncer_url" else None
    url = request.getfixturevalue(place)
    shop.use(url, alembic={"ddl_statement_timeout": LIMIT})
    shop.upgrade("r3")
    shop.revision("r4", CONCURRENT_INDEX)
    caller = Caller(shop.runtime(), is_async=kind == "async")

    with connected(url) as writer:
        writer.execute(text("INSERT INTO author (id, name) VALUES (1, 'old')"))
        with within(LIMIT), pytest.raises(MigrationFailed, match=r"r4.*ddl_statement_timeout"):
            caller.call("sync")

    assert position(url) == ["r3"]
    caller.close()


def test_a_revision_with_limits_of_its_own(shop, served):
    """``ddl_lock_timeout`` and ``ddl_statement_timeout`` in its file hold for it alone."""
    shop.use(served)
    shop.upgrade("r3")
    shop.revision("r4", head="ddl_lock_timeout = 5\nddl_statement_timeout = 600", body=ASKS)
    shop.revision("r5", body=ASKS)

    with shop.runtime() as runtime:
        runtime.manager().sync()

    asked = [row[0] for row in rows(served, "SELECT name FROM author ORDER BY id")]
    expected = (
        [["5s", "10min"], ["10s", "1h"]] if served.startswith("postgresql") else [["5", "600.0"], ["10", "3600.0"]]
    )
    assert [re.sub(r"\.0+$", ".0", each).split() for each in asked] == expected


#: Writes down the limits that it has.
ASKS = """connection = op.get_bind()
if connection.dialect.name == "postgresql":
    found = [connection.scalar(sa.text(f"SHOW {name}_timeout")) for name in ("lock", "statement")]
else:
    found = connection.execute(sa.text("SELECT @@lock_wait_timeout, @@max_statement_time")).one()
asked = " ".join(map(str, found))
op.execute(f"INSERT INTO author (id, name) VALUES ({'{revision}'[1:]}, '{asked}')")"""


def test_a_revision_whose_limit_is_not_a_number(shop, served, command):
    """It is refused before it runs, with its file and what should be there."""
    shop.use(served)
    shop.upgrade("r3")
    shop.revision("r4", head="ddl_lock_timeout = '5 s'")

    done = command("run-sync")

    assert done.status == 2
    assert re.search(r"r4.py: ddl_lock_timeout = '5 s' should be a number", done.stderr)
    assert position(served) == ["r3"]


@pytest.fixture(params=["postgres_proxy", "mariadb_proxy"])
def away(request, shop):
    """A proxy that refuses, in front of each server; the app's database is behind it."""
    proxy = request.getfixturevalue(request.param)
    url = request.getfixturevalue(request.param.replace("proxy", "url"))
    shop.use(proxy.url(url), **LIMITS)
    shop.url = url
    proxy.refuse()
    return proxy


def test_a_server_that_comes_up_later(shop, away):
    """``run-sync --wait`` waits for it, and then does its work."""
    child = shop.children.python(TELLS_WHEN_IT_WAITS, "run-sync", "--wait", "30")
    until((shop.project.folder / "is-waiting").exists, "it waits for the server")

    away.resume()

    assert child.finish().status == 0
    assert ran(shop.url) == ["r1", "r2", "r3"]


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_server_that_never_comes_up(command, monkeypatch, is_async):
    """``run-sync --wait`` ends within that time, with status 1 and what the driver said last; with each driver."""
    if is_async:
        monkeypatch.setattr(Hooks, "has_sync_driver", lambda *_: False)
    with within(1):
        done = command("run-sync", "--wait", "1")

    assert done.status == 1
    assert len(done.errors) == 1


def test_a_wrong_password_is_not_waited_for(shop, served, command):
    """What does not pass by itself ends ``run-sync --wait`` at once."""
    user, _, rest = served.partition("@")
    shop.use(f"{user.rpartition(':')[0]}:wrong@{rest}")

    with within(0):
        done = command("run-sync", "--wait", "30")

    assert done.status == 1


@pytest.mark.usefixtures("away")
def test_a_run_that_is_told_to_wait_can_be_interrupted(shop):
    """SIGTERM is heard while it waits for the server."""
    child = shop.children.python(TELLS_WHEN_IT_WAITS, "run-sync", "--wait", "30")
    until((shop.project.folder / "is-waiting").exists, "it waits for the server")

    child.send(signal.SIGTERM)

    assert child.finish(2 + PATIENCE).status == 143


@pytest.fixture(scope="module")
def restarted_postgres():
    """A PostgreSQL server that only these tests use."""
    with running(PostgresServer) as server:
        yield server


@pytest.fixture(scope="module")
def restarted_mariadb():
    """A MariaDB server that only these tests use."""
    with running(MariadbServer) as server:
        yield server


@pytest.mark.usefixtures("postgres_server", "mariadb_server")  # which skip or fail where one is not installed
@pytest.mark.parametrize("driver", SERVERS)
def test_a_server_that_was_restarted_between_requests(shop, request, driver):
    """No request fails: every connection that the restart has ended is replaced before it is used."""
    _, is_async, name = DRIVERS[driver]
    server = request.getfixturevalue(f"restarted_{name}")
    with server.fresh_database() as url:
        shop.use(with_driver(url, driver), sqlalchemy={"pool_size": 3})
        caller = Caller(shop.runtime(), is_async=is_async)
        caller.in_two_sessions()

        server.stop()
        server.start()

        assert [caller.in_session(f"SELECT {number}") for number in range(5)] == [*range(5)]
        caller.close()
