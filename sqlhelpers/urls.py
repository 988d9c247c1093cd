"""Database URLs: read, masked, and taken out of texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sqlhelpers.exceptions import InvalidURL

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_ALIASES = {"postgres": "postgresql"}
_SECRET_LENGTH = 4  # what is shorter is no secret, and would spoil the text that it is taken out of
_SECRET_QUERY_KEY = re.compile(r"pass|secret|token", re.IGNORECASE)


class Drivers(NamedTuple):
    """The drivers of one dialect, each a tuple in order of preference: the first installed one is used."""

    sync: tuple[str, ...]
    aio: tuple[str, ...]


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


def dialect_options(url: URL) -> frozenset[str]:
    """Return the names of the ``create_engine`` options that only this URL's dialect understands."""
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.util import get_cls_kwargs

    try:
        return frozenset(get_cls_kwargs(url.get_dialect()))
    except (NoSuchModuleError, ImportError):
        return frozenset()
