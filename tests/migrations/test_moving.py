"""Moving databases and looking at histories, beside what Alembic's own commands do with the same files."""

from __future__ import annotations

import inspect
import logging
import os
import re
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic import command
from alembic.config import Config
from databases import AUTHOR, MODELS, REVERSIBLE, app_tables, execute, rows, runtime, tables
from graphs import histories, write
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import revision_text
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.orm import DeclarativeBase

from sqlhelpers import DatabaseManager, DatabaseStatus
from sqlhelpers.config.settings import settings_from_config
from sqlhelpers.exceptions import AppError, MigrationsNotFound, MultipleHeads, Refused, StateRefused
from sqlhelpers.migrations.running.offline import Script
from sqlhelpers.reports import Movement

ENVIRONMENT = """
from alembic import context

ran = context.config.attributes["ran"]
context.configure(
    connection=context.config.attributes["connection"],
    on_version_apply=lambda step, **_: ran.append(step.up_revision_id or step.down_revision_ids[0]),
)
with context.begin_transaction():
    context.run_migrations()
"""


class Nothing(DeclarativeBase):
    metadata = MetaData()


class Alembics:
    """What Alembic's own commands do with a folder and a database."""

    def __init__(self, folder: Path) -> None:
        self.engine = create_engine(f"sqlite:///{folder}/alembics.db")
        self._folder = folder

    def run(self, name, *arguments, **options):
        """Run a command, and return the revisions that it ran, and what it printed."""
        config = Config(stdout=StringIO())
        config.set_main_option("script_location", str(self._folder))
        config.attributes["ran"] = ran = []
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            getattr(command, name)(config, *arguments, **options)
        return [] if name == "stamp" else ran, config.stdout.getvalue()

    def listed(self, name, *arguments, **options):
        """Return the revisions of the lines that a command prints."""
        lines = self.run(name, *arguments, **options)[1].splitlines()
        return [re.search(r"(?:.* -> )?(\w+)", line)[1] for line in lines]

    def rows(self):
        """Return what is recorded."""
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)"))
            return sorted(connection.scalars(text("SELECT version_num FROM alembic_version")))


def outcome(work):
    """Return what the work returns, or that it fails."""
    try:
        return work()
    except Exception:  # noqa: BLE001  # Alembic raises many
        return "an error"


@st.composite
def journeys(draw):
    """Return a history, and ways through it."""
    history = draw(histories())
    names = [each[0] for each in history]
    labels = [label for each in history for label in each[2]]
    ends = ["head", "heads", "base", *names, *(f"{label}@head" for label in labels)]
    steps = ["+1", "+2", "-1", "-2", *(f"{name}-1" for name in names), *(f"{name}+1" for name in names)]
    target = st.sampled_from([*ends, *ends, *steps, *(f"{label}@+1" for label in labels)])
    action = st.sampled_from(["upgrade", "upgrade", "downgrade", "stamp"])
    ways = draw(st.lists(st.tuples(action, target), min_size=1, max_size=6))
    ranges = [
        *(f"{name}:" for name in names),
        *(f":{name}" for name in names),
        "-2:",
        ":current",
        "current:",
        "-1:current",
    ]
    return history, ways, draw(st.lists(st.sampled_from(ranges), max_size=3))


@settings(max_examples=int(os.environ.get("SQLHELPERS_EXAMPLES", "10")), deadline=None)
@given(journeys())
def test_all_is_as_alembics(journey):
    """Whatever the graph: the same revisions run in the same order, the same is recorded, listed, and refused."""
    history, ways, ranges = journey
    with TemporaryDirectory() as name:
        folders = Path(name) / "alembics", Path(name) / "ours"
        for folder in folders:
            write(folder, history)
        (folders[0] / "env.py").write_text(ENVIRONMENT)
        alembics = Alembics(folders[0])
        with DatabaseManager(f"sqlite:///{name}/ours.db", folders[1], base_model=Nothing) as manager:
            for action, target in ways:
                expected = outcome(lambda: alembics.run(action, target)[0])  # noqa: B023
                found = outcome(lambda: list(getattr(manager.migrations, action)(target)[0].revisions))  # noqa: B023

                assert found == expected, (action, target)
                assert sorted(manager.migrations.get_current_revisions()) == alembics.rows(), (action, target)

            assert [each.revision for each in manager.migrations.get_history()] == alembics.listed("history")
            assert sorted(each.revision for each in manager.migrations.get_heads()) == sorted(alembics.listed("heads"))
            needed = manager.migrations.get_heads(resolve_dependencies=True)
            assert {each.revision for each in needed} == set(alembics.listed("heads", resolve_dependencies=True))
            (position,) = manager.migrations.get_positions()
            assert list(position.current) == sorted(alembics.listed("current"))
            for between in ranges:
                if position.current or "current" not in between:  # Alembic takes none for all
                    expected = outcome(lambda: alembics.listed("history", between))  # noqa: B023
                    given = manager.migrations.get_current_revisions()
                    listed = outcome(
                        lambda: [each.revision for each in manager.migrations.get_history(None, between, given)]  # noqa: B023
                    )
                    assert listed == expected, between
        alembics.engine.dispose()


@pytest.fixture
def shop(project):
    """The app of the tests below, with revisions that can be undone."""
    project.write_app("shop", MODELS, REVERSIBLE)
    return project


class Managed:
    """A manager of either kind, whose methods are awaited."""

    def __init__(self, manager):
        self.manager = manager

    @property
    def migrations(self):
        """Its migrations, awaited too."""
        return Managed(self.manager.migrations)

    def __getattr__(self, name):
        async def call(*arguments, **options):
            result = getattr(self.manager, name)(*arguments, **options)
            return await result if inspect.isawaitable(result) else result

        return call


def recorded(url, app="shop"):
    """Return what the version table of an app has."""
    return sorted(row[0] for row in rows(url, f"SELECT version_num FROM alembic_version_{app}"))


async def test_there_and_back(shop, url, kind):  # noqa: ARG001  # the app of the runtime
    """Up, further up, down, and all of it again on a person's word; in a running loop, each with its result."""
    with runtime(url) as made:
        manager = Managed(made.manager() if kind == "sync" else made.async_manager())
        moves = [
            *await manager.upgrade("r1"),
            *await manager.upgrade("+1", "shop"),
            *await manager.upgrade(),
            *await manager.upgrade(),
            *await manager.migrations.downgrade("r2"),
            *await manager.migrations.downgrade("-1"),
            *await manager.migrations.downgrade("base"),
        ]
        after = app_tables(url)
        moves += [
            *await manager.migrations.stamp("head"),
            *await manager.migrations.stamp("r1", "shop"),
            *await manager.migrations.stamp("base"),
        ]
        journal = await manager.migrations.journal()
        await manager.dispose()

    assert [(move.action, move.before, move.after, move.revisions) for move in moves] == [
        ("upgrade", (), ("r1",), ("r1",)),
        ("upgrade", ("r1",), ("r2",), ("r2",)),
        ("upgrade", ("r2",), ("r3",), ("r3",)),
        ("upgrade", ("r3",), ("r3",), ()),
        ("downgrade", ("r3",), ("r2",), ("r3",)),
        ("downgrade", ("r2",), ("r1",), ("r2",)),
        ("downgrade", ("r1",), (), ("r1",)),
        ("stamp", (), ("r3",), ()),
        ("stamp", ("r3",), ("r1",), ()),
        ("stamp", ("r1",), (), ()),
    ]
    assert {(move.bind, move.app) for move in moves} == {("default", "shop")}
    assert after == {"alembic_version_shop"}
    assert recorded(url) == []
    assert [(entry.action, entry.revision) for entry in journal] == [
        *[("upgrade", name) for name in ("r1", "r2", "r3")],
        *[("downgrade", name) for name in ("r3", "r2", "r1")],
        *[("stamp", name) for name in ("r3", "r1", "base")],
    ]
    assert {entry.outcome for entry in journal} == {"done"}


async def test_where_a_database_is(shop, sqlite_url, kind):  # noqa: ARG001  # the app of the runtime
    """Positions, and what the database knows of a revision, are read by both managers; no file is made for that."""
    with runtime(sqlite_url) as made:
        manager = Managed(made.manager() if kind == "sync" else made.async_manager())
        (nowhere,) = await manager.migrations.get_positions()
        assert tables(sqlite_url) == set()
        await manager.upgrade("r2")
        (position,) = await manager.migrations.get_positions(app="shop")
        traces = [
            *await manager.migrations.get_traces("r1"),
            *await manager.migrations.get_traces("r2"),
            *await manager.migrations.get_traces("r3"),
        ]
        infos = await manager.migrations.get_history(between="r1:current", current=position.current)
        others = await manager.migrations.get_history(between=":r2")
        await manager.dispose()

    assert (nowhere.current, nowhere.heads, nowhere.is_at_heads) == ((), ("r3",), False)
    assert (position.current, position.unknown, position.is_at_heads) == (("r2",), (), False)
    assert [(trace.is_applied, trace.is_current, len(trace.entries)) for trace in traces] == [
        (True, False, 1),
        (True, True, 1),
        (False, False, 0),
    ]
    assert [info.revision for info in infos] == ["r2", "r1"]
    assert infos == others


def test_what_is_told_of_revisions(shop, sqlite_url):
    """What their files say, without running them, and how they stand among each other."""
    shop.write("shop/migrations/versions/r4.py", "revision = 'r4'\ndown_revision = 'r3'\nimport nothing_like_this\n")
    odd = 'x = 1\nrevision = "r5"\ndown_revision = "r4"\ntext = """\ndef upgrade(): ..."""\n'
    shop.write("shop/migrations/versions/r5.py", odd)
    with runtime(sqlite_url) as made:
        infos = made.manager().migrations.get_history()
        (first,) = made.manager().migrations.get_revisions("r1")
        heads = made.manager().migrations.get_heads()

    assert [info.revision for info in infos] == ["r5", "r4", "r3", "r2", "r1"]
    assert (first.app, first.message, first.date) == ("shop", "Add authors.", "2024-05-06 07:08:09.101112")
    assert (first.down_revisions, first.next_revisions, first.marks) == ((), ("r2",), ("base",))
    assert first.path == str(shop.folder / "shop/migrations/versions/r1.py")
    assert infos[3].doc.startswith("Add books.\n\nOf authors.\n\nRevision ID: r2")
    assert [info.message for info in infos[:2]] == ["", ""]
    assert heads == infos[:1]


def test_a_branched_history(project, sqlite_url):
    """Labels, branch points, merges and dependencies are told; where to go must be said, while there are two heads."""
    versions = {
        "a.py": revision_text("aaaa1"),
        "b.py": revision_text("bbbb1", "pass", "aaaa1").replace("\n\n\ndef", "\nbranch_labels = 'left'\n\n\ndef", 1),
        "c.py": revision_text("bbbb2", "pass", "aaaa1"),
        "x.py": revision_text("x0001").replace("\n\n\ndef", "\ndepends_on = 'left'\n\n\ndef", 1),
    }
    project.write_app("shop", MODELS, versions)
    with runtime(sqlite_url) as made:
        manager = made.manager()
        with pytest.raises(MultipleHeads):
            manager.upgrade()
        with pytest.raises(MultipleHeads):
            manager.migrations.sql()
        with pytest.raises(AppError, match="'bbbb' is the beginning of several revisions: bbbb1, bbbb2"):
            manager.upgrade("bbbb")
        with pytest.raises(AppError, match="Multiple head revisions"):
            manager.migrations.get_revisions("head")
        assert manager.migrations.downgrade("base")[0].after == ()
        moved = manager.upgrade("left@head"), manager.upgrade("heads")
        (position,) = manager.migrations.get_positions()
        marks = {info.revision: info.marks for info in manager.migrations.get_history()}
        labels = {
            info.revision: (info.branch_labels, info.depends_on, info.needed_by)
            for info in manager.migrations.get_heads()
        }
        (trace,) = manager.migrations.get_traces("aaaa1")

    assert [each.revisions for (each,) in moved] == [("aaaa1", "bbbb1"), ("x0001", "bbbb2")]
    assert (position.current, position.is_at_heads) == (("bbbb1", "bbbb2", "x0001"), True)
    assert marks == {
        "aaaa1": ("base", "branchpoint"),
        "bbbb1": ("effective head",),
        "bbbb2": ("head",),
        "x0001": ("base", "head"),
    }
    assert labels["bbbb1"] == (("left",), (), ("x0001",))
    assert labels["x0001"] == ((), ("left",), ())
    assert trace.is_applied


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        ("r2", "'r2' is no range of revisions"),
        ("r1:r2:r3", "is no range of revisions"),
        ("r1:r33", "app 'shop': there is no revision 'r33'; did you mean r3?"),
        ("r3:r1", "does not refer to ancestor/descendant revisions"),
    ],
)
def test_a_wrong_range(shop, sqlite_url, between, reason):  # noqa: ARG001  # the app of the runtime
    """It is told as one line that names what is wrong."""
    with runtime(sqlite_url) as made, pytest.raises(AppError, match=re.escape(reason)):
        made.manager().migrations.get_history(between=between)


def test_a_revision_that_the_code_does_not_know(shop, sqlite_url):
    """An upgrade refuses, as a sync does; a stamp does until it is told to forget; to look is allowed."""
    with runtime(sqlite_url) as made:
        manager = made.manager()
        manager.upgrade()
        (shop.folder / "shop/migrations/versions/r3.py").unlink()
        (position,) = manager.migrations.get_positions()
        for refused in (manager.upgrade, lambda: manager.upgrade("r2"), lambda: manager.migrations.downgrade("-1")):
            with pytest.raises(StateRefused, match="at revision r3, which shop does not have"):
                refused()
        with pytest.raises(Refused, match="--purge"):
            manager.migrations.stamp("r2")
        (moved,) = manager.migrations.stamp("r2", purge=True)

        assert (position.current, position.unknown, position.is_at_heads) == (("r3",), ("r3",), False)
        assert manager.migrations.get_history(between=":current") == ()
        assert (moved.before, moved.after) == (("r3",), ("r2",))
        assert manager.get_status() is DatabaseStatus.UP_TO_DATE


def test_a_stamp_is_refused_where_something_else_has_to_be_decided_first(shop, mariadb_url):
    """A revision that was interrupted, or a position that is recorded in Alembic's own table; and nobody knows r9."""
    file = "shop/migrations/versions/r3.py"
    shop.write(file, revision_text("r3", "op.execute('SELECT 1')\n1 / 0", "r2"))
    with runtime(mariadb_url) as made:
        manager = made.manager()
        with pytest.raises(Exception, match="division by zero"):
            manager.upgrade()
        with pytest.raises(Refused, match="sqlhelpers repair shop"):
            manager.migrations.stamp("r3")
        manager.migrations.repair(applied=False)
        with pytest.raises(AppError, match="there is no revision 'r9'"):
            manager.migrations.stamp("r9")
        execute(mariadb_url, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
        execute(mariadb_url, "INSERT INTO alembic_version VALUES ('r2')", "DELETE FROM alembic_version_shop")
        with pytest.raises(Refused, match="sqlhelpers adopt shop"):
            manager.migrations.stamp("r3")


def test_what_has_no_migrations_cannot_be_moved(project, sqlite_url):
    """Each function says so."""
    project.write_app("shop", MODELS)
    with runtime(sqlite_url, apps={"shop": {"package": "shop", "migrations": False}}) as made:
        manager = made.manager()
        moves = (
            lambda: manager.upgrade("head", "shop"),
            lambda: manager.migrations.downgrade("base"),
            manager.migrations.stamp,
        )
        looks = (
            lambda: manager.migrations.get_positions(app="shop"),
            lambda: manager.migrations.get_revisions("head"),
            lambda: manager.migrations.sql(Script(), "shop"),
        )
        for each in (*moves, *looks):
            with pytest.raises(AppError, match="app 'shop' has no migrations"):
                each()

        assert (
            manager.upgrade(),
            manager.migrations.get_positions(),
            manager.migrations.get_heads(),
            manager.migrations.sql(),
        ) == ((), (), (), "")
        assert manager.migrations.get_history("shop") == ()


STOCK = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column
from shop.models import Base


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
"""
ITEM = """op.create_table(
    "item",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("author_id", sa.Integer, sa.ForeignKey("author.id"), nullable=False),
)"""
BOTH = {"shop": {"package": "shop"}, "stock": {"package": "stock"}}


@pytest.fixture
def stock(shop):
    """A second app, which needs the first."""
    text = revision_text("s1", ITEM, downgrade="op.drop_table('item')")
    shop.write_app("stock", STOCK, {"s1.py": text})
    return shop


def test_several_apps(stock, url):  # noqa: ARG001  # the apps of the runtime
    """They go up in the order of a sync, and down in the other; what one needs and is behind is told."""
    with runtime(url, apps=BOTH) as made:
        manager = made.manager()
        first = manager.upgrade("r1", "shop")
        alone = manager.upgrade(app="stock")
        both = manager.upgrade()
        with pytest.raises(AppError, match=re.escape("name one app (apps: shop, stock)")):
            manager.migrations.downgrade("base")
        down = manager.migrations.downgrade("base", ("shop", "stock"))
        with pytest.raises(
            AppError,
            match=re.escape("there is no app 'shoop' in database 'default' (apps: shop, stock); did you mean shop?"),
        ):
            manager.upgrade(app="shoop")

        assert app_tables(url) == {"alembic_version_shop", "alembic_version_stock"}
    assert (first[0].behind, alone[0].behind) == ((), ("shop",))
    assert [(each.app, each.revisions, each.behind) for each in both] == [("shop", ("r2", "r3"), ()), ("stock", (), ())]
    assert [(each.app, each.revisions) for each in down] == [("stock", ("s1",)), ("shop", ("r3", "r2", "r1"))]


def test_a_needed_app_with_several_heads_is_behind(stock, sqlite_url):
    """That is a mistake in it, but not one of the app that is moved."""
    with runtime(sqlite_url, apps=BOTH) as made:
        made.manager().upgrade("r1", "shop")
    stock.write("shop/migrations/versions/r2b.py", revision_text("r2b", down_revision="r1"))

    with runtime(sqlite_url, apps=BOTH) as made:
        assert made.manager().upgrade(app="stock")[0].behind == ("shop",)


def test_a_failure_on_the_way_undoes_all_of_it(stock, sqlite_url):
    """Also what was done to the apps before."""
    stock.write("stock/migrations/versions/s1.py", revision_text("s1", f"{ITEM}\n1 / 0"))
    with runtime(sqlite_url, apps=BOTH) as made, pytest.raises(Exception, match="division by zero"):
        made.manager().upgrade()

    assert app_tables(sqlite_url) == set()


def test_arguments_for_revisions(shop, sqlite_url):
    """What Alembic's --tag and -x give to revisions, upwards, downwards and as SQL."""
    seen = 'from alembic import context\nop.execute(f"-- {context.get_tag_argument()} {context.get_x_argument()}")'
    raising = seen.replace("op.execute", "raise ValueError")
    with runtime(sqlite_url) as made:
        manager = made.manager()
        manager.upgrade()
        shop.write("shop/migrations/versions/r4.py", revision_text("r4", raising, "r3"))
        shop.write("shop/migrations/versions/r3.py", revision_text("r3", "pass", "r2", downgrade=raising))
        for move in (
            lambda: manager.migrations.upgrade(tag="blue", x=["a=1", "b"]),
            lambda: manager.migrations.downgrade("-1", tag="blue", x=["a=1", "b"]),
        ):
            with pytest.raises(Exception, match=re.escape("-- blue ['a=1', 'b']")):
                move()
        shop.write("shop/migrations/versions/r4.py", revision_text("r4", seen, "r3"))

        assert "-- blue ['a=1']" in manager.migrations.sql(Script(start="r3", targets=("r4",), tag="blue", x=("a=1",)))
        assert "-- None []" in manager.migrations.sql(Script(start="r3"))


NOISY = """
import logging
from alembic import context

root = logging.getLogger()
root.setLevel(logging.DEBUG)
root.addHandler(logging.NullHandler())
logging.getLogger("the.application").disabled = True
logging.getLogger("the.application").propagate = False
if context.is_offline_mode():
    context.configure(url=context.config.get_main_option("sqlalchemy.url"), literal_binds=True)
else:
    context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""


def test_an_env_py_may_configure_logging(shop, sqlite_url):
    """The loggers of the application are as they were when it has run."""
    shop.write("shop/migrations/env.py", NOISY)
    root, own = logging.getLogger(), logging.getLogger("the.application")
    before = root.level, list(root.handlers), own.disabled, own.propagate
    with runtime(sqlite_url) as made:
        made.manager().upgrade()
        script = made.manager().migrations.sql()

    assert (root.level, list(root.handlers), own.disabled, own.propagate) == before
    assert "alembic_version_shop" in script
    assert recorded(sqlite_url) == ["r3"]


def test_a_run_without_a_journal(shop, sqlite_url):  # noqa: ARG001  # the app of the runtime
    """A stamp leaves none either."""
    database = {"sqlalchemy": {"url": sqlite_url}, "alembic": {"journal": False}}
    with runtime({"default": database}) as made:
        made.manager().migrations.stamp("head")

    assert tables(sqlite_url) == {"alembic_version_shop"}


def test_a_history_without_an_app(project, sqlite_url):
    """It is called - where it has to be called something."""
    project.write("migrations/versions/m1.py", revision_text("m1", AUTHOR, doc="Begin."))
    databases = {"default": {"sqlalchemy": {"url": sqlite_url}, "alembic": {"migrations_path": "migrations"}}}
    with runtime(databases, apps={}) as made:
        manager = made.manager()
        (moved,) = manager.upgrade(app="-")

        assert moved == Movement(
            bind="default", app=None, action="upgrade", before=(), after=("m1",), revisions=("m1",)
        )
        assert (
            manager.migrations.get_history("-")
            == manager.migrations.get_heads()
            == manager.migrations.get_revisions("head")
        )


def test_what_has_no_migrations_has_no_place_among_them(project):
    """An app that says so, and settings that do not say where they are."""
    project.write_app("shop", MODELS)
    apps = {"shop": {"package": "shop", "migrations": False}}
    with runtime("sqlite://", apps=apps) as made, pytest.raises(AppError, match="app 'shop' has no migrations"):
        made.manager().alembic_config("shop")

    silent = DatabaseManager.from_settings(settings_from_config({"sqlalchemy": {"url": "sqlite://"}}))
    with silent as manager, pytest.raises(MigrationsNotFound, match=r"no alembic\.migrations_path"):
        manager.migrations.get_heads()
