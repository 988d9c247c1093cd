"""What the rules of ``sqlhelpers lint`` say of databases, asked of real ones."""

from __future__ import annotations

import pytest
from databases import connected, execute, rows
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

TABLES = (
    "CREATE TABLE author (id int PRIMARY KEY)",
    "CREATE TABLE book (id int PRIMARY KEY, x int, title varchar(50), price numeric(10, 2), at timestamp)",
    "CREATE INDEX there ON book (x)",
    "INSERT INTO book VALUES (1, NULL, 'Solaris', 12.34, now())",
)
#: The locks that keep out writers, and those that keep out readers as well.
WRITERS, ALL = {"ShareLock", "ShareRowExclusiveLock"}, {"AccessExclusiveLock"}


@pytest.fixture
def books(postgres_url):
    """A connection to a PostgreSQL that has books, whose changes are undone at the end."""
    execute(postgres_url, *TABLES)
    with connected(postgres_url) as connection:
        yield connection
        connection.rollback()


def locks(connection, table="book"):
    """Return the locks that the transaction holds on a table."""
    query = f"SELECT mode FROM pg_locks WHERE relation = '{table}'::regclass AND pid = pg_backend_pid()"
    return set(connection.scalars(text(query)))


LOCKS = [
    ("CREATE INDEX i ON book (x)", WRITERS),
    ("DROP INDEX there", ALL),
    ("ALTER TABLE book ADD CHECK (id > 0)", ALL),
    ("ALTER TABLE book ADD UNIQUE (x)", ALL),
    ("ALTER TABLE book ALTER id SET NOT NULL", ALL),
    ("ALTER TABLE book ALTER x TYPE bigint", ALL),
    ("ALTER TABLE book ADD token uuid DEFAULT gen_random_uuid()", ALL),
    ("ALTER TABLE book ADD FOREIGN KEY (x) REFERENCES author (id)", WRITERS),
]


@pytest.mark.parametrize(("statement", "expected"), LOCKS)
def test_the_locks_that_the_rules_name(books, statement, expected):
    """Those that keep out writers alone let readers in."""
    books.execute(text(statement))

    assert locks(books) & (WRITERS | ALL) & expected
    assert (locks(books) & ALL != set()) is (expected is ALL)
    if "author" in statement:
        assert locks(books, "author") & WRITERS


def test_an_index_keeps_writers_out(books, postgres_url):
    """Until the transaction ends that builds it."""
    books.execute(text("CREATE INDEX i ON book (x)"))

    assert rows(postgres_url, "SELECT id FROM book") == [(1,)]
    with pytest.raises(DBAPIError, match="lock timeout"):
        execute(postgres_url, "SET lock_timeout = '50ms'", "UPDATE book SET x = 2")


@pytest.mark.parametrize(
    ("statement", "is_rewritten"),
    [
        ("ALTER title TYPE varchar(20)", True),
        ("ALTER title TYPE varchar(60)", False),
        ("ALTER title TYPE text", False),
        ("ALTER title TYPE char(50)", True),
        ("ALTER x TYPE bigint", True),
        ("ALTER price TYPE numeric(12, 2)", False),
        ("ALTER price TYPE numeric", False),
        ("ALTER price TYPE numeric(12, 4)", True),
        ("ALTER at TYPE date", True),
        ("ADD new int NOT NULL DEFAULT 0", False),
        ("ADD new timestamptz DEFAULT now()", False),
        ("ADD new timestamptz DEFAULT clock_timestamp()", True),
        ("ADD new uuid DEFAULT gen_random_uuid()", True),
        ("ADD new serial", True),
        ("ADD new int GENERATED ALWAYS AS IDENTITY", True),
        ("ADD new int GENERATED ALWAYS AS (id + 1) STORED", True),
    ],
)
def test_what_writes_a_table_anew(books, statement, is_rewritten):
    """A table that is written anew is in another file."""
    file = "SELECT pg_relation_filenode('book')"
    before = books.scalar(text(file))

    books.execute(text(f"ALTER TABLE book {statement}"))

    assert (books.scalar(text(file)) != before) is is_rewritten


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE book ADD new int NOT NULL",
        "ALTER TABLE book ALTER title TYPE varchar(3)",
        "CREATE INDEX CONCURRENTLY i ON book (x)",
        "DROP INDEX CONCURRENTLY book_pkey",
    ],
)
def test_what_fails_on_a_table_with_rows_or_in_a_transaction(books, statement):
    """As the rules say."""
    with pytest.raises(DBAPIError):
        books.execute(text(statement))


def test_a_valid_check_spares_set_not_null_the_rows(books):
    """The server says so, if it is asked to tell all."""
    said = []
    books.connection.driver_connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    books.execute(text("DELETE FROM book"))
    books.execute(text("ALTER TABLE book ADD CONSTRAINT c CHECK (x IS NOT NULL) NOT VALID"))
    books.execute(text("ALTER TABLE book VALIDATE CONSTRAINT c"))
    books.execute(text("SET LOCAL client_min_messages = debug1"))

    books.execute(text("ALTER TABLE book ALTER x SET NOT NULL"))

    assert any("sufficient to prove" in each for each in said)


def test_validation_lets_others_write(books, postgres_url):
    """SHARE UPDATE EXCLUSIVE is no lock that a writer waits for."""
    execute(postgres_url, "ALTER TABLE book ADD CONSTRAINT c CHECK (id > 0) NOT VALID")

    books.execute(text("ALTER TABLE book VALIDATE CONSTRAINT c"))

    assert "ShareUpdateExclusiveLock" in locks(books)
    assert not locks(books) & (WRITERS | ALL)


def needs_copy(url, change):
    """Tell whether MariaDB can make a change in no other way than by copying the table while writers wait."""
    try:
        execute(url, f"ALTER TABLE book {change}, ALGORITHM=INPLACE, LOCK=NONE")
    except DBAPIError as error:
        return "ALGORITHM=INPLACE is not supported" in str(error)
    return False


def test_what_copies_a_table_on_mariadb(mariadb_url):
    """Types, foreign keys and checks do; what is not told of does not."""
    execute(mariadb_url, *TABLES)
    copied = [
        "MODIFY x bigint",
        "MODIFY title varchar(100)",
        "MODIFY title text",
        "ADD FOREIGN KEY (x) REFERENCES author (id)",
        "ADD CHECK (id > 0)",
    ]
    free = ["MODIFY title varchar(60)", "ADD INDEX (x)", "ADD UNIQUE (x)", "ADD new int", "MODIFY id int NOT NULL"]

    assert [change for change in copied if not needs_copy(mariadb_url, change)] == []
    assert [change for change in free if needs_copy(mariadb_url, change)] == []


def test_what_mariadb_does_without_a_word(mariadb_url):
    """Rows get 0, digits go, and a column that is stated again without NOT NULL may be NULL."""
    execute(mariadb_url, *TABLES)
    execute(mariadb_url, "ALTER TABLE book ADD new int NOT NULL", "ALTER TABLE book MODIFY price numeric(10, 1)")

    assert rows(mariadb_url, "SELECT new, CAST(price AS CHAR) FROM book") == [(0, "12.3")]
    with pytest.raises(DBAPIError, match="doesn't have a default value"):
        execute(mariadb_url, "INSERT INTO book (id) VALUES (2)")
    execute(mariadb_url, "ALTER TABLE book MODIFY new bigint", "INSERT INTO book (id, new) VALUES (3, NULL)")


def test_sqlite_adds_no_column_without_a_value(sqlite_url):
    """To rows that are there."""
    execute(sqlite_url, "CREATE TABLE book (id int)", "INSERT INTO book VALUES (1)")

    with pytest.raises(DBAPIError, match="Cannot add a NOT NULL column"):
        execute(sqlite_url, "ALTER TABLE book ADD new int NOT NULL")
