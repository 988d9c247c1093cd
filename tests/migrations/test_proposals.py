"""Autogenerate: what it proposes makes what the models say, on every database, and drops nothing of others."""

from __future__ import annotations

import asyncio
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from alembic.operations import ops
from authors import BOOK, BROAD, HEAD, SHOP, TYPES, changed
from databases import allow_scratch, execute, rows, runtime, tables
from projects import run
from sqlalchemy import Column, Enum, ForeignKey, Integer, MetaData, Table

from sqlhelpers.backends import Naming
from sqlhelpers.exceptions import DiscoveryError, NothingToWrite, Refused
from sqlhelpers.migrations.authoring.autogenerate import tidy
from sqlhelpers.migrations.authoring.enums import _TypeOp
from sqlhelpers.migrations.authoring.files import heading
from sqlhelpers.runtime.authoring import make_folder, write_revisions

BY_REVISIONS = {"shop": {"package": "shop", "bootstrap": "migrations"}}


@pytest.fixture
def write(project):
    """Write models, and let them be imported anew."""

    def in_place(models, package="shop"):
        project.forget()
        project.write_app(package, models)

    return in_place


@pytest.fixture
def begun(project, write, sqlite_url):
    """The URL of a SQLite database at the first revision of a shop that has authors and books."""
    write(SHOP + BOOK)
    with runtime(sqlite_url) as made:
        make_folder(made, "shop")
        write_revisions(made, "first")
        made.run_sync()
    assert project.folder.is_dir()
    return sqlite_url


def revised(url, message="next", **options):
    """Write a revision for the shop, and return it."""
    with runtime(url) as made:
        (written,) = write_revisions(made, message, "shop", **options)
    return written


def test_what_is_proposed_makes_what_the_models_say(url, project, write, request):
    """A broad set of types, created, changed, undone and done again: afterwards `check` finds no difference."""
    allow_scratch(request, url)
    kind = "sync" if url.startswith("postgresql") else "async"
    project.write("shop/types.py", TYPES)
    write(BROAD)
    with runtime(url) as made:
        make_folder(made, "shop")
    for models in (BROAD, changed(BROAD)):
        write(models)
        with runtime(url, apps=BY_REVISIONS) as made:
            (written,) = asked(made, kind)
            assert written.operations
            made.run_sync()
            assert made.manager().migrations.check() == ()
            for options in ({}, {"from_scratch": True}):
                with pytest.raises(NothingToWrite):
                    write_revisions(made, "again", **options)
            made.manager().migrations.downgrade("-1")
            made.manager().upgrade()
            assert made.manager().migrations.check() == ()

    assert {"thing", "owner", "other", "link"} <= tables(url)
    assert "second" not in tables(url)
    with runtime(url, apps=BY_REVISIONS) as made:
        made.manager().migrations.downgrade("base")
        made.manager().upgrade()


def asked(made, kind):
    """Ask the manager of a kind for a revision."""

    async def with_await():
        async with made.async_manager() as manager:
            return await manager.migrations.revision("a change")

    return [made.manager().migrations.revision("a change") if kind == "sync" else asyncio.run(with_await())]


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_what_is_written_pleases_ruff(project, write, sqlite_url):
    """Imports are sorted and used, and functions have types; in an empty revision nothing is used yet."""
    project.write("shop/types.py", TYPES)
    write(BROAD)
    with runtime(sqlite_url) as made:
        make_folder(made, "shop")
    paths = [revised(sqlite_url).path]
    write(changed(BROAD))
    paths += [revised(sqlite_url).path, revised(sqlite_url, empty=True).path]
    rules = ["--quiet", "--isolated", "--select", "E4,E7,E9,F,I,W,UP,ANN", "--output-format", "concise"]

    assert run([sys.executable, "-m", "ruff", "check", *paths, *rules], project.folder).output == ""


def test_a_type_of_the_app_comes_with_its_import(project, write, sqlite_url):
    """It is written as itself; one that its representation does not make is written as what it decorates."""
    project.write("shop/types.py", TYPES)
    write(BROAD)
    with runtime(sqlite_url) as made:
        make_folder(made, "shop")
    text = Path(revised(sqlite_url).path).read_text()

    assert "import sqlalchemy as sa\nfrom alembic import op\n\nimport shop.types\n" in text
    assert "sa.Column('cost', shop.types.Money(precision=8, scale=3), nullable=True)" in text
    assert "sa.Column('colour', sa.String(length=9), nullable=True)" in text


def test_nothing_is_left_behind_of_a_database_that_is_not_there(project, write, sqlite_url):
    """A first and a second revision can be written without one; the SQLite file is not made."""
    write(SHOP)
    with runtime(sqlite_url) as made:
        make_folder(made, "shop")
    first = revised(sqlite_url)
    write(SHOP + BOOK)
    second = revised(sqlite_url)

    assert second.down_revisions == (first.revision,)
    assert second.operations == ("add table book", "add index ix_book_author_id on book")
    assert "compared with what the revisions make of an empty database" in second.notes[0]
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()
    assert {path.name for path in project.folder.parent.iterdir()} == {"project"}


def test_a_first_revision_needs_no_scratch_database(url, write):
    """What is in the database does not matter, and the role may not create any."""
    execute(url, "CREATE TABLE author (id INTEGER)")
    write(SHOP)
    with runtime(url) as made:
        make_folder(made, "shop")

    assert revised(url).operations == ("add table author",)
    assert tables(url) == {"author"}


def test_a_model_that_is_gone_costs_its_table(begun, write):
    """Its revisions have made the table, so the next one may drop it, and nothing had to be left alone."""
    write(SHOP)
    written = revised(begun)

    assert written.operations == ("remove table book",)
    assert written.notes == ()
    assert "op.drop_table('book')" in Path(written.path).read_text()
    with runtime(begun) as made:
        made.run_sync()
        assert made.manager().migrations.check() == ()
        made.manager().migrations.downgrade("-1")
    assert "book" in tables(begun)


def test_tables_of_nobody_and_of_apps_that_were_removed_are_left_alone(begun, write, command, project):
    """They are not in the revision, and are told of on stderr, with the app that the journal knows."""
    write(
        f"{HEAD}\nclass Old(Base):\n    __tablename__ = 'old'\n    id: Mapped[int] = mapped_column(primary_key=True)",
        "oldshop",
    )
    with runtime(begun, apps={"oldshop": {"package": "oldshop"}}) as made:
        make_folder(made, "oldshop")
        write_revisions(made, "first")
        made.run_sync()
    execute(begun, "CREATE TABLE stranger (id INTEGER)", "CREATE TABLE alembic_version_third (version_num VARCHAR(32))")
    write(SHOP)
    project.write_app("unwritten", "")
    apps = "".join(f"[tool.sqlhelpers.apps.{name}]\npackage = '{name}'\n" for name in ("shop", "unwritten"))
    project.write_pyproject(f"[tool.sqlhelpers.databases]\ndefault = '{begun}'\n{apps}")
    done = command("revision", "shop", "-m", "without books")
    text = next((project.folder / "shop/migrations/versions").glob("*without_books.py")).read_text()

    assert done.status == 0, done
    assert re.findall("drop_table.*", text) == ["drop_table('book')"]
    assert "note: old of app 'oldshop', which is not installed: left alone\n" in done.stderr
    assert "note: stranger of no installed app: left alone\n" in done.stderr


def test_tables_of_other_apps_are_not_looked_at(begun, project):
    """Each app's revision has its own tables, also where one refers to the other, and they share the metadata."""
    review = BOOK.replace("book", "review").replace("Book", "Review").replace("author", "book")
    project.write_app("reviews", f"from shop.models import *\n{review}", {})
    apps = {"shop": {"package": "shop"}, "reviews": {"package": "reviews"}}
    with runtime(begun, apps=apps) as made:
        (written,) = write_revisions(made, "first")
        made.run_sync()
        with pytest.raises(NothingToWrite, match=r"app 'shop'.*app 'reviews'"):
            write_revisions(made, "next")
        with pytest.raises(NothingToWrite, match="app 'reviews'"):
            write_revisions(made, "next", "reviews", from_scratch=True)

    assert (written.app, written.operations) == (
        "reviews",
        ("add table review", "add index ix_review_book_id on review"),
    )


def test_a_table_is_left_alone_if_a_module_that_was_not_imported_defines_it(begun, project, write):
    """It is in the package, but in none of the model modules: its model may still be used."""
    write(SHOP)
    file = project.write("shop/later.py", f"from shop.models import *\n{BOOK}")
    with pytest.raises(NothingToWrite, match=rf"book: left alone: {file} seems to define it"):
        revised(begun)
    with pytest.raises(NothingToWrite, match="book: left alone"):
        revised(begun, from_scratch=True)


@pytest.mark.parametrize("broken", ["import nothing_of_this_name", "raise RuntimeError", "def"])
def test_a_model_module_that_cannot_be_imported_stops_it(begun, project, broken):
    """Also one deep below the package of the models; no revision is written."""
    project.forget()
    (project.folder / "shop/models.py").rename(project.folder / "shop/base.py")
    project.write("shop/models/__init__.py", "from shop.base import *")
    project.write("shop/models/more/__init__.py", "")
    project.write("shop/models/more/broken.py", broken)

    with pytest.raises(DiscoveryError, match=r"its models cannot be imported: shop\.models\.more\.broken"):
        revised(begun)
    assert len(list((project.folder / "shop/migrations/versions").glob("*.py"))) == 1


def test_an_app_without_models_is_not_compared(begun, write):
    """Otherwise, all that its revisions have made would be dropped."""
    write(HEAD)
    with pytest.raises(NothingToWrite, match="app 'shop' has no models to compare with"):
        revised(begun)


def test_without_a_scratch_database_no_table_is_dropped(postgres_url, write):
    """Nothing then proves that the app's revisions have made it; the note says what is in the way."""
    write(SHOP + BOOK)
    with runtime(postgres_url) as made:
        make_folder(made, "shop")
        write_revisions(made, "first")
        made.run_sync()
    write(SHOP)

    with pytest.raises(NothingToWrite, match=r"book of no installed app: left alone .*permission denied to create"):
        revised(postgres_url)


def test_a_database_that_is_behind_is_not_compared(begun, write):
    """Status 3, and what to do: bring it up to date, or compare what the revisions make."""
    write(f"{SHOP}{BOOK}    title: Mapped[str | None]\n")
    revised(begun)
    with pytest.raises(Refused, match=r"not at the newest revision .*run-sync -d default.*--from-scratch"):
        revised(begun)
    write(f"{SHOP}{BOOK}    title: Mapped[str | None]\n    pages: Mapped[int | None]\n")
    written = revised(begun, from_scratch=True)

    assert written.operations == ("add column book.pages",)


def test_tables_without_a_revision_are_not_compared(sqlite_url, write):
    """They may have any shape; adopting them comes first."""
    write(SHOP)
    with runtime(sqlite_url) as made:
        make_folder(made, "shop")
    revised(sqlite_url)
    execute(sqlite_url, "CREATE TABLE author (id INTEGER)")

    with pytest.raises(Refused, match=r"sqlhelpers adopt shop.*--from-scratch"):
        revised(sqlite_url)


def test_what_may_have_been_renamed_is_told(begun, write):
    """A column or a table that goes while one like it comes may be the same one."""
    write(
        SHOP.replace("name: Mapped", "full_name: Mapped")
        + BOOK.replace("class Book", "class Novel").replace('"book"', '"novel"')
    )
    notes = "\n".join(revised(begun).notes)

    assert "write batch_op.alter_column('name', new_column_name='full_name') instead" in notes
    assert "write op.rename_table('book', 'novel')" in notes
    assert "author.full_name may not be NULL and has no server default" in notes


def test_a_primary_key_that_differs_is_told(begun, write):
    """Alembic does not compare them, and `check` does."""
    write(SHOP + BOOK.replace("index=True)", "index=True, primary_key=True)"))
    with pytest.raises(NothingToWrite, match=r"primary key of book is id, and id, author_id in the models; .* by hand"):
        revised(begun)


def test_a_table_is_dropped_before_those_that_it_refers_to(url, write, request):
    """The child before its parent, whatever their names."""
    allow_scratch(request, url)
    more = """
class Ant(Base):
    __tablename__ = "ant"
    id: Mapped[int] = mapped_column(primary_key=True)


class Zebra(Base):
    __tablename__ = "zebra"
    id: Mapped[int] = mapped_column(primary_key=True)
    ant_id: Mapped[int] = mapped_column(ForeignKey("ant.id"), index=True)
    self_id: Mapped[int | None] = mapped_column(ForeignKey("zebra.id"))
"""
    write(SHOP + more)
    with runtime(url) as made:
        make_folder(made, "shop")
        write_revisions(made, "first")
        made.run_sync()
    write(SHOP)
    written = revised(url)
    with runtime(url) as made:
        made.run_sync()
        made.manager().migrations.downgrade("base")

    assert written.operations == ("remove table zebra", "remove table ant")


def test_tables_that_refer_to_each_other_in_a_circle_are_dropped_by_name():
    """No order would do, so it is left to their author; it is the same one every time."""
    drops = []
    for name, other in (("a", "b"), ("b", "a")):
        table = Table(name, MetaData(), Column("id", Integer), Column("other", ForeignKey(f"{other}.id")))
        drops.append(ops.DropTableOp.from_table(table))
    script = ops.MigrationScript("x", ops.UpgradeOps(drops[::-1]), ops.DowngradeOps([]))
    tidy(script, Naming())

    assert [op.table_name for op in script.upgrade_ops.ops] == ["a", "b"]
    assert [op.table_name for op in script.downgrade_ops.ops] == ["b", "a"]


def test_what_is_done_about_types_can_be_reversed():
    """By a hook of an `env.py`, which may build the way back anew."""
    type_ = Enum("a", name="kind")

    assert _TypeOp(type_, makes=True).reverse().to_diff_tuple() == ("remove_type", type_)


def test_an_enumeration_that_was_made_by_hand_is_left_to_its_maker(postgres_url, write, request):
    """A column may name a type that PostgreSQL does not have: the revision has made it a text."""
    allow_scratch(request, postgres_url)
    write(f"{SHOP}    kind: Mapped[str | None] = mapped_column(Enum('a', name='kind', native_enum=False, length=9))\n")
    with runtime(postgres_url) as made:
        make_folder(made, "shop")
        write_revisions(made, "first")
        made.run_sync()
    write(f"{SHOP}    kind: Mapped[str | None] = mapped_column(Enum('a', name='kind'))\n")
    written = revised(postgres_url)

    assert written.operations == ("add type kind", "modify type author.kind")


def test_a_value_that_goes_stays_in_its_type(postgres_url, write):
    """PostgreSQL cannot take it out; what comes gets its place, and a quote in it is no harm."""
    kind = "    kind: Mapped[str | None] = mapped_column(Enum({}, name='kind'))\n"
    write(SHOP + kind.format("'old', 'z'"))
    with runtime(postgres_url) as made:
        make_folder(made, "shop")
        write_revisions(made, "first")
        made.run_sync()
    write(SHOP + kind.format("'it\\'s', 'z'"))
    written = revised(postgres_url)
    with runtime(postgres_url) as made:
        made.run_sync()

    assert written.notes == ("the values old of kind are not in the models; they stay in PostgreSQL's type",)
    assert rows(postgres_url, "SELECT unnest(enum_range(NULL::kind))::text") == [("old",), ("it's",), ("z",)]


@pytest.mark.parametrize(("body", "lines"), [("op.x()", 1), ("sa.x()", 2), ("", 2)])
def test_a_revision_imports_what_it_needs(body, lines):
    """SQLAlchemy only where it is used, or nothing is written yet."""
    assert len(heading("", body, "").splitlines()) == lines


def test_tables_in_schemas_are_compared(postgres_url, write, request):
    """Those of other schemas are not, and the default one may be named."""
    allow_scratch(request, postgres_url)
    execute(postgres_url, "CREATE SCHEMA store", "CREATE SCHEMA other", "CREATE TABLE other.thing (id INTEGER)")
    models = f"""{SHOP}
class Tag(Base):
    __tablename__ = "tag"
    __table_args__ = {{"schema": "public"}}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]

"""
    stock = BOOK.replace('__tablename__ = "book"', '__tablename__ = "book"\n    __table_args__ = {"schema": "store"}')
    tone = '    tone: Mapped[str | None] = mapped_column(Enum("low", name="tone", schema="store"))\n'
    write(models + stock)
    with runtime(postgres_url) as made:
        make_folder(made, "shop")
        write_revisions(made, "first")
        made.run_sync()
        assert made.manager().migrations.check() == ()
    write(models.replace("    name: Mapped[str | None]", "") + stock + tone)
    written = revised(postgres_url)
    with runtime(postgres_url) as made:
        made.run_sync()
        assert made.manager().migrations.check() == ()

    assert written.operations == ("add type tone", "remove column tag.name", "add column book.tone")


def test_what_is_proposed_is_the_same_every_time(begun, write, project):
    """Whatever the hashes of texts are: many columns and tables that go, go in the order of their names."""
    names = [f"n{number:02}" for number in range(12)]
    extra = "".join(f"    {name}: Mapped[int | None]\n" for name in names)
    more = "".join(f"\nTable({name!r}, Base.metadata, Column('id', Integer, primary_key=True))\n" for name in names)
    write(SHOP + BOOK + extra + more)
    revised(begun)
    with runtime(begun) as made:
        made.run_sync()
    write(SHOP + BOOK)
    project.write_pyproject(
        f"[tool.sqlhelpers.databases]\ndefault = '{begun}'\n[tool.sqlhelpers.apps.shop]\npackage = 'shop'\n"
    )
    seen = set()
    for seed in ("1", "2"):
        assert project.run("revision", "-m", "x", "--rev-id", "x", env={"PYTHONHASHSEED": seed}).status == 0
        file = project.folder / "shop/migrations/versions/x_x.py"
        seen.add(re.sub("Create Date: .*", "", file.read_text()))
        file.unlink()

    assert len(seen) == 1
