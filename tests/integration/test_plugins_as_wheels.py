"""Plugins that cannot be used, each a real wheel in a real environment, and what ``sqlhelpers`` says of them."""

from __future__ import annotations

import json

import pytest
from sites import app, assert_refused, plugin
from wheels import Source

HOOKIMPL = "from sqlhelpers import hookimpl\n\n\n@hookimpl\n"
RAISES = "    raise RuntimeError('the shop is closed')\n"

# for each plugin: what the error says beside the names of entry point, distribution and module
BROKEN = {
    "import-fails": (plugin("import nothing_like_this\n", "sqlhelpers.apps"), ["No module named 'nothing_like_this'"]),
    "exits-while-importing": (plugin("import sys\n\nsys.exit('enough')\n"), ["SystemExit", "enough"]),
    "exits-with-0": (plugin("import sys\n\nsys.exit(0)\n", "sqlhelpers.apps"), ["SystemExit"]),
    "no-such-object": (plugin("", "sqlhelpers.apps", "shop_module:shop"), ["shop_module:shop", "AttributeError"]),
    "not-an-app": (plugin("shop = 42\n", "sqlhelpers.apps", "shop_module:shop"), ["int", "App"]),
    "misspelt-hook": (
        plugin(HOOKIMPL + "def sqlhelpers_after_sink(bind):\n    pass\n"),
        ["sqlhelpers_after_sink", "did you mean sqlhelpers_after_sync?"],
    ),
    "hook-without-marker": (
        plugin("def sqlhelpers_after_sync(bind):\n    pass\n"),
        ["sqlhelpers_after_sync is not marked @hookimpl"],
    ),
    "wrong-signature": (
        plugin(HOOKIMPL + "def sqlhelpers_after_sync(bind, cursor):\n    pass\n"),
        ["sqlhelpers_after_sync", "signature", "cursor"],
    ),
    "register-app-raises": (
        plugin(HOOKIMPL + "def sqlhelpers_register_app():\n" + RAISES),
        ["sqlhelpers_register_app raised RuntimeError: the shop is closed"],
    ),
    "register-app-returns-text": (
        plugin(HOOKIMPL + "def sqlhelpers_register_app():\n    return 'shop'\n"),
        ["sqlhelpers_register_app should return an App", "not str"],
    ),
}


@pytest.fixture(params=BROKEN.values(), ids=BROKEN)
def broken(request: pytest.FixtureRequest) -> tuple[Source, list[str]]:
    """A plugin that cannot be used, and what the error has to say."""
    return request.param


def test_a_broken_plugin_is_named_and_nothing_is_done(install, broken):
    """One line names distribution, entry point, module and cause; no database is made, and the rest is listed."""
    source, words = broken
    site = install(source)
    synced, listed = site.sync_and_list("--json")
    found = {info["name"]: info for info in json.loads(listed.stdout)}
    note = synced.stderr.splitlines()[-1]

    assert_refused(synced, "'shop", "broken-dist 1.0", "shop_module", *words)
    assert_refused(listed, "'shop", "broken-dist 1.0", "shop_module", *words)
    assert site.leftovers == []
    assert note == "note: not affected: app healthy (healthy 1.0)"
    assert found["healthy"]["state"] == "loaded"
    assert found["shop"]["state"] == "failed"
    assert words[-1] in found["shop"]["reason"]


def test_one_entry_point_name_from_two_distributions(install):
    """When two distributions register one name, both are named, and neither is used."""
    sources = [
        Source(f"{name}-dist", {f"{name}.py": ""}, {"sqlhelpers.plugins": {"shop": name}}) for name in ("a", "b")
    ]
    site = install(*sources)
    synced, listed = site.sync_and_list()

    assert_refused(synced, "shop", "a-dist 1.0", "b-dist 1.0")
    assert_refused(listed, "shop", "a-dist 1.0", "b-dist 1.0")
    assert site.leftovers == []
    assert "healthy" in synced.output
    assert "healthy" in listed.stdout


def test_two_apps_with_one_name(install):
    """When two distributions provide an app of one name under different entry points, both are named."""
    code = "from sqlhelpers import App\n\napp = App(name='shop', package=__name__)\n"
    site = install(app("one", code=code), app("two", code=code))
    synced, listed = site.sync_and_list()

    assert_refused(synced, "'shop'", "one-dist 1.0", "two-dist 1.0")
    assert_refused(listed, "'shop'", "one-dist 1.0", "two-dist 1.0")
    assert site.leftovers == []
    assert "healthy" in synced.output
    assert "healthy" in listed.stdout


def test_a_failing_register_app_does_not_hide_another_one(install):
    """A plugin whose ``register_app`` raises does not keep those of other plugins from being asked."""
    raising = plugin(HOOKIMPL + "def sqlhelpers_register_app():\n" + RAISES)
    code = HOOKIMPL + "def sqlhelpers_register_app():\n    return 42\n"
    other = Source("other-dist", {"other.py": code}, {"sqlhelpers.plugins": {"other": "other"}})
    synced = install(raising, other).sqlhelpers("run-sync")

    assert synced.status == 2
    assert len(synced.errors) == 2
    assert any("broken-dist" in line and "the shop is closed" in line for line in synced.errors)
    assert any("other-dist" in line and "not int" in line for line in synced.errors)


def test_after_sync_that_raises_leaves_the_database_as_it_was(install):
    """A failing ``after_sync`` ends with status 1, names the plugin, and undoes tables and rows on SQLite."""
    code = (
        HOOKIMPL + "def sqlhelpers_after_sync(connection):\n"
        "    connection.exec_driver_sql('insert into mine values (2)')\n" + RAISES
    )
    site = install(plugin(code))
    site.query("create table mine (id integer)")
    site.query("insert into mine values (1)")
    before = site.dump()
    synced, listed = site.sync_and_list()

    assert_refused(
        synced, "shop", "broken-dist 1.0", "shop_module", "sqlhelpers_after_sync", "the shop is closed", status=1
    )
    assert site.dump() == before
    assert "healthy" in listed.stdout


def test_before_sync_that_raises_refuses_the_run(install):
    """A failing ``before_sync`` ends with status 3, names the plugin, and nothing is changed."""
    site = install(plugin(HOOKIMPL + "def sqlhelpers_before_sync(bind, status):\n" + RAISES))
    site.query("create table mine (id integer)")
    before = site.dump()
    synced, listed = site.sync_and_list()

    assert_refused(
        synced, "shop", "broken-dist 1.0", "shop_module", "sqlhelpers_before_sync", "the shop is closed", status=3
    )
    assert site.dump() == before
    assert "healthy" in listed.stdout


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("sqlhelpers_resolve_url", "a URL as text"),
        ("sqlhelpers_engine_options", "a mapping"),
        ("sqlhelpers_register_backend", "a Backend or a list of them"),
    ],
)
def test_a_hook_that_returns_a_wrong_type(install, hook, expected):
    """The error says which hook of which plugin should have returned what, and no database is made."""
    site = install(plugin(HOOKIMPL + f"def {hook}():\n    return 42\n"))
    synced, listed = site.sync_and_list()

    assert_refused(synced, "shop", "broken-dist 1.0", "shop_module", f"{hook} should return {expected}", "not int")
    assert site.leftovers == []
    assert "healthy" in listed.stdout


def test_an_adapter_without_its_framework_is_in_nobodys_way(install):
    """Adapters are not loaded before they are asked for; one that is asked for names the framework that is missing."""
    adapter = plugin("import nosuchframework\n", "sqlhelpers.adapters")
    adapter = Source(adapter.name, adapter.files, {"sqlhelpers.adapters": {"nosuchframework": "shop_module"}})
    site = install(adapter)
    synced, listed = site.sync_and_list()
    asked = site.python("from sqlhelpers import Runtime; Runtime().plugins.adapter('nosuchframework')")
    message = asked.stderr.splitlines()[-1]

    assert synced.status == 0
    assert listed.status == 0
    assert "available" in next(line for line in listed.stdout.splitlines() if "nosuchframework" in line)
    assert asked.status == 1
    assert message.startswith("sqlhelpers.exceptions.AdapterNotInstalled:")
    assert "needs nosuchframework, which is not installed" in message
    assert "broken-dist 1.0" in message
    assert "sqlhelpers[nosuchframework]" not in message  # that extra does not exist


def test_our_own_adapter_without_its_framework_names_the_extra(install):
    """The adapter for FastAPI says which extra to install."""
    asked = install().python("from sqlhelpers import Runtime; Runtime().plugins.adapter('fastapi')")

    assert "pip install 'sqlhelpers[fastapi]'" in asked.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("SQLHELPERS_DISABLE_PLUGINS", "other,shop", "disable_plugins"),
        ("SQLHELPERS_ENABLE_APPS", "healthy", "enable_apps"),
    ],
)
def test_a_plugin_can_be_kept_from_being_loaded(install, variable, value, reason):
    """A broken app that is disabled, or not enabled, is not imported, and ``plugins`` says why."""
    site = install(plugin("raise RuntimeError('imported')\n", "sqlhelpers.apps"))
    synced, listed = site.sync_and_list(**{variable: value})
    line = next(line for line in listed.stdout.splitlines() if "shop_module" in line)

    assert (synced.status, synced.stderr) == (0, "")
    assert "healthy" in synced.stdout
    assert listed.status == 0
    assert "disabled" in line
    assert reason in line


def test_an_environment_without_frameworks_needs_none(install):
    """Importing the runtime imports no adapter and no framework, and works where there is none."""
    code = "import sys, sqlhelpers; sqlhelpers.Runtime; print(*sys.modules)"
    done = install().python(code)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}

    assert done.status == 0
    assert "sqlalchemy" in loaded
    assert not {"fastapi", "starlette", "flask", "django", "litestar", "aiohttp", "quart", "sanic"} & loaded
    assert not {name for name in loaded if name.startswith("sqlhelpers_")}
