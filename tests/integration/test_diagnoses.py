"""What ``sqlhelpers doctor`` finds out about real servers: PostgreSQL, PgBouncer, MariaDB."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from databases import MODELS, REVISIONS, connected, execute, runtime, snapshot
from projects import revision_text
from sqlalchemy import create_engine

from sqlhelpers.migrations.running.locks import only_run
from sqlhelpers_doctor import connecting, diagnose, mysql, postgresql

DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
SERVERS = ["postgres", "mariadb"]


@pytest.fixture(autouse=True)
def shop(project):
    """An app with three revisions, and a project that takes its database from the environment."""
    project.write_app("shop", MODELS, REVISIONS)
    project.write_pyproject('[tool.sqlhelpers.apps.shop]\npackage = "shop"\n')
    return project


@pytest.fixture(params=SERVERS)
def server_and_url(request):
    """A server, and the URL of a fresh database on it."""
    return request.getfixturevalue(f"{request.param}_server"), request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def doctor(command, monkeypatch):
    """Run ``doctor --json`` for a URL, and return the status and what was found."""

    def run(url):
        monkeypatch.setenv("DATABASE_URL", url)
        done = command("doctor", "--json")
        return done.status, [row for row in json.loads(done.stdout) if row["database"]]

    return run


def sync(url):
    """Bring a database up to date."""
    with runtime(url) as made:
        made.run_sync()


def about(rows, subject, level=None):
    """Return what was found about a subject, each as text and advice."""
    return [(row["text"], row["advice"]) for row in rows if row["subject"] == subject and level in (None, row["level"])]


@contextmanager
def other_role(server, url, *grants):
    """Create a role with grants in the database of ``url``, and yield its URL."""
    name = url.rpartition("/")[2]
    server.create_role("clerk", "hunter22")
    try:
        for grant in grants:
            server.execute(grant.format(name=name), name)
        yield server.url("clerk", "hunter22", name)
    finally:
        if url.startswith("postgresql"):
            server.execute("DROP OWNED BY clerk", name)
        server.execute("DROP ROLE clerk" if url.startswith("postgresql") else "DROP USER clerk")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_healthy_database_is_told_so(server_and_url, kind, doctor, monkeypatch):
    """With either driver; the database is afterwards as it was."""
    _, url = server_and_url
    sync(url)
    before = snapshot(url)
    if kind == "async":
        monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda name: name in ("asyncpg", "asyncmy") or None)
    status, rows = doctor(url)

    assert status == 0, rows
    assert {row["level"] for row in rows} == {"ok"}
    assert {"drivers", "connection", "server", "encoding", "clock", "pool", "lock", "revisions", "drift",
            "permissions"} <= {row["subject"] for row in rows}  # fmt: skip
    assert snapshot(url) == before


def test_the_connection_of_doctor_refuses_to_write(server_and_url):
    """The server itself sees to it."""
    _, url = server_and_url
    sync(url)
    with runtime(url) as made:
        database = made.database()
        looked_at = SimpleNamespace(
            bind="default", settings=database.settings, url=database.url, hooks=database.hooks
        )  # fmt: skip

        with pytest.raises(Exception, match=r"(?i)read.only"):
            connecting.with_connection(looked_at, lambda each: each.exec_driver_sql("DELETE FROM author"))


def test_a_run_that_is_under_way_is_named(server_and_url, doctor):
    """And nobody is kept from anything."""
    _, url = server_and_url
    engine = create_engine(url.replace(url.partition(":")[0], DRIVERS[url.partition(":")[0]], 1))
    with only_run(engine, "here", 1):
        status, rows = doctor(url)
    engine.dispose()

    assert status == 0
    assert about(rows, "lock", "note")[0][0].startswith("a run is under way: ")


def test_scratch_databases_that_were_left_are_told(server_and_url, doctor):
    """With the statement that drops them."""
    server, url = server_and_url
    name = url.rpartition("/")[2]
    server.execute("CREATE DATABASE sqlhelpers_scratch_0123456789ab")
    if url.startswith("mariadb"):
        server.execute(f"GRANT ALL ON sqlhelpers_scratch_0123456789ab.* TO {name}")
    try:
        status, rows = doctor(url)
    finally:
        server.execute("DROP DATABASE sqlhelpers_scratch_0123456789ab")

    assert status == 0
    assert about(rows, "leftovers", "note")[0][1].startswith("DROP DATABASE sqlhelpers_scratch_0123456789ab")


@pytest.mark.parametrize("module", [postgresql, mysql])
def test_a_server_that_is_too_old_is_a_warning(module, request, monkeypatch):
    """For SQLAlchemy; the one here is new enough."""
    url = request.getfixturevalue("postgres_url" if module is postgresql else "mariadb_url")
    monkeypatch.setattr(module, "_OLDEST", (99,) if module is postgresql else {"MariaDB": (99,)})
    with connected(url) as connection:
        [told] = module.examine_server(connection)

    assert told.level == "warning"
    assert "older than SQLAlchemy supports" in told.text


def test_a_role_that_may_only_read_is_told_so(postgres_server, postgres_url, doctor):
    """What it may not do has a statement that grants it; that others own the tables is a note."""
    sync(postgres_url)
    grants = "GRANT USAGE ON SCHEMA public TO clerk", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk"
    with other_role(postgres_server, postgres_url, *grants) as url:
        status, rows = doctor(url)
        for _, advice in about(rows, "permissions", "warning"):
            postgres_server.execute(advice, url.rpartition("/")[2])
        mended, after = doctor(url)

    warnings = [text for text, _ in about(rows, "permissions", "warning")]
    notes = [text for text, _ in about(rows, "permissions", "note")]
    assert status == 1
    assert "clerk may not INSERT, UPDATE, DELETE in author, book" in warnings
    assert "clerk may not use author_id_seq, book_id_seq, so inserts fail" in warnings
    assert any(text.startswith("clerk may not change alembic_version_shop, author, book") for text in notes)
    assert "clerk may not create tables in the schema public" in notes
    assert mended == 0
    assert about(after, "permissions", "warning") == []


def test_a_role_that_cannot_run_what_is_pending_is_an_error(postgres_server, postgres_url, doctor, shop):
    """The next run would fail."""
    sync(postgres_url)
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", "pass", "r3"))
    grants = "GRANT USAGE ON SCHEMA public TO clerk", "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk"
    with other_role(postgres_server, postgres_url, *grants) as url:
        status, rows = doctor(url)

    assert status == 1
    assert all("as the next run has to" in text for text, _ in about(rows, "permissions", "error"))


def test_a_schema_that_may_not_be_used_is_an_error(postgres_server, postgres_url, doctor):
    """It is told, not taken for an empty database."""
    sync(postgres_url)
    postgres_server.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC", postgres_url.rpartition("/")[2])
    with other_role(postgres_server, postgres_url) as url:
        status, rows = doctor(url)

    assert status == 1
    assert "GRANT USAGE" in about(rows, "revisions", "error")[0][0]
    assert about(rows, "permissions", "error") == [
        ("clerk may not use the schema public", 'GRANT USAGE ON SCHEMA "public" TO "clerk"')
    ]


def test_a_schema_that_is_missing_is_an_error(postgres_url, doctor, shop):
    """A run does not create it."""
    shop.write("shop/models.py", MODELS.replace("NAMING_CONVENTION)", 'NAMING_CONVENTION, schema="stock")'))
    status, rows = doctor(postgres_url)

    assert status == 1
    assert about(rows, "permissions", "error")[0][1].startswith('CREATE SCHEMA "stock"')


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER ROLE {name} SET default_transaction_read_only = on", "default_transaction_read_only is on"),
        ("ALTER ROLE {name} SET search_path = fake, pg_catalog, public", "it is a replica"),
    ],
)
def test_a_server_that_takes_no_writes_is_an_error(postgres_server, postgres_url, statement, says, doctor):
    """A replica, whose answer is made up here, and a setting."""
    name = postgres_url.rpartition("/")[2]
    execute(
        postgres_url,
        "CREATE SCHEMA fake",
        "CREATE FUNCTION fake.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    )
    postgres_server.execute(statement.format(name=name))
    status, rows = doctor(postgres_url)

    assert status == 1
    assert says in about(rows, "server", "error")[0][0]


def test_encodings_and_collations_are_judged(postgres_server, postgres_url, monkeypatch):
    """Text that is not UTF-8, and a library that sorts otherwise than when the indexes were made."""
    url, _, name = postgres_url.rpartition("/")
    for options in ("ENCODING 'LATIN1' LOCALE 'C'", "LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'"):
        postgres_server.execute(f"CREATE DATABASE odd OWNER {name} TEMPLATE template0 {options}")
        postgres_server.execute("UPDATE pg_database SET datcollversion = '1' WHERE datcollversion IS NOT NULL")
        try:
            with connected(f"{url}/odd") as connection:
                told = list(postgresql.examine_encoding(connection))
                monkeypatch.setattr(postgresql, "_KNOWS_COLLATIONS", 99)
                before_15 = list(postgresql.examine_encoding(connection))
                monkeypatch.undo()
        finally:
            postgres_server.drop_database("odd")
        if "LATIN1" in options:
            assert [each.level for each in told] == ["warning"]
            assert "stored as LATIN1" in told[0].text
        else:
            assert [each.level for each in told] == ["ok", "warning"]
            assert "REFRESH COLLATION VERSION" in told[1].advice
            assert [each.level for each in before_15] == ["ok"]


@pytest.mark.parametrize("what", ["ROLE", "DATABASE"])
def test_limits_of_roles_and_databases_count(postgres_server, postgres_url, what, doctor):
    """The lowest of all limits is compared with the pool."""
    name = postgres_url.rpartition("/")[2]
    postgres_server.execute(f"ALTER {what} {name} CONNECTION LIMIT 7")
    status, rows = doctor(postgres_url)

    assert status == 1
    assert "the server takes 7 " in about(rows, "pool", "warning")[0][0]


def test_a_pooler_that_the_settings_do_not_know_is_an_error(pgbouncer_url, doctor, monkeypatch):
    """Once it is set, all is well; PgBouncer is told by the process id that it makes up."""
    status, rows = doctor(pgbouncer_url)
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT__POOLER", "transaction")
    mended, after = doctor(pgbouncer_url)

    assert (status, mended) == (2, 0)
    assert about(rows, "pooler", "error")[0][1].startswith('set databases.default.pooler = "transaction"')
    assert about(after, "pooler", "ok") == [("one is in between, and the settings know of it", "")]
    assert "limits of its own" in about(after, "pool", "ok")[0][0]


def test_a_narrow_pooler_is_examined_as_well(narrow_pgbouncer_url, doctor):
    """No question waits for a connection that doctor holds itself."""
    status, rows = doctor(narrow_pgbouncer_url)

    assert status == 2
    assert about(rows, "permissions", "ok")


def test_a_pooler_of_an_unknown_kind_is_a_note(pgbouncer_url, doctor, monkeypatch):
    """It may lend connections for as long as they are wanted."""
    monkeypatch.setattr(connecting, "_lent_to_another", lambda _: set())
    status, rows = doctor(pgbouncer_url)

    assert status == 0
    assert about(rows, "pooler", "note")[0][0] == "one is in between"


def test_a_pooler_that_is_not_there_is_a_note(postgres_url, doctor, monkeypatch):
    """Prepared statements are done without for nothing; a driver may not tell."""
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT__POOLER", "transaction")
    _, rows = doctor(postgres_url)
    monkeypatch.setattr(connecting, "_told_process", lambda _: None)
    _, untold = doctor(postgres_url)

    assert about(rows, "pooler", "note")[0][1] == "remove it"
    assert "does not tell" in about(untold, "pooler", "note")[0][0]


def test_narrow_text_and_tables_without_transactions_are_warnings(mariadb_url, doctor):
    """Emoji have no place in utf8mb3, and MyISAM rolls nothing back."""
    name = mariadb_url.rpartition("/")[2]
    execute(mariadb_url, f"ALTER DATABASE {name} CHARACTER SET utf8mb3")
    sync(mariadb_url)
    execute(
        mariadb_url,
        "ALTER TABLE book DROP FOREIGN KEY fk_book_author_id_author",
        "ALTER TABLE author ENGINE = MyISAM",
    )
    status, rows = doctor(mariadb_url)

    assert status == 1
    assert about(rows, "encoding", "warning")[0][0].startswith("new tables store text as utf8mb3")
    assert about(rows, "encoding", "warning")[1][0] == "no place for all characters in author, book"
    assert about(rows, "tables", "warning")[0][0] == "no transactions and no foreign keys in author (MyISAM)"


def test_a_mariadb_that_is_read_only_is_an_error(mariadb_server, mariadb_url, doctor):
    """As replicas are."""
    mariadb_server.execute("SET GLOBAL read_only = 1")
    try:
        status, rows = doctor(mariadb_url)
    finally:
        mariadb_server.execute("SET GLOBAL read_only = 0")

    assert status == 1
    assert "read only" in about(rows, "server", "error")[0][0]


def test_a_user_that_may_only_read_is_told_so(mariadb_server, mariadb_url, doctor, shop):
    """What is missing for a run is a note, until one is pending."""
    sync(mariadb_url)
    with other_role(mariadb_server, mariadb_url, "GRANT SELECT ON {name}.* TO clerk") as url:
        status, rows = doctor(url)
        mariadb_server.execute(about(rows, "permissions", "warning")[0][1])
        mended, _ = doctor(url)
        shop.write("shop/migrations/versions/r4.py", revision_text("r4", "pass", "r3"))
        pending, due = doctor(url)

    assert (status, mended, pending) == (1, 0, 1)
    assert about(rows, "permissions", "warning")[0][0] == "clerk@% may not INSERT, UPDATE, DELETE in author, book"
    assert "CREATE, ALTER, DROP, INDEX, REFERENCES" in about(rows, "permissions", "note")[0][0]
    assert "as the next run has to" in about(due, "permissions", "error")[0][0]


def test_grants_on_tables_and_roles_count(mariadb_server, mariadb_url, doctor):
    """What a role grants is not looked through, and said so."""
    sync(mariadb_url)
    tables = ("author", "book", "alembic_version_shop", "sqlhelpers_journal")
    grants = [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {{name}}.{table} TO clerk" for table in tables]
    with other_role(mariadb_server, mariadb_url, *grants) as url:
        _, rows = doctor(url)
        mariadb_server.execute("CREATE ROLE staff")
        mariadb_server.execute("GRANT staff TO clerk")
        try:
            _, with_role = doctor(url)
        finally:
            mariadb_server.execute("DROP ROLE staff")

    assert about(rows, "permissions", "warning") == []
    assert "has roles" in about(with_role, "permissions", "note")[0][0]


def test_a_limit_of_the_user_counts(mariadb_server, mariadb_url, doctor):
    """Where it is lower than that of the server."""
    name = mariadb_url.rpartition("/")[2]
    mariadb_server.execute(f"ALTER USER {name} WITH MAX_USER_CONNECTIONS 9")
    status, rows = doctor(mariadb_url)

    assert status == 1
    assert "the server takes 9 from this user" in about(rows, "pool", "warning")[0][0]


def test_a_proxy_is_told_by_its_connection_number(mariadb_url):
    """It makes up one of its own."""
    with connected(mariadb_url) as connection:
        direct = list(mysql.examine_proxy(connection))
    faked = SimpleNamespace(
        connection=SimpleNamespace(driver_connection=SimpleNamespace(thread_id=lambda: 1)), scalar=lambda _: 2
    )
    silent = SimpleNamespace(connection=SimpleNamespace(driver_connection=object()))

    assert direct == []
    assert [each.level for each in mysql.examine_proxy(faked)] == ["note"]
    assert list(mysql.examine_proxy(silent)) == []


def test_a_wrong_password_is_told_without_it(server_and_url, doctor):
    """With what to look at."""
    server, url = server_and_url
    name = url.rpartition("/")[2]
    status, rows = doctor(server.url(name, "hunter22", name))
    [(text, advice)] = about(rows, "connection", "error")

    assert status == 1
    assert "correct user and password" in advice
    assert "hunter22" not in text


def test_several_databases_are_examined_one_after_another(postgres_url, mariadb_url):
    """One that is away does not keep the next from being examined."""
    databases = {"default": postgres_url, "away": "postgresql://u@127.0.0.1:1/x", "other": mariadb_url}
    with runtime(databases) as made:
        rows = diagnose(made)

    assert [each.database for each in rows if each.subject == "connection"] == ["default", "away", "other"]
    assert [each.level for each in rows if each.subject == "connection"] == ["ok", "error", "ok"]
