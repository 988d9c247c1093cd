"""``run``, which is all that an ``env.py`` needs for plain ``alembic`` to do as ``sqlhelpers`` does.

from sqlhelpers.environment import run

run()
"""

from __future__ import annotations

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.runtime.migration import RevisionStep
from alembic.util import CommandError

from sqlhelpers.backends import NoLimits, backend_of
from sqlhelpers.config import Settings, project_file
from sqlhelpers.engines import failures_named
from sqlhelpers.exceptions import AppError, Refused, SqlhelpersError
from sqlhelpers.managers import DatabaseManager
from sqlhelpers.migrations.authoring import adjusted, autogenerate_options, documented, heading, literal
from sqlhelpers.migrations.authoring import droppable as find_droppable
from sqlhelpers.migrations.revisions import ATTRIBUTE
from sqlhelpers.migrations.running import Run, Steps, only_run, run_in
from sqlhelpers.migrations.state import read_app, settle_defaults
from sqlhelpers.reports import DatabaseStatus
from sqlhelpers.runtime import Runtime

__all__ = ["documented", "heading", "literal", "run"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy.engine import Connection, Engine

    from sqlhelpers.managers import Database
    from sqlhelpers.migrations.state import History

_log = logging.getLogger(__name__)

#: What Alembic's commands say to their environment if they only look.
_LOOKING = frozenset(("dont_mutate", "revision_context", "template_args"))


def run(runtime: Runtime | None = None) -> None:
    """Do what Alembic has been asked for, on the database and the tables of the app that the folder belongs to.

    For an ``env.py``. Settings and apps are found from Alembic's configuration file upwards, or from the working
    directory. Where several databases have the folder, ``alembic -x database=NAME`` picks one; the default is
    ``default``. A connection in ``config.attributes["connection"]`` is used, and left open.

    Args:
        runtime: the settings and the apps; None to find them.

    Raises:
        CommandError: it could not be done; Alembic's command line prints the text.
    """
    environment: EnvironmentContext = vars(context)["_proxy"]
    try:
        with _served(environment, runtime) as served:
            served.run()
    except SqlhelpersError as error:
        raise CommandError("; ".join(error.lines)) from error


@contextmanager
def _served(environment: EnvironmentContext, runtime: Runtime | None) -> Iterator[_Served]:
    attribute = environment.config.attributes.get(ATTRIBUTE)
    if attribute is not None:
        manager, app = attribute
        yield _Served(environment, manager.database, _history(manager.database, app), manager)
        return
    with ExitStack() as stack:
        found = runtime or stack.enter_context(_new_runtime(environment.config))
        wanted = environment.get_x_argument(as_dictionary=True).get("database")
        folder = Path(environment.script.dir).resolve()
        databases = [found.database(bind) for bind in found.binds([wanted] if wanted else [])]
        yield _Served(environment, *_belonging(databases, folder))


def _new_runtime(config: Config) -> Runtime:
    files = [Path(name) for name in (config.toml_file_name, config.config_file_name) if name]
    places = [file.absolute().parent for file in files if file.is_file()]
    place = next((each for each in places if project_file(each)), Path.cwd())
    project = project_file(place)
    for each in (project.parent if project else place, Path.cwd()):  # where an app may lie that is not installed
        if str(each) not in sys.path:
            sys.path.append(str(each))
    return Runtime(Settings(_folder=place))


def _history(database: Database, app: str | None) -> History:
    return next(each for each in database.histories_for_authors() if each.app == app)


def _belonging(databases: list[Database], folder: Path) -> tuple[Database, History]:
    """Return the database and the app that a migrations folder belongs to."""
    found = [
        (database, history)
        for database in databases
        for history in database.histories_for_authors()
        if history.revisions and history.revisions.folder.resolve() == folder
    ]
    found = [each for each in found if each[0].bind == "default"] or found
    if len(found) == 1:
        return found[0]
    names = ", ".join(database.bind for database, _ in found)
    if found:
        raise AppError(f"{folder} belongs to several databases: alembic -x database=NAME picks one (of {names})")
    shown = ", ".join(database.bind for database in databases)
    raise AppError(
        f"{folder} belongs to no app, and to no database as its migrations_path (databases: {shown}); "
        "`sqlhelpers init` says what the settings need"
    )


@dataclass(frozen=True)
class _Served:
    """What a command of Alembic works on."""

    environment: EnvironmentContext
    database: Database
    history: History
    manager: Any = None

    def run(self) -> None:
        if self.environment.is_offline_mode():
            self._tell()
            return
        connection = self.environment.config.attributes.get("connection")
        only_looks = _LOOKING & self.environment.context_opts.keys()
        if connection is None:
            self._connect(self._look if only_looks else self._change, looks=bool(only_looks))
        elif only_looks:
            self._look(connection)
        else:
            self._change_in(connection)

    def _tell(self) -> None:
        """Write SQL, without a connection."""
        options: dict[str, Any] = {"dialect_opts": {"paramstyle": "named"}, "literal_binds": True}
        name = self.database.url.get_backend_name()
        self.environment.configure(dialect_name=name, **options, **self.history.options())
        with self.environment.begin_transaction():
            self.environment.run_migrations()

    def _connect(self, work: Callable[..., None], *, looks: bool) -> None:
        database = self.database

        def on(engine: Engine) -> None:
            if looks:
                database.read(lambda: engine, None, work)
            else:
                database.change(engine, None, work)

        def perform_all() -> None:
            with failures_named(database.bind, database.url):
                if database.has_sync_driver:
                    with DatabaseManager.for_database(database) as manager:
                        on(manager.engine)
                else:
                    from sqlhelpers.managers import perform

                    perform(database, lambda manager: manager.run_sync(on))

        if isinstance(self.manager, DatabaseManager):
            on(self.manager.engine)
        else:
            _outside_of_loops(perform_all)

    def _look(self, connection: Connection) -> None:
        """Do what changes nothing: show where the database is, or compare it with the models."""
        revising = self.environment.context_opts.get("revision_context")
        options = {**self.history.options(), "dont_mutate": True}
        if revising is not None and revising.command_args["autogenerate"]:
            if not self.history.tables:  # it would drop all that the revisions have made
                raise Refused(f"{self.environment.script.dir}: there are no models to compare with")
            droppable, notes = find_droppable(connection, self.database, self.history)
            self.environment._install_proxy()  # another one was used meanwhile, and took it away
            options = autogenerate_options(connection, self.history, droppable)
            heeded: list[str] = []
            options["process_revision_directives"] = adjusted(connection, self.history, options, heeded)
            self._run_migrations(connection, options)
            for note in (*notes, *heeded):
                _log.warning(note)
        else:
            self._run_migrations(connection, options)

    def _run_migrations(self, connection: Connection, options: dict[str, Any]) -> None:
        self.environment.configure(connection=connection, **options)
        settle_defaults(self.environment.get_context())
        self.environment.run_migrations()

    def _change_in(self, connection: Connection) -> None:
        """Do what changes the database, on a connection that was given."""
        bind, shown, seconds = self.database.bind, self.database.masked_url, self.database.settings.lock_timeout
        with only_run(connection.engine, f"database {bind!r} ({shown})", seconds) as lock:
            self.database.refuse_shared(connection)
            self._change(connection, Run(bind, shown, self.database.hooks, lock, NoLimits(), seconds))

    def _change(self, connection: Connection, run: Run) -> None:
        steps = Steps(connection, self.history, run, "upgrade")
        options = {**self.history.options(), "fn": self._watched(connection, steps)}
        try:
            with steps.counted():
                if connection.in_transaction():  # its owner commits it
                    self.environment.configure(connection=connection, on_version_apply=steps.applied, **options)
                    self.environment.run_migrations()
                else:
                    with backend_of(connection).schema_transaction(connection, run.patience):
                        run_in(self.environment, connection, steps, options)
                        run.checkpoint()
        except (CommandError, SqlhelpersError):
            raise
        except (Exception, SystemExit) as error:
            raise steps.explain(error) from error

    def _watched(self, connection: Connection, steps: Steps) -> Callable[..., Any]:
        """Return what finds the steps to take, which are then bounded and written into the journal."""
        find = self.environment.context_opts["fn"]

        def steps_to_take(heads: Any, migration_context: Any) -> Any:
            found = list(find(heads, migration_context))
            if not found or not isinstance(found[0], RevisionStep):
                return found
            report = read_app(connection, self.history)
            if report.status is DatabaseStatus.INTERRUPTED:
                raise Refused(report.detail)
            steps.action = "upgrade" if found[0].is_upgrade else "downgrade"
            return steps.watch(found)

        return steps_to_take


def _outside_of_loops(work: Callable[[], None]) -> None:
    """Call ``work``, which may run an event loop, in a thread of its own where one runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        work()
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, work).result()
