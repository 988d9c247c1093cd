"""``sqlhelpers.urls``: read, masked, resolved."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from sqlalchemy import URL

from sqlhelpers import Backend, hookimpl, urls
from sqlhelpers.backends import relative_to, sqlite_file
from sqlhelpers.discovery.hooks import Hooks
from sqlhelpers.exceptions import DriverNotInstalled, InvalidURL
from sqlhelpers.urls import Drivers


def resolve(url, *, aio=False, hooks=None):
    """Return a URL with its driver."""
    parsed = urls.parse(url)
    return (hooks or Hooks()).backend(parsed).resolve(parsed, aio=aio)


@pytest.mark.parametrize(
    ("url", "sync", "aio"),
    [
        ("sqlite:///x.db", "sqlite+pysqlite", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///x.db", "sqlite+pysqlite", "sqlite+aiosqlite"),
        ("postgresql://h/d", "postgresql+psycopg", "postgresql+asyncpg"),
        ("postgres://h/d", "postgresql+psycopg", "postgresql+asyncpg"),
        ("postgres+asyncpg://h/d", "postgresql+psycopg", "postgresql+asyncpg"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg", "postgresql+psycopg"),
        ("postgresql+asyncpg://h/d", "postgresql+psycopg", "postgresql+asyncpg"),
        ("mysql://h/d", "mysql+pymysql", "mysql+asyncmy"),
        ("mariadb://h/d", "mariadb+pymysql", "mariadb+asyncmy"),
        ("mariadb+aiomysql://h/d", "mariadb+pymysql", "mariadb+aiomysql"),
    ],
)
def test_one_url_serves_both_managers(url, sync, aio, monkeypatch):
    """Each manager resolves the driver for itself, and keeps one that the user wrote where it fits."""
    monkeypatch.setattr(
        "sqlhelpers.backends.base.find_spec", lambda _: object()
    )  # aiomysql is the second choice, in no extra

    assert resolve(url, aio=False).drivername == sync
    assert resolve(url, aio=True).drivername == aio


def test_a_missing_driver_names_the_extra(monkeypatch):
    """Without any of the driver packages, the error says what to install."""
    monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda _: None)

    with pytest.raises(DriverNotInstalled, match=r"mariadb .*asyncmy or aiomysql.*pip install 'sqlhelpers\[mysql\]'"):
        resolve("mariadb://h/d", aio=True)

    with pytest.raises(DriverNotInstalled, match=r"for postgresql .*\(psycopg\): pip install 'sqlhelpers\[postgres\]'"):
        resolve("postgresql+psycopg://h/d", aio=False)


def test_the_second_driver_serves_where_the_first_is_missing(monkeypatch):
    """The first driver that is installed is taken."""
    monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda name: None if name == "asyncmy" else object())

    assert resolve("mysql://h/d", aio=True).drivername == "mysql+aiomysql"


class Oracle(Backend):
    """A kind of database that a plugin brings."""

    names = ("oracle",)
    drivers = Drivers(sync=("oracledb",), aio=("oracledb",))


def test_a_plugin_can_bring_a_backend():
    """A kind that the core does not know is served by its drivers."""
    hooks = Hooks()
    hooks.register(SimpleNamespace(sqlhelpers_register_backend=hookimpl(lambda: [Oracle()])), "oracle")

    assert resolve("oracle://h/d", hooks=hooks).drivername == "oracle+oracledb"


def test_a_dialect_that_nobody_has_described():
    """SQLAlchemy's own driver serves a sync manager; where there is none, the error says what to write."""
    assert resolve("oracle://h/d").drivername == "oracle"
    with pytest.raises(InvalidURL, match=r"no async driver is known for dialect 'oracle'; .*oracle\+DRIVER://"):
        resolve("oracle://h/d", aio=True)
    with pytest.raises(InvalidURL, match=r"no dialect or driver 'cobol'$"):
        resolve("cobol://h/d")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("postgrs", "postgresql"), ("sqllite", "sqlite"), ("postgresql+pyscopg", r"postgresql\+psycopg")],
)
def test_a_mistyped_dialect_or_driver(written, meant):
    """The error has the near name."""
    with pytest.raises(InvalidURL, match=rf"'; did you mean {meant}\?$"):
        resolve(f"{written}://h/d", aio=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "postgresql:/h",
        "postgresql://u:pa@ss@h/d",
        "postgresql://u:pa@ss?x@h/d",
        "postgresql://u:pa@ss/x?y@h/d",
        "postgresql://h:port/d",
        "http+x://h",
        "cobol://h/d",
    ],
)
def test_a_wrong_url_is_an_error_without_its_password(url):
    """Whatever cannot be used as a URL is refused in one line."""
    with pytest.raises(InvalidURL) as caught:
        resolve(url, aio=False)

    assert "pa@ss" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("password", ["p@ssword", "p@ss/word", "p@ss?word"])
def test_a_raw_at_sign_in_the_password_is_explained(password):
    """The most frequent mistake in a URL gets its own explanation, and its remains are not shown as a host."""
    with pytest.raises(InvalidURL, match="raw '@'; write it as %40"):
        urls.parse(f"postgresql://user:{password}@host/db")


def test_an_at_sign_elsewhere_is_none_in_the_password():
    """It may be in a user's name, in that of a file, in a query where there is no password, and encoded anywhere."""
    assert urls.parse("postgresql://user:secret@host/a%40b").password == "secret"
    assert urls.parse("postgresql://user@tenant:secret@host/db").username == "user@tenant"
    assert urls.parse("sqlite:///me@home.db").database == "me@home.db"
    assert urls.parse("postgresql://host/db?application_name=me@home").query["application_name"] == "me@home"


def test_a_password_in_the_query_is_used_and_hidden():
    """As libpq has it, it is the password where the URL has no other."""
    parsed = urls.parse("postgresql://user@host/db?password=hunter2&sslmode=require")

    assert (parsed.password, dict(parsed.query)) == ("hunter2", {"sslmode": "require"})
    assert "hunter2" not in str(parsed)
    assert urls.parse("postgresql://user:first@host/db?password=second").password == "first"


@pytest.mark.parametrize("password", ["hunter22", "p@:/#?%", "%%", "%(x)s", "a b+c", "[x]", "日本語"])
def test_a_masked_url_hides_the_password(password):
    """Neither the password nor its encoded form is in the masked URL; the rest is."""
    masked = urls.mask(f"postgresql://user:{quote(password, safe='')}@host:5432/db?application_name=x")

    assert masked == "postgresql://user:***@host:5432/db?application_name=x"


def test_secrets_in_the_query_are_masked():
    """Some drivers take passwords as query parameters."""
    masked = urls.mask("postgresql://user@host/db?sslpassword=hunter2&password=hunter2")

    assert masked == "postgresql://user:***@host/db?sslpassword=***"


def test_a_database_in_memory_is_shown_as_it_was_written():
    """SQLAlchemy writes the colons in other signs."""
    assert urls.mask("sqlite:///:memory:") == "sqlite:///:memory:"


def test_what_is_no_url_is_masked_whole():
    """Nothing of a text that cannot be parsed is shown."""
    assert urls.mask("hunter2") == "***"


def test_scrub_takes_the_password_out_of_a_message():
    """A driver's message that repeats the password, as it is or encoded, can be shown after all."""
    url = f"postgresql://u:{quote('p@ss/word', safe='')}@h/d"

    assert urls.scrub("no\nlogin with p@ss/word or p%40ss%2Fword", url) == "no login with *** or ***"
    assert urls.scrub("no login with abcd", "postgresql://u:abcd@h/d") == "no login with ***"
    assert urls.scrub("no login for an abc", "postgresql://u:abc@h/d") == "no login for an abc"  # as good as none


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file::memory:?uri=true", None),
        ("sqlite:///file:shared?mode=memory&uri=true", None),
        ("sqlite:///file:?uri=true", None),
        ("sqlite:///x.db", Path("x.db")),
        ("sqlite:////tmp/100%/x.db", Path("/tmp/100%/x.db")),
        ("sqlite:///file:x.db?uri=true", Path("x.db")),
        (URL.create("sqlite", database="file:x.db?mode=ro", query={"uri": "true"}), Path("x.db")),
        ("postgresql://h/d", None),
    ],
)
def test_the_file_of_a_sqlite_url(url, file):
    """A file is told from the ways to say that there is none."""
    assert sqlite_file(urls.parse(url)) == file


def test_relative_sqlite_paths_are_relative_to_the_file_that_says_them():
    """Only the relative path of a SQLite file is touched."""
    folder = Path("/project")

    assert relative_to("sqlite:///x.db", folder) == "sqlite:////project/x.db"
    assert relative_to("sqlite+pysqlcipher://:key@/x.db", folder) == "sqlite+pysqlcipher://:key@//project/x.db"
    assert relative_to("sqlite:////ü.db", folder) == "sqlite:////ü.db"
    assert relative_to("sqlite:///file:x.db?uri=true", folder) == "sqlite:///file:x.db?uri=true"
    assert relative_to("sqlite://", folder) == "sqlite://"
    assert relative_to("postgresql://u:p%40@h/d", folder) == "postgresql://u:p%40@h/d"
    assert relative_to("nonsense", folder) == "nonsense"
