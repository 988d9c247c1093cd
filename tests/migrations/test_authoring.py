"""`init`, `revision`, `merge` and `edit`, and the functions behind them: which files they write, and when none."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import os
import re
import sys
from pathlib import Path

import pytest
from authors import BOOK, SHOP
from databases import connected, runtime
from processes import until
from projects import revision_text
from sqlalchemy import MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlhelpers import App, DatabaseManager, Runtime, hookimpl
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import AppError, MigrationsNotFound, MultipleHeads, NothingToWrite, Refused
from sqlhelpers.runtime.authoring import make_folder, revision_files, targets, write_revisions

SETTINGS = """
[tool.sqlhelpers.databases]
default = "sqlite:///shop.db"

[tool.sqlhelpers.apps.shop]
package = "shop"
"""


@pytest.fixture
def shop(project):
    """A project with a shop that has models, settings, and no migrations folder."""
    project.write_app("shop", SHOP)
    project.write_pyproject(SETTINGS)
    return project


@pytest.fixture
def begun(shop, command):
    """The same with a migrations folder and a first revision, `r1`."""
    assert command("init", "shop").status == 0
    assert command("revision", "-m", "first", "--rev-id", "r1").status == 0
    return shop


def versions(project, package="shop"):
    """Return the names of the revision files."""
    return sorted(path.name for path in (project.folder / package / "migrations/versions").iterdir() if path.is_file())


def test_the_way_of_a_new_app(shop, command):
    """`init`, `revision`, `run-sync`, `check`: no `env.py`, no template, and nothing but versions/ is needed."""
    made = command("init", "shop")
    written = command("revision", "shop", "-m", "The first one")

    assert made.stdout == f"{shop.folder}/shop/migrations/versions\n", made
    assert re.fullmatch(
        rf"default  shop  [0-9a-f]{{12}}  {shop.folder}/shop/migrations/versions/\w+_the_first_one.py\n", written.stdout
    )
    assert written.stderr == "  shop: add table author\n"
    assert command("run-sync").status == 0
    assert command("check").status == 0
    assert {path.name for path in (shop.folder / "shop/migrations").iterdir()} == {"versions"}


def test_a_folder_that_is_there_is_left_as_it_is(shop, command):
    """Status 3; one without anything in it is as good as none."""
    folder = shop.folder / "shop/migrations"
    folder.mkdir()
    assert command("init", "shop").status == 0
    refused = command("init", "shop", "--with-env")

    assert refused.status == 3
    assert refused.errors == [f"error: {folder} is there already, and was left as it is"]
    assert [path.name for path in folder.iterdir()] == ["versions"]


def test_an_unknown_app_is_told_with_the_lines_that_declare_it(shop, command):
    """Both ways, and the near name."""
    done = command("init", "shopp")

    assert done.status == 2
    assert "did you mean shop?" in done.errors[0]
    assert '[project.entry-points."sqlhelpers.apps"] shopp = "PACKAGE"' in done.errors[0]
    assert '[tool.sqlhelpers.apps.shopp] package = "PACKAGE"' in done.errors[0]
    assert shop.folder.is_dir()


def test_an_app_that_says_it_has_no_migrations_gets_no_folder(shop, command):
    """The line to take out is named."""
    shop.write_pyproject(f"{SETTINGS}migrations = false\n")
    done = command("init", "shop")

    assert done.status == 2
    assert "`migrations = false` under [tool.sqlhelpers.apps.shop]" in done.errors[0]


def test_a_folder_elsewhere_is_told_with_its_setting(shop, command):
    """Once the setting is there, revisions are written into it."""
    done = command("init", "shop", "--path", "moved/here")
    lines = done.stderr.split("these lines:\n")[1]

    assert lines == '[tool.sqlhelpers.apps.shop]\nmigrations = "moved/here"\n'
    shop.write_pyproject(f'{SETTINGS}migrations = "moved/here"\n')
    assert command("revision", "-m", "first").status == 0
    assert len(list((shop.folder / "moved/here/versions").glob("*_first.py"))) == 1


def test_a_project_without_an_app_has_a_folder_of_its_own(project, command):
    """Where the settings say; where they do not, the lines are told. It has no models, so revisions are empty."""
    project.write_pyproject('[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "sqlite:///x.db"\n')
    untold = command("init")
    made = command("init", "--path", "migrations")
    lines = made.stderr.split("these lines:\n")[1]
    project.write_pyproject(f'[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "sqlite:///x.db"\n{lines}')
    compared = command("revision", "-m", "first")
    written = command("revision", "-m", "first", "--empty")

    assert untold.status == 2
    assert '[tool.sqlhelpers.databases.default.alembic] migrations_path = "migrations"' in untold.errors[0]
    assert lines == '[tool.sqlhelpers.databases.default.alembic]\nmigrations_path = "migrations"\n'
    assert compared.status == 3
    assert "has no models to compare with" in compared.errors[0]
    assert written.status == 0, written
    assert command("run-sync").status == 0


def test_an_installed_app_is_not_written_into(project, command):
    """Its next installation would lose the revision. With --force you may; where all apps are meant, it is left out."""
    site = project.folder / "lib/site-packages"
    project.write_app("lib/site-packages/far", SHOP.replace('"author"', '"writer"'))
    sys.path.append(str(site))
    project.write_app("shop", SHOP)
    project.write_pyproject(f'{SETTINGS}[tool.sqlhelpers.apps.far]\npackage = "far"\n')
    refused = command("init", "far")
    assert command("init", "far", "--force").status == 0
    assert command("init", "shop").status == 0
    all_meant = command("revision", "-m", "first")
    named = command("revision", "far", "-m", "first")

    assert (refused.status, named.status) == (3, 3)
    assert "app 'far' is installed in" in refused.errors[0]
    assert all_meant.status == 0, all_meant
    assert "note: left out: app 'far' is installed in" in all_meant.stderr
    assert len(versions(project)) == 1
    forced = command("revision", "far", "-m", "first", "--force", "--json")
    assert [row["app"] for row in json.loads(forced.stdout)] == ["far"]
    with Runtime() as made, pytest.raises(NothingToWrite, match=r"^app 'shop'[^;]*;[^;]*$"):
        write_revisions(made, "first", from_scratch=True)
    with Runtime() as made, pytest.raises(NothingToWrite, match=r"app 'far'.*app 'shop'"):
        write_revisions(made, "first", from_scratch=True, force=True)


def test_a_folder_that_may_not_be_written_is_told(begun, command, monkeypatch):
    """Status 3, and nothing is left in it."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    done = command("revision", "-m", "next", "--empty")

    assert done.status == 3
    assert done.errors == [f"error: app 'shop': {begun.folder}/shop/migrations/versions may not be written"]
    assert versions(begun) == ["r1_first.py"]


def test_a_revision_without_a_folder_names_init(shop, command):
    """For the app that was named; where none was, for all."""
    named, unnamed = command("revision", "shop", "-m", "x"), command("revision", "-m", "x")

    assert (named.status, unnamed.status) == (2, 2)
    assert named.errors == ["error: app 'shop' has no migrations folder; `sqlhelpers init shop` makes one"]
    assert unnamed.errors == ["error: no app has a migrations folder; `sqlhelpers init APP` makes one"]
    assert command("run-sync").status == 2
    assert shop.folder.is_dir()


def test_a_revision_that_would_do_nothing_is_not_written(begun, command):
    """Status 3, unless it is asked for; --empty connects to nothing."""
    idle = command("revision", "-m", "next")
    begun.write_pyproject(SETTINGS.replace("sqlite:///shop.db", "postgresql://u@127.0.0.1:1/d"))
    empty = command("revision", "-m", "next", "--empty")

    assert (idle.status, empty.status) == (3, 0)
    assert "--empty writes a revision to fill by hand" in idle.errors[0]
    assert idle.stdout == ""
    assert len(versions(begun)) == 2


def test_what_contradicts_itself_is_told(begun, command):
    """--autogenerate, which is the default, and --empty; no message at all."""
    both = command("revision", "-m", "x", "--autogenerate", "--empty")
    blank = command("revision", "-m", "  ")

    assert (both.status, blank.status, command("revision").status) == (2, 2, 2)
    assert "a revision needs a message" in blank.errors[0]
    assert versions(begun) == ["r1_first.py"]


def test_all_apps_are_revised_in_order(begun, project, command):
    """Each whose models have changed gets a revision, after those that it refers to."""
    project.write_app("areviews", "from shop.models import *\n" + BOOK)
    project.write_pyproject(f'{SETTINGS}[tool.sqlhelpers.apps.areviews]\npackage = "areviews"\n')
    assert command("init", "areviews").status == 0
    file = begun.folder / "shop/models.py"
    file.write_text(file.read_text() + "    age: Mapped[int | None]\n")
    command("run-sync")
    project.forget()
    several = command("revision", "-m", "both", "--rev-id", "x")
    done = command("revision", "-m", "both", "--from-scratch", "--json")

    assert several.status == 2
    assert "several apps have migrations: name one of areviews, shop" in several.errors[0]
    assert [row["app"] for row in json.loads(done.stdout)] == ["shop", "areviews"], done
    assert json.loads(done.stdout)[0]["operations"] == ["add column author.age"]


def test_one_app_that_fails_does_not_keep_others_from_being_written(begun, project, command):
    """What was written is printed, then the error."""
    project.write_app("other", SHOP.replace('"author"', '"writer"'))
    project.write_pyproject(f'{SETTINGS}[tool.sqlhelpers.apps.other]\npackage = "other"\n')
    assert command("init", "other").status == 0
    for name in ("a", "b"):
        project.write(f"shop/migrations/versions/{name}.py", revision_text(name, down_revision="r1"))
    done = command("revision", "-m", "first")

    assert done.status == 3
    assert re.match("default  other  ", done.stdout)
    assert "app 'shop' has several heads" in done.errors[0]
    assert begun.folder.is_dir()
    project.write("other/migrations/versions/c.py", revision_text("c"))
    assert len(command("revision", "-m", "again").errors) == 2


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ('"quoted" and """thrice""" \\ done"', "x_quoted_and_thrice_done.py"),
        ("two\nlines", "x_two_lines.py"),
        ("Größe in µm, 漢字", "x_größe_in_µm_漢字.py"),
        ("-leading", "x_leading.py"),
        ("../../up", "x_up.py"),
        ("word " * 60, "x_word_word_word_word_word_word_word_word_.py"),
        ("!", "x_.py"),
    ],
)
@pytest.mark.parametrize("template", ["ours", "alembic's"])
def test_any_message_makes_a_file(begun, command, message, name, template):
    """The message is the docstring, whatever is in it; the name keeps letters and digits."""
    if template != "ours":
        import alembic

        source = Path(alembic.__file__).parent / "templates/generic/script.py.mako"
        begun.write("shop/migrations/script.py.mako", source.read_text())
    done = command("revision", f"-m{message}", "--empty", "--rev-id", "x")
    text = (begun.folder / "shop/migrations/versions" / name).read_text("utf-8")

    assert done.status == 0, done
    assert (ast.get_docstring(ast.parse(text), clean=False) or "").startswith(message)
    assert command("status").status == 0


def test_the_file_tells_when_it_was_written(begun, command):
    """In UTC, with its offset, or in the time zone of the settings."""
    begun.write_pyproject(
        '[tool.sqlhelpers.apps.shop]\npackage = "shop"\n'
        '[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "sqlite:///shop.db"\n'
        '[tool.sqlhelpers.databases.default.alembic]\ntimezone = "Asia/Kolkata"\nfile_template = "%(year)d_%(rev)s"\n'
    )
    assert command("revision", "-m", "x", "--empty", "--rev-id", "r2").status == 0
    first, second = (begun.folder / "shop/migrations/versions" / name for name in ("r1_first.py", versions(begun)[0]))

    assert re.search(r"Create Date: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00\n", first.read_text())
    assert re.search(r"Create Date: .*\+05:30\n", second.read_text())
    assert re.fullmatch(r"20\d\d_r2\.py", second.name)


@pytest.mark.parametrize("place", ["pyproject", "ini"])
def test_alembics_own_options_are_respected(begun, command, place):
    """Those of the configuration whose script_location is the folder: names, dates, and what goes over the file."""
    hook = begun.write("hook.py", "import sys\nopen(sys.argv[1], 'a').write('# gone over\\n')\n")
    options = f"{hook} REVISION_SCRIPT_FILENAME"
    if place == "ini":
        begun.write(
            "alembic.ini",
            "[alembic]\nscript_location = %(here)s/shop/migrations\nfile_template = %%(slug)s-%%(rev)s\n"
            "[post_write_hooks]\nhooks = mine\nmine.type = exec\n"
            f"mine.executable = {sys.executable}\nmine.options = {options}\n",
        )
    else:
        text = (begun.folder / "pyproject.toml").read_text()
        begun.write_pyproject(
            f'{text}[tool.alembic]\nscript_location = "shop/migrations"\nfile_template = "%%(slug)s-%%(rev)s"\n'
            f'[[tool.alembic.post_write_hooks]]\nname = "mine"\ntype = "exec"\n'
            f'executable = "{sys.executable}"\noptions = "{options}"\n'
        )
    assert command("revision", "-m", "x", "--empty", "--rev-id", "r2").status == 0

    assert versions(begun) == ["r1_first.py", "x-r2.py"]
    assert (begun.folder / "shop/migrations/versions/x-r2.py").read_text().endswith("# gone over\n")


def test_a_configuration_for_another_folder_does_not_matter(begun, command):
    """Nor does one that has no script_location."""
    begun.write("alembic.ini", "[alembic]\nscript_location = elsewhere\nfile_template = never\n")
    assert command("revision", "-m", "x", "--empty", "--rev-id", "r2").status == 0
    begun.write("alembic.ini", "[alembic]\nfile_template = never\n")
    assert command("revision", "-m", "x", "--empty", "--rev-id", "r3").status == 0

    assert versions(begun) == ["r1_first.py", "r2_x.py", "r3_x.py"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("script_location = %(nothing)s", "alembic.ini cannot be read"),
        ("script_location = shop/migrations\ntruncate_slug_length = many", "alembic.ini cannot be used"),
        ("script_location = shop/migrations\nfile_template = %%(year)d/%%(rev)s", "in no folder below"),
        ("script_location = shop/migrations\ntimezone = Nowhere/Land", "Can't locate timezone"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_told(begun, command, lines, reason):
    """Status 2, and nothing is written."""
    begun.write("alembic.ini", f"[alembic]\n{lines}\n")
    done = command("revision", "-m", "x", "--empty")

    assert done.status == 2
    assert reason in done.errors[0]
    assert versions(begun) == ["r1_first.py"]


HOOKS = "[tool.sqlhelpers.databases.default.alembic]\npost_write_hooks = [{{ {0} }}]\n"


@pytest.mark.parametrize(
    "hook",
    [
        'name = "mine", type = "exec", executable = "/nothing/of/this/name"',
        'name = "mine", type = "module", module = "nothing_of_this_name"',
        'name = "mine", type = "unheard"',
        'name = "mine"',
    ],
)
def test_a_hook_that_fails_loses_nothing(begun, command, hook):
    """The file stays as it was written, and the error names it and the hook."""
    begun.write_pyproject(
        '[tool.sqlhelpers.apps.shop]\npackage = "shop"\n'
        '[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "sqlite:///shop.db"\n' + HOOKS.format(hook)
    )
    done = command("revision", "-m", "x", "--empty", "--rev-id", "r2")

    assert done.status == 2
    assert re.search(r"r2_x\.py was written, but its post_write_hook 'mine' failed", done.errors[0])
    assert versions(begun) == ["r1_first.py", "r2_x.py"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("def upgrade(:", "SyntaxError"),
        ("import nothing_of_this_name", "No module named"),
        ("exit(1)", "SystemExit: 1"),
    ],
)
def test_a_file_that_cannot_be_run_stays_and_is_named(begun, command, line, reason):
    """A template of the project has made it; whoever wrote that can mend both."""
    begun.write("shop/migrations/script.py.mako", f'revision = "${{up_revision}}"\n{line}\n')
    done = command("revision", "-m", "x", "--empty", "--rev-id", "r2")

    assert done.status == 2
    assert re.search(rf"r2_x\.py was written, but cannot be run.*{reason}", done.errors[0])
    assert versions(begun) == ["r1_first.py", "r2_x.py"]


def test_a_template_that_fails_writes_nothing(begun, command):
    """It is the project's own, and the error is as it is."""
    begun.write("shop/migrations/script.py.mako", "${nothing.of_this_name}")
    done = command("revision", "-m", "x", "--empty")

    assert done.status == 1
    assert versions(begun) == ["r1_first.py"]


@pytest.mark.parametrize("rev_id", ["a-b", "a@b", "a/b", "", " ", "head", "heads", "base", "x" * 33])
def test_an_identifier_that_cannot_be_used_is_told(begun, command, rev_id):
    """Before anything is written, not when the revision runs."""
    done = command("revision", "-m", "x", "--empty", "--rev-id", rev_id) if rev_id else None

    assert done is None or done.status == 2, done
    assert versions(begun) == ["r1_first.py"]


def test_no_file_is_written_over(begun, command):
    """Neither another revision with this identifier, nor a file with this name, is touched."""
    begun.write("shop/migrations/versions/r2_first.py", revision_text("other", down_revision="r1"))
    twice = command("revision", "-m", "first", "--empty", "--rev-id", "r1")
    taken = command("revision", "-m", "first", "--empty", "--rev-id", "r2")

    assert (twice.status, taken.status) == (3, 3)
    assert "there is a revision r1 already" in twice.errors[0]
    assert "r2_first.py exists already" in taken.errors[0]
    assert versions(begun) == ["r1_first.py", "r2_first.py"]


def test_a_file_system_without_links_is_written_to(begun, command, monkeypatch):
    """The file is then renamed into its place, unless one is there."""

    def none(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", none)
    written = command("revision", "-m", "x", "--empty", "--rev-id", "r2")
    begun.write("shop/migrations/versions/r3_x.py", "")
    (begun.folder / "shop/migrations/versions/r3_x.py").rename(begun.folder / "kept.py")

    assert written.status == 0
    assert versions(begun) == ["r1_first.py", "r2_x.py"]
    begun.write("shop/migrations/versions/r3_y.py", revision_text("z", down_revision="r2"))
    assert command("revision", "-m", "y", "--empty", "--rev-id", "r3").status == 3


@pytest.mark.usefixtures("begun")
def test_branches_are_made_and_merged(command):
    """--head, --splice, --branch-label and --depends-on as Alembic has them; merge takes all heads."""
    assert command("revision", "-m", "a", "--empty", "--rev-id", "a", "--branch-label", "left").status == 0
    spliced = command("revision", "-m", "b", "--empty", "--rev-id", "b", "--head", "r1")
    assert command("revision", "-m", "b", "--empty", "--rev-id", "b", "--head", "r1", "--splice").status == 0
    refused = command("revision", "-m", "c", "--empty")
    on_branch = command("revision", "-m", "c", "--empty", "--rev-id", "c", "--head", "left@head", "--depends-on", "b")
    assert command("run-sync").status == 3
    merged = command("merge", "--json")

    assert spliced.status == 2
    assert "--splice" in spliced.errors[0]
    assert refused.status == 3
    assert "merge them with `sqlhelpers merge shop`" in refused.errors[0]
    assert on_branch.status == 0, on_branch
    (row,) = json.loads(merged.stdout)
    assert (row["down_revisions"], row["message"]) == (["b", "c"], "merge heads")
    assert command("run-sync").status == 0
    nothing = command("merge", "shop")
    assert nothing.status == 3
    assert "there is nothing to merge" in nothing.errors[0]


def test_named_revisions_are_merged(begun, command):
    """For an app that is named, or the only one; a message says which, unless there is one."""
    for name in ("a", "b", "c"):
        begun.write(f"shop/migrations/versions/{name}.py", revision_text(name, down_revision="r1"))
    one = command("merge", "shop", "a", "b", "--rev-id", "m")
    unknown = command("merge", "a", "nothing")
    two = command("merge", "c", "m", "-m", "all", "--rev-id", "n")

    assert one.status == 0, one
    assert "m_merge_a_and_b.py" in one.stdout
    assert unknown.status == 2
    assert two.status == 0
    assert command("run-sync").status == 0


def test_edit_opens_the_file(begun, command, monkeypatch):
    """In $VISUAL or $EDITOR; where nobody sits at a terminal, its path is printed."""
    path = str(begun.folder / "shop/migrations/versions/r1_first.py")
    printed = command("edit", "shop", "r1")
    log = begun.folder / "log"
    editor = begun.write("editor.sh", f"#!/bin/sh\necho $1 >> {log}\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    assert printed.stdout == f"{path}\n", printed
    assert command("edit").status == 0
    assert command("edit", "head", "--path").stdout == f"{path}\n"
    assert command("revision", "-m", "x", "--empty", "--rev-id", "r2", "--edit").status == 0
    assert log.read_text().splitlines() == [path, path.replace("r1_first", "r2_x")]


@pytest.mark.usefixtures("begun")
def test_edit_finds_revisions(command):
    """The first letters will do; current is where the database is."""
    assert command("revision", "-m", "x", "--empty", "--rev-id", "second").status == 0
    nowhere = command("edit", "current")
    command("run-sync")

    assert (nowhere.status, command("edit", "nothing").status, command("edit", "shopp", "r1").status) == (2, 2, 2)
    assert command("edit", "current").stdout == command("edit", "sec").stdout
    assert "second_x.py" in command("edit", "shop").stdout


def test_a_database_has_to_be_named_where_several_have_the_folder(project, command):
    """One that belongs to no app, which is called ``-``."""
    project.write_app("alone", "", {"a1.py": revision_text("a1")})
    alone = 'alembic = {migrations_path = "alone/migrations"}'
    project.write_pyproject(
        "[tool.sqlhelpers.databases]\n"
        + "".join(f'{name} = {{sqlalchemy = {{url = "sqlite:///{name}.db"}}, {alone}}}\n' for name in ("one", "two"))
    )
    both = command("edit")
    written = command("revision", "-", "-m", "x", "--empty", "-d", "two", "--rev-id", "a2", "--json")

    assert (both.status, both.errors) == (2, ["error: app '-' is in several databases: say -d one or -d two"])
    assert written.status == 0, written
    assert [(row["database"], row["app"]) for row in json.loads(written.stdout)] == [("two", None)]
    assert "a2_x.py" in command("edit", "-", "head", "-d", "one").stdout
    assert "a1.py" in command("edit", "a1", "-d", "one").stdout


def test_an_app_has_to_be_named_where_there_are_several(begun, project, command):
    """For merge and edit, and in the right database."""
    project.write_app("other", SHOP.replace('"author"', '"writer"'), {"o1.py": revision_text("o1")})
    project.write_pyproject(f'{SETTINGS}[tool.sqlhelpers.apps.other]\npackage = "other"\n')

    assert "several apps" in command("edit").errors[0]
    assert "o1.py" in command("edit", "o1").stdout
    assert "there is no app and no revision 'oher'" in command("edit", "oher").errors[0]
    assert "o1.py" in command("edit", "other", "o1").stdout
    assert command("edit", "other", "o1", "-d", "nowhere").status == 2
    with Runtime() as made, pytest.raises(AppError, match=r"name one app that has migrations \(apps: other, shop\)"):
        made.manager().migrations.revision("x", empty=True)
    assert begun.folder.is_dir()


class Base(DeclarativeBase):
    metadata = MetaData()


class User(Base):
    __tablename__ = "user_account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


async def test_managers_without_a_runtime_write_revisions(tmp_path):
    """The sync one, and the async one in a running event loop; what they return says all."""
    folder = tmp_path / "migrations"
    with DatabaseManager("sqlite:///:memory:", folder, base_model=Base) as manager:
        with pytest.raises(MigrationsNotFound):
            manager.migrations.revision("first")
        folder.mkdir()
        first = manager.migrations.revision("first", rev_id="r1")
        manager.sync()
        with pytest.raises(NothingToWrite):
            manager.migrations.revision("second")
    async with AsyncDatabaseManager("sqlite:///:memory:", folder, base_model=Base) as twin:
        await twin.sync()
        with pytest.raises(NothingToWrite):
            await twin.migrations.revision("second")
        one, two = [
            await twin.migrations.revision(name, empty=True, rev_id=name, head="r1", splice=True) for name in "ab"
        ]
        with pytest.raises(MultipleHeads):
            await twin.migrations.revision("third")
        merged = await twin.migrations.merge("both")

    assert (first.app, first.revision, first.down_revisions, first.operations) == (
        None,
        "r1",
        (),
        ("add table user_account",),
    )
    assert Path(first.path).parent == folder / "versions"
    assert (one.down_revisions, two.down_revisions, set(merged.down_revisions)) == (("r1",), ("r1",), {"a", "b"})


async def test_a_revision_is_written_while_the_event_loop_goes_on(project, sqlite_url):
    """The file is written, and gone over, in a thread: here by what waits for the loop."""
    project.write_app("shop", SHOP)
    waits = project.write("waits.py", WAITS_FOR_THE_LOOP)

    async def go_on():
        await asyncio.to_thread(until, (project.folder / "waits").exists, "the hook runs")
        project.write("go", "")

    hook = {"name": "waits", "type": "exec", "executable": sys.executable}
    hook["options"] = f"{waits} REVISION_SCRIPT_FILENAME"
    databases = {"default": {"sqlalchemy": {"url": sqlite_url}, "alembic": {"post_write_hooks": [hook]}}}
    with runtime(databases) as made:
        make_folder(made, "shop")
        async with made.async_manager() as manager:
            await asyncio.gather(manager.migrations.revision("first", "shop"), go_on())

    assert (project.folder / "went-on").exists()


#: Tells that it is here, and waits to be told to go on, for half a minute.
WAITS_FOR_THE_LOOP = """
import pathlib, time

pathlib.Path("waits").touch()
deadline = time.monotonic() + 30
while not pathlib.Path("go").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
if pathlib.Path("go").exists():
    pathlib.Path("went-on").touch()
"""


def test_loggers_of_the_application_are_as_they_were(begun, command):
    """Their levels, handlers and whether they are disabled, and those of the root."""
    mine = logging.getLogger("shop.views")
    mine.setLevel(logging.INFO)

    def state():
        loggers = [logging.getLogger(), *(logging.getLogger(name) for name in ("shop.views", "alembic", "sqlalchemy"))]
        return [(each.level, each.handlers[:], each.disabled, each.propagate) for each in loggers]

    before = state()
    begun.write("shop/migrations/versions/a.py", revision_text("a", down_revision="r1"))
    for arguments in (
        ("revision", "-m", "x"),
        ("run-sync",),
        ("revision", "-m", "x", "--empty"),
        ("merge",),
        ("edit",),
    ):
        command(*arguments)

    assert state() == before


def test_the_functions_return_what_the_commands_print(shop, sqlite_url):
    """Folders, targets, revisions and files are values."""
    with runtime(sqlite_url) as made:
        with pytest.raises(AppError, match="app 'shop' has no migrations folder"):
            revision_files(made, *targets(made, "shop"))
        folder = make_folder(made, "shop")
        seen = []
        written = write_revisions(made, "first", done=seen.append)
        (target,) = targets(made)
        files = revision_files(made, target)
        missing = re.escape("there is no app 'shopp' in database 'default' (apps: shop); did you mean shop?")
        with pytest.raises(AppError, match=missing):
            targets(made, "shopp", ["default"])

        with pytest.raises(AppError, match=missing):
            made.manager().migrations.revision("x", "shopp", empty=True)

    assert (folder.app, folder.folder, folder.files, folder.settings) == (
        "shop",
        shop.folder / "shop/migrations",
        (),
        "",
    )
    assert list(written) == seen
    assert files == (Path(written[0].path),)
    assert target == ("default", "shop", folder.folder)


def test_an_env_of_the_projects_own_is_honoured(begun, project, command):
    """It compares with its options, and can take everything out; tables that are not the app's stay out."""
    command("run-sync")
    env = (
        "from alembic import context\nfrom shop.models import Base\n"
        "def adjust(context, revision, directives):\n    {adjust}\n"
        "connection = context.config.attributes['connection']\n"
        "context.configure(\n    connection=connection, version_table='alembic_version_shop',\n"
        "    target_metadata=Base.metadata, process_revision_directives=adjust,\n)\n"
        "with context.begin_transaction():\n    context.run_migrations()\n"
    )
    file = begun.folder / "shop/models.py"
    file.write_text(file.read_text() + "    age: Mapped[int | None]\n")
    project.forget()
    with connected(f"sqlite:///{begun.folder}/shop.db") as connection:
        connection.exec_driver_sql("CREATE TABLE stranger (id INTEGER)")
    begun.write("shop/migrations/env.py", env.format(adjust="directives[:] = []"))
    emptied = command("revision", "-m", "x")
    begun.write("shop/migrations/env.py", env.format(adjust="directives[0].message = 'theirs'"))
    scratch = command("revision", "-m", "x", "--from-scratch")
    written = command("revision", "-m", "x", "--json")

    assert emptied.status == 3
    assert scratch.status == 3
    assert "its env.py may use another database" in scratch.errors[0]
    (row,) = json.loads(written.stdout)
    assert row["operations"] == ["add column author.age"], written
    assert "stranger of no installed app: left alone" in row["notes"][0]
    assert "theirs" in row["path"]


def test_an_app_that_plugins_register_has_its_folder_made(project, sqlite_url):
    """Not only one that the settings declare."""
    project.write_app("shop", SHOP)
    plugins = PluginManager()

    class Plugin:
        @hookimpl
        def sqlhelpers_register_app(self):
            return [App(name="mine", package="shop", migrations=str(project.folder / "far"))]

    plugins.register(Plugin(), "mine")
    with runtime(sqlite_url, plugins=plugins, apps={}) as made:
        folder = make_folder(made, "mine", with_env=True)

        assert folder.folder == project.folder / "far"
        assert [path.name for path in folder.files] == ["env.py", "script.py.mako"]
        assert folder.settings == '[tool.alembic]\nscript_location = "%(here)s/far"\n'
        with pytest.raises(Refused):
            make_folder(made, "mine")
