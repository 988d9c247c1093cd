"""``Base``, and the names that its convention gives."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    create_engine,
    inspect,
)

import sqlhelpers
from sqlhelpers import NAMING_CONVENTION, aio

LONG = "a_column_with_a_name_of_forty_characters_"


@pytest.fixture
def metadata():
    """A metadata with our convention."""
    return MetaData(naming_convention=NAMING_CONVENTION)


def connected_to(url):
    """Return an engine for a URL without a driver."""
    drivers = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "sqlite": "sqlite+pysqlite"}
    dialect, _, rest = url.partition(":")
    return create_engine(f"{drivers[dialect]}:{rest}")


def test_the_bases_have_the_convention():
    """Both of them."""
    assert sqlhelpers.Base.metadata.naming_convention == NAMING_CONVENTION
    assert aio.Base.metadata.naming_convention == NAMING_CONVENTION


def test_constraints_that_share_a_first_column_have_different_names(metadata):
    """Every column takes part in the name; and who knows the convention knows the name."""
    Table("u", metadata, Column("a", Integer, primary_key=True), Column("b", Integer, primary_key=True))
    table = Table(
        "t",
        metadata,
        *(Column(name, Integer, primary_key=name == "a") for name in "abc"),
        UniqueConstraint("a", "b"),
        UniqueConstraint("a", "c"),
        ForeignKeyConstraint(["a", "b"], ["u.a", "u.b"]),
        ForeignKeyConstraint(["a", "c"], ["u.a", "u.b"]),
        CheckConstraint("a > 0", name="positive"),
        Index(None, "a", "b"),
        Index(None, "a", "c"),
    )

    assert {str(each.name) for each in (*table.constraints, *table.indexes)} == {
        *("uq_t_a_b", "uq_t_a_c", "fk_t_a_b_u", "fk_t_a_c_u", "ck_t_positive", "pk_t", "ix_t_a_t_b", "ix_t_a_t_c"),
    }


def test_names_that_are_too_long_still_differ(url, metadata):
    """SQLAlchemy cuts them to what the database takes and puts a hash behind, so none is lost."""
    names = [f"{LONG}{number}" for number in range(3)]
    Table(
        "t",
        metadata,
        Column("id", Integer, primary_key=True),
        *(Column(name, Integer) for name in names),
        UniqueConstraint(names[0], names[1]),
        UniqueConstraint(names[0], names[2]),
        Index(None, names[0], names[1]),
        Index(None, names[0], names[2]),
    )
    engine = connected_to(url)
    metadata.create_all(engine)
    inspector = inspect(engine)
    uniques = {each["name"] for each in inspector.get_unique_constraints("t")}
    indexes = {each["name"] for each in inspector.get_indexes("t")} - uniques
    engine.dispose()

    assert (len(uniques), len(indexes)) == (2, 2)
    if engine.dialect.name == "postgresql":
        assert all(len(name) <= 63 for name in uniques | indexes)


def test_query_methods_are_on_the_class_itself():
    """No manager has to be made for them to be there, and none adds any."""
    for base in (sqlhelpers.Base, aio.Base):
        names = {name for name in dir(base) if name in ("get_by_pk", "get_one", "get_or_create", "update_or_create")}

        assert len(names) == 4
        assert not hasattr(base, "count")
