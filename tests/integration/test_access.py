"""Passwords, permissions and unreachable databases: real servers that check them, the command as a real process."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from urllib.parse import quote

import pytest
from databases import MODELS, REVISIONS, execute, snapshot, sync, tables

from sqlhelpers import DatabaseManager, SyncResult
from sqlhelpers.aio import AsyncDatabaseManager

PASSWORDS = [
    "pass@word", "pass:word", "pass/word", "pass#word", "pass?word", "pass%word", "pass%%word", "pass%(x)sword",
    "pass%41word", "pass+word", "pass word", "pass'word", 'pass"word', "pass\\word", "pass[word", "pass]word",
    "påsswörd", "日本語パスワード", "@:/#?% %%%(x)s+ '\"\\[]é", "$HOME ${HOME}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def shop(project):
    """The app of these tests, and a project that takes its database from the environment."""
    project.write_app("shop", MODELS, REVISIONS)
    project.write_pyproject('[tool.sqlhelpers.apps.shop]\npackage = "shop"\n')
    return project


@pytest.fixture
def check_refused(command, monkeypatch):
    """Check that commands fail with status 1 and one line that has the expected words and no password."""

    def check(url, *commands, expected):
        monkeypatch.setenv("DATABASE_URL", url)
        for name in commands or ("run-sync", "status"):
            done = command(name)
            assert done.status == 1, done
            assert done.stdout == ""
            assert len(done.stderr.splitlines()) == 1
            assert expected in done.stderr
            assert "hunter22" not in done.stderr

    return check


@contextmanager
def role(server, url, password, *, owner=True):
    """Create a role with a password, which may do everything in the database of ``url`` or nothing; yield its URL."""
    name = url.rpartition("/")[2]
    postgres = url.startswith("postgresql")
    literal = password.replace("'", "''") if postgres else password.replace("\\", "\\\\").replace("'", "''")
    server.create_role("odd", literal)
    if owner:
        server.execute(f'GRANT "{name}" TO odd' if postgres else f"GRANT ALL ON {name}.* TO odd")
    try:
        yield f"{server.dialect}://odd:{quote(password, safe='')}@127.0.0.1:{server.port}/{name}"
    finally:
        if postgres:
            server.execute("DROP OWNED BY odd", name)
        server.execute("DROP ROLE odd" if postgres else "DROP USER odd")


@pytest.fixture(params=["postgres", "mariadb"])
def server_and_url(request):
    """A server that checks passwords, and the URL of a fresh database on it."""
    return (
        request.getfixturevalue(f"{request.param}_server"),
        request.getfixturevalue(f"{request.param}_url"),
    )


@pytest.mark.parametrize("password", PASSWORDS)
async def test_odd_passwords_reach_the_server(server_and_url, password, shop):
    """From one URL, both managers log in with exactly the password that was meant, and none shows it."""
    server, fresh = server_and_url
    with role(server, fresh, password) as url:
        with DatabaseManager(url, shop.folder / "shop/migrations") as manager, manager.session() as session:
            session.connection()
        async with AsyncDatabaseManager(url, shop.folder / "shop/migrations") as twin, twin.session() as session:
            await session.connection()
        shown = repr(manager) + str(manager.engine.url) + str(vars(manager.alembic_cfg)) + repr(vars(twin))

    assert password not in shown
    assert quote(password, safe="") not in shown


@pytest.mark.parametrize("source", ["environment", "dotenv", "pyproject"])
def test_an_odd_password_survives_every_source(postgres_server, postgres_url, shop, source):
    """Neither TOML, nor .env, nor Alembic's configuration changes a character."""
    with role(postgres_server, postgres_url, "@:/#?% %%%(x)s+ '\"\\[]é") as url:
        environment = {"DATABASE_URL": url} if source == "environment" else {}
        if source == "dotenv":
            shop.write(".env", f"SQLHELPERS_DATABASES__DEFAULT={url}\n")
        elif source == "pyproject":
            shop.write_pyproject(f'[tool.sqlhelpers]\napps.shop.package = "shop"\ndatabases.default = "{url}"\n')
        done = shop.run("run-sync", env=environment)

    assert (done.status, done.stderr) == (0, "")
    assert "created at r3" in done.stdout
    assert ":***@" in done.stdout


def test_a_percent_sign_in_a_path_does_no_harm(tmp_path, shop):
    """Alembic's configuration would take it for an interpolation."""
    (tmp_path / "100%(x)s %d").mkdir()
    (shop.folder / "shop").rename(tmp_path / "100%(x)s %d" / "shop")
    folder = tmp_path / "100%(x)s %d"

    with DatabaseManager(f"sqlite:///{folder}/x%y.db", folder / "shop/migrations") as manager:
        assert manager.sync() is SyncResult.CREATED
    assert (folder / "x%y.db").exists()


@pytest.mark.parametrize("driver", ["", "+asyncpg"])
def test_postgres_without_permission_to_read(postgres_server, postgres_url, check_refused, driver):
    """A permission that is missing is an error, and never read as "not set up"."""
    sync("sync", postgres_url, apps={"shop": {"package": "shop"}})
    before = snapshot(postgres_url)
    with role(postgres_server, postgres_url, "hunter22", owner=False) as url:
        check_refused(url.replace("postgresql:", f"postgresql{driver}:"), expected="permission denied")
        postgres_server.execute("REVOKE USAGE ON SCHEMA public FROM public", url.rpartition("/")[2])
        check_refused(url, expected="may not use the schema 'public'")

    assert snapshot(postgres_url) == before


def test_postgres_where_the_position_is_hidden(postgres_server, postgres_url, shop, check_refused):
    """A version table in a schema that may not be used is not an empty database, even without models."""
    sync("sync", postgres_url, apps={"shop": {"package": "shop", "version_table": "alembic_version"}})
    shop.write_pyproject(
        f'[tool.sqlhelpers.databases.default]\nsqlalchemy.url = "{postgres_url}"\n'
        'alembic.migrations_path = "shop/migrations"\n',
    )
    name = postgres_url.rpartition("/")[2]
    with role(postgres_server, postgres_url, "hunter22", owner=False) as url:
        postgres_server.execute("REVOKE USAGE ON SCHEMA public FROM public", name)
        postgres_server.execute("CREATE SCHEMA odd AUTHORIZATION odd", name)
        check_refused(url, expected="may not use the schema 'public'")


def test_postgres_without_permission_to_create(postgres_server, postgres_url, check_refused):
    """Nothing is half made."""
    with role(postgres_server, postgres_url, "hunter22", owner=False) as url:
        check_refused(url, "run-sync", expected="permission denied for schema public")

    assert tables(postgres_url) == set()


def test_postgres_whose_search_path_leads_nowhere(postgres_url, check_refused):
    """Tables that cannot be seen are not taken for tables that are not there."""
    sync("sync", postgres_url, apps={"shop": {"package": "shop"}})

    check_refused(f"{postgres_url}?options=-csearch_path%3Dnowhere", expected="no schema of the search path (nowhere)")


def test_mariadb_without_permission_to_read(mariadb_server, mariadb_url, check_refused):
    """MariaDB hides tables from a role instead of refusing; that is not taken for an empty database either."""
    sync("sync", mariadb_url, apps={"shop": {"package": "shop"}})
    execute(mariadb_url, "CREATE TABLE free (id integer)")
    before = snapshot(mariadb_url)
    with role(mariadb_server, mariadb_url, "hunter22", owner=False) as url:
        check_refused(url, expected="Access denied")
        mariadb_server.execute(f"GRANT SELECT ON {url.rpartition('/')[2]}.free TO odd")
        check_refused(url, expected="SELECT command denied")

    assert snapshot(mariadb_url) == before


@pytest.mark.parametrize("dialect", ["postgresql", "postgresql+asyncpg", "mariadb", "mariadb+asyncmy"])
def test_a_server_that_is_not_there(check_refused, dialect):
    """Connection refused is one line with the URL, without its password."""
    check_refused(f"{dialect}://user:hunter22@127.0.0.1:1/shop", expected=f"{dialect}://user:***@127.0.0.1:1/shop")


def test_a_wrong_password(postgres_url, mariadb_url, check_refused):
    """The server's answer is shown, the password is not."""
    for url, expected in ((postgres_url, "password authentication failed"), (mariadb_url, "Access denied")):
        head, _, tail = url.partition("@")
        wrong = f"{head.rpartition(':')[0]}:hunter22@{tail}"
        check_refused(wrong, expected=expected)


def test_a_sqlite_file_that_cannot_be_used(tmp_path, check_refused):
    """A missing folder, a folder, and a file that is no database are told apart; none is changed."""
    (tmp_path / "text.db").write_text("this is not a database, and long enough to have a header" * 10)

    check_refused(f"sqlite:///{tmp_path}/no/x.db", expected=f"the folder {tmp_path}/no does not exist")
    check_refused(f"sqlite:///{tmp_path}", expected="this is a folder")
    check_refused(f"sqlite:///{tmp_path}/text.db", expected="file is not a database")
    assert "this is not a database" in (tmp_path / "text.db").read_text()
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("driver", ["", "+aiosqlite"])
def test_a_locked_sqlite_file(tmp_path, check_refused, driver, monkeypatch):
    """The wait is bounded, and a lock is never read as "not set up"."""
    file = tmp_path / "test.db"
    sync("sync", f"sqlite:///{file}", apps={"shop": {"package": "shop"}})
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        before = file.read_bytes()
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT__SQLALCHEMY__CONNECT_ARGS", '{"timeout": 0.2}')
        check_refused(f"sqlite{driver}:///{file}", expected="database is locked")
        other.execute("ROLLBACK")

    assert file.read_bytes() == before


def test_status_makes_no_file(tmp_path, shop, command, monkeypatch):
    """Looking at a SQLite database that is not there does not create it."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/test.db")

    status, planned = command("status"), command("run-sync", "--dry-run")

    assert "not there yet" in status.stdout
    assert "would be created at r3" in planned.stdout
    assert list(tmp_path.iterdir()) == [shop.folder]
