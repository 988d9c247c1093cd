"""``sqlhelpers.engines``: URLs and settings become what a driver is called with."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from sqlhelpers import DatabaseSettings, hookimpl
from sqlhelpers.discovery.hooks import Hooks
from sqlhelpers.engines.create import make_async_engine, make_engine
from sqlhelpers.exceptions import ConfigurationError, DriverNotInstalled, SettingsError


def called_with(url, *, aio=False, hooks=None, **settings):
    """Return what the driver of a URL would be called with, without calling it."""
    options = settings.pop("sqlalchemy", {})
    made = DatabaseSettings(sqlalchemy={"url": url, **options}, **settings)
    engine = (make_async_engine if aio else make_engine)("default", made, hooks or Hooks())
    sync_engine = engine.sync_engine if aio else engine
    seen = {}

    @event.listens_for(sync_engine, "do_connect")
    def stop(_dialect, _record, _arguments, parameters):
        seen.update(parameters)
        raise ConnectionRefusedError

    async def connect():
        async with engine.connect():
            pass

    with pytest.raises(ConnectionRefusedError):
        asyncio.run(connect()) if aio else sync_engine.connect()
    return seen


def test_libpqs_words_reach_asyncpg():
    """What asyncpg reads only from a DSN is handed to it in one; the rest stays as SQLAlchemy has it."""
    query = "sslmode=require&application_name=shop+one&options=-csearch_path%3Dx&connect_timeout=3"

    seen = called_with(f"postgresql://u:p@h:1/d?{query}", aio=True)

    assert seen["dsn"] == "postgresql://?sslmode=require&application_name=shop+one&options=-csearch_path%3Dx"
    assert (seen["host"], seen["port"], seen["database"], seen["timeout"]) == ("h", 1, "d", 3.0)
    assert "sslmode" not in seen


def test_libpqs_words_reach_psycopg():
    """Psycopg takes them as they are; asyncpg's ``ssl`` is put into libpq's word."""
    seen = called_with("postgresql://h/d?ssl=require&application_name=x")

    assert seen["sslmode"] == "require"
    assert seen["application_name"] == "x"
    assert "ssl" not in seen


@pytest.mark.parametrize("query", ["host=one&host=two", "host=one,two", "host=one:5432&host=two:5432"])
def test_several_hosts(query):
    """Lists of hosts reach both drivers, with PostgreSQL's port where none is written."""
    seen = called_with(f"postgresql://u@/d?{query}&target_session_attrs=read-write", aio=True)

    assert seen["host"] == ["one", "two"]
    assert seen["port"] == [5432, 5432]
    assert "target_session_attrs=read-write" in seen["dsn"]


@pytest.mark.parametrize(
    ("url", "aio", "expected"),
    [
        ("postgresql://h/d", False, {"connect_timeout": 10}),
        ("postgresql://h/d", True, {"timeout": 10}),
        ("mariadb://h/d", False, {"connect_timeout": 10, "charset": "utf8mb4"}),
        ("mariadb://h/d", True, {"connect_timeout": 10, "charset": "utf8mb4"}),
        ("mysql://h/d?charset=latin1", False, {"charset": "latin1"}),
        ("sqlite:///x.db", False, {"timeout": 60}),
    ],
)
def test_defaults(url, aio, expected):
    """Every wait is bounded, and MySQL speaks all of Unicode."""
    seen = called_with(url, aio=aio)

    assert {name: seen[name] for name in expected} == expected


def test_the_users_options_win():
    """Over what plugins say, which wins over the defaults; ``connect_args`` are merged."""

    class Plugin:
        @hookimpl
        def sqlhelpers_engine_options(self):
            return {"pool_size": 3, "pool_timeout": 1, "connect_args": {"application_name": "plugin", "keepalives": 1}}

    hooks = Hooks()
    hooks.register(Plugin(), "plugin")
    options = {"pool_size": 4, "connect_args": {"application_name": "mine"}}
    settings = DatabaseSettings(sqlalchemy={"url": "postgresql://h/d", **options})

    engine = make_engine("default", settings, hooks)
    seen = called_with("postgresql://h/d", hooks=hooks, sqlalchemy=options)

    assert isinstance(engine.pool, QueuePool)
    assert (engine.pool.size(), engine.pool.timeout(), engine.pool._max_overflow) == (4, 1, 0)
    assert (seen["application_name"], seen["keepalives"], seen["connect_timeout"]) == ("mine", 1, 10)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://h/d?connect_timeout=2", {"connect_timeout": "2"}),
        ("mariadb://h/d?connect_timeout=2", {"connect_timeout": 2}),
        ("sqlite:///x.db?timeout=30", {"timeout": 30.0}),
    ],
)
def test_what_the_url_says_wins_over_defaults(url, expected):
    """A wait that the user wrote is the user's."""
    seen = called_with(url)

    assert {name: seen[name] for name in expected} == expected


def test_sizes_of_a_pool_do_no_harm_in_memory():
    """One set of settings serves tests in memory and servers alike."""
    settings = DatabaseSettings(sqlalchemy={"url": "sqlite://", "pool_size": 10, "pool_pre_ping": True})

    assert isinstance(make_engine("default", settings, Hooks()).pool, StaticPool)


def test_a_plugin_may_choose_the_pool():
    """Our sizes are then left out, and the user's settings are not blamed."""

    class Plugin:
        @hookimpl
        def sqlhelpers_engine_options(self):
            return {"poolclass": NullPool}

    hooks = Hooks()
    hooks.register(Plugin(), "plugin")
    settings = DatabaseSettings(sqlalchemy={"url": "sqlite:///x.db"})

    assert isinstance(make_engine("default", settings, hooks).pool, NullPool)


def test_another_pool_class_gets_no_options_of_a_queue():
    """``NullPool`` would refuse a pool size."""
    settings = DatabaseSettings(sqlalchemy={"url": "sqlite:///x.db", "poolclass": NullPool})

    assert isinstance(make_engine("default", settings, Hooks()).pool, NullPool)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"])
def test_memory_is_one_connection(url):
    """Otherwise each connection would have a database of its own."""
    settings = DatabaseSettings(sqlalchemy={"url": url})

    assert isinstance(make_engine("default", settings, Hooks()).pool, StaticPool)


def test_behind_a_transaction_pooler_statements_have_no_names():
    """The switch for PgBouncer."""
    asynchronous = called_with("postgresql://h/d", aio=True, pooler="transaction")
    synchronous = called_with("postgresql://h/d", pooler="transaction")

    assert asynchronous["statement_cache_size"] == 0
    assert asynchronous["prepared_statement_cache_size"] == 0
    assert asynchronous["prepared_statement_name_func"]() == ""
    assert synchronous["prepare_threshold"] is None


def test_aiomysql_takes_text():
    """Where asyncmy is not to be had, the password still reaches the server as UTF-8."""
    seen = called_with("mariadb+aiomysql://u:p%C3%A9@h/d", aio=True)

    assert seen["password"].encode("latin-1").decode() == "pé"


@pytest.mark.parametrize("url", ["sqlite://x.db", "cobol://h/d", "postgresql+nope://h/d"])
def test_a_url_that_cannot_be_used_is_named_with_its_database(url):
    """Nothing is connected to."""
    settings = DatabaseSettings(sqlalchemy={"url": url})

    with pytest.raises(ConfigurationError, match=r"database 'shop'|databases\.shop\."):
        make_engine("shop", settings, Hooks())


@pytest.mark.parametrize("aio", [False, True])
def test_mysqls_passwords_and_certificates(aio):
    """Passwords are sent as UTF-8, where the drivers would take Latin-1; async drivers get a context."""
    seen = called_with(f"mariadb://u:p%C3%A9@h/d?ssl_ca={ssl.get_default_verify_paths().cafile}", aio=aio)

    assert seen["password"] == "pé".encode()
    assert isinstance(seen["ssl"], ssl.SSLContext if aio else dict)


def test_a_certificate_of_the_clients_own():
    """An async driver is given it loaded, so that it has to be there."""
    trusted = ssl.get_default_verify_paths().cafile

    with pytest.raises(FileNotFoundError):
        called_with(f"mariadb://u:p@h/d?ssl_ca={trusted}&ssl_cert=/nowhere/c&ssl_key=/nowhere/k", aio=True)


def test_pragmas_of_the_users_own(tmp_path):
    """They come after the defaults."""
    settings = DatabaseSettings(
        sqlalchemy={"url": f"sqlite:///{tmp_path}/x.db"},
        sqlite_pragmas={"foreign_keys": 0, "journal_mode": "delete", "cache_size": -999},
    )
    engine = make_engine("default", settings, Hooks())
    with engine.connect() as connection:
        found = [connection.scalar(text(f"PRAGMA {name}")) for name in settings.sqlite_pragmas]
    engine.dispose()

    assert found == [0, "delete", -999]


def test_a_secret_store_gives_the_url():
    """A plugin's URL replaces the one in the settings."""

    class Vault:
        @hookimpl
        def sqlhelpers_resolve_url(self, bind, settings):
            return f"postgresql://vault:secret@{settings.url.host}/{bind}"

    hooks = Hooks()
    hooks.register(Vault(), "vault")

    seen = called_with("postgresql://h/d", hooks=hooks)

    assert (seen["user"], seen["host"], seen["dbname"]) == ("vault", "h", "default")


def test_what_create_engine_refuses_is_a_settings_error():
    """Options that cannot go together are named with the database."""
    settings = DatabaseSettings(sqlalchemy={"url": "sqlite://", "poolclass": NullPool, "pool_size": 3})

    with pytest.raises(SettingsError, match=r"databases.default.sqlalchemy: Invalid argument\(s\) 'pool_size'"):
        make_engine("default", settings, Hooks())


def test_a_driver_outside_our_extras_is_named_when_it_is_missing():
    """The user wrote it, so the user's package is named."""
    settings = DatabaseSettings(sqlalchemy={"url": "postgresql+psycopg2://h/d"})

    with pytest.raises(DriverNotInstalled, match="needs the package psycopg2"):
        make_engine("default", settings, Hooks())
