"""Query methods of models that are called without a session."""

from __future__ import annotations

import contextvars
import importlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from projects import revision_text
from sqlalchemy import String, create_engine, func, select
from sqlalchemy.exc import MultipleResultsFound, NoResultFound
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import sqlhelpers
from sqlhelpers import DatabaseManager, ModelQueries, Runtime, Settings
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import NoSession


class Base(ModelQueries, DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str] = mapped_column(String(50), unique=True)
    title: Mapped[str | None] = mapped_column(String(50))
    price: Mapped[int] = mapped_column(default=1)


@pytest.fixture
def managers(tmp_path):
    """Two managers for one declarative base, each with a database of its own."""
    with (
        DatabaseManager(f"sqlite:///{tmp_path}/a.db", "a", base_model=Base) as one,
        DatabaseManager(f"sqlite:///{tmp_path}/b.db", "b", base_model=Base) as other,
    ):
        Base.metadata.create_all(one.engine)
        Base.metadata.create_all(other.engine)
        yield one, other


def isbns(manager):
    """Return what is committed."""
    with manager.engine.connect() as connection:
        return sorted(connection.scalars(select(Book.isbn)))


def test_methods_with_a_session(managers):
    """Take it as their first argument, with no block around them."""
    session = managers[0].Session()
    book, created = Book.get_or_create(session, isbn="x")
    session.commit()

    assert created
    assert Book.get_or_create(session, {"price": 9}, isbn="x") == (book, False)
    assert Book.update_or_create(session, isbn="x", defaults={"price": 4}, create_defaults={}) == (book, False)
    assert Book.get_one(session, isbn="x", price=4) is book
    assert Book.get_by_pk(session, book.id) is Book.get_by_pk(book.id, session=session) is book
    assert Book.get_by_pk(session, 99) is None
    with pytest.raises(NoResultFound):
        Book.get_one(session, isbn="y")

    session.add_all([Book(isbn="y", title="T"), Book(isbn="z", title="T")])
    with pytest.raises(MultipleResultsFound):
        Book.get_one(session, title="T")

    session.close()


def test_methods_without_a_session(managers):
    """Take that of the block, so that one transaction holds all: it is committed whole, or not at all."""
    manager, other = managers
    with manager.session() as session:
        book, created = Book.get_or_create(isbn="x")
        session.add(Book(isbn="pending"))

        assert created
        assert book in session
        assert Book.get_one(isbn="pending") in session
        assert Book.get_by_pk(book.id) is book
        assert Book.update_or_create(isbn="x", defaults={"price": 4}) == (book, False)
        assert isbns(manager) == []

    assert isbns(manager) == ["pending", "x"]
    assert isbns(other) == []

    with pytest.raises(ZeroDivisionError), manager.session():
        Book.get_or_create(isbn="y")
        raise ZeroDivisionError

    assert isbns(manager) == ["pending", "x"]


def test_without_a_block_it_is_an_error(managers):
    """Even if there is one manager only, and after a block: a row that nobody commits would be lost."""
    with managers[0].session():
        pass
    for ask in (Book.get_one, Book.get_or_create, Book.update_or_create):
        with pytest.raises(NoSession, match=r"Book .*none is open.*first argument.*with manager\.session"):
            ask(isbn="x")
    with pytest.raises(NoSession):
        Book.get_by_pk(1)


def test_blocks_of_two_managers_are_ambiguous(managers):
    """The error names both, and a row never goes to the wrong database."""
    one, other = managers
    with one.session() as session, other.session():
        with pytest.raises(NoSession, match=r"any of .*a\.db.*b\.db"):
            Book.get_or_create(isbn="x")
        Book.get_or_create(session, isbn="x")

    assert (isbns(one), isbns(other)) == (["x"], [])

    with other.session():
        Book.get_or_create(isbn="y")

    assert (isbns(one), isbns(other)) == (["x"], ["y"])


def test_the_innermost_block_of_one_manager(managers):
    """Is meant, as for any other name."""
    manager, _ = managers
    with manager.session() as outer:
        outer.connection()  # SQLite lets one write at a time
        outer.rollback()
        with manager.session() as inner:
            book, _ = Book.get_or_create(isbn="x")

            assert book in inner

        assert Book.get_one(isbn="x") in outer


def test_a_manager_of_other_models_is_none(tmp_path):
    """The error names it."""
    with (
        DatabaseManager(f"sqlite:///{tmp_path}/a.db", "a") as manager,
        manager.session(),
        pytest.raises(NoSession, match=r"DatabaseManager default .* do not serve its table"),
    ):
        Book.get_one(isbn="x")
    with pytest.raises(NoSession, match="Base is not mapped"):
        sqlhelpers.Base.get_one(id=1)


def test_another_thread_has_no_part_in_a_block(managers):
    """Not even with a copy of the context: a session serves one thread."""
    with managers[0].session(), ThreadPoolExecutor(1) as pool:
        context = contextvars.copy_context()
        with pytest.raises(NoSession):
            pool.submit(context.run, Book.get_or_create, isbn="x").result()
        with pytest.raises(NoSession):
            pool.submit(Book.get_or_create, isbn="x").result()


def test_a_block_that_ends_in_another_context(managers):
    """Is over, also for the context that it began in."""
    block = managers[0].session()
    block.__enter__()
    contextvars.copy_context().run(block.__exit__, None, None, None)

    with pytest.raises(NoSession):
        Book.get_one(isbn="x")


def test_a_runtimes_manager_serves_the_apps_in_its_database(project, tmp_path):
    """Models that share one metadata may live in different databases, each with its own manager."""
    for app, table in (("shop", "shelf"), ("club", "member")):
        project.write(
            f"{app}/models.py",
            "from sqlhelpers import Base\nfrom sqlalchemy.orm import Mapped, mapped_column\n\n\n"
            f"class {table.title()}(Base):\n    __tablename__ = 'test_sessions_{table}'\n"
            "    id: Mapped[int] = mapped_column(primary_key=True)\n",
        )
        project.write(f"{app}/__init__.py", "")
        project.write(f"{app}/migrations/versions/a.py", revision_text("a", "pass"))
    settings = Settings(
        databases={"default": f"sqlite:///{tmp_path}/a.db", "club": f"sqlite:///{tmp_path}/b.db"},
        apps={"shop": {"package": "shop"}, "club": {"package": "club", "bind": "club"}},
    )
    with Runtime(settings, plugin_manager=PluginManager()) as runtime:
        runtime.run_sync()
        from club.models import Member
        from shop.models import Shelf

        try:
            with runtime.manager().session(), runtime.manager("club").session():
                Shelf.get_or_create(id=1)
                Member.get_or_create(id=2)
            with runtime.manager().session() as session:
                assert session.scalar(select(func.count(Shelf.id))) == 1
                with pytest.raises(NoSession):
                    Member.get_one(id=2)
        finally:
            for model in (Shelf, Member):
                sqlhelpers.Base.metadata.remove(model.__table__)


PET = """
from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column


class Pet(Base):
    __tablename__ = "test_sessions_pet"
    __table_args__ = (UniqueConstraint("owner", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(50))
    name: Mapped[str] = mapped_column(String(50))
"""
BASES = {
    "ours": "from sqlhelpers import Base",
    "ours_for_asyncio": "from sqlhelpers.aio import Base",
    "plain": "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass",
}


def test_replacing_the_import_of_base_leaves_models_working(project, tmp_path):
    """The tables are the same, and so are the functions."""
    shapes = set()
    for name, imported in BASES.items():
        project.write(f"{name}.py", f"{imported}\n{PET}")
        pet = importlib.import_module(name).Pet
        engine = create_engine(f"sqlite+pysqlite:///{tmp_path}/{name}.db")
        try:
            pet.__table__.create(engine)
            with Session(engine) as session:
                made, created = sqlhelpers.get_or_create(session, pet, owner="o", name="n")
                session.commit()

                assert created
                assert sqlhelpers.update_or_create(session, pet, {"name": "m"}, owner="o") == (made, False)
        finally:
            pet.metadata.remove(pet.__table__)
            engine.dispose()
        shapes.add(repr([(column.name, str(column.type), column.nullable) for column in pet.__table__.columns]))

    assert len(shapes) == 1
