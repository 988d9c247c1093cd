"""What drivers raise, turned into one line that names the database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from sqlhelpers import urls
from sqlhelpers.backends import is_of_driver, sqlite_file
from sqlhelpers.exceptions import DatabaseFailure, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Engine


def name_failures_to_connect(engine: Engine) -> None:
    """Let a server that cannot be reached be an ``OperationalError`` with async drivers too.

    Some of them raise what the socket raised, which nobody could tell from an error of the application.
    """
    connect, dialect = engine.dialect.connect, engine.dialect

    def named(*arguments: Any, **options: Any) -> Any:
        try:
            return connect(*arguments, **options)
        except Exception as error:
            if isinstance(error, dialect.loaded_dbapi.Error) or not (isinstance(error, OSError) or is_of_driver(error)):
                raise
            failure: Any = dialect.loaded_dbapi.OperationalError(f"{type(error).__name__}: {error}")
            failure.sqlstate = getattr(error, "sqlstate", None)
            raise failure from error

    dialect.connect = named  # type: ignore[method-assign]  # the event would keep others of its kind from being told


@contextmanager
def failures_named(bind: str, url: URL) -> Iterator[None]:
    """Turn what a database or its driver raises in the block into one line that names the database.

    Raises:
        DatabaseFailure: without secrets in its text; the cause is chained.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, SQLAlchemyError | OSError) or is_of_driver(error):
            raise DatabaseFailure(f"database {bind!r} ({urls.mask(url)}): {_reason(error, url)}") from error
        if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
            where = f"setting databases.{bind}.sqlalchemy.url ({urls.mask(url)})"
            raise SettingsError([f"{where}: the driver does not know a part of its query: {error}"]) from error
        raise


def _reason(error: Exception, url: URL) -> str:
    file = sqlite_file(url)
    if file is not None and not file.parent.is_dir():
        return f"the folder {file.parent} does not exist"
    if file is not None and file.is_dir():
        return "this is a folder, not a file"
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {urls.scrub(str(original), url)}"
