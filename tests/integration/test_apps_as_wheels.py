"""Apps, each a real wheel in a real environment: a healthy one, and those that do not fit together."""

from __future__ import annotations

import pytest
from sites import app, assert_refused

OWN_BASE = "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n\n\n"
OUR_BASE = "from sqlhelpers import Base\n\n\n"


def model(table: str, column: str = "", options: str = "") -> str:
    """Return the text of a mapped class for ``table``."""
    return (
        "from sqlalchemy import ForeignKey\n"
        "from sqlalchemy.orm import Mapped, mapped_column\n\n\n"
        f"class {table.title()}(Base):\n"
        f"    __tablename__ = {table!r}\n{options}"
        f"    id: Mapped[int] = mapped_column(primary_key=True)\n{column}"
    )


def foreign_key(table: str) -> str:
    """Return the text of a mapped column that points to ``table``."""
    return f"    other: Mapped[int] = mapped_column(ForeignKey('{table}.id'))\n"


def assert_no_run(site, *words):
    """Check that ``run-sync`` refuses with one line and without a database, and what it says of the healthy app."""
    synced, listed = site.sync_and_list()
    assert_refused(synced, *words)
    assert site.leftovers == []
    assert synced.stderr.splitlines()[-1] == "note: not affected: app healthy (healthy 1.0)"
    assert "healthy" in listed.stdout


def test_a_healthy_app_is_created_once(install):
    """The first run creates the tables and records the revision; the second finds them up to date."""
    site = install()
    first, second, listed = site.sqlhelpers("run-sync"), *site.sync_and_list()

    assert (first.status, first.stderr) == (0, "")
    assert " ".join(first.stdout.split()) == "default sqlite:///x.db healthy created at a1 1 table"
    assert (second.status, second.stderr) == (0, "")
    assert " ".join(second.stdout.split()) == "default sqlite:///x.db healthy up to date at a1"
    assert listed.status == 0
    assert "app      healthy  healthy 1.0       healthy             loaded" in listed.stdout
    assert site.query("select version_num from alembic_version_healthy") == [("a1",)]
    assert site.query("select count(*) from apple") == [(0,)]


SHARED = {
    "one-metadata": (OUR_BASE + model("book"), OUR_BASE + model("book")),
    "two-metadatas": (OWN_BASE + model("book"), OWN_BASE + model("book")),
    "extended": (
        OUR_BASE + model("book"),
        OUR_BASE + model("book", options="    __table_args__ = {'extend_existing': True}\n"),
    ),
    "core-tables": (
        "from sqlalchemy import MetaData, Table\n\nbook = Table('book', MetaData())\n",
        "from sqlalchemy import MetaData, Table\n\nbook = Table('book', MetaData())\n",
    ),
}


@pytest.mark.parametrize(("one", "two"), SHARED.values(), ids=SHARED)
def test_two_apps_that_define_one_table(install, one, two):
    """The error names the table and both modules, before any database is made."""
    site = install(app("one", one), app("two", two))

    assert_no_run(site, "'book'", "one_package.models", "two_package.models")


def test_a_circle_of_requires(install):
    """Apps that require each other are named in the order of the circle."""
    codes = {
        name: f"from sqlhelpers import App\n\napp = App(name={name!r}, package=__name__, requires=({other!r},))\n"
        for name, other in (("one", "two"), ("two", "one"))
    }
    site = install(*(app(name, code=code) for name, code in codes.items()))

    assert_no_run(site, "circle", " -> ", "one", "two")


def test_a_circle_of_foreign_keys(install):
    """Apps whose tables point to each other are named in the order of the circle."""
    site = install(
        app("one", OUR_BASE + model("egg", foreign_key("hen"))),
        app("two", OUR_BASE + model("hen", foreign_key("egg"))),
    )

    assert_no_run(site, "circle", " -> ", "one", "two")


FORGOTTEN = {
    "no-folder": ("one_package/migrations/**", {}, "is missing"),
    "no-revisions": ("one_package/migrations/versions/*.py", {"one_package/migrations/README": "x"}, "no revisions"),
}


@pytest.mark.parametrize(("pattern", "files", "words"), FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_wheel_that_forgot_its_migrations(install, pattern, files, words):
    """The error names the app and its folder, and no table is created that no revision would ever find."""
    site = install(app("one", OUR_BASE + model("book"), files=files, exclude=(pattern,)))

    assert_no_run(site, "'one'", "one_package/migrations", words, "wheel")
