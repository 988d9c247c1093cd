"""One database from end to end: what can be told without connecting, then what the server says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlhelpers.backends import sqlite_file
from sqlhelpers.exceptions import HookFailed, SqlhelpersError
from sqlhelpers.migrations.running import holder_of
from sqlhelpers.migrations.state import read_status
from sqlhelpers.reports import DatabaseStatus, Diagnosis
from sqlhelpers_doctor import connecting, installation, mysql, postgresql, sqlitefile, states
from sqlhelpers_doctor.findings import Examined, error, note, of_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy.engine import Connection

    from sqlhelpers.migrations.state import History
    from sqlhelpers.runtime import Runtime

    #: Takes in what was found, while it is being looked for.
    Tell = Callable[[Iterable[Diagnosis]], None]


def examine_database(runtime: Runtime, bind: str, unusable: frozenset[str], tell: Tell) -> None:
    """Examine one database.

    Args:
        runtime: the settings, and the plugins and apps that can be used.
        bind: the name of the database.
        unusable: the names of apps that cannot be used.
        tell: takes in what was found.
    """

    def tell_of_it(diagnoses: Iterable[Diagnosis]) -> None:
        tell(replace(each, database=bind) for each in diagnoses)

    try:
        database = runtime.database(bind)
        examined = Examined(bind, database.settings, database.url, database.hooks, unusable=unusable)
    except SqlhelpersError as raised:  # a plugin that should know its URL
        tell_of_it(of_error("settings", raised))
        return
    tell_of_it(installation.examine_drivers(examined))
    tell_of_it(installation.examine_database_settings(examined))
    try:
        found = tuple(database.histories)
    except SqlhelpersError as raised:
        tell_of_it(of_error("revisions", raised))
        found = ()
    installed = unusable | runtime.apps.keys()  # nothing of theirs is a leftover, also if their files are broken
    broken = list(installation.examine_files(found))
    tell_of_it(diagnosis for _, diagnosis in broken)
    sound = tuple(history for history in found if all(history is not each for each, _ in broken))
    _connect(replace(examined, histories=sound, unusable=installed), tell_of_it)


def _connect(examined: Examined, tell: Tell) -> None:
    if examined.url.get_backend_name() == "sqlite":
        file = sqlite_file(examined.url)
        if file is None:
            tell([note("file", "it is in memory: each process has one of its own, which is empty at first")])
            return
        seen = list(sqlitefile.examine_file(file))
        tell(seen)
        if any(each.level == "error" for each in seen) or not file.exists() or not file.stat().st_size:
            return  # connecting would make the file
    is_connected = False

    def examine(connection: Connection) -> None:
        nonlocal is_connected
        is_connected = True
        _Examination(connection, examined, tell).run()

    try:
        connecting.with_connection(examined, examine)
    except Exception as raised:  # noqa: BLE001  # of the driver, or of a plugin that attaches to the engine
        if is_connected:
            tell([error("connection", f"it was lost: {examined.plain(raised)}", "run `sqlhelpers doctor` again")])
        else:
            tell(connecting.why_not(examined, raised))


class _Examination:
    """What is asked of a database over one connection, which changes nothing."""

    def __init__(self, connection: Connection, examined: Examined, tell: Tell) -> None:
        self._connection = connection
        self._examined = examined
        self._tell = tell
        self._holder = ""
        self._states: list[tuple[History, Any]] = []

    def run(self) -> None:
        connection, examined = self._connection, self._examined
        self._try("connection", connecting.examine_connection, connection, examined)
        dialect = connection.dialect.name
        asking: dict[str, Callable[[], None]] = {
            "postgresql": self._ask_postgresql,
            "mysql": self._ask_mysql,
            "mariadb": self._ask_mysql,
            "sqlite": self._ask_sqlite,
        }
        asking.get(dialect, self._ask_others)()
        self._try("lock", self._lock)
        self._try("revisions", self._read_states)
        self._try("drift", states.examine_drift, connection, self._states)
        self._try("leftovers", states.examine_leftovers, connection, examined)
        server = states.SERVERS.get(dialect)
        if server:
            permissions = partial(server.examine_permissions, is_pending=self._is_pending)
            self._try("permissions", permissions, connection, examined)
        self._try("plugins", self._ask_plugins)

    def _ask_plugins(self) -> Iterator[Diagnosis]:
        for _, found in self._examined.hooks.examine(self._examined.bind, self._connection):
            if isinstance(found, HookFailed):
                yield from of_error("plugins", found)
            else:
                yield from found

    def _ask_postgresql(self) -> None:
        self._try("server", postgresql.examine_server, self._connection)
        self._try("encoding", postgresql.examine_encoding, self._connection)
        self._try("clock", connecting.examine_clock, self._connection)
        self._try("pool", postgresql.examine_connections, self._connection, self._examined)
        self._try("pooler", connecting.examine_pooler, self._connection, self._examined)

    def _ask_mysql(self) -> None:
        self._try("server", mysql.examine_server, self._connection)
        self._try("encoding", mysql.examine_encoding, self._connection, self._examined)
        self._try("clock", connecting.examine_clock, self._connection)
        self._try("pool", mysql.examine_connections, self._connection, self._examined)
        self._try("pooler", mysql.examine_proxy, self._connection)

    def _ask_sqlite(self) -> None:
        file = sqlite_file(self._examined.url)
        assert file
        self._try("server", sqlitefile.examine_server, self._connection)
        self._try("pragmas", sqlitefile.examine_pragmas, self._connection)
        self._try("integrity", sqlitefile.examine_integrity, self._connection, file)

    def _ask_others(self) -> None:
        name = self._connection.dialect.name
        self._tell([note("server", f"of {name} only revisions and drift are examined: the rest differs by vendor")])

    def _lock(self) -> Iterator[Diagnosis]:
        self._holder = holder_of(self._connection)
        yield from states.examine_lock(self._holder)

    def _read_states(self) -> Iterator[Diagnosis]:
        examined = self._examined
        report = read_status(self._connection, examined.bind, examined.shown, examined.histories)
        self._states = [*zip(examined.histories, report.apps, strict=True)]
        yield from states.examine_states(self._states, self._holder)

    @property
    def _is_pending(self) -> bool:
        to_do = (DatabaseStatus.NO_INFO, DatabaseStatus.UPGRADE_AVAILABLE)
        return any(report.status in to_do for _, report in self._states)

    def _try(self, subject: str, examination: Callable[..., Iterator[Diagnosis]], *arguments: Any) -> None:
        """Examine one thing, and go on if that fails; but not if the connection is lost.

        Raises:
            Exception: the connection is lost.
        """
        try:
            self._tell(examination(*arguments))
        except Exception as raised:
            if self._connection.invalidated:
                raise
            text = f"it could not be examined: {self._examined.plain(raised)}"
            self._tell([error(subject, text, "grant what is missing, or see what the server has logged about it")])
        with suppress(Exception):  # the next one would tell
            self._connection.rollback()
