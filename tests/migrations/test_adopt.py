"""``adopt``: nothing is recorded unless the tables are as the models say, or Alembic's own table knows it."""

from __future__ import annotations

import pytest
from databases import MODELS, REVISIONS, execute, rows, runtime, snapshot, sync, tables
from projects import revision_text

from sqlhelpers import SyncResult
from sqlhelpers.exceptions import AppError, Refused

AUTHOR = "CREATE TABLE author (id integer NOT NULL, name varchar(50) NOT NULL, PRIMARY KEY (id))"
BOOK = """
CREATE TABLE book (id integer NOT NULL, author_id integer NOT NULL, title varchar(50), PRIMARY KEY (id),
CONSTRAINT fk_book_author_id_author FOREIGN KEY (author_id) REFERENCES author (id) ON DELETE CASCADE)
"""
INDEX = "CREATE INDEX ix_book_title ON book (title)"


@pytest.fixture(autouse=True)
def shop(project):
    """The app of these tests."""
    project.write_app("shop", MODELS, REVISIONS)
    return project


def make(url, *changes):
    """Make the tables by hand, with changes to the statements."""
    statements = [AUTHOR, BOOK, INDEX]
    for before, after in changes:
        statements = [statement.replace(before, after) for statement in statements]
    execute(url, *statements)


def adopt(url, app="shop", **settings):
    """Adopt, and return the differences."""
    with runtime(url, **settings) as made:
        return made.manager().migrations.adopt(app)


def test_tables_that_are_as_the_models_say_are_adopted(url):
    """The newest revision is recorded, and nothing else is changed."""
    make(url)
    before = snapshot(url)

    assert adopt(url) == ()
    assert rows(url, "SELECT version_num FROM alembic_version_shop") == [("r3",)]
    assert {name: table for name, table in snapshot(url).items() if name in before} == before
    assert sync("sync", url).result is SyncResult.ALREADY_UP_TO_DATE


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("name varchar(50)", "name varchar(49)"), "column author.name: type is"),
        (("name varchar(50) NOT NULL", "name varchar(50)"), "column author.name: nullable is True, and False"),
        ((", title varchar(50)", ", title varchar(50), extra integer"), "column book.extra is not in the models"),
        (
            ("ix_book_title ON book (title)", "ix_other ON book (author_id)"),
            "index ix_book_title on book (title) is missing",
        ),
        (
            ("name varchar(50) NOT NULL, PRIMARY KEY (id)", "name varchar(50) NOT NULL, UNIQUE (id)"),
            "primary key of author",
        ),
        (("title varchar(50)", "title varchar(50) DEFAULT 'x'"), "column book.title: default is 'x'"),
    ],
)
def test_tables_that_differ_are_not_adopted(postgres_url, change, expected):
    """Each difference is one line, and the database is as it was."""
    make(postgres_url, change)
    before = snapshot(postgres_url)

    found = adopt(postgres_url)

    assert any(line.startswith(expected) for line in found), found
    assert snapshot(postgres_url) == before


def test_there_has_to_be_something_to_adopt(url, shop):
    """An empty database, a revision that is recorded, and one that is not known are refused."""
    with pytest.raises(Refused, match="app 'shop' has no tables to adopt"):
        adopt(url)
    empty = tables(url)
    sync("sync", url)
    with pytest.raises(Refused, match="has a revision recorded: r3; there is nothing to adopt"):
        adopt(url)
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", "pass", "r3"))
    with pytest.raises(Refused, match="has a revision recorded: r3"):
        adopt(url)
    execute(url, "UPDATE alembic_version_shop SET version_num = 'r99'")
    with pytest.raises(Refused, match="recorded: r99; the database is at revision r99, which shop does not have"):
        adopt(url)

    assert empty == set()
    assert rows(url, "SELECT version_num FROM alembic_version_shop") == [("r99",)]


def test_an_app_without_models_has_nothing_to_compare(url):
    """Without tables that are known to be its own, nothing is recorded."""
    make(url)

    with pytest.raises(Refused, match="no tables to adopt"):
        adopt(url, apps={"shop": {"package": "shop", "models": []}})
    with pytest.raises(AppError, match="has no migrations"):
        adopt(url, apps={"shop": {"package": "shop", "migrations": False}})


def test_a_stale_row_of_plain_alembic_moves_nothing_back(url):
    """Where the app has a position of its own, Alembic's table is not looked at."""
    sync("sync", url)
    execute(url, "CREATE TABLE alembic_version (version_num varchar(32))", "INSERT INTO alembic_version VALUES ('r1')")

    with pytest.raises(Refused, match="recorded: r3"):
        adopt(url)
    assert sync("sync", url).result is SyncResult.ALREADY_UP_TO_DATE
    assert rows(url, "SELECT version_num FROM alembic_version_shop") == [("r3",)]


def test_the_row_of_another_app_is_not_taken(url, project):
    """Two apps may have revisions of the same name; one of them uses Alembic's own table."""
    project.write_app("other", MODELS.replace('"author', '"writer').replace('"book"', '"paper"'), REVISIONS)
    for name, text in REVISIONS.items():
        changed = text.replace("author.id", "writer.id").replace('"author"', '"writer"').replace('"book"', '"paper"')
        project.write(f"other/migrations/versions/{name}", changed)
    apps = {"shop": {"package": "shop", "version_table": "alembic_version"}}
    sync("sync", url, apps=apps)

    report = sync("sync", url, apps={**apps, "other": {"package": "other"}})

    assert [app.result.name for app in report.apps] == ["CREATED", "ALREADY_UP_TO_DATE"]
    assert {"writer", "paper", "alembic_version_other"} <= tables(url)
    assert rows(url, "SELECT version_num FROM alembic_version") == [("r3",)]


def test_server_defaults_that_the_database_words_differently(url, project):
    """Tables that were made from the models are as the models say, whatever the database has made of the words."""
    project.write_app(
        "clock",
        "from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, String, Table, false, func, text, true\n"
        "clock = Table('clock', MetaData(), Column('id', Integer, primary_key=True),\n"
        "    Column('a', DateTime, server_default=func.now()), Column('b', Boolean, server_default=true()),\n"
        "    Column('c', Boolean, server_default=false()), Column('d', String(9), server_default='x'),\n"
        "    Column('e', DateTime, server_default=func.current_timestamp()),\n"
        "    Column('f', Integer, server_default=text('3')))\n",
        {"c1.py": revision_text("c1")},
    )
    apps = {"clock": {"package": "clock"}}
    sync("sync", url, apps=apps)
    execute(url, "DROP TABLE alembic_version_clock")

    assert adopt(url, "clock", apps=apps) == ()


def test_tables_in_a_schema_and_in_several_metadatas(postgres_url, project):
    """Both are compared as they are."""
    project.write_app(
        "lib",
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        "one = Table('one', MetaData(schema='library'), Column('id', Integer, primary_key=True))\n"
        "two = Table('two', MetaData(), Column('id', Integer, primary_key=True))\n",
        {"l1.py": revision_text("l1")},
    )
    execute(postgres_url, "CREATE SCHEMA library", "CREATE TABLE library.one (id serial PRIMARY KEY)")
    execute(postgres_url, "CREATE TABLE two (id serial PRIMARY KEY)")

    assert adopt(postgres_url, "lib", apps={"lib": {"package": "lib"}}) == ()
