"""The errors that sqlhelpers raises.

SqlhelpersError
├── ConfigurationError          exit status 2: settings, plugins or usage
│   ├── SettingsError           a setting is unknown, misspelt or wrong
│   ├── InvalidURL              a database URL cannot be used
│   ├── UnknownBind             no database is configured under this name
│   ├── DriverNotInstalled      the package of a database driver is missing
│   ├── PluginError             a plugin is at fault
│   │   ├── PluginLoadError     ... it cannot be loaded
│   │   ├── InvalidHook         ... a hook is misspelt, or has a wrong signature or result
│   │   └── HookFailed          ... a hook raised
│   ├── AdapterNotInstalled     no adapter, or no framework, for what was asked
│   ├── AppError                an app is at fault: tables, names, order, models
│   │   └── MigrationsNotFound  ... its migrations folder is missing or holds no revisions
│   ├── NoSession               a model was asked without a session, and none or several could serve it
│   └── DiscoveryError          several of these, each kept
├── DatabaseFailure             exit status 1: the database cannot be reached, or failed
│   ├── MigrationFailed         ... or a revision raised
│   ├── PoolerNotSet            ... or a pooler is in front of it that the settings do not know of
│   └── SeveralFailures         ... in more than one database of a run
├── Refused                     exit status 3: a person must decide
│   ├── MultipleHeads           ... an app's history has several heads
│   ├── NothingToWrite          ... a revision would do nothing
│   └── StateRefused            ... a database is in a state that must not be touched
├── InvalidCursor               a cursor is not one of ours, or of another query
└── LockTimeout                 exit status 4: another run did not end in time
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class SqlhelpersError(Exception):
    """The root of every error that sqlhelpers raises.

    Its text is one line: what is at fault, and the next step. ``exit_status`` is what the
    command line ends with.

    Cure: catch this class to catch all of them; do what the text says.
    """

    exit_status = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """What to print: one line for each thing that is wrong."""
        return (str(self),)


class _Gathered(SqlhelpersError):
    """Several errors that a caller should see together."""

    def __init__(self, errors: Sequence[SqlhelpersError], hint: str = "") -> None:
        self.errors: tuple[SqlhelpersError, ...] = tuple(errors)
        self.hint = hint
        super().__init__("; ".join([*self.lines, hint] if hint else self.lines))

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for error in self.errors for line in error.lines)


class ConfigurationError(SqlhelpersError):
    """The settings, the plugins or the call are wrong; the database was not touched.

    Cure: correct what the text names; ``sqlhelpers config`` and ``sqlhelpers plugins`` show what is there.
    """

    exit_status = 2


class SettingsError(ConfigurationError):
    """One or more settings are unknown, misspelt or have a wrong value.

    ``problems`` has one line for each, with the place where the value came from.

    Cure: change it in that place. For a misspelt one, the text suggests the near name.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("; ".join(self.problems))

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each problem."""
        return self.problems


class InvalidURL(ConfigurationError, ValueError):
    """A database URL cannot be read or used. Its text never holds the URL's password.

    Cure: write ``dialect://user:password@host/database``, with ``@`` in a password as ``%40`` and ``/`` as ``%2F``.
    """


class UnknownBind(ConfigurationError):
    """No database is configured under ``bind``.

    Cure: set ``DATABASE_URL``, or add the database under ``[tool.sqlhelpers.databases]``.
    """

    def __init__(self, bind: str, known: Iterable[str], hint: str = "") -> None:
        self.bind = bind
        self.known: tuple[str, ...] = tuple(known)
        configured = ", ".join(self.known) or "none"
        super().__init__(f"no database named {bind!r} is configured (configured: {configured}){hint}")


class DriverNotInstalled(ConfigurationError):
    """The package of a database driver is missing.

    Cure: install the extra that the text names, or write a driver that is installed in the URL.
    """


class PluginError(ConfigurationError):
    """The root of the errors that name a plugin: ``plugin`` is its name and distribution.

    Cure: mend or update that distribution, or leave the plugin out: ``SQLHELPERS_DISABLE_PLUGINS=NAME``.
    """

    def __init__(self, plugin: str, problem: str) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin}: {problem}")


class PluginLoadError(PluginError):
    """A plugin cannot be imported, or its name is taken.

    Cure: install what its import misses, as the ``__cause__`` says; of two with one name, keep one.
    """


class InvalidHook(PluginError):
    """A hook is misspelt, has a wrong signature, or returned something of a wrong type.

    Cure: compare the plugin's function with the hook's description.
    """


class HookFailed(PluginError):
    """A hook raised an exception, which is the ``__cause__``.

    Cure: mend what the plugin says is wrong; ``--debug`` shows where in the plugin it was raised.
    """


class AdapterNotInstalled(ConfigurationError):
    """There is no adapter for the framework, or the framework itself is not installed.

    Cure: install the extra that the text names. ``sqlhelpers plugins`` lists the adapters.
    """


class AppError(ConfigurationError):
    """An app, or how several fit together, is wrong: names, tables, order, models.

    ``apps`` has the names of those at fault, as far as they are known.

    Cure: change the app, or what ``[tool.sqlhelpers.apps]`` says about it; the text names the modules or tables.
    """

    def __init__(self, problem: str, apps: Iterable[str] = ()) -> None:
        self.apps: tuple[str, ...] = tuple(apps)
        super().__init__(problem)


class MigrationsNotFound(AppError):
    """An app's migrations folder is missing, or there is no revision in it.

    Cure: put the folder into the wheel, write the first revision, or say ``migrations = false`` if there are none.
    """


class NoSession(ConfigurationError):
    """A model was asked without a session, and none or several could be meant, or with one that is over.

    Cure: pass the session, or ask within ``with manager.session():``. After a response has started, use a provider.
    """


class DiscoveryError(_Gathered, ConfigurationError):
    """Everything that went wrong while plugins and apps were loaded; ``errors`` holds each.

    Cure: that of each error in it.
    """


class DatabaseFailure(SqlhelpersError):
    """A database cannot be reached, does not let us in, or failed at what it was asked.

    Cure: the text has what the driver said. A server that is still starting is waited for with ``run-sync --wait``.
    """


class MigrationFailed(DatabaseFailure):
    """A revision raised an exception, which is the ``__cause__``.

    Cure: mend the revision, or the data, and run again; on MariaDB and MySQL after ``sqlhelpers repair``.
    """

    def __init__(self, app: str | None, revision: str, path: str, reason: str) -> None:
        self.app = app
        self.revision = revision
        self.path = path
        owner = f" of app {app!r}" if app else ""
        super().__init__(f"revision {revision}{owner} failed ({path}): {reason}")


class PoolerNotSet(DatabaseFailure):
    """A prepared statement was lost, as a pooler that lends connections for a transaction at a time does it.

    Cure: set ``pooler = "transaction"`` for this database.
    """


class SeveralFailures(_Gathered, DatabaseFailure):
    """More than one database of a run failed; ``errors`` holds each.

    Cure: that of each error in it.
    """

    @property
    def exit_status(self) -> int:  # type: ignore[override]  # the worst of what it gathers
        """The highest exit status among the gathered errors."""
        return max(error.exit_status for error in self.errors)


class Refused(SqlhelpersError):
    """sqlhelpers will not go on without a person's decision; nothing was changed.

    Cure: decide. The text says why, and which command carries out your decision.
    """

    exit_status = 3


class MultipleHeads(Refused):
    """An app's history has several heads; they have to be merged first.

    Cure: ``sqlhelpers merge APP`` writes a revision that follows them all, and does nothing else.
    """

    def __init__(self, app: str | None, heads: Iterable[tuple[str, str]]) -> None:
        self.app = app
        self.heads: tuple[tuple[str, str], ...] = tuple(heads)
        owner = f"app {app!r}" if app else "the migrations folder"
        files = ", ".join(f"{revision} ({path})" for revision, path in self.heads)
        command = f"sqlhelpers merge {app or ''}".rstrip()
        super().__init__(f"{owner} has several heads: {files}; merge them with `{command}`")


class NothingToWrite(Refused):
    """A revision was asked for, and would do nothing; no file was written.

    Cure: none, if the models are as they should be; ``--empty`` writes a revision to be filled by hand.
    """


class StateRefused(_Gathered, Refused):
    """A database is in a state that must not be changed unasked; ``errors`` says why, app by app.

    Cure: for tables without a revision, ``sqlhelpers adopt``; for a revision that is not known, the newer version of
    the app that has it; for one that was interrupted, your work by hand, and then ``sqlhelpers repair``.
    """


class InvalidCursor(SqlhelpersError, ValueError):
    """The cursor of a page was changed, was made with another secret, or is that of a query in another order.

    Cure: begin with the first page; in a service, answer with 400. A secret that was changed ends all old cursors.
    """


class LockTimeout(SqlhelpersError):
    """Another run did not end in time; the text says who holds the lock.

    Cure: run again when the holder has ended, or set a longer ``lock_timeout``.
    """

    exit_status = 4
