"""One notion of a table: names that mean the same one are the same, whoever compares them."""

from __future__ import annotations

import pytest
from databases import allow_scratch, app_tables, execute, rows, runtime, sync, tables
from projects import revision_text
from sqlalchemy import event

from sqlhelpers import SyncResult, hookimpl
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import AppError, ConfigurationError, DiscoveryError, NothingToWrite, Refused

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class T(Base):
    __tablename__ = "{table}"
    __table_args__ = {{"schema": {schema!r}}}
    id: Mapped[int] = mapped_column(primary_key=True)
    {column}
"""
CREATE = "op.create_table({table!r}, sa.Column('id', sa.Integer, primary_key=True))"
KEY = "other: Mapped[int | None] = mapped_column(ForeignKey('{}.id'))"


def write(project, name, table="t", schema=None, column=""):
    """Write an app with one table."""
    models = MODELS.format(table=table, schema=schema, column=column)
    project.write_app(name, models, {"one.py": revision_text(f"{name}1", CREATE.format(table=table))})


def chosen(*names, **more):
    """Return the settings of apps by name, each with more of them."""
    return {name: {"package": name, **more} for name in names}


def schema_of(url):
    """Return how the default schema of a database is named: on MariaDB by the database."""
    known = {"sqlite": "main", "postgresql": "public"}
    return known.get(url.partition(":")[0], url.rpartition("/")[2].partition("?")[0])


@pytest.mark.parametrize("work", ["sync", "get_report", "create", "check", "drop"])
def test_two_apps_cannot_name_one_table_with_and_without_its_schema(url, project, work):
    """Both apps and both modules are named, before any DDL."""
    write(project, "aa")
    write(project, "bb", schema=schema_of(url))

    with (
        runtime(url, apps=chosen("aa", "bb")) as made,
        pytest.raises(
            ConfigurationError, match=r"in aa\.models \(app 'aa'\) and .*in bb\.models \(app 'bb'\)"
        ) as caught,
    ):
        getattr(made.manager().migrations, work)()

    assert "enable_apps" in str(caught.value)
    assert tables(url) == set()


@pytest.mark.parametrize(("table", "schema"), [("T", None), ("t", "MAIN"), ("T", "Main")])
def test_two_apps_cannot_name_one_table_in_another_case_on_sqlite(sqlite_url, project, table, schema):
    """SQLite does not tell upper case from lower case."""
    write(project, "aa")
    write(project, "bb", table, schema)

    with pytest.raises(DiscoveryError, match=r"'t' is defined twice, in aa\.models .* in bb\.models"):
        sync("sync", sqlite_url, apps=chosen("aa", "bb"))


def test_names_in_another_case_are_two_tables_on_postgresql(postgres_url, project):
    """SQLAlchemy quotes them."""
    write(project, "aa")
    write(project, "bb", "T")

    sync("sync", postgres_url, apps=chosen("aa", "bb"))

    assert app_tables(postgres_url) >= {"t", "T"}


def test_a_search_path_in_the_url_says_which_schema_is_meant(postgres_url, project):
    """What has no schema is in its first schema, which another app may name."""
    execute(postgres_url, "CREATE SCHEMA x")
    write(project, "aa")
    write(project, "bb", schema="x")
    write(project, "cc", schema="public")
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}options=-csearch_path%3Dx"

    report = sync("sync", url, apps=chosen("aa", "cc"))
    with pytest.raises(DiscoveryError, match=r"'t' is defined twice, in aa\.models .* as 'x\.t' in bb\.models"):
        sync("sync", url, apps=chosen("aa", "bb"))

    assert report.result is SyncResult.CREATED


def test_a_search_path_of_the_role_says_which_schema_is_meant(postgres_url, project):
    """Only the server knows it, and it is asked before any DDL."""
    execute(
        postgres_url,
        "CREATE SCHEMA x",
        "ALTER DATABASE {} SET search_path = x".format(postgres_url.rpartition("/")[2].partition("?")[0]),
    )
    write(project, "aa")
    write(project, "bb", schema="x")
    write(project, "cc", schema="public")

    with pytest.raises(AppError, match=r"'t' is defined twice, in aa\.models .* as 'x\.t' in bb\.models"):
        sync("sync", postgres_url, apps=chosen("aa", "bb"))
    report = sync("sync", postgres_url, apps=chosen("aa", "cc"))

    assert report.result is SyncResult.CREATED


def test_retire_spares_the_tables_of_installed_apps(url, project):
    """One app said ``t`` and was retired; the other says it with its schema, and is installed."""
    write(project, "aa")
    write(project, "bb", schema=schema_of(url))
    sync("sync", url, apps=chosen("aa"))

    with runtime(url, apps=chosen("bb")) as made:
        made.manager().migrations.adopt("bb")
        made.manager().migrations.retire("aa", drop_tables=True)

    assert "t" in tables(url)
    assert "alembic_version_aa" not in tables(url)


def test_retire_spares_tables_in_another_case(sqlite_url, project):
    """On SQLite they are the same."""
    write(project, "aa")
    write(project, "bb", "T")
    sync("sync", sqlite_url, apps=chosen("aa"))

    with runtime(sqlite_url, apps=chosen("bb")) as made:
        assert made.manager().migrations.adopt("bb") == ()
        made.manager().migrations.retire("aa", drop_tables=True)

    assert "t" in tables(sqlite_url)


def test_retire_drops_no_table_that_a_search_path_finds_in_another_schema(postgres_url, project):
    """The table that was the app's is gone; that of the same name is in another schema, and somebody else's."""
    execute(postgres_url, "CREATE SCHEMA x")
    write(project, "aa")
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}options=-csearch_path%3Dx,public"
    sync("sync", url, apps=chosen("aa"))
    execute(postgres_url, "DROP TABLE x.t", "CREATE TABLE public.t (id integer)")

    with runtime(url, apps={}) as made:
        made.manager().migrations.retire("aa", drop_tables=True)

    assert "t" in tables(postgres_url)


@pytest.mark.parametrize("how", ["check", "adopt"])
def test_columns_that_no_model_has_are_seen_where_the_default_schema_is_named(url, project, how):
    """As they are where it is not."""
    write(project, "shop", schema=schema_of(url))
    sync("sync", url)
    execute(url, "ALTER TABLE t ADD COLUMN gone integer")
    if how == "adopt":
        execute(url, "DROP TABLE alembic_version_shop")

    with runtime(url) as made:
        manager = made.manager().migrations
        found = manager.adopt("shop") if how == "adopt" else [each.text for each in manager.check()]

    assert any("t.gone is not in the models" in line for line in found), found


@pytest.mark.parametrize("schema", [None, "MAIN"])
def test_a_table_that_the_models_write_in_another_case_is_compared(sqlite_url, project, schema):
    """It is not missing, and what differs is its column."""
    project.write_app(
        "shop",
        MODELS.format(table="T", schema=schema, column=""),
        {"one.py": revision_text("one", CREATE.format(table="t"))},
    )
    sync("sync", sqlite_url, apps=chosen("shop", bootstrap="migrations"))

    with runtime(sqlite_url) as made:
        clean = made.manager().migrations.check()
        execute(sqlite_url, "ALTER TABLE t ADD COLUMN gone integer")
        found = made.manager().migrations.check()

    assert [each.text for each in clean] == []
    assert [each.text for each in found] == ["column t.gone is not in the models"]


def test_a_foreign_key_orders_apps_whichever_way_it_names_the_table(url, project):
    """One app defines ``t``; the other refers to it by its schema, from a base of its own."""
    write(project, "zz")
    write(project, "aa", "a", column=KEY.format(f"{schema_of(url)}.t"))

    with runtime(url, apps=chosen("aa", "zz")) as made:
        assert list(made.apps) == ["zz", "aa"]
        assert made.registry.needs == {"aa": ("zz",), "zz": ()}


def test_a_foreign_key_to_a_table_with_its_schema_keeps_it(url, project):
    """``drop`` refuses, whichever way the two tables are named."""
    write(project, "zz", schema=schema_of(url))
    sync("sync", url, apps=chosen("zz"))
    execute(url, "CREATE TABLE child (id integer PRIMARY KEY, t_id integer, FOREIGN KEY (t_id) REFERENCES t (id))")

    with runtime(url, apps=chosen("zz")) as made, pytest.raises(Refused, match="table child has a foreign key to t"):
        made.manager().migrations.drop("zz")

    assert "t" in tables(url)


@pytest.mark.parametrize("name", ["positions", "POSITIONS"])
def test_two_histories_cannot_share_a_version_table(sqlite_url, project, name):
    """Whichever way each of them names it."""
    write(project, "aa", "a")
    write(project, "bb", "b")
    apps = {
        "aa": {"package": "aa", "version_table": "positions"},
        "bb": {"package": "bb", "version_table": name, "version_table_schema": "main"},
    }

    with pytest.raises(AppError, match="share the version table"):
        sync("sync", sqlite_url, apps=apps)

    assert tables(sqlite_url) == set()


def test_a_version_table_whose_schema_is_named_is_retired_once(postgres_url, project):
    """The default schema is looked into once, although an installed app names it."""
    write(project, "aa", "a")
    write(project, "bb", "b")
    sync("sync", postgres_url, apps=chosen("aa"))
    apps = {"bb": {"package": "bb", "version_table_schema": "public"}}
    sync("sync", postgres_url, apps=apps)

    with runtime(postgres_url, apps=apps) as made:
        made.manager().migrations.retire("aa", drop_tables=True)
        entries = made.manager().migrations.journal()

    assert app_tables(postgres_url) == {"b", "alembic_version_bb"}
    assert [entry.app for entry in entries] == ["bb"]


def test_a_view_takes_the_name_of_a_table_in_another_case(sqlite_url, project):
    """No run creates a table beside it."""
    write(project, "shop", "T", "main")
    execute(sqlite_url, "CREATE VIEW t AS SELECT 1 AS id")

    with pytest.raises(Refused, match=r"its tables are there \(main\.T\)"):
        sync("sync", sqlite_url)


def test_tables_of_an_attached_database_are_others(sqlite_url, tmp_path, project):
    """They may have the names of those in the main one."""

    class Attach:
        @hookimpl
        def sqlhelpers_engine_created(self, engine):
            def attach(connection, _):
                connection.execute(f"ATTACH '{tmp_path}/other.db' AS other")

            event.listen(engine, "connect", attach)

    plugins = PluginManager()
    plugins.register(Attach(), "attach")
    write(project, "aa")
    write(project, "bb", schema="other")
    write(project, "cc", "T", schema="OTHER")

    report = sync("sync", sqlite_url, apps=chosen("aa", "bb"), plugins=plugins)
    with pytest.raises(DiscoveryError, match=r"table 'other\.t' is defined twice, in bb.models .* as 'OTHER\.T' in cc"):
        sync("sync", sqlite_url, apps=chosen("aa", "bb", "cc"), plugins=plugins)

    assert report.result is SyncResult.CREATED
    assert "t" in tables(f"sqlite:///{tmp_path}/other.db")


def test_a_table_that_another_app_has_brought_along_is_told_by_both(sqlite_url, project):
    """The first app that is imported uses the second one's models, before those are imported themselves."""
    project.write("base.py", "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n")
    head = "from sqlalchemy.orm import Mapped, mapped_column\nfrom base import Base\n{more}\n\n"
    model = "class {cls}(Base):\n    __tablename__ = '{table}'\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
    for name, table, more in (
        ("clinic", "doctor", "import people.models"),
        ("mini", "person", ""),
        ("people", "person", ""),
    ):
        project.write_app(
            name, head.format(more=more) + model.format(cls=name.title(), table=table), {"one.py": revision_text(name)}
        )

    with pytest.raises(DiscoveryError) as caught:
        sync("sync", sqlite_url, apps=chosen("clinic", "mini", "people"))

    (error,) = caught.value.errors
    assert "in people.models (app 'people') and in mini.models (app 'mini')" in str(error)
    assert error.apps == ("people", "mini")
    assert "extend_existing" not in str(caught.value)
    assert "DeclarativeBase" not in str(error)


def test_apps_of_different_databases_that_share_a_base_are_told_to_part(sqlite_url, tmp_path, project):
    """One metadata cannot hold two tables of one name; two bases can."""
    project.write("base.py", "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n")
    for name in ("one", "two"):
        models = MODELS.format(table="t", schema=None, column="").replace(
            "class Base(DeclarativeBase):\n    pass", "from base import Base"
        )
        project.write_app(name, models, {"one.py": revision_text(name)})
    apps = {"one": {"package": "one"}, "two": {"package": "two", "bind": "second"}}

    with (
        runtime({"default": sqlite_url, "second": f"sqlite:///{tmp_path}/second.db"}, apps=apps) as made,
        pytest.raises(DiscoveryError, match=r"DeclarativeBase of its own .* databases default and second"),
    ):
        made.run_sync()


def test_an_enumeration_that_comes_to_a_table_whose_schema_is_named_is_made(postgres_url, project):
    """Alembic names the table without its default schema, the model with it."""
    write(project, "shop", schema="public")
    sync("sync", postgres_url)
    models = MODELS.format(table="t", schema="public", column="kind: Mapped[Kind | None]").replace(
        "class Base", "import enum\n\n\nclass Kind(enum.Enum):\n    A = 1\n\n\nclass Base", 1
    )
    project.write("shop/models.py", models)
    project.forget()

    with runtime(postgres_url) as made:
        made.manager().migrations.revision("kinds", "shop")
        report = made.manager().migrations.sync()

    assert report.result is SyncResult.UPGRADED
    assert rows(postgres_url, "SELECT typname FROM pg_type WHERE typname = 'kind'") == [("kind",)]


def test_a_database_in_use_is_not_changed_in_place_of_an_empty_one(mariadb_url, project, request):
    """There a schema is a database: what revisions do to one by its name is not tried out."""
    allow_scratch(request, mariadb_url)
    name = schema_of(mariadb_url)
    write(project, "shop", schema=name)
    drop = revision_text("two", f"op.execute('DROP TABLE IF EXISTS {name}.old')", "shop1")
    project.write("shop/migrations/versions/two.py", drop)
    sync("sync", mariadb_url)
    execute(mariadb_url, "CREATE TABLE old (id integer)")

    with runtime(mariadb_url) as made:
        found = made.manager().migrations.check()

    assert "old" in tables(mariadb_url)
    assert [(each.kind, "names its database" in each.text) for each in found] == [("skipped", True)]


def test_keys_between_tables_in_another_case_are_compared(sqlite_url, project):
    """Also a key of a table to itself; nothing differs, and nothing is proposed."""
    models = MODELS.format(table="T", schema=None, column="") + (
        "\n\nclass U(Base):\n    __tablename__ = 'U'\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    t_id: Mapped[int | None] = mapped_column(ForeignKey('T.id'), index=True)\n"
        "    me: Mapped[int | None] = mapped_column(ForeignKey('U.id'))\n"
    )
    child = (
        "\nop.create_table('u', sa.Column('id', sa.Integer, primary_key=True), "
        "sa.Column('t_id', sa.Integer, sa.ForeignKey('t.id')), sa.Column('me', sa.Integer, sa.ForeignKey('u.id')))"
        "\nop.create_index('ix_U_t_id', 'u', ['t_id'])"
    )
    project.write_app("shop", models, {"one.py": revision_text("one", CREATE.format(table="t") + child)})
    sync("sync", sqlite_url, apps=chosen("shop", bootstrap="migrations"))

    with runtime(sqlite_url) as made, pytest.raises(NothingToWrite):
        assert made.manager().migrations.check() == ()
        made.manager().migrations.revision("nothing", "shop")
