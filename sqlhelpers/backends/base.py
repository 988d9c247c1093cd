"""``Backend``: all that differs between one kind of database and another; each kind is a class in a module."""

from __future__ import annotations

import warnings
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from sqlhelpers import urls
from sqlhelpers.backends.errors import codes_of
from sqlhelpers.backends.limits import RevisionLimits
from sqlhelpers.backends.locks import close, connected, connected_once
from sqlhelpers.backends.tables import Naming
from sqlhelpers.exceptions import ConfigurationError, DriverNotInstalled, InvalidURL
from sqlhelpers.suggestions import suggest
from sqlhelpers.urls import Drivers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy.engine import URL, Connection, Dialect, Engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.types import TypeEngine

    from sqlhelpers.backends.clients import Client
    from sqlhelpers.backends.errors import Meaning
    from sqlhelpers.backends.locks import Lock

E = TypeVar("E", "Engine", "AsyncEngine")

#: The execution option of an engine that holds its backend.
OPTION = "sqlhelpers_backend"


class EngineSettings(Protocol):
    """What a backend reads of a database's settings."""

    @property
    def connect_timeout(self) -> float:
        """How many seconds a connection may take to open."""
        ...

    @property
    def command_timeout(self) -> float:
        """How many seconds the server may take to answer; 0 for no limit."""
        ...

    @property
    def pooler(self) -> str | None:
        """``transaction`` where a pooler lends connections for a transaction at a time."""
        ...

    @property
    def sqlite_pragmas(self) -> Mapping[str, str | int]:
        """Pragmas for each new connection to SQLite."""
        ...


class Backend:
    """One kind of database. What a subclass says otherwise is all in which its kind differs from most.

    A plugin brings another kind by the hook ``sqlhelpers_register_backend``.
    """

    #: What SQLAlchemy calls the kind: ``URL.get_backend_name()``. One class may serve several names.
    names: ClassVar[tuple[str, ...]] = ()
    #: The drivers for sync and async managers, each in order of preference.
    drivers: ClassVar[Drivers] = Drivers(sync=(), aio=())
    #: For each driver the module to look for, and the extra of sqlhelpers that installs it.
    packages: ClassVar[Mapping[str, tuple[str, str | None]]] = {}
    #: Whether a server keeps the data, rather than this process: then connections are bounded, and cut off in a fork.
    has_server: ClassVar[bool] = True
    #: Whether a rollback undoes changes of the schema.
    undoes_ddl: ClassVar[bool] = False
    #: Whether a database has schemas, which can be created.
    has_schemas: ClassVar[bool] = True
    #: Whether a schema is a database, so that whoever names one reaches it from an empty database too.
    schemas_are_databases: ClassVar[bool] = False
    #: Whether the list of tables leaves out those that the role may not read.
    hides_tables: ClassVar[bool] = False
    #: Whether enumerations are types of their own, to be made before the tables that use them.
    has_enum_types: ClassVar[bool] = False
    #: Whether there is ``CREATE TABLE IF NOT EXISTS``.
    has_if_not_exists: ClassVar[bool] = False
    #: What the errors of the drivers mean, by their codes.
    meanings: ClassVar[Mapping[Meaning, frozenset[str | int]]] = {}

    @property
    def name(self) -> str:
        """The first of the names."""
        return self.names[0]

    # URLs

    def resolve(self, url: URL, *, aio: bool) -> URL:
        """Return a URL with a driver for a sync manager, or with ``aio`` for an async one.

        A driver that the URL names is kept where it fits.

        Raises:
            DriverNotInstalled: none of the drivers is installed.
            InvalidURL: the dialect or the driver is unknown.
        """
        dialect, _, written = url.drivername.partition("+")
        if written and self._fits(url, aio=aio):
            self._require((written,), dialect)
            return url
        return url.set(drivername=f"{dialect}+{self._require(self.drivers.aio if aio else self.drivers.sync, dialect)}")

    def _fits(self, url: URL, *, aio: bool) -> bool:
        from sqlalchemy.exc import NoSuchModuleError

        try:
            dialect = url.get_dialect()
        except NoSuchModuleError:
            drivers = dict.fromkeys((*self.drivers.sync, *self.drivers.aio))
            hint = suggest(
                url.drivername, (*known_names(), *(f"{name}+{each}" for name in self.names for each in drivers))
            )
            raise InvalidURL(f"SQLAlchemy knows no dialect or driver {url.drivername!r}{hint}") from None
        return bool(dialect.get_async_dialect_cls(url).is_async if aio else not dialect.is_async)

    def _require(self, candidates: Sequence[str], dialect: str) -> str:
        for driver in candidates:
            module, _ = self.packages.get(driver, (None, None))
            if module is None or find_spec(module):
                return driver
        extra = self.packages[candidates[0]][1]
        raise DriverNotInstalled(
            f"no driver for {dialect} is installed ({' or '.join(candidates)}): pip install 'sqlhelpers[{extra}]'",
        )

    def translate(self, url: URL) -> tuple[URL, dict[str, Any]]:
        """Return a resolved URL with its query in the driver's own words, and what has to go to ``connect_args``."""
        return url, {}

    def file(self, url: URL) -> Path | None:
        """Return the file that holds the database; None for a server, and for a database in memory."""
        return None

    def is_absent(self, url: URL) -> bool:
        """Tell whether there is no database yet, and connecting would make one."""
        return False

    # engines and connections

    def engine_options(self, url: URL, settings: EngineSettings) -> dict[str, Any]:
        """Return the options of ``create_engine`` for a resolved URL, among them what bounds connecting."""
        return {"connect_args": self.connect_arguments(url, settings.connect_timeout)}

    def connect_arguments(self, url: URL, seconds: float) -> dict[str, Any]:
        """Return the arguments that bound how long the driver takes to connect."""
        return {}

    def without_prepared_statements(self, url: URL) -> dict[str, Any]:
        """Return the driver's arguments for a pooler that lends connections for a transaction at a time."""
        return {}

    def prepare(self, engine: Engine, bind: str, settings: EngineSettings) -> None:
        """Attach to a new engine what connections of this kind need.

        Args:
            engine: the engine, the sync one also of an async engine.
            bind: the name of the database, for messages.
            settings: its settings.
        """

    def for_sessions(self, engine: E) -> E:
        """Return the engine as sessions should use it."""
        return engine

    def without_waiting(self, connection: Connection) -> AbstractContextManager[None]:
        """Let statements of the block fail at once where another process is in the way, if the server can."""
        return nullcontext()

    def close_idle(self, connection: Connection) -> None:
        """Close a connection that nobody uses soon, instead of giving it back to the pool."""
        close(connection)

    # the schema

    def schema_transaction(
        self, connection: Connection, patience: float
    ) -> AbstractContextManager[None]:  # others wait
        """Run the block in a transaction in which the schema may be changed; roll back all of it on an error.

        What the block runs may end this transaction and begin another, as Alembic's ``autocommit_block`` does.

        Args:
            connection: a connection that is in no transaction.
            patience: how many seconds to wait for another writer, where one keeps others out.
        """
        return _transaction(connection)

    def lock(self, engine: Engine, seconds: float) -> AbstractContextManager[Lock]:
        """Return the lock of a database, which is released at the end of the block, taken or not.

        Args:
            engine: the engine of the database.
            seconds: how long its caller waits for another run.

        Raises:
            ConfigurationError: none is known, so a run might not be alone.
        """
        raise ConfigurationError(
            f"what keeps two runs apart is not known for databases of the kind {self.name!r}, so nothing is changed in "
            "this one: a plugin can bring a Backend that has a lock, by the hook sqlhelpers_register_backend",
        )

    def lock_holder(self, connection: Connection) -> str:
        """Return who holds the lock just now, without keeping it from anybody; empty if nobody does."""
        return ""

    def may_look_first(self, engine: Engine) -> bool:
        """Tell whether it is worth while to look at a database before the lock is asked for, and safe."""
        return True

    def revision_limits(
        self, connection: Connection, lock: float, statement: float, *, is_pooled: bool
    ) -> RevisionLimits:
        """Return the limits of statements of revisions on a connection that does not go back to a pool.

        Args:
            connection: a connection that is in no transaction.
            lock: how many seconds to wait for the lock of a table or a row; 0 for no limit.
            statement: how many seconds one statement may take; 0 for no limit.
            is_pooled: whether the server's connection is lent for a transaction at a time.
        """
        return RevisionLimits(connection, lock, statement, is_pooled=is_pooled)

    def refuse_hidden_tables(self, connection: Connection, names: Iterable[str]) -> None:
        """Raise if one of the tables is there and may not be seen: it would look like an empty database.

        Raises:
            PermissionError: naming the schema.
        """

    @contextmanager
    def scratch(
        self, engine: Engine, name: str, make: Callable[[str | None], Engine], failed: Callable[[str], None]
    ) -> Iterator[Connection]:
        """Connect to an empty database on the server of an engine, which is dropped at the end.

        Args:
            engine: the engine of a database on that server.
            name: what to call the empty one.
            make: makes an engine for a database of a name; with None, for one in memory.
            failed: told why if it could not be dropped.
        """
        from sqlalchemy.exc import DBAPIError

        from sqlhelpers.backends.locks import Lock

        with connected(engine, Lock()) as administering:
            administering.execution_options(isolation_level="AUTOCOMMIT")
            administering.exec_driver_sql(f"CREATE DATABASE {name}")
            try:
                with connected_once(make(name)) as connection:
                    yield connection
            finally:
                try:
                    administering.exec_driver_sql(self.drop_database(administering, name))
                except DBAPIError as error:
                    failed(str(error.orig))

    def drop_database(self, connection: Connection, name: str) -> str:
        """Return the statement that drops a database."""
        return f"DROP DATABASE {name}"

    def means(self, error: DBAPIError, codes: set[Any]) -> frozenset[Meaning]:
        """Return what an error of the kind means.

        Args:
            error: the error.
            codes: what its driver says that it is. A known code of two letters stands for its class of SQLSTATEs.
        """
        classes = {code[:2] for code in codes if isinstance(code, str)}
        return frozenset(meaning for meaning, known in self.meanings.items() if known & (codes | classes))

    # tables and columns

    def naming(self, connection: Connection) -> Naming:
        """Return which names mean the same table for a connection."""
        return Naming(connection.dialect.default_schema_name, self.folded)

    def naming_by_url(self, url: URL) -> Naming:  # others look at it
        """Return which names mean the same table, as far as that can be told without a connection."""
        return Naming(None, self.folded, is_certain=False)

    def folded(self, name: str) -> str:
        """Return the one form of the names of tables and schemas that differ in case only, where they are one."""
        return name

    def timestamp_type(self) -> TypeEngine[Any]:
        """Return the type of a time with microseconds."""
        from sqlalchemy import DateTime

        return DateTime()

    def is_same_default(self, found: str, wanted: str) -> bool:
        """Tell whether the server has stored a default in other words than it was written in."""
        return False

    def prepare_offline(self, dialect: Dialect) -> None:
        """Let a dialect that is not connected write SQL as the server would want it."""

    def lines_of_revision(self, statement: str) -> list[str]:
        """Return the lines of a revision that execute a statement on this kind of database only."""
        return [f"if op.get_context().dialect.name == {self.name!r}:", f"op.execute({statement!r})", ""]

    def client(
        self, bind: str, url: URL, connect_args: Mapping[str, Any], arguments: Sequence[str]
    ) -> Client:  # others do
        """Return the command-line client for a database, with arguments of the user's own behind ours.

        Args:
            bind: the name of the database, for messages.
            url: its URL.
            connect_args: what the settings have for the driver.
            arguments: the user's own.

        Raises:
            ConfigurationError: there is no such program, or none is known.
        """
        raise ConfigurationError(
            f"database {bind!r}: no command-line client is known for {url.get_backend_name()}; "
            "start that of its vendor with what `sqlhelpers config` shows",
        )


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.begin()
    with warnings.catch_warnings():
        # the async drivers warn of what the server notes; only SQLAlchemy's own names are behind this one
        warnings.filterwarnings("ignore", "Name '.*' ignored for PRIMARY key")
        try:
            yield
            connection.commit()
        except BaseException:
            connection.rollback()
            raise


class Undescribed(Backend):
    """A kind of database that nobody has described: sessions work, and a run changes nothing, having no lock."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """The name of the kind."""
        return self._name

    def resolve(self, url: URL, *, aio: bool) -> URL:
        """Return the URL, whose driver must be written."""
        _, _, written = url.drivername.partition("+")
        if (written or not aio) and self._fits(url, aio=aio):
            return url
        raise InvalidURL(
            f"no {'async' if aio else 'sync'} driver is known for dialect {self.name!r}; write it in the URL "
            f"({self.name}+DRIVER://) or bring a backend with sqlhelpers_register_backend",
        )


_MODULES = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


def known_names() -> tuple[str, ...]:
    """Return the names of the kinds that come with sqlhelpers."""
    return tuple(_MODULES)


def built_in(name: str) -> Backend:
    """Return the backend of a kind that comes with sqlhelpers, by SQLAlchemy's name of it."""
    if name not in _MODULES:
        return Undescribed(name)
    found: Backend = import_module(f"sqlhelpers.backends.{_MODULES[name]}").BACKEND
    return found


def backend_of(bind: Engine | Connection) -> Backend:
    """Return the backend that an engine of ours was made with; of any other engine, the one for its dialect."""
    found: Backend | None = bind.get_execution_options().get(OPTION)
    return found or built_in(bind.dialect.name)


def meanings_of(error: DBAPIError) -> frozenset[Meaning]:
    """Return what an error means; nothing if it is of no kind that is told apart."""
    codes = codes_of(error)
    backends = {id(each): each for each in map(built_in, known_names())}.values()
    return frozenset(meaning for backend in backends for meaning in backend.means(error, codes))


def sqlite_file(url: URL) -> Path | None:
    """Return the file of a SQLite URL; None for a database in memory and for every other kind."""
    return built_in(url.get_backend_name()).file(url)


def relative_to(url: str, folder: Path) -> str:
    """Return a URL with the relative path of its file, if it has one, made absolute below a folder."""
    try:
        parsed = urls.parse(url)
    except InvalidURL:
        return url
    file = sqlite_file(parsed)
    if file is None or file.is_absolute() or str(parsed.database).startswith("file:"):
        return url
    return parsed.set(database=str(folder / file)).render_as_string(hide_password=False)
