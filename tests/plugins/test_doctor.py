"""``sqlhelpers doctor``: what it finds on SQLite and in the installation, what it advises, and its exit status."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
from databases import MODELS, REVISIONS, runtime
from projects import revision_text
from sqlalchemy import create_engine

from sqlhelpers import Runtime, Settings
from sqlhelpers.backends import Lock
from sqlhelpers.config.settings import database_settings
from sqlhelpers.discovery.hooks import Hooks
from sqlhelpers.discovery.plugin_manager import PluginInfo, PluginManager
from sqlhelpers.exceptions import SettingsError
from sqlhelpers.migrations.running.locks import only_run
from sqlhelpers.urls import parse
from sqlhelpers_doctor import command as doctoring
from sqlhelpers_doctor import (
    connecting,
    databases,
    diagnose,
    diagnose_async,
    exit_status,
    findings,
    installation,
    sqlitefile,
)
from sqlhelpers_doctor.findings import Examined

PYPROJECT = """
[tool.sqlhelpers.apps.shop]
package = "shop"

[tool.sqlhelpers.databases]
default = "sqlite:///shop.db"
"""


@pytest.fixture(autouse=True)
def shop(project):
    """A project with an app that has three revisions, in a SQLite file that is not there yet."""
    project.write_app("shop", MODELS, REVISIONS)
    project.write_pyproject(PYPROJECT)
    return project


def change(*statements):
    """Run statements on the file of the project, without sqlhelpers."""
    with closing(sqlite3.connect("shop.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def found(done, subject, level=None):
    """Return what the text of ``doctor --json`` has about a subject, each as text and advice."""
    rows = [row for row in json.loads(done.stdout) if row["subject"] == subject and level in (None, row["level"])]
    return [(row["text"], row["advice"]) for row in rows]


def examined(url="sqlite:///shop.db", **settings):
    """Return a database to examine."""
    made = database_settings(sqlalchemy={"url": url, **settings.pop("sqlalchemy", {})}, **settings)
    return Examined("default", made, parse(url), Hooks())


def test_a_healthy_application_fits_on_a_screen(command):
    """Grouped by database, one line for each subject, without colours where there is no terminal."""
    command("run-sync")
    done = command("doctor")
    lines = done.stdout.splitlines()

    assert done.status == 0
    assert done.stderr == ""
    assert lines[0] == "installation"
    assert lines[-1] == "nothing is wrong"
    assert "database default" in lines
    assert len(lines) < 25
    assert {line.split()[0] for line in lines if line.startswith("  ")} == {"ok"}
    assert "  ok       revisions    shop: up to date at r3, 2 tables" in lines
    assert not any("\x1b" in line for line in lines)


def test_a_database_that_is_not_there_stays_absent(command, shop):
    """Nothing is made by looking, and what to do is said."""
    before = sorted(shop.folder.rglob("*"))
    done = command("doctor", "--json")
    after = sorted(path for path in shop.folder.rglob("*") if "__pycache__" not in path.parts)

    assert done.status == 0
    assert ("shop.db is not there yet", "sqlhelpers run-sync") in found(done, "file", "note")
    assert after == before


def test_nothing_is_changed(command, shop):
    """The file and its folder are as they were, byte for byte."""
    command("run-sync")
    before = {path: path.read_bytes() for path in shop.folder.iterdir() if path.is_file()}
    command("doctor")

    assert {path: path.read_bytes() for path in shop.folder.iterdir() if path.is_file()} == before


def test_the_connection_of_doctor_refuses_to_write(command):
    """The database itself sees to it."""
    command("run-sync")

    with pytest.raises(Exception, match="readonly"):
        connecting.with_connection(examined(), lambda connection: connection.exec_driver_sql("DELETE FROM author"))


def test_pending_revisions_are_a_note(command, shop):
    """They are what the next run is for: the status stays 0, and the command is named."""
    command("run-sync")
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", "pass", "r3"))
    done = command("doctor", "--json")

    assert done.status == 0
    assert found(done, "revisions") == [("shop: behind at r3: 1 revision to run (r4)", "sqlhelpers run-sync")]


@pytest.mark.parametrize(
    ("statement", "says", "advises"),
    [
        ("DELETE FROM alembic_version_shop", "no revision is recorded", "`sqlhelpers adopt shop`"),
        ("UPDATE alembic_version_shop SET version_num = 'r9'", "at revision r9", "install the version of shop"),
        ("UPDATE sqlhelpers_journal SET outcome = NULL", "has not been finished", "sqlhelpers repair shop"),
    ],
)
def test_what_a_person_must_decide_ends_with_three(command, statement, says, advises):
    """Unversioned, ahead and interrupted: with the way out in a line of its own."""
    command("run-sync")
    change(statement)
    done = command("doctor", "--json")
    [(text, advice)] = found(done, "revisions", "error")

    assert done.status == 3
    assert says in text
    assert advises in advice


def test_an_interrupted_revision_may_be_under_way(command):
    """While somebody holds the lock, it is a note, and says who."""
    command("run-sync")
    change("UPDATE sqlhelpers_journal SET outcome = NULL")
    engine = create_engine("sqlite:///shop.db")
    with only_run(engine, "here", 1):
        done = command("doctor", "--json")
    engine.dispose()
    afterwards = command("doctor", "--json")

    assert done.status == 0
    assert found(done, "revisions", "note")[0][1] == "it may be the run that is under way"
    assert " pid " in found(done, "lock", "note")[0][0]
    assert found(afterwards, "lock", "ok") == [("no run is under way", "")]


def test_a_run_that_was_killed_holds_nothing(command, shop):
    """Its name is still in the file of the lock, which stays; a database without a lock has no holder."""
    command("run-sync")
    file = shop.write("shop.db-lock", "ann@host pid 1")
    done = command("doctor", "--json")

    assert found(done, "lock") == [("no run is under way", "")]
    assert file.exists()
    assert Lock().holder() == "nobody holds the lock just now"


def test_an_app_without_migrations_is_examined(command, shop):
    """It has no revision, and its tables are compared."""
    shop.write_pyproject(PYPROJECT.replace('package = "shop"', 'package = "shop"\nmigrations = false'))
    command("run-sync")

    assert found(command("doctor", "--json"), "revisions") == [("shop: up to date, 2 tables", "")]


def test_several_heads_are_told_without_a_database(command, shop):
    """The status is 3, and the files are named."""
    shop.write("shop/migrations/versions/other.py", revision_text("other", "pass", "r2"))
    done = command("doctor", "--json")
    [(text, advice)] = found(done, "revisions")

    assert done.status == 3
    assert "r3.py" in text
    assert "other.py" in text
    assert "sqlhelpers merge" in advice


def test_a_broken_revision_file_is_named(command, shop):
    """And the rest of the database is examined all the same."""
    command("run-sync")
    file = shop.write("shop/migrations/versions/r4.py", "import nothing_of_this_name\n")
    done = command("doctor", "--json")
    [(text, _)] = found(done, "revisions")

    assert done.status == 2
    assert str(file.name) in text
    assert found(done, "integrity", "ok")


def test_a_migrations_folder_that_is_missing_is_named(command, shop):
    """Also if it belongs to no app."""
    shop.write_pyproject(f'{PYPROJECT}\n[tool.sqlhelpers.databases.other]\nsqlalchemy.url = "sqlite:///o.db"\n'
                         'alembic.migrations_path = "nowhere"\n')  # fmt: skip
    done = command("doctor", "--json", "-d", "other")

    assert done.status == 2
    assert "nowhere" in found(done, "revisions", "error")[0][0]


def test_drift_ends_with_one(command):
    """Each difference has a line, the first few of many."""
    command("run-sync")
    change("DROP INDEX ix_book_title", *(f"ALTER TABLE book ADD COLUMN extra{number} TEXT" for number in range(6)))
    done = command("doctor", "--json")
    told = found(done, "drift", "warning")

    assert done.status == 1
    assert len(told) == 6
    assert "shop: column book.extra" in told[3][0]
    assert told[-1] == ("and 2 more differences", "`sqlhelpers check` lists all of them")


def test_edited_revisions_and_leftovers_are_told(command, shop):
    """An edited file is a warning, or for a person to decide; what an app has left behind is a note."""
    shop.write_pyproject(PYPROJECT.replace('package = "shop"', 'package = "shop"\nbootstrap = "migrations"'))
    command("run-sync")
    change("CREATE TABLE alembic_version_oldshop (version_num TEXT)")
    file = shop.write("shop/migrations/versions/r2.py", REVISIONS["r2.py"] + "# edited\n")
    done = command("doctor", "--json")
    shop.write_pyproject(f"{PYPROJECT}\n[tool.sqlhelpers.databases.default.alembic]\nstrict = true\n".replace(
        'default = "sqlite:///shop.db"', 'default.sqlalchemy.url = "sqlite:///shop.db"'))  # fmt: skip
    strict = command("doctor", "--json")

    assert (done.status, strict.status) == (1, 3)
    assert found(done, "revisions", "warning")[0][0].endswith(f"({file})")
    assert found(strict, "revisions", "warning") == []
    assert found(done, "leftovers", "note")[0][1].endswith("`sqlhelpers retire oldshop -d default`")


def test_wrong_settings_do_not_hide_the_rest(command, shop):
    """The wrong one is named with its near name, and the database is examined without it."""
    command("run-sync")
    shop.write_pyproject(
        f"{PYPROJECT}broken = 'not a url'\n[tool.sqlhelpers]\nenabled_apps = ['shop']\n".replace(
            'default = "sqlite:///shop.db"',
            'default.sqlalchemy = { url = "sqlite:///shop.db", pool_sise = 3 }',
        )
    )
    done = command("doctor", "--json")
    errors = [text for text, _ in found(done, "settings", "error")]

    assert done.status == 2
    assert any("did you mean pool_size?" in text for text in errors)
    assert any("did you mean enable_apps?" in text for text in errors)
    assert any("databases.broken" in text for text in errors)
    assert found(done, "revisions", "ok") == [("shop: up to date at r3, 2 tables", "")]


def test_a_file_of_settings_that_cannot_be_read_ends_it(command, shop):
    """There is nothing that could be examined without."""
    shop.write_pyproject("[tool.sqlhelpers\n")
    done = command("doctor", "--json")

    assert done.status == 2
    assert "is not valid TOML" in found(done, "settings")[0][0]
    assert found(done, "drivers") == []


def test_what_is_usable_of_settings(shop, monkeypatch):
    """Options of an engine go before its URL, and the URL before the database."""
    shop.write_pyproject("""
        [tool.sqlhelpers.databases.default.sqlalchemy]
        url = "sqlite:///shop.db"
        pool_sise = 3
        [tool.sqlhelpers.databases.other]
        lock_timeout = -1
        [tool.sqlhelpers.databases.third]
        lock_timeout = -1
        sqlalchemy.url = "sqlite:///third.db"
        [tool.sqlhelpers.apps.shop]
        package = "shop"
        migrations = { no = "path" }
    """)
    monkeypatch.setenv("SQLHELPERS_ENABLE_APPS", '{"no": "list"}')
    with pytest.raises(SettingsError):
        Settings()
    usable = Settings.usable()

    assert list(usable.databases) == ["default", "third"]
    assert usable.databases["third"].lock_timeout == 60
    assert usable.enable_apps is None
    assert usable.apps["shop"].package == "shop"
    assert any("pyproject.toml" in origin for _, _, origin in usable.origins())


def test_no_database_is_an_error(command, shop):
    """With what to set."""
    shop.write_pyproject("[tool.sqlhelpers]\n")
    done = command("doctor")

    assert done.status == 2
    assert "no database is configured" in done.stdout
    assert "DATABASE_URL" in done.stdout
    assert "no app is registered" in done.stdout
    assert "nothing is set" not in done.stdout
    assert done.stdout.splitlines()[-1] == "1 error, 1 note"


def test_a_name_of_no_database_is_refused(command):
    """As everywhere; the near name is suggested."""
    done = command("doctor", "-d", "defualt", "--json")

    assert done.status == 2
    assert "did you mean default?" in done.stderr
    assert {row["subject"] for row in json.loads(done.stdout)} == {"versions"}


def test_an_app_that_cannot_be_imported_does_not_hide_the_rest(command, shop):
    """It is named, with how to do without it; the other app, and the database, are examined."""
    command("run-sync")
    change("CREATE TABLE alembic_version_broken (version_num TEXT)")
    shop.write_app("broken", "import nothing_of_this_name\n", {"b1.py": revision_text("b1")})
    shop.write_pyproject(PYPROJECT + '\n[tool.sqlhelpers.apps.broken]\npackage = "broken"\n')
    done = command("doctor", "--json")
    [(text, advice)] = found(done, "plugins", "error")

    assert done.status == 2
    assert "nothing_of_this_name" in text
    assert "SQLHELPERS_DISABLE_PLUGINS=broken" in advice
    assert found(done, "revisions") == [("shop: up to date at r3, 2 tables", "")]
    assert found(done, "leftovers") == []


def test_apps_that_need_a_broken_one_are_left_out(command, shop):
    """The database itself is examined nevertheless."""
    command("run-sync")
    shop.write_app("broken", "import nothing_of_this_name\n", {"b1.py": revision_text("b1")})
    shop.write_pyproject(
        PYPROJECT.replace('"shop"\n', '"shop"\nrequires = ["broken"]\n', 1)
        + '\n[tool.sqlhelpers.apps.broken]\npackage = "broken"\n[tool.sqlhelpers]\nenable_apps = ["shop", "broken"]\n'
    )
    done = command("doctor", "--json")

    assert done.status == 2
    assert found(done, "revisions") == []
    assert found(done, "integrity", "ok")


def test_settings_that_have_no_effect_are_told(command, shop):
    """And those that turn off what keeps data right."""
    shop.write_pyproject("""
        [tool.sqlhelpers]
        adapter = "pyramid"
        apps.shop.package = "shop"
        apps.shopp.bind = "default"
        databases.pg.sqlalchemy.url = "postgresql://u:hunter22@127.0.0.1:1/x"
        databases.pg.sqlite_pragmas = { foreign_keys = 0 }
        databases.pg.alembic = { ddl_lock_timeout = 20, ddl_statement_timeout = 10 }
        [tool.sqlhelpers.databases.default]
        sqlalchemy.url = "sqlite:///shop.db"
        pooler = "transaction"
        sqlite_pragmas = { foreign_keys = "off" }
    """)
    done = command("doctor", "--json")
    notes = [text for text, _ in found(done, "settings", "note")]

    assert done.status == 2
    assert "databases.default.pooler has no effect on sqlite" in notes
    assert "databases.pg.sqlite_pragmas has no effect on postgresql" in notes
    assert "a password stands in pyproject.toml, which is shared with the code" in notes
    assert any("ddl_lock_timeout is longer" in text for text in notes)
    assert any("turns foreign keys off" in text for text, _ in found(done, "settings", "warning"))
    assert found(done, "apps", "note")[0][0] == "apps.shopp is set, and no app of that name is installed"
    assert "pyramid" in found(done, "adapters", "error")[0][0]
    assert "hunter22" not in done.output


def test_a_database_url_that_is_not_used_is_told(command, monkeypatch):
    """A stronger source has another."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
    monkeypatch.setenv("SQLHELPERS_DATABASES__DEFAULT", "sqlite:///shop.db")
    done = command("doctor", "--json")

    assert found(done, "settings", "note")[0][0].startswith("DATABASE_URL is set as well, and not used")


def test_a_server_that_is_away_ends_with_one(command, monkeypatch):
    """The reason and the next step are told, and no password."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter22@127.0.0.1:1/x")
    done = command("doctor", "--json")
    [(text, advice)] = found(done, "connection")

    assert done.status == 1
    assert "refused" in text
    assert advice.startswith("start the server")
    assert "hunter22" not in done.output


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("server does not support SSL", "sslmode"),
        ("password authentication failed for user", "user and password"),
        ('FATAL: database "x" does not exist', "create the database"),
        ("remaining connection slots are reserved", "pool_size"),
        ("[Errno -2] Name or service not known", "host"),
        ("[Errno 111] Connection refused", "start the server"),
        ("no answer from the server within 2 s", "reach host and port"),
        ("something else", "correct the URL"),
    ],
)
def test_each_failure_to_connect_has_its_advice(reason, advice):
    """By the words of the drivers."""
    [told] = connecting.why_not(examined(), OSError(reason))

    assert advice in told.advice
    assert told.exit_status == 1


def test_a_plugin_that_fails_to_attach_is_named(shop):
    """It is configuration, so the status is 2."""

    class Broken:
        @staticmethod
        def sqlhelpers_engine_created(engine):
            raise RuntimeError(engine.name)

    from sqlhelpers import hookimpl

    Broken.sqlhelpers_engine_created = staticmethod(hookimpl(Broken.sqlhelpers_engine_created))
    plugins = PluginManager()
    plugins.register(Broken(), "broken")
    (shop.folder / "shop.db").write_bytes(b"x")
    with runtime("sqlite:///shop.db", plugins=plugins) as made:
        told = [each for each in diagnose(made) if each.subject == "connection"]

    assert [each.exit_status for each in told] == [2]
    assert "broken" in told[0].text


def test_a_plugin_that_cannot_tell_a_url_is_named():
    """The other databases are examined."""
    from sqlhelpers import hookimpl

    class Vault:
        @hookimpl
        def sqlhelpers_resolve_url(self, bind):
            if bind == "secret":
                raise RuntimeError("the vault is sealed")

    plugins = PluginManager()
    plugins.register(Vault(), "vault")
    urls = {"secret": "sqlite:///s.db", "default": "sqlite:///shop.db"}
    with runtime(urls, plugins=plugins) as made:
        told = diagnose(made)

    assert "the vault is sealed" in next(each.text for each in told if each.database == "secret")
    assert any(each.database == "default" and each.subject == "file" for each in told)


async def test_the_async_twin_finds_the_same():
    """In a thread, so that the loop goes on."""
    with runtime("sqlite:///shop.db") as made:
        assert await diagnose_async(made) == diagnose(made)


def test_a_missing_driver_ends_with_two(monkeypatch, command):
    """The extra is named."""
    monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda _: None)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/x")
    done = command("doctor", "--json")

    assert done.status == 2
    assert "pip install 'sqlhelpers[postgres]'" in found(done, "drivers", "error")[0][1]


def test_one_driver_is_enough(monkeypatch, command):
    """What the other kind of code has not is told, and is not wrong."""
    command("run-sync")
    monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda name: name == "aiosqlite" or None)
    done = command("doctor", "--json")

    assert done.status == 0
    assert found(done, "drivers")[0][0].endswith("for async code, none for sync code")
    assert found(done, "connection", "ok")


def test_a_database_in_memory_has_nothing_to_examine(command, monkeypatch):
    """Each process has its own."""
    monkeypatch.setenv("DATABASE_URL", "sqlite://")

    assert "in memory" in found(command("doctor", "--json"), "file", "note")[0][0]


def test_packages_that_are_too_old_are_named(monkeypatch):
    """With what to upgrade. An extra that needs more of what is always there says so when it is installed."""
    required = ["alembic>=99", "asyncpg>=98; extra == 'postgres'", "alembic>=100; extra == 'x'", "nothing>=1"]
    monkeypatch.setattr(installation, "requires", lambda _: required)
    told = [each for each in installation.examine_versions() if each.level == "error"]

    assert [each.text.split()[0] for each in told] == ["alembic", "asyncpg"]
    assert told[1].advice == "pip install --upgrade 'sqlhelpers[postgres]' asyncpg"


def test_versions_are_compared_by_their_numbers(monkeypatch):
    """Whatever follows these."""
    monkeypatch.setattr(installation, "requires", lambda _: None)

    assert len(list(installation.examine_versions())) == 1
    assert installation._numbers("2.10.0rc1") > installation._numbers("2.9")
    assert installation._numbers("unknown") == ()


def test_plugins_that_are_not_loaded_say_why():
    """Disabled ones, and adapters whose framework is not installed."""
    infos = [
        PluginInfo(kind="app", name="a", distribution="d 1", value="a", state="disabled", reason="disabled by us"),
        PluginInfo(kind="adapter", name="nothing_of_this_name", distribution="d 1", value="x", state="available"),
        PluginInfo(kind="plugin", name="p", distribution="d 1", value="p", state="loaded", hooks=("sqlhelpers_x",)),
    ]
    told = list(installation.examine_plugins(SimpleNamespace(found=infos), Settings()))

    assert [each.text for each in told] == [
        "p (d 1: x)",
        "a (d 1) is not loaded: disabled by us",
        "none (without their framework: nothing_of_this_name)",
    ]


def test_an_adapter_that_is_set_is_looked_for(project):
    """Nothing is said of one that is there."""
    project.write_pyproject('[tool.sqlhelpers]\nadapter = "click"\n')
    plugins = PluginManager()
    plugins.discover()
    told = installation.examine_plugins(plugins, Settings())

    assert all(each.level == "ok" for each in told)


def test_settings_that_are_not_set_need_no_line():
    """One says so."""
    assert [each.text for each in installation.examine_settings(SimpleNamespace(origins=list), ())] == [
        "nothing is set"
    ]


@pytest.mark.parametrize(("offset", "level"), [(0.0, "ok"), (4.0, "ok"), (-6.0, "warning"), (6.0, "warning")])
def test_clocks_may_differ_by_five_seconds(offset, level):
    """Whichever is ahead."""
    connection = SimpleNamespace(dialect=SimpleNamespace(name="mysql"), scalar=lambda _: 1000.0)
    [told] = connecting.examine_clock(connection, lambda: 1000.0 + offset)

    assert told.level == level
    assert ("behind" in told.text) == (offset > 5)


def test_a_far_database_is_a_note(monkeypatch):
    """Every statement of a request waits that long."""
    monkeypatch.setattr(connecting, "_FAR", 0.0)
    told = []
    connecting.with_connection(examined(), lambda each: told.extend(connecting.examine_connection(each, examined())))
    far = Examined("default", examined().settings, parse("postgresql://h/x"), Hooks())
    connecting.with_connection(examined(), lambda each: told.extend(connecting.examine_connection(each, far)))

    assert [each.level for each in told] == ["ok", "note"]


@pytest.mark.parametrize(
    ("options", "limit", "in_use", "level", "says"),
    [
        ({}, 100, 1, "ok", "enough for 6 processes"),
        ({"pool_size": 60, "max_overflow": 50}, 100, 1, "warning", "up to 110 in a process"),
        ({}, 100, 95, "warning", "95 open"),
        ({"max_overflow": -1}, 100, 1, "note", "as many connections as it likes"),
        ({"pool_size": 0}, 100, 1, "note", "as many connections as it likes"),
        ({"poolclass": "sqlalchemy.pool:NullPool"}, 100, 1, "note", "as many connections as it likes"),
    ],
)
def test_the_pool_is_compared_with_what_the_server_takes(options, limit, in_use, level, says):
    """How many processes fit, or that one alone is too many."""
    database = examined("sqlite:///x.db", sqlalchemy=options)
    told = []
    connecting.with_connection(
        database, lambda each: told.extend(connecting.examine_pool(each, database, limit, "", in_use))
    )

    assert told[0].level == level
    assert says in told[0].text


@pytest.mark.parametrize("name", ["file", "folder"])
def test_a_file_that_cannot_be_written_is_an_error(tmp_path, monkeypatch, name):
    """SQLite needs its folder as well."""
    file = tmp_path / "x.db"
    file.write_bytes(b"x")
    locked = file if name == "file" else tmp_path
    monkeypatch.setattr(sqlitefile.os, "access", lambda path, _: path != locked)
    [told] = [each for each in sqlitefile.examine_file(file) if each.level == "error"]

    assert f"{locked} cannot be written to" in told.text


def test_what_is_no_file_is_an_error(command, monkeypatch, tmp_path):
    """A folder in its place, or a folder that is missing; nothing is made."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/nowhere/x.db")
    missing = command("doctor", "--json")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}")
    folder = command("doctor", "--json")

    assert (missing.status, folder.status) == (1, 1)
    assert found(missing, "file")[0][1].startswith(f"mkdir -p {tmp_path}/nowhere")
    assert found(folder, "file")[0][0] == f"{tmp_path} is not a file"
    assert not (tmp_path / "nowhere").exists()


def test_a_full_disk_and_a_network_are_warnings(tmp_path, monkeypatch):
    """Where the operating system tells."""
    monkeypatch.setattr(sqlitefile.shutil, "disk_usage", lambda _: SimpleNamespace(free=1024))
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/ {tmp_path.parent} nfs4 rw 0 0\n/dev/sda / ext4 rw 0 0\nx /elsewhere ext4 rw 0 0\n")
    texts = [each.text for each in sqlitefile.examine_file(tmp_path / "x.db", mounts) if each.level == "warning"]
    untold = sqlitefile.examine_file(tmp_path / "x.db", tmp_path / "nothing")
    elsewhere = sqlitefile.examine_file(tmp_path / "x.db", tmp_path / "empty")
    (tmp_path / "empty").touch()

    assert texts == [f"0.0 MiB are left on the disk of {tmp_path}", f"{tmp_path} is on a network (nfs4)"]
    assert not any("on a network" in each.text for each in (*untold, *elsewhere))


def test_pragmas_are_judged(command, shop):
    """A journal that is not WAL is a note; not waiting for others is a warning."""
    change("CREATE TABLE note (id INTEGER)")
    rollback = command("doctor", "--json")
    shop.write_pyproject(PYPROJECT.replace('default = "sqlite:///shop.db"', """
        default = { sqlalchemy.url = "sqlite:///shop.db", sqlite_pragmas = { busy_timeout = 0 } }"""))  # fmt: skip
    hasty = command("doctor", "--json")

    assert "journal_mode delete" in found(rollback, "pragmas", "note")[0][0]
    assert "fails at once" in found(hasty, "pragmas", "warning")[0][0]


def test_foreign_keys_that_are_off_are_seen():
    """As they are on the connections of the application."""
    shutil.rmtree("shop")
    change("CREATE TABLE note (id INTEGER)")
    database = examined(sqlite_pragmas={"foreign_keys": 0})
    told = []
    connecting.with_connection(database, lambda each: told.extend(sqlitefile.examine_pragmas(each)))

    assert "foreign keys not enforced" in told[0].text


def test_rows_without_parents_are_found(command):
    """Whoever turned foreign keys off."""
    command("run-sync")
    change("INSERT INTO book (id, author_id) VALUES (1, 7)")
    done = command("doctor", "--json")

    assert done.status == 1
    assert found(done, "integrity", "warning")[0][0] == "rows have lost their parents: book without author"


def test_a_damaged_file_is_found(command, shop):
    """And a large one is not read through."""
    command("run-sync")
    change("PRAGMA journal_mode = delete", *(f"INSERT INTO author VALUES ({n}, '{n:050}')" for n in range(500)))
    file = shop.folder / "shop.db"
    damaged = bytearray(file.read_bytes())
    damaged[-3000:] = b"\x7f" * 3000
    file.write_bytes(damaged)
    done = command("doctor", "--json")

    assert done.status == 1
    assert "the file is damaged" in found(done, "integrity", "error")[0][0]


def test_a_large_file_is_not_read_through(command, monkeypatch):
    """What to run at leisure is said."""
    command("run-sync")
    monkeypatch.setattr(sqlitefile, "_QUICK", 10)

    assert "PRAGMA quick_check" in found(command("doctor", "--json"), "integrity", "note")[0][1]


def test_a_file_of_something_else_is_told(command, shop):
    """The file is there, and is no database."""
    (shop.folder / "shop.db").write_text("this is a text, and no database at all" * 30)
    done = command("doctor", "--json")

    assert done.status == 1
    assert "not a database" in found(done, "connection", "error")[0][0]


def test_an_old_library_is_a_warning(monkeypatch):
    """That SQLAlchemy does not support."""
    monkeypatch.setattr(sqlitefile, "_OLDEST", (99,))
    told = []
    connecting.with_connection(examined("sqlite:///x.db"), lambda each: told.extend(sqlitefile.examine_server(each)))

    assert told[0].level == "warning"


def test_an_examination_that_fails_does_not_end_it(command, monkeypatch):
    """The next ones are made."""

    def fail(*_):
        raise OSError("no such thing")

    command("run-sync")
    monkeypatch.setattr(sqlitefile, "examine_pragmas", fail)
    done = command("doctor", "--json")

    assert done.status == 1
    assert found(done, "pragmas", "error")[0][0] == "it could not be examined: no such thing"
    assert found(done, "permissions") == []
    assert found(done, "revisions", "ok")


def test_a_database_of_another_vendor_is_examined_as_far_as_it_goes(command):
    """Where revisions are recorded is the same everywhere."""
    command("run-sync")
    told = []
    with runtime("sqlite:///shop.db") as made:
        looked_at = replace(examined(), histories=tuple(made.database().histories))

        def examine(connection):
            connection.dialect.name = "another"
            databases._Examination(connection, looked_at, told.extend).run()

        connecting.with_connection(looked_at, examine)

    assert [each.subject for each in told if each.level == "note"] == ["server"]
    assert "revisions" in {each.subject for each in told if each.level == "ok"}


def test_a_connection_that_is_lost_ends_it(command, monkeypatch):
    """The rest of that database cannot be examined."""

    def lose(connection):
        connection.invalidate()
        raise OSError("the cable was pulled")

    command("run-sync")
    monkeypatch.setattr(sqlitefile, "examine_pragmas", lose)
    done = command("doctor", "--json")

    assert found(done, "connection", "error")[0][0] == "it was lost: the cable was pulled"
    assert found(done, "revisions") == []


def test_the_highest_status_counts():
    """What a person must decide before configuration, configuration before the database."""
    error, ok = partial(findings.error, "x", "y", "z"), findings.ok("x", "y")

    assert [exit_status(each) for each in ([], [ok], [error(1), ok], [error(2), error(1)], [error(2), error(3)])] == [
        0, 0, 1, 2, 3,
    ]  # fmt: skip


def test_many_names_are_shortened():
    """A line stays a line."""
    assert findings.listed("abcdefg") == "a, b, c, d, e and 2 more"


def test_a_terminal_sees_colours(monkeypatch, capsys):
    """Beside the words, unless NO_COLOR is set."""
    terminal = SimpleNamespace(isatty=lambda: True)
    shown = [doctoring.styled("error", "red", terminal)]
    monkeypatch.setenv("NO_COLOR", "1")
    shown.append(doctoring.styled("error", "red", terminal))
    doctoring._Printer(None)(findings.error("x", "wrong", "mend it"))

    assert shown == ["\x1b[31merror\x1b[0m", "error"]
    assert "error    x            wrong\n" in capsys.readouterr().out


def test_a_runtime_of_ones_own_can_be_examined():
    """Databases are connected to beside its engines."""
    told = []
    with Runtime(Settings(databases={"default": "sqlite:///shop.db"}, apps={"shop": {"package": "shop"}})) as made:
        made.run_sync()
        result = diagnose(made, ["default"], told.append)

    assert list(result) == told
    assert exit_status(result) == 0


def test_plugins_add_what_they_find(project, command, monkeypatch):
    """In the same words as ours; one that raises is named, and does not keep the others from being heard."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:///x.db")
    with closing(sqlite3.connect("x.db")) as connection:
        connection.execute("CREATE TABLE t (id integer)")
    hook = "from sqlhelpers import hookimpl\nfrom sqlhelpers.reports import Diagnosis\n\n\n@hookimpl\n"
    found = 'Diagnosis(subject="disk", level="warning", text="full soon", advice="clear it", exit_status=1)'
    project.write_distribution("finds", f"{hook}def sqlhelpers_examine(bind):\n    return [{found}]\n")
    project.write_distribution("fails", f"{hook}def sqlhelpers_examine(connection):\n    1 / 0\n")

    done = command("doctor", "--json")
    lines = {each["text"]: (each["database"], each["level"]) for each in json.loads(done.stdout)}

    assert lines["full soon"] == ("default", "warning")
    assert any("fails" in text and "ZeroDivisionError" in text for text in lines)
    assert done.status > 0
