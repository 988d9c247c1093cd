"""Database URLs: read, masked, and resolved to a driver.

A user writes one URL, with or without a driver; every manager resolves it for itself.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlhelpers.exceptions import DriverNotInstalled, InvalidURL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL

_ALIASES = {"postgres": "postgresql"}
_SECRET_LENGTH = 4  # what is shorter is no secret, and would spoil the text that it is taken out of
_SECRET_QUERY_KEY = re.compile(r"pass|secret|token", re.IGNORECASE)


class Drivers(NamedTuple):
    """The drivers of one dialect, each a tuple in order of preference: the first installed one is used."""

    sync: tuple[str, ...]
    aio: tuple[str, ...]


#: driver -> (module to import, extra of ours that installs it)
_PACKAGES = {
    "pysqlite": ("sqlite3", None),
    "aiosqlite": ("aiosqlite", "sqlite"),
    "psycopg": ("psycopg", "postgres"),
    "asyncpg": ("asyncpg", "postgres"),
    "pymysql": ("pymysql", "mysql"),
    "asyncmy": ("asyncmy", "mysql"),
    "aiomysql": ("aiomysql", "mysql"),
}


def parse(url: str | URL) -> URL:
    """Return the SQLAlchemy ``URL``; ``postgres://`` is read as ``postgresql://``.

    Raises:
        InvalidURL: it is not a URL, or its password holds a character that must be percent-encoded.
    """
    from sqlalchemy.engine import URL, make_url  # what names drivers only need not wait for it
    from sqlalchemy.exc import ArgumentError

    if isinstance(url, URL):
        return url
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise InvalidURL(
            "this is not a database URL; it should look like dialect://user:password@host/database",
        ) from None
    rest = re.sub("^[^/?]*", "", url.partition("//")[2])  # as it is written: what is encoded is right
    if "@" in str(parsed.host) or (parsed.password and "@" in rest):
        raise InvalidURL("the password in the URL holds a raw '@'; write it as %40")
    dialect, plus, driver = parsed.drivername.partition("+")
    password = parsed.query.get("password")
    if isinstance(password, str) and not parsed.password:  # as libpq allows; there it would be shown
        parsed = parsed.difference_update_query(["password"]).set(password=password)
    return parsed.set(drivername=_ALIASES.get(dialect, dialect) + plus + driver)


def mask(url: str | URL) -> str:
    """Return the URL as text that may be shown: its password, and secrets in its query, read ``***``."""
    try:
        parsed = parse(url)
    except InvalidURL:
        return "***"
    query = {key: "***" if _SECRET_QUERY_KEY.search(key) else value for key, value in parsed.query.items()}
    shown = parsed.set(query=query).render_as_string(hide_password=True)
    return shown.replace("%2A%2A%2A", "***").replace("%3Amemory%3A", ":memory:")


def scrub(text: str, url: str | URL) -> str:
    """Return ``text`` in one line and without the password of ``url``, in clear or percent-encoded."""
    line = " ".join(text.split())
    parsed = parse(url)
    encoded = re.search(r":([^:@/]*)@", parsed.render_as_string(hide_password=False))
    for secret in (parsed.password, encoded and encoded[1]):
        if len(secret or "") >= _SECRET_LENGTH:
            line = line.replace(str(secret), "***")
    return line


def resolve(url: str | URL, *, aio: bool, drivers: Mapping[str, Drivers]) -> URL:
    """Return ``url`` with a driver for a sync manager, or with ``aio`` for an async one.

    A driver that the URL names is kept where it fits (``postgresql+psycopg`` serves both).

    Raises:
        DriverNotInstalled: the dialect is known, but none of its drivers is installed.
        InvalidURL: the dialect or the driver is unknown.
    """
    parsed = parse(url)
    dialect, _, written = parsed.drivername.partition("+")
    if written and _fits(parsed, drivers, aio=aio):
        _require((written,), dialect)
        return parsed
    known = drivers.get(dialect)
    if known is None:
        if not written and not aio and _fits(parsed, drivers, aio=aio):
            return parsed
        raise InvalidURL(
            f"no {'async' if aio else 'sync'} driver is known for dialect {dialect!r}; "
            f"write it in the URL ({dialect}+DRIVER://) or register one with sqlhelpers_register_drivers",
        )
    driver = _require(known.aio if aio else known.sync, dialect)
    return parsed.set(drivername=f"{dialect}+{driver}")


def _fits(url: URL, drivers: Mapping[str, Drivers], *, aio: bool) -> bool:
    from sqlalchemy.exc import NoSuchModuleError

    from sqlhelpers.suggestions import suggest

    try:
        dialect = url.get_dialect()
    except NoSuchModuleError:
        names = [f"{each}+{driver}" for each, known in drivers.items() for driver in (*known.sync, *known.aio)]
        hint = suggest(url.drivername, (*drivers, *names))
        raise InvalidURL(f"SQLAlchemy knows no dialect or driver {url.drivername!r}{hint}") from None
    return bool(dialect.get_async_dialect_cls(url).is_async if aio else not dialect.is_async)


def _require(candidates: tuple[str, ...], dialect: str) -> str:
    for driver in candidates:
        module, _ = _PACKAGES.get(driver, (None, None))
        if module is None or find_spec(module):
            return driver
    extra = _PACKAGES[candidates[0]][1]
    raise DriverNotInstalled(
        f"no driver for {dialect} is installed ({' or '.join(candidates)}): pip install 'sqlhelpers[{extra}]'",
    )


def dialect_options(url: URL) -> frozenset[str]:
    """Return the names of the ``create_engine`` options that only this URL's dialect understands."""
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.util import get_cls_kwargs

    try:
        return frozenset(get_cls_kwargs(url.get_dialect()))
    except (NoSuchModuleError, ImportError):
        return frozenset()


def sqlite_file(url: URL) -> Path | None:
    """Return the file of a SQLite URL; None for a database in memory and for every other dialect."""
    if url.get_backend_name() != "sqlite":
        return None
    name = url.database or ":memory:"
    if name.startswith("file:"):
        name = name.removeprefix("file:").partition("?")[0]
        if url.query.get("mode") == "memory":
            return None
    return None if name in {":memory:", ""} else Path(name)


def relative_to(url: str, folder: Path) -> str:
    """Return ``url`` with the relative path of a SQLite file made absolute below ``folder``."""
    try:
        parsed = parse(url)
    except InvalidURL:
        return url
    file = sqlite_file(parsed)
    if file is None or file.is_absolute() or str(parsed.database).startswith("file:"):
        return url
    return parsed.set(database=str(folder / file)).render_as_string(hide_password=False)
