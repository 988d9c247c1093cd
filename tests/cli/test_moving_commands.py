"""The commands that move databases, and that look at histories: what is meant, what is printed, what is refused."""

from __future__ import annotations

import json
import re
import sys

import pytest
from databases import MODELS, REVERSIBLE, execute, rows, tables
from projects import Finished, revision_text, run

PYPROJECT = """
[tool.sqlhelpers]
databases = {default = "sqlite:///shop.db", other = "sqlite:///other.db", more = "sqlite:///more.db"}
apps = {shop = {package = "shop"}, stock = {package = "stock"}, log = {package = "log", bind = "other"}}
"""
STOCK = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column
from shop.models import Base


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
"""
LOG = STOCK.replace("Item", "Line").replace("item", "line").replace(', ForeignKey("author.id")', "")
ITEM = "op.create_table('item', sa.Column('id', sa.Integer, primary_key=True), sa.Column('author_id', sa.Integer))"


@pytest.fixture(autouse=True)
def shop(project):
    """Two apps in one database, one that knows a revision with the name of another's in a second, none in a third."""
    project.write_app("shop", MODELS, REVERSIBLE)
    stock = {"s1.py": revision_text("stock1", ITEM, downgrade="op.drop_table('item')")}
    project.write_app("stock", STOCK, stock)
    project.write_app("log", LOG.replace('ForeignKey("author.id")', ""), {"r1.py": revision_text("r1", doc="Log.")})
    project.write_pyproject(PYPROJECT)
    return project


def lines(done: Finished) -> list[str]:
    """Return what a command has printed, if it has succeeded without a word on stderr."""
    assert (done.status, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


def test_upgrade(command):
    """All apps of all databases, or one, to the newest or to what is said."""
    assert lines(command("upgrade", "shop", "+1")) == ["default  shop  upgraded base -> r1  1 revision"]
    assert lines(command("upgrade", "r2")) == ["default  shop  upgraded r1 -> r2  1 revision"]
    assert lines(command("upgrade")) == [
        "default  shop   upgraded r2 -> r3        1 revision",
        "default  stock  upgraded base -> stock1  1 revision",
        "other    log    upgraded base -> r1      1 revision",
    ]
    assert lines(command("upgrade", "heads", "-d", "other")) == ["other  log  already at r1"]
    assert json.loads(command("upgrade", "stoc", "--json").stdout) == [
        {
            "database": "default", "app": "stock", "action": "upgrade", "before": ["stock1"], "after": ["stock1"],
            "revisions": [], "behind": [],
        },
    ]  # fmt: skip


def test_an_app_that_another_needs_is_told_of(command):
    """It is left where it is, because one app was asked for."""
    done = command("upgrade", "stock")

    assert done.status == 0
    assert done.stderr == "note: default: stock needs shop, behind: `sqlhelpers run-sync` brings up all\n"


def test_downgrade(command):
    """One app, or all that have the revision, the last one first; it asks before."""
    command("upgrade")

    assert lines(command("downgrade", "shop", "-1", "--yes")) == ["default  shop  downgraded to r2  1 revision"]
    asked = command("downgrade", "shop", "base"), command("downgrade", "base")
    assert [done.status for done in asked] == [3, 3]
    assert asked[0].stderr == (
        "error: Undo all revisions of 'shop' in database 'default' (left as it is, although it needs that: "
        "stock)? Data can be lost. Nobody is there to answer; say so with --yes\n"
    )
    assert "Undo all revisions of 'log', 'shop', 'stock' in databases 'default', 'other'?" in asked[1].stderr
    assert lines(command("downgrade", "base", "--yes")) == [
        "default  stock  downgraded to base  1 revision",
        "default  shop   downgraded to base  2 revisions",
        "other    log    downgraded to base  1 revision",
    ]


def test_stamp(command):
    """It asks, names what would compare, and is written into the journal."""
    asked = command("stamp", "shop", "r2")

    assert asked.status == 3
    assert "Record r2 for 'shop' in database 'default', whatever its tables are? `sqlhelpers adopt`" in asked.stderr
    assert lines(command("stamp", "shop", "r2", "--yes")) == ["default  shop  stamped base -> r2"]
    execute("sqlite:///shop.db", "UPDATE alembic_version_shop SET version_num = 'r9'")
    refused = command("stamp", "shop", "r1", "--yes")
    assert refused.status == 3
    assert "--purge, which forgets it" in refused.errors[0]
    assert lines(command("stamp", "shop", "r1", "--purge", "--yes")) == ["default  shop  stamped r9 -> r1"]
    assert [entry["revision"] for entry in json.loads(command("journal", "--json").stdout)] == ["r2", "r1"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["upgrade", "shpo"], "there is no app and no revision 'shpo' (apps: log, shop, stock); did you mean shop?"),
        (["upgrade", "stokc", "+1"], "there is no app 'stokc' (apps: log, shop, stock); did you mean stock?"),
        (["upgrade", "stck1"], "did you mean stock1?"),
        (["upgrade", "r1"], "r1 can be meant for several apps: name one of log, shop"),
        (["downgrade", "-1", "--yes"], "-1 can be meant for several apps: name one of log, shop, stock"),
        (["upgrade", "shop", "stock9"], "app 'shop': there is no revision 'stock9'"),
        (["upgrade", "shop", "r1", "r2"], "one revision at a time, not r1, r2"),
        (["upgrade", "shop", "r1:r2"], "a range of revisions goes with --sql"),
        (["downgrade", "shop"], "say down to which revision"),
        (["stamp", "--yes"], "say which revision to record"),
        (["show"], "say which revision"),
        (["show", "shop"], "say which revision"),
        (["history", "shopp"], "there is no app 'shopp' (apps: log, shop, stock); did you mean shop?"),
        (["history", "-d", "more", "shop"], "there is no app 'shop' in database 'more' (apps: none)"),
        (["history", "-r", "r2"], "'r2' is no range of revisions"),
        (["heads", "-d", "otter"], "did you mean other?"),
    ],
)
def test_mistakes(command, words, reason):
    """What is not there, or not clear, is one line with what may have been meant, and changes nothing."""
    done = command(*words)

    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done
    assert reason in done.stderr
    assert tables("sqlite:///shop.db") == set()


def test_a_database_without_apps(command):
    """There is nothing to move, which is said."""
    for words in (["upgrade"], ["downgrade", "base", "--yes"], ["stamp", "head", "--yes"]):
        assert command(*words, "-d", "more") == Finished(0, "", "note: no app here has migrations\n")
    assert command("current", "-d", "more") == Finished(0, "", "")


def test_a_database_that_fails_does_not_stop_the_others(command, shop):
    """What was done is printed, and the exit status is that of the failure."""
    shop.write("shop/migrations/versions/r1.py", revision_text("r1", "1 / 0"))

    done = command("upgrade")

    assert done.status == 1
    assert done.stdout == "other  log  upgraded base -> r1  1 revision\n"
    assert "revision r1 of app 'shop' failed" in done.errors[0]


def test_history(command):
    """A line for each revision, the newest first, without connecting; -i marks where databases are."""
    plain, ranged = command("history", "shop"), command("history", "-r", "r2:r3")
    assert tables("sqlite:///shop.db") == set()
    command("upgrade", "shop", "r2")
    marked = command("history", "shop", "-i")

    assert lines(plain) == [
        "shop  r3  r2  (head)  2024-05-06 07:08  Give books a title.",
        "shop  r2  r1  -       2024-05-06 07:08  Add books.",
        "shop  r1  -   (base)  2024-05-06 07:08  Add authors.",
    ]
    assert lines(ranged) == lines(plain)[:2]
    assert lines(marked)[1] == "shop  r2  r1  (current in default)  2024-05-06 07:08  Add books."
    assert [line.split()[1] for line in lines(command("history", "shop", "-r", "-2:current"))] == ["r2", "r1"]
    assert [line.split()[1] for line in lines(command("history", "shop", "-r", "current:"))] == ["r3", "r2"]
    assert [line.split()[0] for line in lines(command("history"))] == ["shop", "shop", "shop", "stock", "log"]
    assert lines(command("history", "-d", "default", "-r", "current:"))[-1].split()[:2] == ["stock", "stock1"]


def test_history_as_json(command, shop):
    """All facts, the path and the whole docstring included."""
    command("upgrade", "shop", "r2")

    _, second, _ = json.loads(command("history", "shop", "-i", "--json").stdout)

    assert second == {
        "app": "shop", "revision": "r2", "down_revisions": ["r1"], "next_revisions": ["r3"], "depends_on": [],
        "needed_by": [], "branch_labels": [], "message": "Add books.", "date": "2024-05-06 07:08:09.101112",
        "doc": "Add books.\n\nOf authors.\n\nRevision ID: r2\nRevises: r1\nCreate Date: 2024-05-06 07:08:09.101112",
        "path": str(shop.folder / "shop/migrations/versions/r2.py"), "marks": [], "current_in": ["default"],
    }  # fmt: skip


def test_a_branched_history_is_marked(command, shop):
    """Labels, branch points, dependencies; ``--branches`` lists the revisions that several follow."""
    text = revision_text("r4", "pass", "r2").replace(
        "\n\n\ndef", "\nbranch_labels = 'left'\ndepends_on = 'r3'\n\n\ndef", 1
    )
    shop.write("shop/migrations/versions/r4.py", text)

    assert [line.split("  ")[3].strip() for line in lines(command("history", "shop"))] == [
        "(head) (branch left) (depends on r3)",
        "(effective head)",
        "(branchpoint)",
        "(base)",
    ]
    assert [line.split()[1] for line in lines(command("history", "--branches"))] == ["r2"]
    assert [line.split()[1] for line in lines(command("heads", "shop"))] == ["r3", "r4"]
    assert [line.split()[1] for line in lines(command("heads", "shop", "--resolve-dependencies"))] == ["r4"]
    assert "several heads" in command("upgrade", "shop").errors[0]
    assert lines(command("upgrade", "shop", "heads")) == ["default  shop  upgraded base -> r4  4 revisions"]
    assert lines(command("current", "shop", "--check-heads")) == [
        "default  shop  r3  (head)",
        "default  shop  r4  (head)",
    ]


def test_heads_and_current(command):
    """What the code has, and what each database has."""
    assert lines(command("heads", "shop")) == ["shop  r3  r2  (head)  2024-05-06 07:08  Give books a title."]
    command("upgrade", "shop", "r2")
    command("upgrade", "log")

    assert lines(command("current")) == [
        "default  shop   r2",
        "default  stock  -   (nothing recorded)",
        "other    log    r1  (head)",
    ]
    checked = [command("current", *words, "--check-heads").status for words in ([], ["shop"], ["log"], ["-d", "other"])]
    assert checked == [1, 1, 0, 0]
    assert json.loads(command("current", "shop", "--json").stdout) == [
        {
            "database": "default", "app": "shop", "current": ["r2"], "heads": ["r3"], "unknown": [],
            "is_at_heads": False,
        },
    ]  # fmt: skip


def test_a_revision_that_the_code_does_not_know_is_shown(command):
    """With a note that says what it is."""
    command("upgrade", "shop")
    execute("sqlite:///shop.db", "UPDATE alembic_version_shop SET version_num = 'r9'")
    note = "note: default: shop is at r9, which the code does not have\n"

    assert command("current", "shop") == Finished(0, "default  shop  r9  (unknown)\n", note)
    assert command("history", "shop", "-i").stderr == note
    assert command("show", "shop", "current") == Finished(0, "", note)


def test_show(command, shop):
    """All that the file says, and what the databases know of it."""
    command("upgrade", "shop", "r2")
    file = shop.folder / "shop/migrations/versions/r2.py"

    done, offline = command("show", "r2"), command("show", "shop", "r2", "--offline")
    (found,) = json.loads(command("show", "shop", "r2", "--json", "-v").stdout)
    head = command("show", "shop", "head").stdout
    current = command("show", "shop", "current").stdout

    assert lines(done)[:7] == [
        "revision     r2",
        "app          shop",
        "follows      r1",
        "followed by  r3",
        "written      2024-05-06 07:08:09.101112",
        f"file         {file}",
        "in default   current",
    ]
    assert re.fullmatch(r" {13}upgrade \d{4}-.* UTC in \d\.\d\d s, done, .*", lines(done)[7])
    assert lines(done)[8:] == ["", "    Add books.", "", "    Of authors."]
    assert "in default" not in offline.stdout
    assert command("show", "stock1", "--offline").stdout.splitlines()[-1].startswith("file ")
    assert "in default  not applied" in head
    assert "revision     r2" in current
    assert found["source"] == file.read_text().rstrip()
    assert found["databases"][0]["is_current"] is True
    assert found["databases"][0]["entries"][0]["action"] == "upgrade"
    assert "current_in" not in found
    assert "    def upgrade():" in command("show", "r2", "-v").stdout


def test_show_tells_of_files_when_a_database_is_away(command, monkeypatch):
    """And ends with the status of the failure."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:a-secret@127.0.0.1:1/x?connect_timeout=1")

    done = command("show", "shop", "r2")

    assert done.status == 1
    assert "Add books." in done.stdout
    assert len(done.errors) == 1
    assert "a-secret" not in done.output


def test_verbose_lists(command):
    """-v tells all about each revision of a list."""
    command("upgrade", "shop", "r1")
    told = [command(*words, "-v").stdout for words in (["history", "shop"], ["heads", "shop"], ["current", "shop"])]

    assert [text.count("file ") for text in told] == [3, 1, 1]
    assert "    Of authors." in told[0]
    assert "revision     r1 (base) (current in default)" in told[2]


def test_a_folder_of_revisions_in_several_databases(command, project):
    """It is listed once, with the marks of all of them, and moved in each."""
    project.write("migrations/versions/m1.py", revision_text("m0001", doc="Begin."))
    project.write("migrations/versions/m2.py", revision_text("m0002", "pass", "m0001"))
    shards = "".join(
        f'[tool.sqlhelpers.databases.{name}]\nsqlalchemy = {{url = "sqlite:///{name}.db"}}\n'
        f'alembic = {{migrations_path = "migrations"}}\n'
        for name in ("one", "two")
    )
    project.write_pyproject(shards)
    project.write(".env", "")
    command("upgrade", "m0001")
    command("upgrade", "-", "head", "-d", "two")

    marked = command("history", "-i")
    assert [re.split("  +", line)[1:4] for line in lines(marked)] == [
        ["m0002", "m0001", "(head) (current in two)"],
        ["m0001", "-", "(base) (current in one)"],
    ]
    assert len(lines(command("history", "-r", ":current"))) == 3
    assert lines(command("downgrade", "m0001", "--yes")) == [
        "one  -  already at m0001",
        "two  -  downgraded to m0001  1 revision",
    ]
    assert rows("sqlite:///two.db", "SELECT version_num FROM alembic_version") == [("m0001",)]


@pytest.mark.parametrize("words", ["upgrade", "history", "current", "show shop head", "upgrade --sql"])
def test_what_models_print_is_not_data(command, shop, words):
    """It goes to stderr."""
    shop.write("shop/__init__.py", "print('from the package')\n")

    done = command(*words.split())

    assert done.status == 0
    assert "from the package" not in done.stdout
    assert "from the package" in done.stderr


def test_no_alembic_for_a_look(project):
    """Histories are read from the index of files."""
    words = ["history"], ["heads"], ["show", "r2"], ["current"], ["status"]
    runs = "".join(f"\ntry: main({each!r})\nexcept SystemExit as ended: assert not ended.code" for each in words)
    code = f"import sys; from sqlhelpers.cli import main{runs}\nassert not {{'alembic', 'rich'}} & {{*sys.modules}}"

    done = run([sys.executable, "-c", code], project.folder)

    assert done.status == 0, done
