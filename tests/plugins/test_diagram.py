"""``sqlhelpers diagram``: tables, columns, keys and relations, in Mermaid, DOT and SVG, whatever their names are."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from xml.etree import ElementTree as ET

import mermaid
import pytest
from graphs import TOWNS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    DateTime,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import UserDefinedType

from sqlhelpers.backends import Naming
from sqlhelpers.exceptions import ConfigurationError, SqlhelpersError
from sqlhelpers_diagram import draw, drawing

needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

print("models may print")

class Base(DeclarativeBase):
    pass

class Land(Base):
    __tablename__ = "lands"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
"""
PYPROJECT = """
[tool.sqlhelpers.databases]
default = "sqlite:///a.db"
other = "sqlite:///b.db"
[tool.sqlhelpers.apps.atlas]
package = "atlas"
migrations = false
[tool.sqlhelpers.apps.travel]
package = "travel"
migrations = false
[tool.sqlhelpers.apps.far]
package = "far"
migrations = false
bind = "other"
"""


def drawn(*tables, **options):
    """Return what the diagram of tables of one app says in Mermaid."""
    return mermaid.diagram(draw({"shop": tables}, **options))


def column(*arguments, **options):
    """Return what is drawn of a column, beside a primary key."""
    table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("c", *arguments, **options))
    return drawn(table).entities["t"].fields[1]


# Columns and keys


def test_columns_and_their_marks():
    """The type, the name, the keys, and whether it can be NULL."""
    metadata = MetaData()
    Table("a", metadata, Column("id", Integer, primary_key=True))
    table = Table(
        "b",
        metadata,
        Column("id", Integer, ForeignKey("a.id"), primary_key=True),
        Column("code", String(3), unique=True, nullable=False),
        Column("other", ForeignKey("a.id")),
        Column("note", String(50), unique=True, index=True),
    )

    assert drawn(table).entities["b"].fields == [
        ("INTEGER", "id", ["PK", "FK"], ""),
        ("VARCHAR(3)", "code", ["UK"], ""),
        ("INTEGER", "other", ["FK"], "null"),
        ("VARCHAR(50)", "note", ["UK"], "null"),
    ]


class Odd(UserDefinedType):
    """A type that has no name in SQL."""

    cache_ok = True


class Shouted(TypeDecorator):
    """A type that is another one in SQL."""

    impl = String
    cache_ok = True


@pytest.mark.parametrize(
    ("kind", "word", "comment"),
    [
        (Numeric(10, 2), "NUMERIC", "NUMERIC(10, 2)"),
        (DateTime(timezone=True), "DATETIME", ""),
        (postgresql.DOUBLE_PRECISION(), "DOUBLE_PRECISION", ""),
        (postgresql.INTERVAL(fields="DAY TO SECOND"), "INTERVAL_DAY_TO_SECOND", ""),
        (postgresql.ARRAY(Integer), "INTEGER", "INTEGER[]"),
        (mysql.SMALLINT(5, unsigned=True), "SMALLINT", "SMALLINT(5) UNSIGNED"),
        (postgresql.DOMAIN("price", Integer), "price", ""),
        (Shouted(7), "VARCHAR(7)", ""),
        (Enum("open", "it's, closed"), "ENUM", "ENUM(open, it's, closed)"),
        (String(10, collation='de "x"'), "VARCHAR", str(String(10, collation='de "x"'))),
        (Odd(), "Odd", "Odd()"),
        (Enum(*(f"state{number}" for number in range(40))), "ENUM", None),
    ],
    ids=str,
)
def test_types(kind, word, comment):
    """One word in Mermaid, and the whole type beside it where that says more; a long one is cut."""
    found = column(kind, nullable=False)

    assert found[0] == word
    if comment is None:
        assert found[3].endswith("…")
        assert len(found[3]) <= 60
    else:
        assert found[3] == comment


def test_a_type_that_only_its_dialect_can_say(monkeypatch):
    """Is called what its class is."""

    def fail(*_: object) -> str:
        from sqlalchemy.exc import UnsupportedCompilationError

        raise UnsupportedCompilationError(object(), Odd)

    monkeypatch.setattr(Odd, "__str__", fail)

    assert column(Odd(), nullable=False)[0] == "Odd"


def test_columns_that_are_unique_together():
    """Each says with which others, in Mermaid; DOT has a row for them."""
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("b", Integer, nullable=False),
        Column("a", Integer, nullable=False),
        Column("c", Integer),
        UniqueConstraint("b", "a"),
    )

    found = {each[1]: each[3] for each in drawn(table, columns="keys").entities["t"].fields}

    assert found == {"id": "", "b": "unique with a", "a": "unique with b"}
    assert draw({"shop": [table]}, format="dot").count("unique: b, a") == 1


def test_which_columns_are_drawn():
    """All, those of keys, or none."""
    table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("x", Integer))

    assert [each[1] for each in drawn(table).entities["t"].fields] == ["id", "x"]
    assert [each[1] for each in drawn(table, columns="keys").entities["t"].fields] == ["id"]
    assert drawn(table, columns="none").entities["t"].fields == []


# Relations


def relation(*items, **options):
    """Return the cardinality between table ``p`` and one that refers to it by a column ``p_id``."""
    metadata = MetaData()
    Table("p", metadata, Column("id", Integer, primary_key=True))
    child = Table("c", metadata, Column("p_id", ForeignKey("p.id"), **options), *items)
    ((parent, found, name, label),) = drawn(metadata.tables["p"], child).relations
    assert (parent, name, label) == ("p", "c", "p_id")
    return found


@pytest.mark.parametrize(
    ("items", "options", "expected"),
    [
        ([], {"nullable": False}, "||..o{"),
        ([], {}, "|o..o{"),
        ([], {"unique": True, "nullable": False}, "||..o|"),
        ([], {"primary_key": True}, "||--o|"),
        ([lambda: Column("n", Integer, primary_key=True)], {"primary_key": True}, "||--o{"),
        ([lambda: Column("n", Integer), lambda: UniqueConstraint("p_id", "n")], {"nullable": False}, "||..o{"),
        ([lambda: Index("i", "p_id", unique=True)], {"nullable": False}, "||..o|"),
        ([lambda: Index("i", "p_id")], {"nullable": False}, "||..o{"),
        ([lambda: Index("i", "p_id", unique=True, postgresql_where=text("true"))], {"nullable": False}, "||..o{"),
        ([lambda: Index("i", "p_id", unique=True, postgresql_where=None)], {"nullable": False}, "||..o|"),
        ([lambda: Index("i", text("abs(p_id)"), "p_id", unique=True)], {"nullable": False}, "||..o{"),
    ],
)
def test_cardinality(items, options, expected):
    """Follows from NULL, from what is unique over whole columns and all rows, and from the primary key."""
    assert relation(*(make() for make in items), **options) == expected


def test_composite_keys():
    """One relation, which is optional if any of its columns can be NULL, and single if all of them are unique."""
    metadata = MetaData()
    parent = Table("p", metadata, *(Column(name, Integer, primary_key=True) for name in "ab"))
    child = Table(
        "c",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("pb", Integer),
        Column("pa", Integer, nullable=False),
        ForeignKeyConstraint(["pa", "pb"], ["p.a", "p.b"]),
        UniqueConstraint("pb", "pa"),
    )

    assert drawn(parent, child).relations == [("p", "|o..o|", "c", "pa, pb")]


def test_a_part_of_the_primary_key():
    """A foreign key of which only some columns are in it makes no row a part of the parent."""
    metadata = MetaData()
    parent = Table("p", metadata, *(Column(name, Integer, primary_key=True) for name in "ab"))
    child = Table(
        "c",
        metadata,
        Column("pa", Integer, primary_key=True),
        Column("pb", Integer, nullable=False),
        ForeignKeyConstraint(["pa", "pb"], ["p.a", "p.b"]),
    )

    assert drawn(parent, child).relations == [("p", "||..o|", "c", "pa, pb")]


def test_association_tables_and_references_to_oneself():
    """Two relations that are a part of the primary key; and one from a table to itself."""
    metadata = MetaData()
    tables = [
        Table("a", metadata, Column("id", Integer, primary_key=True), Column("up", ForeignKey("a.id"))),
        Table("b", metadata, Column("id", Integer, primary_key=True)),
        Table("ab", metadata, *(Column(each, ForeignKey(f"{each}.id"), primary_key=True) for each in "ab")),
    ]

    assert drawn(*tables).relations == [
        ("a", "|o..o{", "a", "up"),
        ("a", "||--o{", "ab", "a"),
        ("b", "||--o{", "ab", "b"),
    ]


def test_tables_of_other_apps():
    """Are drawn by name, in their app's colour, when only one app is; what belongs to nobody is grey."""
    metadata, other = MetaData(), MetaData()
    lands = Table("lands", metadata, Column("id", Integer, primary_key=True), schema="geo")
    Table("gone", metadata, Column("id", Integer, primary_key=True))
    towns = Table(
        "towns",
        other,
        Column("id", Integer, primary_key=True),
        Column("land_id", ForeignKey("geo.lands.id")),  # which this MetaData does not have
        Column("lost_id", ForeignKey("lost.id")),
    )
    hotels = Table("hotels", other, Column("town_id", ForeignKey("towns.nothing"), primary_key=True))
    apps = {"atlas": [lands], "travel": [towns, hotels]}

    found, all_found = (mermaid.diagram(draw(apps, apps=names)) for names in (["travel"], None))

    outside = {name: entity.style for name, entity in found.entities.items() if not entity.fields}
    assert {entity.label for entity in found.entities.values()} == {"geo.lands", "towns", "hotels", "lost"}
    assert outside == {"geo_lands": "app_atlas", "lost": "elsewhere"}
    assert found.fills == all_found.fills
    assert len(set(found.fills.values())) == 3
    assert found.legend == all_found.legend == 'title: "atlas: blue, travel: orange"'
    assert ("towns", "||--o|", "hotels", "town_id") in found.relations
    dot = draw(apps, apps=["travel"], format="dot")
    assert 'style="dashed"' in dot
    assert 'label="elsewhere"' in dot


def test_two_tables_of_one_name():
    """In databases of two apps, each refers to its own."""
    apps = {}
    for app in ("one", "two"):
        metadata = MetaData()
        parent = Table("p", metadata, Column("id", Integer, primary_key=True))
        apps[app] = [parent, Table("c", metadata, Column("p_id", ForeignKey("p.id"), primary_key=True))]

    assert [(each[0], each[2]) for each in mermaid.diagram(draw(apps)).relations] == [("p", "c"), ("p_2", "c_2")]


def test_a_key_that_names_the_default_schema_refers_to_the_table_without_it():
    """Where it is told which names mean the same table."""
    parent = Table("p", MetaData(), Column("id", Integer, primary_key=True))
    child = Table("c", MetaData(), Column("p_id", ForeignKey("public.p.id"), primary_key=True))
    apps = {"one": [parent], "two": [child]}

    apart, together = (
        mermaid.diagram(draw(apps, namings=namings)) for namings in (None, dict.fromkeys(apps, Naming("public")))
    )

    assert len(apart.entities) == 3
    assert [(each[0], each[2]) for each in together.relations] == [("p", "c")]


# Names


def tables_called(names):
    """Return tables with these names, each with all of them as columns, and a relation between any two neighbours."""
    metadata, found = MetaData(), []
    for name in names:
        columns = [Column(each, Numeric(10, 2), primary_key=not place) for place, each in enumerate(names)]
        found.append(Table(name, metadata, *columns, schema=None if len(found) % 2 else f"s {name}"))
    for one, other in pairwise(found):
        other.append_constraint(ForeignKeyConstraint([other.c[names[0]]], [one.c[names[0]]]))
    return found


def shown(text):
    """Return a text as a drawing can show it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text.replace("\n", " "))


names = st.lists(st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(mermaid.NASTY)), min_size=1, unique=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names.map(lambda each: each[:4]))
def test_any_name_can_be_read_back_from_mermaid(found):
    """What is drawn is told apart, and says what the tables and columns are called."""
    tables = tables_called(found)
    diagram = mermaid.diagram(draw({name: [table] for name, table in zip(found, tables, strict=True)}))

    assert [entity.label for entity in diagram.entities.values()] == [shown(table.fullname) for table in tables]
    assert len(diagram.relations) == len(found) - 1
    assert len(set(diagram.fills)) == len(found)
    for entity in diagram.entities.values():
        assert len({name for _, name, _, _ in entity.fields}) == len(found)
        for wanted, (_, name, _, comment) in zip(found, entity.fields, strict=True):
            beginning = comment.removesuffix("…")[:20]
            assert name == wanted or shown(wanted).startswith(beginning[: len(wanted)])


@needs_graphviz
def test_nasty_names_in_svg():
    """Graphviz takes them, and its picture has them."""
    tables = tables_called(list(mermaid.NASTY)[:70:3])
    picture = draw({name: [table] for name, table in zip(mermaid.NASTY[::3], tables, strict=False)}, format="svg")
    texts = {" ".join("".join(each.itertext()).split()) for each in ET.fromstring(picture).iter() if "text" in each.tag}

    wanted = {" ".join(shown(table.fullname).split()) for table in tables}
    assert wanted - texts == set()


# Graphviz


def with_program(monkeypatch, tmp_path, text):
    """Let the only ``dot`` on the PATH be a script."""
    program = tmp_path / "dot"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")


def test_without_graphviz(monkeypatch, tmp_path):
    """The error names the package, and what needs none."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match=r"install the package graphviz .* --format mermaid"):
        draw({}, format="svg")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'syntax error' >&2; exit 3", "ended with 3: syntax error"),
        ("echo 'no pango' >&2; exit 0", "ended with 0: no pango"),
        ("exec sleep 60", r"has not drawn it within 0\.2 s"),
    ],
)
def test_graphviz_that_fails(monkeypatch, tmp_path, script, message):
    """Its own words are in the error, and it does not run for ever."""
    with_program(monkeypatch, tmp_path, script)
    monkeypatch.setattr(drawing, "_WITHIN", 0.2 if "sleep" in script else 60)

    with pytest.raises(SqlhelpersError, match=message):
        draw({}, format="svg")


def test_graphviz_that_cannot_be_run(monkeypatch, tmp_path):
    """The error says why."""
    with_program(monkeypatch, tmp_path, "")
    (tmp_path / "dot").write_text("#!/nonexistent\n")

    with pytest.raises(SqlhelpersError, match="cannot be run"):
        draw({}, format="svg")


# The command


@pytest.fixture
def atlas(project):
    """A project with three apps in two databases, of which none can be connected to."""
    project.write_pyproject(PYPROJECT)
    project.write_app("atlas", MODELS)
    project.write_app("travel", TOWNS)
    project.write_app("far", MODELS.replace("lands", "stars"))
    return project


def test_the_command_prints_mermaid(atlas, command):
    """Of all apps in their order, on stdout alone; no database is made."""
    done = command("diagram")
    diagram = mermaid.diagram(done.stdout)

    assert (done.status, set(diagram.entities)) == (0, {"lands", "towns", "stars"})
    assert "models may print" in done.stderr
    assert not list(atlas.folder.glob("*.db"))


@pytest.mark.usefixtures("atlas")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["travel"], {"lands", "towns"}),
        (["-d", "other"], {"stars"}),
        (["-d", "default", "--columns", "none"], {"lands", "towns"}),
        (["far", "atlas"], {"stars", "lands"}),
    ],
)
def test_which_tables_are_drawn(command, arguments, expected):
    """Those of the apps that are named, those in a database."""
    done = command("diagram", *arguments)

    assert (done.status, set(mermaid.diagram(done.stdout).entities)) == (0, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["atlass"], "there is no app 'atlass' (apps: atlas, far, travel); did you mean atlas?"),
        (["-d", "x"], "no database named 'x' is configured (configured: default, other)"),
        (["far", "-d", "default"], "there is nothing to draw: no table of far in database default"),
        (["-o", "x.pdf"], "x.pdf: say --format, or take one of the suffixes .md .mermaid .mmd .dot .gv .svg"),
        (["-o", "x.txt"], "x.txt: say --format, or take one of the suffixes .md .mermaid .mmd .dot .gv .svg"),
        (["-o", "x.svg", "--format", "dot"], "x.svg: what --format dot gives does not go into a file named .svg"),
        (["-o", "x.md", "--format", "svg"], "x.md: what --format svg gives does not go into a file named .md"),
        (["-o", "no/x.dot"], "no/x.dot cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_drawn(atlas, command, arguments, message):
    """One line that names it, and 2."""
    done = command("diagram", *arguments)

    assert (done.status, done.stdout, done.errors) == (2, "", [f"error: {message}"])
    assert [path.name for path in atlas.folder.glob("x.*")] == []


@pytest.mark.usefixtures("project")
def test_without_any_table(command):
    """It says that there is nothing to draw, with no database configured either."""
    done = command("diagram")

    assert (done.status, done.errors) == (2, ["error: there is nothing to draw: no table of any app"])


@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [
        (["-o", "x.mmd"], "---\ntitle: "),
        (["-o", "x.md"], "```mermaid\n---\ntitle: "),
        (["-o", "x.md", "--format", "dot"], "```dot\ndigraph"),
        (["-o", "x.gv"], "digraph"),
        (["-o", "x.txt", "--format", "dot"], "digraph"),
        (["-o", "-", "--format", "dot"], None),
        pytest.param(["-o", "x.SVG"], "<?xml", marks=needs_graphviz),
    ],
)
def test_where_a_drawing_goes(atlas, command, arguments, beginning):
    """Into a file whose suffix says the format, unless the option does; ``-`` is stdout."""
    done = command("diagram", *arguments)

    assert done.status == 0, done.output
    if beginning is None:
        assert done.stdout.startswith("digraph")
    else:
        assert done.stdout == ""
        assert (atlas.folder / arguments[1]).read_text("utf-8").startswith(beginning)


def test_more_than_mermaid_takes(capsys):
    """A note says so, and how much it is."""
    drawing.finish("x" * 60_000, "mermaid", None)
    noted = capsys.readouterr().err
    drawing.finish("x" * 60_000, "dot", None)

    assert noted.startswith("note: this has 60,001 characters, and Mermaid draws no text with more than 50,000")
    assert capsys.readouterr().err == ""
