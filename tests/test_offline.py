"""Revisions as SQL, without a connection."""

from __future__ import annotations

import pytest
from databases import MODELS, REVISIONS, app_tables, connected
from projects import revision_text
from sqlalchemy import text


@pytest.fixture(autouse=True)
def shop(project):
    """The app of these tests."""
    project.write_app("shop", MODELS, REVISIONS)
    project.write_pyproject('[tool.sqlhelpers.apps.shop]\npackage = "shop"\n')
    return project


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_sql_needs_no_server_and_shows_no_secret(command, monkeypatch, server):
    """Everything that the revisions do is printed, with the record of the position, and nothing is connected to."""
    monkeypatch.setenv("DATABASE_URL", f"{server}://user:a-secret-word@nowhere.invalid/shop")

    done = command("run-sync", "--sql")

    assert done.status == 0
    assert "a-secret-word" not in done.output
    for part in ("CREATE TABLE author", "ALTER TABLE book ADD COLUMN title", "alembic_version_shop"):
        assert part in done.stdout


def test_the_sql_makes_the_database(command, monkeypatch, postgres_url):
    """What is printed can be run by hand; afterwards a run finds nothing to do."""
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    script = command("run-sync", "--sql").stdout
    with connected(postgres_url) as connection:
        connection.connection.driver_connection.execute(script)
        connection.execute(text("COMMIT"))
    done = command("run-sync")

    assert "up to date at r3" in done.stdout
    assert app_tables(postgres_url) == {"author", "book", "alembic_version_shop"}


def test_a_revision_that_needs_rows_is_named(command, shop, monkeypatch):
    """What reads from the database cannot be told without one."""
    body = "op.get_bind().execute(sa.text('SELECT 1')).all()"
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", body, "r3"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere.invalid/shop")

    done = command("run-sync", "--sql")

    assert done.status == 1
    assert "revision r4 of app 'shop'" in done.errors[0]
    assert "cannot be told without a database" in done.errors[0]
