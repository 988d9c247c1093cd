"""What those are told who see the commands for the first time."""

from __future__ import annotations

import sys

import pytest
from databases import AUTHOR, MODELS, REVERSIBLE, REVISIONS, connected, execute
from projects import revision_text

from sqlhelpers_doctor import Diagnosis
from sqlhelpers_doctor import command as doctoring

SETTINGS = '[tool.sqlhelpers]\napps = {shop = {package = "shop"}}\ndatabases = {default = "sqlite:///shop.db"}\n'
PLAIN_ENV = """
from alembic import context
from sqlalchemy import create_engine

with create_engine("sqlite:///shop.db").begin() as connection:
    context.configure(connection=connection)
    context.run_migrations()
"""


@pytest.fixture
def shop(project):
    """A project with an app and three revisions."""
    project.write_app("shop", MODELS, REVERSIBLE)
    project.write_pyproject(SETTINGS)
    return project


def test_where_a_model_module_fails(shop, command):
    """With file and line, unless Python says that itself."""
    file = shop.write("shop/models.py", "x = 1\ny = unknown\n")
    undefined = command("status").errors
    shop.write("shop/models.py", "x = (\n")
    shop.forget()

    assert undefined[0].endswith(f"shop.models: NameError: name 'unknown' is not defined ({file}, line 2)")
    assert command("status").errors[0].endswith("SyntaxError: '(' was never closed (models.py, line 1)")


def test_no_models_yet(project, command):
    """The module that they are looked for in is named."""
    project.write_pyproject(SETTINGS)
    missing = command("init", "shop")
    project.write("shop/__init__.py", "")
    project.forget()
    command("init", "shop")

    assert "package 'shop' is not installed, and not beside pyproject.toml" in missing.stderr
    assert "write them in shop.models" in command("revision", "shop", "-m", "x").stderr


def test_two_commands_are_near(project, command):  # noqa: ARG001
    """Both may have been meant."""
    said = command("int").stderr

    assert "did you mean" in said
    assert {"init", "lint"} <= set(said.replace("?", "").split())


def test_a_step_back_from_a_merge(shop, command):
    """It could go to several revisions, so one has to be named."""
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", down_revision="r3"))
    shop.write("shop/migrations/versions/r5.py", revision_text("r5", down_revision="r3"))
    shop.write("shop/migrations/versions/r6.py", revision_text("r6", down_revision=("r4", "r5")))
    command("upgrade")

    done = command("downgrade", "-1", "--yes")

    assert done.status == 2
    assert "because of a merge or a branch: name one; `sqlhelpers history` lists them" in done.stderr


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("-1", "the last revision of 'shop'"),
        ("-2", "the last 2 revisions of 'shop'"),
        ("base", "all revisions of 'shop'"),
        ("r1", "the revisions after r1 of 'shop'"),
    ],
)
def test_what_a_downgrade_would_undo(shop, command, target, words):  # noqa: ARG001
    """In words."""
    command("upgrade")

    assert f"Undo {words} in database 'default'? Data can be lost." in command("downgrade", "shop", target).stderr


def test_several_heads_are_no_leftover(shop, command):
    """``doctor`` does not advise to retire an app that is installed."""
    command("run-sync")
    for name in ("r4", "r5"):
        shop.write(f"shop/migrations/versions/{name}.py", revision_text(name, down_revision="r3"))

    found = command("doctor").stdout

    assert "app 'shop' has several heads" in found
    assert "leftovers" not in found
    assert "retire" not in found


def test_a_revision_after_one_that_is_not_the_newest(shop, command):
    """``--from-scratch`` compares what the revisions up to it make, so that nothing of the others is removed."""
    shop.write(
        "shop/migrations/versions/r4.py",
        revision_text("r4", "op.add_column('book', sa.Column('price', sa.Integer))", "r3"),
    )
    shop.write("shop/models.py", MODELS + "    pages: Mapped[int | None]\n")

    done = command("revision", "shop", "-m", "pages", "--head", "r3", "--splice", "--from-scratch")

    assert done.status == 0, done
    assert "  shop: add column book.pages\n" in done.stderr
    assert "price" not in done.stderr


def test_nobody_is_asked_about_an_app_that_was_never_there(shop, command, sqlite_url):  # noqa: ARG001
    """It is mistyped; the near name is suggested."""
    command("run-sync")
    with connected("sqlite:///shop.db") as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version_stock (version_num varchar(32))")

    assert command("retire", "stok").errors == [
        "error: there is no trace of an app 'stok' in this database; did you mean stock?"
    ]
    assert "retire stock`, or it is installed again" in command("status").stderr
    assert [command("retire", "stock").status, command("retire", "stock", "--yes").status] == [3, 0]


def test_plain_alembic_is_told_where_the_position_is(shop, command):
    """An ``env.py`` that does not name the table would begin from nothing; one that names it is not spoken of."""
    shop.write("shop/migrations/versions/r1.py", revision_text("r1", AUTHOR))
    shop.write("shop/migrations/env.py", PLAIN_ENV)
    command("run-sync")
    execute("sqlite:///shop.db", "DELETE FROM alembic_version_shop")
    lacking = command("adopt")
    execute("sqlite:///shop.db", "DELETE FROM alembic_version_shop")
    named = PLAIN_ENV.replace("connection=connection", "connection=connection, version_table='alembic_version_shop'")
    shop.write("shop/migrations/env.py", named)

    assert lacking.stdout == "default  shop  adopted at r3\n"
    assert "plain alembic looks into another table" in lacking.stderr
    assert "version_table='alembic_version_shop'" in lacking.stderr
    assert command("adopt").output == "default  shop  adopted at r3\n"


def test_what_the_revisions_lack_can_be_written(project, command):
    """``check`` says how."""
    project.write_app("shop", MODELS, {name: REVISIONS[name] for name in ("r1.py", "r2.py")})
    project.write_pyproject(SETTINGS)

    assert "`sqlhelpers revision shop -m MESSAGE` writes what the revisions of shop lack" in command("check").stderr


@pytest.mark.parametrize(("columns", "lines"), [("60", 2), ("40", 1)])
def test_what_doctor_says_lines_up(monkeypatch, capsys, columns, lines):
    """On a terminal, unless it is too narrow."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", columns)

    show = doctoring._Printer(sys.stdout)
    show(Diagnosis(subject="drift", level="warning", text="word " * 12 + "end", advice="mend it"))
    heading, *printed, advice = capsys.readouterr().out.splitlines()

    assert (heading, advice) == ("installation", " " * 24 + "-> mend it")
    assert len(printed) == lines
    assert all(line.startswith(" " * 24 + "word") for line in printed[1:])


def test_a_path_is_short_on_a_terminal(shop, command, monkeypatch):
    """And whole for scripts."""
    empty = ("revision", "shop", "--empty", "-m", "x")
    whole = command(*empty, "--rev-id", "r4").stdout
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    assert whole.split()[-1] == str(shop.folder / "shop/migrations/versions/r4_x.py")
    assert command(*empty, "--rev-id", "r5").stdout.split()[-1] == "shop/migrations/versions/r5_x.py"
