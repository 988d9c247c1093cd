"""No password is shown: what every test here is searched for, and the places where one would be likely."""

from __future__ import annotations

import json
import logging
import re
import traceback

import pytest
from callers import DRIVERS, Caller, with_driver
from databases import rows
from shops import HALF_WAY, SYNC, WAITING
from shown import Shown
from throwaway import MADE_UP

from sqlhelpers import DatabaseManager
from sqlhelpers.aio import AsyncDatabaseManager

SERVED = [name for name, (_, _, server) in DRIVERS.items() if server != "sqlite"]
COMMANDS = ["run-sync"], ["status"], ["check"], ["journal"], ["config"], ["plugins"], ["adopt", "shop"], ["doctor"]


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def served(request, shop):
    """An empty database on each server; the settings of the shop name it."""
    url = request.getfixturevalue(request.param)
    shop.use(url)
    return url


def password_of(url):
    """Return the password in a URL."""
    return re.search("//.*?:(.*?)@", url)[1]


def test_the_search_finds_a_password_wherever_it_is(shop, postgres_url):
    """A fixture that finds nothing has to be one that would find something."""
    password = password_of(postgres_url)
    shown = Shown()
    record = {"name": "sqlalchemy.engine", "levelno": logging.DEBUG, "msg": "connecting with %s", "args": (password,)}
    shown.handle(logging.makeLogRecord(record))
    shown.add("stdout", f"it is {password}")
    shown.add_object(type("Thing", (), {"__init__": lambda self: setattr(self, "url", postgres_url)})())
    shown.add_error(ValueError(postgres_url))
    places = [line.partition(":")[0] for line in shown.leaks()]
    shop.project.write("said.txt", password)

    assert places == ["the log of sqlalchemy.engine", "stdout", "the vars of a Thing", "the traceback of a ValueError"]
    assert password in MADE_UP
    assert password not in "".join(shown.leaks())


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("flags", [[], ["--debug"]], ids=["plain", "debug"])
def test_no_command_shows_it(command, flags):
    """Neither what a command prints, nor its JSON, nor the log has the password."""
    for words in COMMANDS:
        command(*flags, *words)
        if words[0] not in {"adopt", "plugins"}:
            done = command(*flags, *words, "--json")
            assert json.loads(done.stdout) is not None


@pytest.mark.parametrize("driver", SERVED)
def test_no_error_of_a_wrong_password_shows_it(shop, request, driver):
    """Neither the text nor the traceback of what a driver raises has the password that was tried."""
    server = request.getfixturevalue(f"{DRIVERS[driver][2]}_server")
    with server.fresh_database() as url:
        tried = password_of(url)
        server.create_role("wrong", "another-password")
        try:
            shop.use(with_driver(re.sub("//.*?:", "//wrong:", url), driver))
            caller = Caller(shop.runtime(), is_async=DRIVERS[driver][1])
            with pytest.raises(Exception, match=r".") as caught:
                caller.call("sync")
            caller.close()
        finally:
            server.execute("DROP ROLE wrong" if server.dialect == "postgresql" else "DROP USER wrong")

    assert tried not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("driver", SERVED)
def test_echo_does_not_show_it(shop, request, driver):
    """``echo = "debug"`` prints every statement, every parameter and every row, and the pool's doings."""
    url = request.getfixturevalue(f"{DRIVERS[driver][2]}_url")
    shop.use(with_driver(url, driver), sqlalchemy={"echo": "debug", "echo_pool": "debug"})
    finished = shop.children.python(SYNC, "async" if DRIVERS[driver][1] else "sync").finish()

    assert finished.status == 0, finished
    assert "CREATE TABLE author" in finished.output
    assert password_of(url) not in finished.output


def test_debug_logs_of_a_process_do_not_show_it(shop, served):
    """With every logger at DEBUG, a run that succeeds and one that fails write no password."""
    shop.revision("r4", HALF_WAY)
    child = shop.children.python(LOGS_EVERYTHING, "run-sync", "--debug")
    finished = child.finish()

    assert finished.status == 1, finished
    assert "DEBUG" in finished.stderr
    assert "Traceback" in finished.stderr
    assert password_of(served) not in finished.output


#: Runs ``sqlhelpers`` with every logger at DEBUG.
LOGS_EVERYTHING = """
import logging, sys

logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
logging.getLogger("sqlalchemy").setLevel(logging.DEBUG)
from sqlhelpers.cli import main

main(sys.argv[1:])
"""


def test_no_representation_shows_it(shop, served, no_secret_shown):
    """Neither ``repr`` nor ``vars`` of managers, settings, engines and runtimes has it, before and after their use."""
    folder = shop.project.folder / "shop/migrations"
    managers = [DatabaseManager(served, folder), AsyncDatabaseManager(served, folder)]
    with shop.runtime() as runtime:
        runtime.manager().sync()
        runtime.async_manager()
        things = [runtime, runtime.settings, runtime.manager(), runtime.manager().database, *managers]
        things += [runtime.manager().engine, runtime.manager().Session, *(each.database for each in managers)]
        things += [runtime.settings.databases["default"], runtime.settings.databases["default"].sqlalchemy]
        for thing in things:
            no_secret_shown.add_object(thing)
        dumped = runtime.settings.model_dump_json()
        shown = [repr(thing) for thing in things]

    assert password_of(served) not in dumped
    assert password_of(served) not in "".join(shown)
    assert "***" in dumped


def test_the_database_does_not_know_it(shop, served, request):
    """Neither the journal nor what the server shows of the holder of the lock has the password."""
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    shop.start_at("r4")
    if served.startswith("postgresql"):
        server, query = (
            request.getfixturevalue("postgres_server"),
            "SELECT application_name, query FROM pg_stat_activity",
        )
    else:
        server, query = request.getfixturevalue("mariadb_server"), "SHOW FULL PROCESSLIST"
    shown = repr([*server.execute(query), *rows(served, "SELECT * FROM sqlhelpers_journal")])
    shop.let_go("r4")

    assert "pid" in shown
    assert password_of(served) not in shown


def test_the_lock_file_does_not_know_it(shop, sqlite_url):
    """It has the user, the host and the process of the holder, and nothing else."""
    shop.use(sqlite_url)
    shop.upgrade("r3")
    shop.revision("r4", WAITING)
    holder = shop.start_at("r4")
    text = shop.project.folder.parent.joinpath("test.db-lock").read_text()
    shop.let_go("r4")

    assert re.fullmatch(rf"\S+@\S+ pid {holder.pid}\s*", text)


def test_the_environment_may_have_it(shop, postgres_url, command, monkeypatch):
    """A password that comes from a variable is shown neither by ``config`` nor by an error about that variable."""
    shop.project.write_pyproject('[tool.sqlhelpers.apps.shop]\npackage = "shop"\n')
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    assert command("run-sync").status == 0
    assert "***" in command("config").stdout
    monkeypatch.setenv("DATABASE_URL", postgres_url.replace("postgresql", "postgresq"))

    assert command("run-sync").status == 2
