"""What revisions use: ``is_sqlite`` and ``exists_in_db`` look at what they are asked about, and at nothing else."""

from __future__ import annotations

from querying import statements
from sqlalchemy import text

from sqlhelpers import DatabaseManager, exists_in_db, is_sqlite


def test_the_whole_database_is_not_read(url):
    """The number of statements is the same beside one other table and beside forty."""
    with DatabaseManager(url, "migrations") as manager, manager.engine.connect() as connection:

        def sent(*names):
            with statements(manager.engine) as found:
                assert exists_in_db(connection, *names)
            return len(found)

        def make(*names):
            for name in names:
                connection.execute(text(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, name INTEGER)"))
            connection.commit()

        make("looked_for", "other")
        few = sent("looked_for"), sent("looked_for", "name")
        make(*(f"other_{number}" for number in range(39)))

        assert (sent("looked_for"), sent("looked_for", "name")) == few
        assert few[0] == 1
        with statements(manager.engine) as found:
            assert is_sqlite(connection) == url.startswith("sqlite")
        assert found == []
