"""What the client of a service should hear, for errors of real databases and drivers."""

import socket

import pytest
from databases import execute
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from sqlhelpers import Base as OurBase
from sqlhelpers import DatabaseManager
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.engines.http_errors import STATUSES, http_error_for


class Base(OurBase):
    __abstract__ = True


class Ware(Base):
    __tablename__ = "wares_of_answers"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[int] = mapped_column(unique=True)


@pytest.fixture(params=["sync", "async"])
def session_of(request, tmp_path):
    """Return a function that lets a session of either manager run some work, and returns the error that it raised."""

    async def fail(url, work, **options):
        if request.param == "sync":
            with DatabaseManager(url, tmp_path, engine_args=options) as manager:
                with pytest.raises(SQLAlchemyError) as told, manager.session() as session:
                    work(session)
                return told.value
        async with AsyncDatabaseManager(url, tmp_path, engine_args=options) as manager:
            with pytest.raises(SQLAlchemyError) as told:
                async with manager.session() as session:
                    await session.run_sync(work)
            return told.value

    return fail


def _prepare(session: Session) -> None:
    Base.metadata.create_all(session.connection(), [Ware.__table__])


@pytest.mark.parametrize("column", ["id", "code"])
async def test_a_key_that_is_there_already_is_a_conflict(url, session_of, column):
    """A primary key or a unique column that is violated is 409, for every driver."""

    def work(session):
        _prepare(session)
        session.add(Ware(id=1, code=1))
        session.flush()
        session.execute(Ware.__table__.insert().values({"id": 2, "code": 2, column: 1}))

    error = await session_of(url, work)

    assert isinstance(error, IntegrityError)
    assert http_error_for(error).status == 409


async def test_another_violation_is_the_services_fault(url, session_of):
    """A missing value is no conflict: the service should have checked it."""

    def work(session):
        _prepare(session)
        session.execute(text("INSERT INTO wares_of_answers (id, code) VALUES (1, NULL)"))

    error = await session_of(url, work)

    assert isinstance(error, IntegrityError)
    assert http_error_for(error) is None


async def test_wrong_sql_is_the_services_fault(url, session_of):
    """A statement that the database does not understand is no outage, although MySQL and SQLite call it operational."""
    error = await session_of(url, lambda session: session.execute(text("SELECT nothing FROM nowhere")))

    assert isinstance(error, DBAPIError)
    assert http_error_for(error) is None


async def test_a_row_that_is_not_there_is_not_found(sqlite_url, session_of):
    """``one()`` without a row is 404."""

    def work(session):
        _prepare(session)
        session.scalars(select(Ware)).one()

    error = await session_of(sqlite_url, work)

    assert isinstance(error, NoResultFound)
    assert http_error_for(error).status == 404


@pytest.mark.parametrize("url", ["postgresql", "mysql", "sqlite"])
async def test_an_unreachable_database_is_unavailable(session_of, url, tmp_path):
    """A server that is not there is 503 with the time to wait, and an OperationalError, with every driver."""
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        where = f"{tmp_path}/nowhere/x.db" if url == "sqlite" else "x"
        place = "" if url == "sqlite" else f"u:p@127.0.0.1:{nobody.getsockname()[1]}"
        error = await session_of(f"{url}://{place}/{where}", lambda session: session.execute(text("SELECT 1")))

    assert isinstance(error, OperationalError)
    assert http_error_for(error).status == 503
    assert http_error_for(error).headers["Retry-After"].isdigit()


async def test_a_server_that_lets_nobody_in_is_unavailable(postgres_url, session_of):
    """A database whose connections are all taken is 503."""
    name = make_url(postgres_url).database
    execute(postgres_url, f"ALTER DATABASE {name} CONNECTION LIMIT 0")

    error = await session_of(postgres_url, lambda session: session.execute(text("SELECT 1")))

    assert http_error_for(error).status == 503


async def test_an_exhausted_pool_is_unavailable(sqlite_url, session_of):
    """Who waits in vain for a connection of the pool hears 503."""

    def work(session):
        session.execute(text("SELECT 1"))
        with Session(session.get_bind()) as other:
            other.execute(text("SELECT 1"))

    error = await session_of(sqlite_url, work, pool_size=1, pool_timeout=0.1)

    assert http_error_for(error).status == 503


async def test_a_database_that_another_one_writes_to_for_too_long_is_unavailable(sqlite_url, session_of, tmp_path):
    """SQLite's "database is locked" is 503: it passes."""
    with DatabaseManager(sqlite_url, tmp_path) as manager, manager.session() as writer:
        writer.execute(text("SELECT 1"))  # sessions begin as writers
        error = await session_of(
            sqlite_url, lambda session: session.execute(text("SELECT 1")), connect_args={"timeout": 0.1}
        )

    assert http_error_for(error).status == 503


def test_each_answer_can_be_left_out():
    """Who wants no 404 for a missing row gets none."""
    assert http_error_for(NoResultFound(), STATUSES) is not None
    assert http_error_for(NoResultFound(), {409, 503}) is None


def test_what_is_no_error_of_a_database_has_no_answer():
    """An error of the application is its own."""
    assert http_error_for(ValueError("x")) is None
    assert http_error_for(ConnectionRefusedError("not of the database")) is None
