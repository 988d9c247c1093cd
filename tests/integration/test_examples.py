"""The examples, as a user has them: installed, found by their entry points, on all databases."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pycountry
import pytest
import sqlalchemy
from databases import connected, execute, rows, snapshot

from sqlhelpers import Runtime, Settings, SyncResult
from sqlhelpers.migrations.state.compare import differences

EXAMPLES = Path(__file__).parents[2] / "examples"
BY_MIGRATIONS = {name: {"bootstrap": "migrations"} for name in ("bookshop", "countries")}
BEFORE_THE_REBUILDS = "07e8b2d4af61"


@pytest.fixture
def settings(url, clean_environment, monkeypatch, tmp_path):  # noqa: ARG001
    """Settings for the examples in an empty database."""
    monkeypatch.chdir(tmp_path)

    def make(**more):
        return Settings(databases={"default": url}, enable_apps=["bookshop", "countries"], **more)

    return make


def counts(url):
    """Return how many rows the data app has."""
    return tuple(
        rows(url, f"SELECT count(*) FROM {table}")[0][0] for table in ("countries", "subdivisions", "currencies")
    )


def insert(connection, table, **values):
    """Insert a row, with the names quoted as the dialect wants it."""
    connection.execute(sqlalchemy.table(table, *map(sqlalchemy.column, values)).insert().values(values))


EVERYTHING = (len(pycountry.countries), len(pycountry.subdivisions), len(pycountry.currencies))


def test_real_data_is_there_after_one_sync(url, settings):
    """All of ISO 3166-1, 3166-2 and 4217; a second run changes nothing, and mends what was changed."""
    with Runtime(settings()) as runtime:
        first = runtime.run_sync()[0]
        created = counts(url)
        before = snapshot(url)
        second = runtime.run_sync()[0]
        after = snapshot(url)
        execute(
            url,
            "UPDATE countries SET name = 'Nowhere' WHERE alpha_2 = 'FR'",
            "DELETE FROM currencies WHERE alpha_3 = 'XTS'",
        )
        runtime.run_sync()

    assert [app.app for app in first.apps] == ["countries", "bookshop"]
    assert created == EVERYTHING
    assert second.result is SyncResult.ALREADY_UP_TO_DATE
    assert after == before
    assert snapshot(url) == before


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_revisions_lead_to_what_the_models_say(url, settings, kind):
    """Migrated from nothing, the tables do not differ from the models, types and server defaults included."""
    runtime = Runtime(settings(apps=BY_MIGRATIONS))

    async def with_await():
        async with runtime, runtime.async_manager() as manager:
            return await manager.migrations.sync()

    report = runtime.run_sync()[0] if kind == "sync" else asyncio.run(with_await())
    with runtime, runtime.manager().engine.connect() as connection:
        found = [differences(connection, history) for history in runtime.database().histories]

    assert [len(app.pending) for app in report.apps] == [3, 9]
    assert found == [(), ()]
    assert counts(url) == EVERYTHING


def test_no_row_is_lost_on_the_way(url, settings):
    """Customers, orders and lines from before the data migration and the batch rebuilds are all there after them."""
    with Runtime(settings(apps=BY_MIGRATIONS)) as runtime:
        runtime.manager().upgrade(app="countries")
        with connected(url) as connection:
            insert(connection, "countries", alpha_2="FR", alpha_3="FRA", numeric="250", name="France", flag="FR")
            insert(connection, "currencies", alpha_3="EUR", numeric="978", name="Euro")
        runtime.manager().upgrade(BEFORE_THE_REBUILDS, app="bookshop")
        with connected(url) as connection:
            insert(connection, "books", id=1, isbn="9780000000001", title="One", price=19.99, currency_code="EUR")
            for i in range(1, 101):
                name, email = f"Given Family{i}", f"c{i}@example.org"
                insert(connection, "customers", id=i, name=name, email=email, country_code="FR")
                insert(connection, "orders", id=i, customer_id=i)
                insert(connection, "order_lines", id=i, order_id=i, book_id=1, quantity=2)
        runtime.run_sync()

    kept = [rows(url, f"SELECT count(*) FROM {table}")[0][0] for table in ("customers", "orders", "order_lines")]
    assert kept == [100, 100, 100]
    assert rows(url, "SELECT price_cents FROM books") == [(1999,)]
    assert rows(url, "SELECT given_name, family_name FROM customers WHERE id = 7") == [("Given", "Family7")]


def test_the_bookshop_in_its_own_folder(tmp_path):
    """What ``make demo`` shows: the command finds settings and apps by itself."""
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "SQLHELPERS_ENABLE_APPS": "bookshop,countries",
    }
    folder = EXAMPLES / "bookshop"

    def run(*words):
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout

    synced = json.loads(run("sqlhelpers", "run-sync", "--json"))
    shown = run("bookshop")

    assert [(app["app"], app["result"]) for app in synced] == [("countries", "created"), ("bookshop", "created")]
    assert run("bookshop") == shown
    assert "Jane Austen" in shown
