"""``sqlhelpers.backends.tables``: which names mean the same table, as each kind of database has it."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, Table, make_url
from sqlalchemy.sql import quoted_name

from sqlhelpers.backends import Naming, TableName, built_in


def naming(url):
    """Return the naming by a URL."""
    return built_in(make_url(url).get_backend_name()).naming_by_url(make_url(url))


@pytest.mark.parametrize(
    ("url", "default", "is_certain"),
    [
        ("sqlite://", "main", True),
        ("postgresql://h/d", "public", False),
        ("postgresql://h/d?options=-csearch_path%3Dx", "x", True),
        ("postgresql://h/d?options=-c%20search_path%3DX,public", "x", True),
        ("postgresql://h/d?options=-c%20lock_timeout%3D1s%20--search_path%3D%22X%22", "X", True),
        ("postgresql://h/d?options=-csearch_path%3D%22$user%22,public", "public", False),
        ("postgresql://h/d?options=-csearch_path%3Dx&options=-csearch_path%3Dy", "y", True),
        ("mysql://h/shop", "shop", True),
        ("mariadb://h", None, True),
        ("oracle://h", None, False),
    ],
)
def test_a_url_tells_the_default_schema(url, default, is_certain):
    """As far as it can: on PostgreSQL a role or a database may have a search path of its own."""
    found = naming(url)

    assert (found.default_schema, found.is_certain) == (default, is_certain)


def test_what_is_guessed_is_left_out():
    """Two tables are not taken for one without the server's word."""
    assert naming("postgresql://h/d").without_guess().schema("public") == "public"
    assert naming("sqlite://").without_guess().schema("main") is None


@pytest.mark.parametrize(
    ("url", "one", "other", "is_same"),
    [
        ("sqlite://", TableName("MAIN", "Books"), TableName(None, "books"), True),
        ("sqlite://", TableName("other", "books"), TableName(None, "books"), False),
        ("sqlite://", TableName(None, "\u00c4"), TableName(None, "\u00e4"), False),
        ("postgresql://h/d", TableName("public", "books"), TableName(None, "books"), True),
        ("postgresql://h/d", TableName(None, "Books"), TableName(None, "books"), False),
        ("postgresql://h/d", TableName(None, quoted_name("Books", quote=False)), TableName(None, "books"), True),
        ("mysql://h/shop", TableName("shop", "books"), TableName("", "books"), True),
        ("mysql://h/shop", TableName("other", "books"), TableName(None, "books"), False),
    ],
)
def test_names_that_mean_the_same_table(url, one, other, is_same):
    """By the default schema, and by the rules of case."""
    found = naming(url)

    assert (found.normalised(one) == found.normalised(other)) is is_same


@pytest.mark.parametrize(("setting", "is_same"), [(0, False), (1, True), (2, True)])
def test_mysql_is_asked_about_names_in_another_case(setting, is_same):
    """Once, and only where a name has a capital letter."""

    class Connection:
        dialect = type("dialect", (), {"default_schema_name": "shop"})
        asked = 0

        def scalar(self, _):
            self.asked += 1
            return setting

    connection = Connection()
    found = built_in("mysql").naming(connection)
    lower = found.normalised(TableName("shop", "books"))
    before = connection.asked

    assert before == 0
    assert (found.normalised(TableName("Shop", "Books")) == lower) is is_same
    assert connection.asked == 1


@pytest.mark.parametrize("name", [TableName(None, "books"), TableName("x", "books"), TableName("a.b", "books")])
def test_a_name_can_be_written_and_read(name):
    """As the journal does it."""
    assert TableName.parsed(str(name)) == name


def test_a_model_says_the_name_of_its_table():
    """With its schema, which may be the default one."""
    table = Table("books", MetaData(), schema="main")

    assert TableName.of(table) == ("main", "books")
    assert Naming("main").of(table) == (None, "books")
