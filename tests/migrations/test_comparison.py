"""``sqlhelpers.migrations.state.compare``: what differs between tables and models, in words."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    text,
)  # fmt: skip

from sqlhelpers.discovery.hooks import Hooks
from sqlhelpers.migrations.state.compare import differences
from sqlhelpers.migrations.state.history import History
from sqlhelpers.urls import parse


def shape(*, changed):
    """Return tables as they are, or as they were before some changes."""
    metadata = MetaData()
    Table("other", metadata, Column("id", Integer, primary_key=True))
    one = Table(
        "one",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(20 if changed else 10), nullable=not changed),
        Column("size", Integer, server_default=text("2" if changed else "1")),
        Column("new" if changed else "old", Integer),
        Column("other_id", Integer, *([ForeignKey("other.id", name="fk_other")] if changed else [])),
    )
    if changed:
        one.append_constraint(UniqueConstraint("name", "size", name="uq_new"))
        Table("fresh", metadata, Column("id", Integer, primary_key=True))
    else:
        Index("ix_old", one.c.size)
    return metadata


def resolved(url):
    """Return a URL with its sync driver."""
    return Hooks().backend(parse(url)).resolve(parse(url), aio=False)


@pytest.fixture
def connection(postgres_url):
    """A connection to a database that has the former tables."""
    engine = create_engine(resolved(postgres_url))
    shape(changed=False).create_all(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


@pytest.mark.parametrize("default", ["", "x", "it's", "('')"])
def test_a_default_is_as_it_was_written(url, default):
    """Whatever the dialect makes of an empty text, or of quotes; another one is told."""
    engine = create_engine(resolved(url))
    with engine.connect() as opened:
        for written, differs in (("other", True), (default, False)):
            metadata = MetaData()
            Table("one", metadata, Column("name", String(10), server_default=default))
            opened.exec_driver_sql("DROP TABLE IF EXISTS one")
            Table("one", MetaData(), Column("name", String(10), server_default=written)).create(opened)

            assert bool(differences(opened, History(tables=tuple(metadata.tables.values())))) is differs
    engine.dispose()


def test_equal_tables_do_not_differ(connection):
    """Nothing is said of tables that are as the models say, or that belong to nobody."""
    connection.execute(text("CREATE TABLE stranger (id integer)"))
    history = History(tables=tuple(shape(changed=False).tables.values()))

    assert differences(connection, history) == ()


def test_each_difference_is_one_line(connection):
    """Columns, types, defaults, indexes, constraints and tables."""
    history = History(tables=tuple(shape(changed=True).tables.values()))

    assert sorted(differences(connection, history)) == [
        "column one.name: nullable is True, and False in the models",
        "column one.name: type is VARCHAR(10), and VARCHAR(20) in the models",
        "column one.new is missing",
        "column one.old is not in the models",
        "column one.size: default is 1, and 2 in the models",
        "constraint uq_new on one (name, size) is missing",
        "foreign key fk_other on one (other_id) is missing",
        "index ix_old on one (size) is not in the models",
        "table fresh is missing",
    ]
