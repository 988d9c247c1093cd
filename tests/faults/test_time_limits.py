"""Every wait ends within its limit and two seconds, whatever the network, the server or another session does."""

from __future__ import annotations

import re
import time

import pytest
import sqlalchemy.exc
from callers import DRIVERS, Caller, with_driver, within
from databases import connected, execute, rows, snapshot
from processes import until
from proxy import proxy_to
from servers import MariadbServer, PostgresServer
from shops import BUSY, WAITING, position, ran
from sqlalchemy import text
from throwaway import running

from sqlhelpers import SyncResult
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
def line(request, shop):
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


def test_a_run_whose_server_stops_answering(line):
    """In the middle of a revision it ends within ``ddl_statement_timeout``; later another run finds no lock."""
    limits = {"ddl_statement_timeout": LIMIT, "ddl_lock_timeout": LIMIT}
    line.shop.use(line.url, alembic=limits)
    line.shop.upgrade("r3")
    line.shop.revision("r4", STALLS)
    caller = line.caller(alembic=limits)
    line.shop.project.write("stall.py", "def stall():\n    pass\n")
    stalling(line)

    with within(LIMIT + 2), pytest.raises(FAILS):  # a second for the server to be quicker, another for the rollback
        caller.call("sync")

    line.proxy.resume()
    line.proxy.reset()
    line.shop.revision("r4")
    line.shop.use(line.url)
    done = line.shop.start().finish()
    assert done.status == (3 if "mariadb" in line.url else 0), done


#: Calls a function of the test after its first statement.
STALLS = """import stalling
op.add_column("author", sa.Column("{revision}", sa.Integer))
stalling.stall()
op.add_column("author", sa.Column("{revision}b", sa.Integer))"""


def stalling(line):
    """Let revisions import ``stalling``, whose ``stall`` stalls the network."""
    line.shop.project.write("stalling.py", "")
    import stalling

    stalling.stall = line.proxy.stall
