"""A connection of doctor's own, which changes nothing, and what can be told of every server: how far away it is."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from sqlhelpers.backends import connected_once, sqlite_file
from sqlhelpers.engines import make_async_engine, make_engine
from sqlhelpers.exceptions import ConfigurationError
from sqlhelpers_doctor.findings import Examined, error, note, of_error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.pool import PoolProxiedConnection

    from sqlhelpers.reports import Diagnosis

_TIMES = 5
_FAR = 0.05  # seconds for an empty statement, from which on a request of a few statements is felt
_SKEW = 5.0  # seconds between two clocks


def with_connection(examined: Examined, work: Callable[[Connection], None]) -> None:
    """Let ``work`` have a connection that cannot change the database; the async driver serves where no other is there.

    Raises:
        Exception: what the driver, a plugin, or ``work`` raised.
    """
    settings = examined.settings
    if examined.url.get_backend_name() == "postgresql":  # a pooler that the settings do not know of may be there
        settings = settings.model_copy(update={"pooler": "transaction"})
    if not examined.hooks.has_sync_driver(examined.url):
        asyncio.run(_with_async_connection(examined, settings, work))
        return
    with connected_once(make_engine(examined.bind, settings, examined.hooks)) as connection:
        work(_harmless(connection))


async def _with_async_connection(examined: Examined, settings: object, work: Callable[[Connection], None]) -> None:
    engine = make_async_engine(examined.bind, settings, examined.hooks)  # type: ignore[arg-type]  # a copy of the same
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lambda each: work(_harmless(each)))
    finally:
        await engine.dispose()


def _harmless(connection: Connection) -> Connection:
    """Let the database itself refuse whatever would change it."""
    if connection.dialect.name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    for statement in _READ_ONLY.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement)
        connection.rollback()
    return connection


_READ_ONLY = {
    "mysql": ("SET SESSION TRANSACTION READ ONLY",),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY",),
    "sqlite": ("PRAGMA query_only = 1",),
}


@contextmanager
def second_connection(engine: Engine) -> Iterator[PoolProxiedConnection]:
    """Open a connection beside those of the pool of ``engine``, and close it at the end."""
    pool = engine.pool.recreate()
    connection = pool.connect()
    try:
        yield connection
    finally:
        connection.close()
        pool.dispose()


def why_not(examined: Examined, raised: Exception) -> Iterator[Diagnosis]:
    """Yield why no connection could be made, and what to do about it."""
    if isinstance(raised, ConfigurationError):
        yield from of_error("connection", raised, "correct the setting, or the plugin that is named")
        return
    original = getattr(raised, "orig", None) or raised
    reason = f"{type(original).__name__}: {examined.plain(raised)}"
    found = (advice for pattern, advice in _ADVICE if re.search(pattern, reason, re.IGNORECASE))
    yield error("connection", reason, next(found, "correct the URL, or see what the server has logged about it"))


_ADVICE = (
    (
        r"certificate|ssl|tls",
        "correct sslmode and the certificates in the URL; the server may ask for TLS, or have none",
    ),
    (
        r"password authentication|access denied|no password",
        "correct user and password; write @ / : in them as %40 %2F %3A",
    ),
    (r"does not exist|unknown database", "create the database and the role, or correct their names in the URL"),
    (r"too many|connection slots", "end connections that idle, lower pool_size, or let the server take more"),
    (
        r"getaddrinfo|resolve|translate host|name or service|nodename",
        "correct the host in the URL, and let this machine resolve it",
    ),
    (r"refused|no such file or directory", "start the server, or correct host and port in the URL"),
    (r"time|no answer", "let this machine reach host and port: firewalls, routes, an overloaded server"),
)


def examine_connection(connection: Connection, examined: Examined) -> Iterator[Diagnosis]:
    """Yield how long it takes to connect, and to ask for nothing."""
    connection.rollback()
    begun = time.perf_counter()
    with second_connection(connection.engine):
        connecting = time.perf_counter() - begun
    asking = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        connection.execute(text("SELECT 1"))
        asking.append(time.perf_counter() - begun)
    said = f"connected in {_shown(connecting)}, SELECT 1 takes {_shown(median(asking))} (median of {_TIMES})"
    if median(asking) < _FAR or sqlite_file(examined.url) is not None:
        yield ok("connection", said)
    else:
        step = "run the application nearer to its database: every statement of a request waits that long"
        yield note("connection", said, step)


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def examine_clock(connection: Connection, now: Callable[[], float] = time.time) -> Iterator[Diagnosis]:
    """Yield how far the clock of the server is from that of this machine.

    Args:
        connection: a connection to the server.
        now: this machine's clock.
    """
    postgres = connection.dialect.name == "postgresql"
    query = "SELECT extract(epoch FROM clock_timestamp())" if postgres else "SELECT unix_timestamp(now(6))"
    before = now()
    there = float(connection.scalar(text(query)) or 0)
    after = now()
    off = max(there - after, before - there, 0)  # the answer was made at some time between the two
    if off <= _SKEW:
        yield ok("clock", f"the server's is within {max(off, after - before, 0.01):.2f} s of this machine's")
        return
    way = "ahead of" if there > after else "behind"
    step = "let both keep time with NTP: what compares their times, tokens for instance, goes wrong"
    yield warning("clock", f"the server's is {off:.1f} s {way} this machine's", step)


def examine_pooler(connection: Connection, examined: Examined) -> Iterator[Diagnosis]:
    """Yield whether a pooler answers in the server's place, and whether the settings know of it.

    A pooler tells its clients a process id of its own making, by which they cancel a statement; what only passes
    bytes on, a tunnel or a load balancer, does not. In transaction mode it lends the same connection to two clients.
    """
    ours, theirs = _told_process(connection), connection.scalar(text(_PROCESS))
    connection.rollback()  # the connection behind the pooler is free
    known = examined.settings.pooler == "transaction"
    setting = f'databases.{examined.bind}.pooler = "transaction"'
    if ours is None:
        yield note("pooler", "the driver does not tell whether one is in between", f"set {setting} if there is")
    elif ours == theirs and known:
        yield note("pooler", f"none is in between, and {setting} does without prepared statements", "remove it")
    elif ours == theirs:
        yield ok("pooler", "none: the server itself answers")
    elif known:
        yield ok("pooler", "one is in between, and the settings know of it")
    elif theirs in _lent_to_another(connection):
        text_ = "one is in between that lends a connection for a transaction, and the settings do not know of it"
        yield error("pooler", text_, f"set {setting}, or prepared statements are lost", 2)
    else:
        yield note("pooler", "one is in between", f"set {setting} if it lends a connection for a transaction at a time")


_PROCESS = "SELECT pg_backend_pid()"


def _told_process(connection: Connection) -> int | None:
    """Return the process id that was told when the connection was made; None if the driver does not pass it on."""
    driver: Any = connection.connection.driver_connection
    if hasattr(driver, "get_server_pid"):
        return int(driver.get_server_pid())  # asyncpg
    return getattr(getattr(driver, "info", None), "backend_pid", None)


def _lent_to_another(connection: Connection) -> set[int]:
    """Return the process that serves a second client, while the first one is still connected."""
    with second_connection(connection.engine) as second:
        cursor = second.cursor()
        cursor.execute(_PROCESS)
        found = {row[0] for row in cursor.fetchall()}
        cursor.close()
        second.rollback()
        return found


def connections_of(connection: Connection, examined: Examined) -> int | None:
    """Return how many connections one process can open; None if its pool has no limit."""
    pool = connection.engine.pool
    if not isinstance(pool, QueuePool):
        return None
    options = examined.hooks.engine_options(examined.bind, examined.url)
    chosen = examined.settings.sqlalchemy.max_overflow
    overflow = chosen if chosen is not None else int(options.get("max_overflow", 0))
    return None if pool.size() == 0 or overflow < 0 else pool.size() + overflow


def examine_pool(
    connection: Connection,
    examined: Examined,
    limit: int,
    why: str,
    in_use: int,
) -> Iterator[Diagnosis]:
    """Yield how many processes fit the connections that the server has for them.

    Args:
        connection: a connection to the server.
        examined: the database.
        limit: how many connections the server lets the role open.
        why: how that number comes about.
        in_use: how many are open.
    """
    each = connections_of(connection, examined)
    lower = f"lower databases.{examined.bind}.sqlalchemy.pool_size, or let the server take more"
    if each is None:
        yield note(
            "pool", f"a process opens as many connections as it likes, the server takes {limit}{why}", "set a limit"
        )
        return
    said = (
        f"up to {each} in a process, the server takes {limit}{why}: enough for {limit // each} processes; {in_use} open"
    )
    if limit < each:
        yield warning("pool", said, lower)
    elif in_use > limit * _FULL:
        yield warning("pool", said, f"find who holds them; {lower}")
    else:
        yield ok("pool", said)


_FULL = 0.9
