"""Tables are created ahead of the server's answers, as if each had been waited for."""

import pytest
import sqlalchemy
from databases import app_tables, rows
from databases import runtime as runtime_of
from sqlalchemy import event

from sqlhelpers import SyncResult
from sqlhelpers.exceptions import DatabaseFailure

BASE = """
from sqlalchemy import Column, DDL, Enum, Integer, MetaData, Table, event, text

metadata = MetaData()
first = Table("first", metadata, Column("id", Integer, primary_key=True), Column("x", Integer, index=True))
"""
ENUM = 'second = Table("second", metadata, Column("kind", Enum("a", "b%", name="kind"), server_default="b%"))\n'
WRONG = 'second = Table("second", metadata, Column("id", Integer, server_default=text("nonsense()")))\n'
MORE = 'for number in range(120):\n    Table(f"third{number:03}", metadata, Column("id", Integer, primary_key=True))\n'
ASKS = """
@event.listens_for(first, "after_create")
def ask(target, connection, **_):
    connection.execute(target.insert(), [{"id": 1}, {"id": 2}])
    connection.execute(text("INSERT INTO first (id) VALUES (:id)"), {"id": 3})
    cursor = connection.connection.cursor()
    cursor.execute("SELECT count(*) FROM first")
    asked.append(cursor.fetchone()[0])
    asked.append(connection.exec_driver_sql("SELECT 5 % 3", execution_options={"no_parameters": True}).scalar())
    asked.append(connection.scalar(text("SELECT max(id) FROM first")))
    with connection.engine.connect() as other:
        asked.append(other.scalar(text("SELECT 4")))
asked = []
event.listen(metadata, "after_create", DDL("COMMENT ON TABLE first IS '100 %%'"))
"""
DIES = """
@event.listens_for(first, "after_create")
def die(target, connection, **_):
    connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
"""


@pytest.fixture
def created(project, postgres_url):
    """Return a function that creates the tables of a model module; it collects which answers had not come yet."""

    def create(text: str) -> list[str]:
        project.write_app("shop", f"{BASE}{text}")
        ahead = []

        def note(_, cursor, statement, *__):
            if cursor.statusmessage is None:
                ahead.append(statement)

        with runtime_of(postgres_url, apps={"shop": {"package": "shop", "migrations": False}}) as runtime:
            event.listen(runtime.manager().engine, "after_cursor_execute", note)
            assert runtime.run_sync()[0].result is SyncResult.CREATED
        return ahead

    return create


def test_answers_are_not_waited_for(created, postgres_url):
    """But for one in fifty; types are there before the tables that have them."""
    ahead = created(ENUM + MORE)

    assert len(ahead) > 110
    assert len(app_tables(postgres_url)) == 122
    assert rows(postgres_url, "INSERT INTO second DEFAULT VALUES RETURNING CAST(kind AS text)") == [("b%",)]


def test_listeners_can_ask(created, postgres_url):
    """Whatever they execute in whichever way has its answer at once, and comes in its turn."""
    created(ASKS)
    import shop.models

    assert shop.models.asked == [3, 2, 3, 4]
    assert rows(postgres_url, "SELECT obj_description('first'::regclass)") == [("100 %",)]


def test_an_error_names_its_statement(created, postgres_url):
    """Not one that was sent after it; and nothing is left of the others."""
    with pytest.raises(DatabaseFailure, match="nonsense") as caught:
        created(WRONG + MORE)

    assert "CREATE TABLE second" in caught.value.__cause__.statement
    assert app_tables(postgres_url) == set()


def test_a_connection_that_is_lost_is_not_used_again(created, postgres_url):
    """The error is that of the connection."""
    with pytest.raises(DatabaseFailure, match="terminat") as caught:
        created(DIES + MORE)

    assert isinstance(caught.value.__cause__, sqlalchemy.exc.OperationalError)
    assert app_tables(postgres_url) == set()


def test_other_drivers_wait_for_each_answer(created, monkeypatch):
    """So does psycopg where its library is too old for it."""
    monkeypatch.setattr("psycopg.Pipeline.is_supported", lambda: False)

    assert created(MORE) == []
