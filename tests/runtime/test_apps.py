"""Several apps in one database: order, histories of their own, coming and going."""

from __future__ import annotations

import asyncio
import py_compile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from databases import app_tables, connected, execute, rows, runtime, snapshot, sync
from projects import revision_text
from sqlalchemy import inspect

from sqlhelpers import App, DatabaseStatus, SyncResult, hookimpl
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import (
    AppError,
    DatabaseFailure,
    DiscoveryError,
    InvalidHook,
    PluginLoadError,
    Refused,
    SeveralFailures,
)

MODEL = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column
from {base} import Base


class Model{number}(Base):
    __tablename__ = "{table}"
    id: Mapped[int] = mapped_column(primary_key=True)
    {column}
"""
BASE = "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n"
CREATE = "op.create_table({table!r}, sa.Column('id', sa.Integer, primary_key=True){more})"


def write(project, name, table, points_to=None):
    """Write an app with one table, which may have a foreign key to another app's."""
    project.write("base.py", BASE)
    column = f'other_id: Mapped[int | None] = mapped_column(ForeignKey("{points_to}.id"))' if points_to else ""
    models = MODEL.format(base="base", number=name.title(), table=table, column=column)
    more = f", sa.Column('other_id', sa.Integer, sa.ForeignKey('{points_to}.id'))" if points_to else ""
    revision = revision_text(f"{name}1", CREATE.format(table=table, more=more))
    project.write_app(name, models, {"one.py": revision})


@pytest.fixture
def apps(project):
    """``alpha`` points to ``zulu``, so the order of names is not the order of keys; ``mike`` stands alone."""
    write(project, "zulu", "z")
    write(project, "alpha", "a", points_to="z")
    write(project, "mike", "m")
    return {name: {"package": name} for name in ("alpha", "mike", "zulu")}


@pytest.mark.parametrize("bootstrap", ["models", "migrations"])
def test_apps_are_synced_in_the_order_of_their_foreign_keys(url, apps, bootstrap):
    """Each has a version table of its own, and what is pointed to comes first."""
    for app in apps.values():
        app["bootstrap"] = bootstrap

    report = sync("sync", url, apps=apps)

    assert [app.app for app in report.apps] == ["mike", "zulu", "alpha"]
    assert app_tables(url) == {"a", "m", "z", *(f"alembic_version_{name}" for name in apps)}
    assert rows(url, "SELECT * FROM alembic_version_alpha") == [("alpha1",)]


def test_requires_orders_apps_without_foreign_keys(sqlite_url, apps):
    """An app can say what comes before it."""
    apps["mike"]["requires"] = ["alpha"]

    report = sync("sync", sqlite_url, apps=apps)

    assert [app.app for app in report.apps] == ["zulu", "alpha", "mike"]


@pytest.mark.parametrize("by", ["foreign keys", "requires"])
def test_a_cycle_is_an_error_that_names_it(sqlite_url, project, apps, by):
    """Apps that need each other cannot be ordered."""
    if by == "requires":
        apps["zulu"]["requires"] = ["alpha"]
    else:
        write(project, "zulu", "z", points_to="a")

    with pytest.raises(DiscoveryError, match=r"in a circle: (alpha -> zulu -> alpha|zulu -> alpha -> zulu)"):
        sync("sync", sqlite_url, apps=apps)


def test_an_app_that_is_added_later_is_created_beside_the_others(url, apps):
    """The others keep their positions."""
    later = apps.pop("alpha")
    sync("sync", url, apps=apps)
    execute(url, "INSERT INTO z VALUES (1)")

    report = sync("sync", url, apps={**apps, "alpha": later})

    assert [app.result.name for app in report.apps] == ["ALREADY_UP_TO_DATE", "ALREADY_UP_TO_DATE", "CREATED"]
    assert report.result is SyncResult.UPGRADED
    assert rows(url, "SELECT id FROM z") == [(1,)]


def test_an_app_can_be_removed_and_put_back(url, apps):
    """While it is not installed its tables and its position stay; back again, it is where it was."""
    sync("sync", url, apps=apps)
    before = snapshot(url)
    fewer = {name: app for name, app in apps.items() if name != "mike"}

    without = sync("sync", url, apps=fewer)
    again = sync("sync", url, apps=apps)

    assert without.orphaned_version_tables == ("alembic_version_mike",)
    assert again.result is SyncResult.ALREADY_UP_TO_DATE
    assert snapshot(url) == before


def test_one_refused_app_keeps_the_whole_database_as_it_was(url, apps):
    """All apps are looked at before the first change."""
    execute(url, "CREATE TABLE a (id integer)")
    before = snapshot(url)

    with pytest.raises(Refused, match="app alpha"):
        sync("sync", url, apps=apps)

    assert snapshot(url) == before


def test_one_failing_app_undoes_the_run_where_ddl_can_be_undone(sqlite_url, postgres_url, apps, project):
    """A run is whole or not at all."""
    project.write("alpha/migrations/versions/two.py", revision_text("alpha2", "op.drop_table('nope')", "alpha1"))
    apps["alpha"]["bootstrap"] = "migrations"

    for url in (sqlite_url, postgres_url):
        with pytest.raises(DatabaseFailure, match="alpha2"):
            sync("sync", url, apps=apps)
        assert app_tables(url) == set()


def test_two_apps_cannot_define_one_table(sqlite_url, project, apps):
    """Both modules are named, before any DDL."""
    write(project, "mike", "z")
    project.write("mike/models.py", (project.folder / "mike/models.py").read_text().replace("from base", "from other"))
    project.write("other.py", BASE)

    with pytest.raises(DiscoveryError, match=r"table 'z' is defined twice, in (mike|zulu).models .*(mike|zulu).models"):
        sync("sync", sqlite_url, apps=apps)

    assert not (project.folder.parent / "test.db").exists()


def test_two_apps_cannot_define_one_table_of_one_base(sqlite_url, project, apps):
    """SQLAlchemy stops the import of the second; both are named all the same."""
    write(project, "mike", "z")

    with pytest.raises(DiscoveryError, match=r"table 'z' is defined twice, in mike.models .* and in zulu.models"):
        sync("sync", sqlite_url, apps=apps)


def test_a_table_that_a_library_defines_as_well(sqlite_url, project, apps):
    """It belongs to no other app, so that the import is what failed."""
    project.write("library.py", MODEL.format(base="base", number="Lent", table="z", column=""))
    project.write("mike/models.py", "import library\n")

    with pytest.raises(DiscoveryError, match=r"app 'zulu': its models cannot be imported: .*'z' is already defined"):
        sync("sync", sqlite_url, apps=apps)


def test_models_in_a_single_module(sqlite_url, project):
    """An app need not be a package. Models of queries own no tables."""
    project.write("base.py", BASE)
    project.write(
        "notes.py",
        MODEL.format(base="base", number="Note", table="note", column="")
        + "\n\nclass Seen(Base):\n    __table__ = ModelNote.__table__.select().subquery()\n",
    )

    sync("sync", sqlite_url, apps={"notes": {"package": "notes", "migrations": False}})

    assert app_tables(sqlite_url) == {"note"}


def test_a_program_among_the_models_is_not_run(sqlite_url, project):
    """``__main__`` is no model module."""
    project.write_app("shop", "", {"one.py": revision_text("s1", CREATE.format(table="note", more=""))})
    project.write("base.py", BASE)
    (project.folder / "shop/models.py").unlink()
    project.write("shop/models/__init__.py", MODEL.format(base="base", number="Note", table="note", column=""))
    project.write("shop/models/__main__.py", "raise SystemExit('was run')\n")

    sync("sync", sqlite_url, apps={"shop": {"package": "shop"}})

    assert "note" in app_tables(sqlite_url)


def test_models_without_their_source(sqlite_url, project):
    """An app may be delivered compiled: its tables belong to the module that has them."""
    text = "from sqlalchemy import Column, Integer, MetaData, Table\n"
    project.write("closed/__init__.py", "")
    source = project.write("closed/models.py", f"{text}note = Table('note', MetaData(), Column('id', Integer))\n")
    py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")))
    source.unlink()

    sync("sync", sqlite_url, apps={"closed": {"package": "closed", "migrations": False}})

    assert app_tables(sqlite_url) == {"note"}


def test_a_model_that_fails_half_way_is_told_alone(sqlite_url, project, apps):
    """Other models of its base are none the worse for it."""
    project.write(
        "alpha/models.py",
        "from sqlalchemy.orm import Mapped, mapped_column\nfrom base import Base\n\n"
        "class Keyless(Base):\n    __tablename__ = 'a'\n    name: Mapped[str]\n",
    )

    with pytest.raises(DiscoveryError, match="could not assemble any primary key") as caught:
        sync("sync", sqlite_url, apps=apps)

    assert len(caught.value.lines) == 1


def test_core_tables_belong_to_the_module_that_creates_them(sqlite_url, project):
    """An app that imports another's table does not own it."""
    project.write_app(
        "first",
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        "metadata = MetaData()\nshared = Table('shared', metadata, Column('id', Integer, primary_key=True))\n",
        {"one.py": revision_text("f1")},
    )
    project.write_app(
        "second",
        "from sqlalchemy import Column, ForeignKey, Integer, Table\nfrom first.models import metadata, shared\n"
        "mine = Table('mine', metadata, Column('id', Integer, ForeignKey(shared.c.id), primary_key=True))\n",
        {"one.py": revision_text("s1")},
    )

    with runtime(sqlite_url, apps={"second": {"package": "second"}, "first": {"package": "first"}}) as made:
        owned = {app: [table.name for table in tables] for app, tables in made.tables.items()}
        order = list(made.apps)

    assert owned == {"first": ["shared"], "second": ["mine"]}
    assert order == ["first", "second"]


def test_an_app_without_migrations_says_so(url, project):
    """Its tables are created where they are missing; without the word, a missing folder is an error."""
    project.write("base.py", BASE)
    models = MODEL.format(base="base", number="One", table="one", column="")
    project.write_app("plain", models)

    with pytest.raises(DiscoveryError, match=r"app 'plain' has no migrations folder: .*plain/migrations is missing"):
        sync("sync", url, apps={"plain": {"package": "plain"}})
    first = sync("sync", url, apps={"plain": {"package": "plain", "migrations": False}})
    second = sync("sync", url, apps={"plain": {"package": "plain", "migrations": False}})

    assert (first.result, second.result) == (SyncResult.CREATED, SyncResult.ALREADY_UP_TO_DATE)
    assert app_tables(url) == {"one"}


def test_a_model_module_that_fails_to_import_stops_everything(sqlite_url, project, apps):
    """Every app at fault is named, not the first alone; a table is never lost because its model was not imported."""
    project.write("zulu/models.py", "import nothing_like_this\n")
    project.write("mike/models.py", "raise SystemExit(0)\n")

    with pytest.raises(DiscoveryError) as caught:
        sync("sync", sqlite_url, apps=apps)

    text = str(caught.value)
    assert "app 'zulu'" in text
    assert "nothing_like_this" in text
    assert "app 'mike'" in text


def test_each_database_gets_its_own_apps(sqlite_url, postgres_url, apps):
    """An app belongs to one bind; the databases of a run are synced one after another."""
    apps["mike"]["bind"] = "analytics"

    with runtime({"default": sqlite_url, "analytics": postgres_url}, apps=apps) as made:
        reports = made.run_sync()

    assert [report.bind for report in reports] == ["default", "analytics"]
    assert app_tables(postgres_url) == {"m", "alembic_version_mike"}
    assert "m" not in app_tables(sqlite_url)


def test_a_database_that_fails_does_not_keep_the_others(sqlite_url, apps, project):
    """All failures are told at the end, with the worst exit status."""
    gone = f"sqlite:///{project.folder}/no/such/folder.db"
    binds = {"bad": gone, "default": sqlite_url, "worse": "postgresql://u:hunter22@127.0.0.1:1/d"}
    done = []

    with runtime(binds, apps=apps) as made, pytest.raises(SeveralFailures) as caught:
        made.run_sync(done=done.append)

    assert [report.bind for report in done] == ["default"]
    assert len(caught.value.lines) == 2
    assert caught.value.exit_status == 1
    assert "hunter22" not in str(caught.value)


def test_databases_are_synced_in_a_running_loop(sqlite_url, apps, tmp_path):
    """Those that are named, or all; the first that fails ends it."""
    binds = {"default": sqlite_url, "other": f"sqlite:///{tmp_path}/o.db", "bad": f"sqlite:///{tmp_path}/no/such/x.db"}

    async def run(made):
        async with made:
            one = await made.async_run_sync(["default"])
            with pytest.raises(DatabaseFailure, match=r"database 'bad' .*the folder .*/no/such does not exist"):
                await made.async_run_sync(["default", "bad", "other"])
            return [(report.bind, report.result.name) for report in one]

    with runtime(binds, apps=apps) as made:
        found = asyncio.run(run(made))

    assert found == [("default", "CREATED")]
    assert (tmp_path / "o.db").exists() is False


class Seeds:
    """A plugin that writes, and can be told to fail."""

    def __init__(self, fail=""):
        self.fail = fail
        self.seen = []

    @hookimpl
    def sqlhelpers_before_sync(self, bind, status):
        self.seen.append(("before", bind, status.status.name))
        if self.fail == "before":
            raise ValueError("not on a Friday")

    @hookimpl
    def sqlhelpers_after_sync(self, connection, result):
        self.seen.append(("after", "zulu" in result, result.result.name))
        connection.exec_driver_sql("INSERT INTO z VALUES (1)")
        if self.fail == "after":
            raise ValueError("the data is wrong")


def plugins_with(plugin):
    """Return a plugin manager that has one plugin."""
    plugins = PluginManager()
    plugins.register(plugin, "seeds")
    return plugins


def test_plugins_are_asked_before_and_told_after(url, apps):
    """What a plugin writes is committed with the run."""
    seeds = Seeds()

    sync("sync", url, apps=apps, plugins=plugins_with(seeds))

    assert seeds.seen == [("before", "default", "NO_INFO"), ("after", True, "CREATED")]
    assert rows(url, "SELECT id FROM z") == [(1,)]


def test_a_plugin_can_refuse_a_run(url, apps):
    """An exception before a sync refuses it, with the plugin's name and its words."""
    with pytest.raises(Refused, match=r"plugin seeds: .*not on a Friday; the run is refused") as caught:
        sync("sync", url, apps=apps, plugins=plugins_with(Seeds("before")))

    assert caught.value.exit_status == 3
    assert app_tables(url) == set()


def test_a_plugin_that_fails_after_a_sync_undoes_it(sqlite_url, postgres_url, apps):
    """Seeding is in the transaction of the run."""
    for url in (sqlite_url, postgres_url):
        with pytest.raises(
            DatabaseFailure, match="plugin seeds: sqlhelpers_after_sync raised ValueError: the data is wrong"
        ):
            sync("sync", url, apps=apps, plugins=plugins_with(Seeds("after")))
        assert app_tables(url) == set()


def test_enable_apps_keeps_other_apps_out(sqlite_url, apps):
    """Whatever is installed, only the named apps are in the project's databases; a wrong name is an error."""
    sync("sync", sqlite_url, apps=apps, enable_apps=["mike"])
    found = app_tables(sqlite_url)

    with pytest.raises(DiscoveryError, match="enable_apps names 'mik', which is not installed"):
        sync("sync", sqlite_url, apps=apps, enable_apps=["mik"])
    assert found == {"m", "alembic_version_mike"}


def test_names_are_checked(sqlite_url, apps):
    """An unknown bind, an unknown requirement and a name taken twice are told."""
    plugins = PluginManager()
    plugins.add_app(App(name="mike", package="mike", bind="nowhere", requires=("zul",)), "one")

    with pytest.raises(AppError, match="its name must be one word"):
        plugins.add_app(App(name="two words", package="mike"), "one")
    with pytest.raises(AppError, match="two apps are named 'mike': from one and from two"):
        plugins.add_app(App(name="mike", package="mike"), "two")
    with pytest.raises(DiscoveryError) as caught:
        sync("sync", sqlite_url, apps={"zulu": apps["zulu"]}, plugins=plugins)
    assert "requires 'zul', which is not installed; did you mean zulu?" in str(caught.value)
    assert "belongs to database 'nowhere', which is not configured" in str(caught.value)


def test_two_histories_cannot_share_a_version_table(sqlite_url, apps):
    """Each position would overwrite the other."""
    apps["mike"]["version_table"] = apps["zulu"]["version_table"] = "versions"

    with pytest.raises(AppError, match="share the version table versions"):
        sync("sync", sqlite_url, apps=apps)


def test_schemas_are_told_apart(postgres_url, project):
    """Tables and version table may lie in a schema of the app's own."""
    execute(postgres_url, "CREATE SCHEMA library")
    project.write("base.py", BASE)
    models = MODEL.format(base="base", number="One", table="one", column='__table_args__ = {"schema": "library"}')
    project.write_app("lib", models, {"one.py": revision_text("l1")})
    settings = {"lib": {"package": "lib", "version_table_schema": "library"}}

    first = sync("async", postgres_url, apps=settings)
    second = sync("sync", postgres_url, apps=settings)

    with connected(postgres_url) as connection:
        found = set(inspect(connection).get_table_names("library"))
    assert (first.result, second.result) == (SyncResult.CREATED, SyncResult.ALREADY_UP_TO_DATE)
    assert found == {"one", "alembic_version_lib", "sqlhelpers_journal"}


def test_a_schema_of_the_metadata_does_not_hide_the_order(postgres_url, project):
    """A foreign key is followed to the table, however its target is written."""
    execute(postgres_url, "CREATE SCHEMA shop")
    write(project, "zulu", "z")
    write(project, "alpha", "a", points_to="z")
    project.write(
        "base.py",
        "from sqlalchemy import MetaData\nfrom sqlalchemy.orm import DeclarativeBase\n\n\n"
        "class Base(DeclarativeBase):\n    metadata = MetaData(schema='shop')\n",
    )

    report = sync("sync", postgres_url, apps={name: {"package": name} for name in ("alpha", "zulu")})

    assert [app.app for app in report.apps] == ["zulu", "alpha"]


def test_one_name_in_two_databases_is_two_tables(sqlite_url, tmp_path, project):
    """A table is defined twice only where both would be in one database."""
    for name in ("one", "two"):
        write(project, name, "t")
        project.write(f"{name}_base.py", BASE)
        models = (project.folder / name / "models.py").read_text()
        project.write(f"{name}/models.py", models.replace("from base", f"from {name}_base"))
    apps = {"one": {"package": "one"}, "two": {"package": "two", "bind": "second"}}

    with runtime({"default": sqlite_url, "second": f"sqlite:///{tmp_path}/second.db"}, apps=apps) as made:
        reports = made.run_sync()

    assert [report.result for report in reports] == [SyncResult.CREATED] * 2


def test_a_disabled_app_is_not_brought_back_by_a_correction(sqlite_url, apps):
    """Nor is one that is not installed."""
    plugins = PluginManager()
    settings = {"apps": {**apps, "zulu": {"requires": []}}, "plugins": plugins}

    with runtime(sqlite_url, **settings) as made:
        not_installed = list(made.apps)
    with runtime(sqlite_url, apps=apps, disable_plugins=["mike"]) as made:
        disabled = list(made.apps)

    assert "zulu" not in not_installed
    assert disabled == ["zulu", "alpha"]


@pytest.mark.usefixtures("apps")
def test_plugins_given_by_hand_register_apps(sqlite_url):
    """As those do that are found through entry points; settings correct them, and choose among them."""
    mike = App(name="mike", package="mike")

    def apps_of(registered, **settings):
        class Plugin:
            @hookimpl
            def sqlhelpers_register_app(self):
                return registered

        with runtime(sqlite_url, **{"apps": {}, "plugins": plugins_with(Plugin()), **settings}) as made:
            return made.apps

    assert apps_of([mike]) == apps_of(mike) == apps_of([mike], apps={"mike": {"requires": []}}) == {"mike": mike}
    assert apps_of([mike], enable_apps=[]) == {}
    with pytest.raises(DiscoveryError, match="an App or a list of them"):
        apps_of([7])


def test_entry_points_of_plugins(project):
    """That of an app may register others; that of an adapter has to have one."""
    project.write("empty.py", "")
    project.write(
        "odd.py", "from sqlhelpers import hookimpl\n\n\n@hookimpl\ndef sqlhelpers_register_adapter():\n    return 7\n"
    )
    project.write(
        "several.py",
        "from sqlhelpers import App, hookimpl\n\n\n@hookimpl\ndef sqlhelpers_register_app():\n"
        "    return [App(name=name, package='several') for name in ('one', 'two')]\n",
    )
    plugins = PluginManager()
    plugins._load_app(EntryPoint("several", "several", "sqlhelpers.apps"))
    plugins._adapters.update({name: EntryPoint(name, name, "sqlhelpers.adapters") for name in ("empty", "odd")})

    assert list(plugins.collect_apps()) == []
    assert list(plugins.apps()) == ["one", "two"]
    with pytest.raises(PluginLoadError, match="does not implement sqlhelpers_register_adapter"):
        plugins.adapter("empty")
    with pytest.raises(InvalidHook, match="should return an Adapter"):
        plugins.adapter("odd")


def test_create_makes_what_is_not_there(sqlite_url, apps):
    """Beside the apps that are there; until then, the database is behind."""
    sync("sync", sqlite_url, apps={"zulu": apps["zulu"]})

    with runtime(sqlite_url, apps=apps) as made:
        assert made.manager().get_status() is DatabaseStatus.UPGRADE_AVAILABLE
        made.manager().create()
        assert made.manager().get_status() is DatabaseStatus.UP_TO_DATE


def test_tables_that_point_to_another_app_are_adopted(sqlite_url, apps, project):
    """At an older revision, which is run in a scratch database beside the tables of the other apps."""
    apps = {name: apps[name] for name in ("alpha", "zulu")}
    sync("sync", sqlite_url, apps={"zulu": apps["zulu"]})
    execute(sqlite_url, "CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY, other_id INTEGER REFERENCES z (id))")
    project.write("alpha/migrations/versions/two.py", revision_text("alpha2", "pass", "alpha1"))

    with runtime(sqlite_url, apps=apps) as made:
        assert made.manager().migrations.adopt("alpha", "alpha1") == ()
        assert made.manager().get_current_revision(app="alpha") == "alpha1"


async def test_decisions_with_await(sqlite_url, apps):
    """The async manager decides and checks as the sync one does, and makes no file where there is none."""
    with runtime(sqlite_url, apps=apps) as made:
        async with made.async_manager() as manager:
            with pytest.raises(Refused, match="has no tables"):
                await manager.migrations.adopt("mike")
            assert not await asyncio.to_thread(Path(sqlite_url.removeprefix("sqlite:///")).exists)
            await manager.sync()
            assert await manager.migrations.check() == ()
            with pytest.raises(Refused, match="has a revision recorded: mike1"):
                await manager.migrations.adopt("mike")
            with pytest.raises(Refused, match="no trace of an app 'gone'"):
                await manager.migrations.retire("gone")


def test_one_of_several_apps_is_dropped(sqlite_url, apps):
    """The journal goes on for the others."""
    sync("sync", sqlite_url, apps=apps)

    with runtime(sqlite_url, apps=apps) as made:
        made.manager().drop("mike")

    assert app_tables(sqlite_url) == {"a", "z", "alembic_version_alpha", "alembic_version_zulu"}
    assert rows(sqlite_url, "SELECT DISTINCT app FROM sqlhelpers_journal ORDER BY app") == [("alpha",), ("zulu",)]


def test_a_dropped_app_leaves_the_positions_of_others(sqlite_url, apps):
    """Where they stand in the same table, which is Alembic's own."""
    apps = {"mike": apps["mike"] | {"version_table": "alembic_version"}}
    sync("sync", sqlite_url, apps=apps)
    execute(sqlite_url, "INSERT INTO alembic_version VALUES ('other')")

    with runtime(sqlite_url, apps=apps) as made:
        made.manager().drop("mike")

    assert rows(sqlite_url, "SELECT * FROM alembic_version") == [("other",)]


def test_tables_of_a_retired_app_that_are_gone(sqlite_url, apps):
    """They need not be dropped."""
    sync("sync", sqlite_url, apps=apps)
    execute(sqlite_url, "DROP TABLE m")

    with runtime(sqlite_url, apps={"zulu": apps["zulu"]}) as made:
        made.manager().migrations.retire("mike", drop_tables=True)

    assert "alembic_version_mike" not in app_tables(sqlite_url)


def test_tables_of_a_retired_app_that_nobody_knows(sqlite_url, apps):
    """Without a journal, a person has to drop them."""
    database = {"sqlalchemy": {"url": sqlite_url}, "alembic": {"journal": False}}
    sync("sync", {"default": database}, apps=apps)

    with runtime({"default": database}, apps={"zulu": apps["zulu"]}) as made:
        with pytest.raises(Refused, match="the journal does not know which tables app 'mike' had"):
            made.manager().migrations.retire("mike", drop_tables=True)
        made.manager().migrations.retire("mike")

    assert "m" in app_tables(sqlite_url)


def test_several_revisions_of_one_app(sqlite_url, apps):
    """Who asks for the revision is told that there are more; who asks for all gets them."""
    sync("sync", sqlite_url, apps=apps)
    execute(sqlite_url, "INSERT INTO alembic_version_zulu VALUES ('other')")

    with runtime(sqlite_url, apps=apps) as made:
        assert made.manager().migrations.get_current_revisions(app="zulu") == ("other", "zulu1")
        with pytest.raises(AppError, match="at several revisions: other, zulu1"):
            made.manager().get_current_revision(app="zulu")


def test_an_app_whose_revisions_only_change_data(sqlite_url, apps, project):
    """It has no models to compare with."""
    project.write_app("data", "", {"one.py": revision_text("d1", "op.execute('DELETE FROM z')")})
    apps["data"] = {"package": "data", "requires": ["zulu"], "bootstrap": "migrations"}

    with runtime(sqlite_url, apps=apps) as made:
        made.manager().sync()
        assert made.manager().migrations.check() == ()


@pytest.mark.parametrize("declared", [{"package": "leaver"}, {"models": "leaver.models"}])
def test_a_package_that_wants_to_end_the_process_is_named(sqlite_url, project, declared):
    """``sys.exit()`` while an app is imported is an error like any other."""
    project.write_app("leaver", "", {})
    project.write("leaver/__init__.py", "import sys\nsys.exit(0)\n")

    with pytest.raises(DiscoveryError, match=r"app 'leaver'.*SystemExit: 0"):
        sync("sync", sqlite_url, apps={"leaver": declared})


def test_tables_of_a_library_that_is_no_app_here_are_not_taken(sqlite_url, project):
    """An app that imports them neither creates nor drops them."""
    project.write(
        "library.py",
        "from sqlalchemy import Column, Integer, MetaData, Table\nmetadata = MetaData()\n"
        "outer = Table('outer', metadata, Column('id', Integer, primary_key=True))\n"
        "tables = [Table('inner', metadata, Column('id', Integer, primary_key=True))]\n",
    )
    models = (
        "from library import metadata, outer\nfrom sqlalchemy import Column, Integer, Table\n"
        "mine = Table('mine', metadata, Column('id', Integer, primary_key=True))\n"
    )
    project.write_app("user", models, {"u1.py": revision_text("u1")})

    with runtime(sqlite_url, apps={"user": {"package": "user"}}) as made:
        assert [table.name for table in made.tables["user"]] == ["mine"]


def test_everything_that_is_wrong_is_told_at_once(sqlite_url, project, apps):
    """Who mends one thing does not have to run again to hear of the next."""
    write(project, "doubled", "z")
    models = (project.folder / "doubled/models.py").read_text()
    project.write("doubled/models.py", models.replace("from base", "from other"))
    project.write("other.py", BASE)
    project.write_app("forgetful", "")
    project.write_app("failing", "1 / 0", {"f1.py": revision_text("f1")})
    apps |= {name: {"package": name} for name in ("doubled", "forgetful", "failing", "absent")}
    apps["zulu"]["requires"] = ["alpha"]
    apps["mike"]["requires"] = ["nobody"]

    with pytest.raises(DiscoveryError) as caught:
        sync("sync", sqlite_url, apps=apps)

    told = {
        "z' is defined twice": 1, "'forgetful' has no migrations folder": 1, "ZeroDivisionError": 1,
        "'absent' is not installed": 1, "in a circle": 1, "requires 'nobody'": 1,
    }  # fmt: skip
    assert {words: sum(words in line for line in caught.value.lines) for words in told} == told


def test_a_table_that_is_given_no_name_belongs_to_its_metadata(sqlite_url, project, apps):
    """Where several apps share the metadata it could be anybody's, which is an error."""
    text = (project.folder / "mike/models.py").read_text()
    inline = (
        "from sqlalchemy import Column, Integer, Table\nhidden = [Table('h', Base.metadata, Column('id', Integer))]\n"
    )
    project.write("mike/models.py", text + inline)

    with runtime(sqlite_url, apps={"mike": apps["mike"]}) as made:
        alone = [table.name for table in made.tables["mike"]]
    with pytest.raises(DiscoveryError, match="table 'h' could belong to any of the apps alpha, mike, zulu"):
        sync("sync", sqlite_url, apps=apps)

    assert alone == ["h", "m"]


@pytest.mark.parametrize(
    "imports", ["from mapped.tables import users", "from .tables import users", "from .tables import *"]
)
def test_a_table_from_elsewhere_in_the_package_is_the_apps(sqlite_url, project, imports):
    """Classes may be mapped onto tables that another module of the app creates, outside its models."""
    project.write_app(
        "mapped",
        f"from sqlalchemy.orm import registry\n{imports}\n\n\nclass User:\n    pass\n\n\n"
        "registry().map_imperatively(User, users)\n",
        {"m1.py": revision_text("m1")},
    )
    project.write(
        "mapped/tables.py",
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        "users = Table('users', MetaData(), Column('id', Integer, primary_key=True))\n",
    )

    sync("sync", sqlite_url, apps={"mapped": {"package": "mapped"}})

    assert app_tables(sqlite_url) == {"users", "alembic_version_mapped"}
