"""``migrations.running.locks``: one run at a time in a database, and who it is."""

from __future__ import annotations

import contextvars
import getpass
import hashlib
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import pytest
from databases import rows
from filelock import FileLock
from processes import until
from proxy import proxy_to
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from sqlhelpers import DatabaseSettings
from sqlhelpers.backends import Lock, backend_of, connected, process_identity
from sqlhelpers.backends.mysql import _NamedLock
from sqlhelpers.backends.postgresql import _KEY, _AdvisoryLock
from sqlhelpers.discovery.hooks import Hooks
from sqlhelpers.engines.create import make_engine
from sqlhelpers.exceptions import DatabaseFailure, LockTimeout
from sqlhelpers.migrations.running.locks import alembic_alone, holder_of, may_look_first, only_run


@contextmanager
def engine_of(url):
    """Make an engine as a manager would."""
    engine = make_engine("default", DatabaseSettings(sqlalchemy={"url": url}), Hooks())
    yield engine
    engine.dispose()


@pytest.fixture
def engine(url):
    """An engine of an empty database, of each dialect in turn."""
    with engine_of(url) as made:
        yield made


@pytest.fixture
def lock(request):
    """The lock of an empty database, which keeps it in the server; nobody has taken it."""
    with engine_of(request.getfixturevalue(request.param)) as engine, engine.connect() as connection:
        yield (_AdvisoryLock if backend_of(engine).undoes_ddl else _NamedLock)(connection, 5)


IN_SERVERS = pytest.mark.parametrize("lock", ["postgres_url", "mariadb_url"], indirect=True)
ON_MARIADB = pytest.mark.parametrize("lock", ["mariadb_url"], indirect=True)


def elsewhere(function, *arguments):
    """Call a function as another run would, which knows nothing of the one of the test."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.Context().run, function, *arguments).result()


def run(engine, seconds=0.0):
    """Take the lock, and let it go."""
    with only_run(engine, "the shop", seconds):
        return True


def holder(engine):
    """Return who holds the lock."""
    with engine.connect() as connection:
        return holder_of(connection)


def test_one_run_at_a_time_and_who_it_is(engine):
    """Who comes second is told who is first, waiting or not; afterwards anybody may."""
    assert holder(engine) == ""
    with only_run(engine, "the shop", 5) as lock:
        name = holder(engine)
        with pytest.raises(LockTimeout) as caught:
            elsewhere(run, engine, 0.2)

    user, shown = engine.url.username, re.escape(f"sqlhelpers {process_identity()}"[:63])
    named = {
        "sqlite": re.escape(f"{process_identity()} ({engine.url.database}-lock)"),
        "postgresql": rf"process \d+ '{shown}' of role {user} at 127\.0\.0\.1",
        "mariadb": rf"connection \d+ of {user} at 127\.0\.0\.1:\d+",
    }

    assert str(caught.value) == f"the shop: another run has not ended within 0.2 s (lock_timeout): it is {name}"
    assert re.fullmatch(named[engine.dialect.name], name)
    assert holder(engine) == ""
    assert elsewhere(run, engine)
    del lock  # whoever keeps it has let others have it


def test_a_run_waits_for_its_turn(engine):
    """It begins when the other has ended, which may be after its first look."""
    with ThreadPoolExecutor(1) as pool:
        with only_run(engine, "the shop", 5):
            waiting = pool.submit(contextvars.Context().run, run, engine, 30)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)

        assert waiting.result()


def test_a_run_that_loses_its_connection_while_it_waits(postgres_url):
    """It ends with what the driver says of it, and does not wait for its turn any more."""
    with engine_of(postgres_url) as engine, ThreadPoolExecutor(1) as pool, only_run(engine, "the shop", 5) as lock:
        holding = lock.connection.scalar(text("SELECT pg_backend_pid()"))
        waiting = pool.submit(contextvars.Context().run, run, engine, 60)
        others = (
            f"FROM pg_stat_activity WHERE datname = current_database() AND pid NOT IN ({holding}, pg_backend_pid())"
        )
        until(lambda: rows(postgres_url, f"SELECT pid {others}"), "the other run is connected")
        until(lambda: rows(postgres_url, f"SELECT pg_terminate_backend(pid) {others}") == [], "no connection is left")

        with pytest.raises(OperationalError):
            waiting.result()


def test_a_run_within_a_run_is_refused_at_once(engine):
    """It would wait for itself."""
    with only_run(engine, "the shop", 5), pytest.raises(LockTimeout, match="the shop: this is called by a revision"):
        run(engine, 60)

    assert run(engine)


def test_one_run_in_a_process_whatever_the_database(engine):
    """Alembic knows one at a time; who waits is told for which."""
    with alembic_alone("the library", 5):
        with pytest.raises(LockTimeout, match=r"the shop: another run in this process has not ended .*: the library"):
            elsewhere(run, engine)
        with pytest.raises(LockTimeout, match="called by a revision"):
            run(engine)

    assert elsewhere(run, engine)


def test_a_run_in_one_database_waits_for_one_in_another(engine):
    """In one process, they come one after the other."""
    with ThreadPoolExecutor(1) as pool:
        with alembic_alone("the library", 5):
            waiting = pool.submit(contextvars.Context().run, run, engine, 30)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)

        assert waiting.result()


def test_a_lost_lock_is_let_go_in_silence(engine, caplog):
    """What has happened to the run is more important, and nobody has to do anything about this."""
    with only_run(engine, "the shop", 5) as lock:
        if engine.dialect.name != "sqlite":
            lock.connection.connection.dbapi_connection.close()

    assert elsewhere(run, engine, 5)
    assert caplog.records == []


def test_what_is_set_on_a_connection_of_a_run_stays_there(engine):
    """The connection is closed, and never given to who uses the pool later."""
    with only_run(engine, "the shop", 5) as lock:
        with connected(engine, lock) as connection:
            assert not connection.in_transaction()

            connection.execute(text("CREATE TEMPORARY TABLE mine (id INTEGER)"))
        with pytest.raises(ZeroDivisionError), connected(engine, lock) as connection:
            connection.execute(text("CREATE TEMPORARY TABLE mine (id INTEGER)"))
            raise ZeroDivisionError
        with engine.connect() as connection, pytest.raises(Exception, match=r"(?i)mine"):
            connection.execute(text("SELECT * FROM mine"))


@pytest.mark.parametrize(
    ("work", "error", "aborted"),
    [
        (lambda _: 1 / 0, ZeroDivisionError, []),
        (lambda connection: connection.invalidate() or 1 / 0, ZeroDivisionError, ["this one"]),
        (lambda _: None, None, []),
        (lambda _: sys.exit(1), SystemExit, ["this one"]),
    ],
)
def test_what_may_go_on_in_the_server_is_ended(sqlite_url, work, error, aborted):
    """When a run is interrupted, or its connection is lost; an error says that the statement has ended."""
    told = []

    class Told(Lock):
        def session(self, connection):
            return "this one" if connection else None

        def abort(self, statement_of):
            told.append(statement_of)

    expected = pytest.raises(error) if error else nullcontext()
    with engine_of(sqlite_url) as engine, expected, connected(engine, Told()) as connection:
        work(connection)

    assert told == aborted


def test_a_database_in_memory_outlives_a_run():
    """Its only connection is the database."""
    with engine_of("sqlite://") as engine:
        with only_run(engine, "the shop", 5) as lock, connected(engine, lock) as connection:
            connection.execute(text("CREATE TABLE mine (id INTEGER)"))
            connection.commit()
        with engine.connect() as connection:
            assert connection.execute(text("SELECT * FROM mine")).all() == []
            assert holder_of(connection) == ""


def test_where_to_look_first(tmp_path):
    """Not in a run, and on SQLite only at a file that has something in it, and in which no other run is."""
    file = tmp_path / "x.db"
    with engine_of(f"sqlite:///{file}") as engine, engine_of("sqlite://") as memory:
        assert not may_look_first(memory)
        assert not may_look_first(engine)

        file.write_bytes(b"")

        assert not may_look_first(engine)

        file.write_bytes(b"x")

        assert may_look_first(engine)
        with only_run(engine, "the shop", 5):
            assert not may_look_first(engine)
            assert not elsewhere(may_look_first, engine)
        assert may_look_first(engine)


def test_where_to_look_first_on_a_server(engine):
    """Anywhere, but not in a run."""
    is_file = engine.dialect.name == "sqlite"

    assert may_look_first(engine) is not is_file
    with only_run(engine, "the shop", 5):
        assert not may_look_first(engine)
        assert elsewhere(may_look_first, engine) is not is_file


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    """Neither for the lock nor for who asks who holds it."""
    folder = tmp_path / "typo"
    with (
        engine_of(f"sqlite:///{folder}/x.db") as engine,
        pytest.raises(FileNotFoundError, match=f"folder {folder} does"),
    ):
        run(engine)

    assert not folder.exists()


def test_asking_who_holds_the_lock_of_a_file_makes_none(tmp_path):
    """Nor does the name that a killed run has left in one count."""
    with engine_of(f"sqlite:///{tmp_path}/x.db") as engine:
        holder(engine)

        assert not (tmp_path / "x.db-lock").exists()

        (tmp_path / "x.db-lock").write_text("somebody@somewhere pid 1")

        assert holder(engine) == ""
        assert elsewhere(run, engine)
        assert (tmp_path / "x.db-lock").read_text() == ""


def test_a_holder_that_has_not_said_its_name_yet(tmp_path):
    """Who comes at that moment is told so, and not a name of nobody."""
    with engine_of(f"sqlite:///{tmp_path}/x.db") as engine, FileLock(tmp_path / "x.db-lock"):
        with pytest.raises(LockTimeout, match=r"\(lock_timeout\): nobody holds the lock just now$"):
            elsewhere(run, engine)
        assert elsewhere(holder, engine) == ""


@IN_SERVERS
def test_who_waits_is_in_no_transaction(lock):
    """A snapshot that is kept would let CREATE INDEX CONCURRENTLY wait for us, and us for it."""
    with lock.connection.engine.connect() as connection:
        other = type(lock)(connection, 5)

        assert other.try_acquire()
        assert not lock.try_acquire()
        assert not lock.connection.in_transaction()

        other.release()

        assert lock.try_acquire()


@IN_SERVERS
def test_a_lock_whose_connection_is_lost_is_noticed(lock):
    """The run stops, because another one may have begun."""
    assert lock.try_acquire()
    lock.probe()
    lock.connection.connection.dbapi_connection.close()

    with pytest.raises(DatabaseFailure, match=r"the connection that holds the lock is lost, so this run stops: ."):
        lock.probe()


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_server_that_does_not_answer(request, kind):
    """It is given a moment, and then the setting is named that says how long to wait."""
    server = request.getfixturevalue(f"{kind}_server")
    with (
        server.fresh_database() as url,
        proxy_to(server.port) as proxy,
        engine_of(proxy.url(url)) as engine,
        engine.connect() as connection,
    ):
        lock = (_AdvisoryLock if backend_of(engine).undoes_ddl else _NamedLock)(connection, 0.1)
        proxy.stall()

        with pytest.raises(LockTimeout, match=r"not even said whether another run is under way: .*lock_timeout"):
            lock.try_acquire()
        proxy.resume()


@IN_SERVERS
def test_a_lost_connection_does_not_hide_that_the_lock_is_held(lock):
    """Who holds it cannot be said then; nor is there anything to be ended."""
    lock.connection.connection.dbapi_connection.close()

    assert lock.holder() == "nobody holds the lock just now"
    lock.abort(1)


def test_a_holder_whom_we_may_not_see(mariadb_server):
    """A role without the privilege PROCESS is told the number of the connection."""
    with mariadb_server.fresh_database() as url, mariadb_server.fresh_database() as other:
        name, user = url.rpartition("/")[2], other.rpartition("/")[2]
        mariadb_server.execute(f"GRANT ALL ON `{name}`.* TO `{user}`@'%'")
        theirs = f"{other.rpartition('/')[0]}/{name}"
        with engine_of(url) as engine, engine_of(theirs) as stranger, only_run(engine, "the shop", 5):
            assert re.fullmatch(r"connection \d+", holder(stranger))


@ON_MARIADB
def test_a_lock_that_is_lost_is_noticed(lock):
    """Also where the connection is still there."""
    assert lock.try_acquire()
    lock.release()

    with pytest.raises(DatabaseFailure, match="the lock was lost, so this run stops"):
        lock.probe()
    assert lock.holder() == "nobody holds the lock just now"


@ON_MARIADB
def test_a_statement_of_a_run_can_be_ended(lock):
    """The server would go on with it when its client has gone."""
    with lock.connection.engine.connect() as connection:
        lock.abort(lock.session(connection))

        with pytest.raises(Exception, match=r"(?i)gone away|lost connection"):
            connection.execute(text("SELECT 1"))


@IN_SERVERS
def test_a_lock_is_held_however_idle_its_connection_is(lock, request):
    """The server's limits for idle connections and transactions do not apply to it."""
    if lock.connection.dialect.name == "postgresql":
        limit = "SELECT current_setting('idle_in_transaction_session_timeout')"
        request.getfixturevalue("postgres_server").execute(
            f"ALTER ROLE {lock.connection.engine.url.username} SET idle_in_transaction_session_timeout = '1h'"
        )
        expected = "0"
    else:
        limit, expected = "SELECT @@wait_timeout > 100000", "1"
    lock.connection.invalidate()
    lock.connection.rollback()

    assert lock.try_acquire()
    assert str(lock.connection.scalar(text(limit))) == expected


@pytest.mark.parametrize("length", [53, 54, 64])
def test_every_database_of_mariadb_has_a_lock_of_its_own(mariadb_server, length):
    """MySQL's locks have shorter names than its databases. Old and new versions of ours call them the same."""
    one, other = (f"{number:x>{length}}" for number in (1, 2))
    digest = hashlib.sha256(f"sqlhelpers:{one}".encode()).hexdigest()[:48]
    with mariadb_server.fresh_database() as url:
        for name in (one, other):
            mariadb_server.create_database(name, url.rpartition("/")[2])
        with engine_of(url.rpartition("/")[0] + f"/{one}") as engine, only_run(engine, "the shop", 5) as lock:
            assert lock._name == (f"sqlhelpers:{one}" if length == 53 else f"sqlhelpers:{digest}")
            assert len(lock._name) <= 64
            assert not lock.connection.in_transaction()
            with engine.connect() as connection:
                connection.execute(text(f"USE {other}"))
                assert type(lock)(connection, 5).try_acquire()
        for name in (one, other):
            mariadb_server.drop_database(name)


def test_the_lock_of_postgresql_has_the_same_number_in_every_version():
    """Or an old and a new one could be in one database at once."""
    assert _KEY == 1007375626798138291


def test_a_process_without_the_name_of_a_user(monkeypatch):
    """As in a container that has no entry for it: the rest is told."""
    monkeypatch.setattr(getpass, "getuser", lambda: 1 / 0)

    assert re.fullmatch(rf"\?@.+ pid {os.getpid()}", process_identity())
