"""``sqlhelpers.discovery.hooks``: plugins are checked when they come, and named when they fail."""

from __future__ import annotations

import inspect

import pytest

from sqlhelpers import Backend, DatabaseSettings, hookimpl
from sqlhelpers.discovery import hookspecs
from sqlhelpers.discovery.hooks import Hooks, everywhere
from sqlhelpers.exceptions import HookFailed, InvalidHook, PluginLoadError
from sqlhelpers.urls import Drivers, parse

SETTINGS = DatabaseSettings(sqlalchemy={"url": "sqlite://"})


def plugin(**functions):
    """Return an object with hook implementations."""
    return type("Plugin", (), {name: staticmethod(hookimpl(function)) for name, function in functions.items()})


@pytest.fixture
def hooks():
    """Hooks that nobody implements yet."""
    return Hooks()


def test_every_hook_is_described():
    """Each says what it is for, and each of its arguments what it holds."""
    specs = {name: value for name, value in vars(hookspecs).items() if name.startswith("sqlhelpers_")}

    assert specs
    for name, function in specs.items():
        told = inspect.getdoc(function)
        assert told, name
        for argument in inspect.signature(function).parameters:
            assert f"    {argument}: " in told, (name, argument)


def test_what_is_told_is_not_answered(hooks):
    """What a plugin returns that was told of something is of no use, and no error."""
    told = ("sqlhelpers_engine_created", "sqlhelpers_before_sync", "sqlhelpers_after_sync")
    hooks.register(plugin(**{name: lambda bind: f"of {bind}" for name in told}), "p")

    assert hooks.engine_created("one", None) is None
    assert hooks.before_sync("one", None, None) is None
    assert hooks.after_sync("one", None, None) is None


def test_a_misspelt_hook(hooks):
    """Pluggy would ignore it."""
    with pytest.raises(InvalidHook, match="no hook sqlhelpers_register_ap; did you mean sqlhelpers_register_app"):
        hooks.register(plugin(sqlhelpers_register_ap=lambda: None), "p")


def test_a_hook_without_its_mark(hooks):
    """The same."""
    unmarked = type("Plugin", (), {"sqlhelpers_register_app": staticmethod(lambda: None)})

    with pytest.raises(InvalidHook, match="plugin p: sqlhelpers_register_app is not marked @hookimpl"):
        hooks.register(unmarked, "p")


def test_a_wrong_signature(hooks):
    """The hook and the argument are named, in one line."""
    with pytest.raises(InvalidHook, match=r"wrong signature of sqlhelpers_engine_created: .*'enigne'") as caught:
        hooks.register(plugin(sqlhelpers_engine_created=lambda enigne: None), "p")  # noqa: ARG005  # the point

    assert "\n" not in str(caught.value)


def test_wrappers_and_coroutines_are_refused(hooks):
    """Neither would do what its author expects."""

    async def coroutine():
        pass

    def wrapper():
        yield

    wrapping = type("Plugin", (), {"sqlhelpers_register_app": staticmethod(hookimpl(wrapper=True)(wrapper))})

    with pytest.raises(InvalidHook, match="is async"):
        hooks.register(plugin(sqlhelpers_register_app=coroutine), "p")
    with pytest.raises(InvalidHook, match="is a wrapper"):
        hooks.register(wrapping, "p")


def test_a_name_is_registered_once(hooks):
    """Pluggy's own words for it name nobody."""
    hooks.register(plugin(), "p")

    with pytest.raises(PluginLoadError, match="plugin p: it is registered already"):
        hooks.register(plugin(), "p")


def test_a_plugin_may_have_other_attributes(hooks):
    """Only functions with our prefix are looked at, and a value with it is no function."""
    module = type("Plugin", (), {"sqlhelpers_version": "1.0", "register": lambda: None})

    hooks.register(module, "p")

    assert hooks.hooks_of("p") == ()


@pytest.mark.parametrize("error", [ValueError("no\nway"), SystemExit(0)])
def test_a_hook_that_raises_is_named(hooks, error):
    """Even one that wants to end the process."""

    def broken():
        raise error

    hooks.register(plugin(sqlhelpers_register_backend=broken), "p")

    with pytest.raises(
        HookFailed, match=r"plugin p: sqlhelpers_register_backend raised (ValueError: no way|SystemExit)"
    ):
        hooks.backend(parse("sqlite://"))


@pytest.mark.parametrize(
    ("hook", "result", "call"),
    [
        ("sqlhelpers_register_backend", {"oracle": ("a", "b")}, lambda hooks: hooks.backend(parse("sqlite://"))),
        ("sqlhelpers_register_backend", ["oracle"], lambda hooks: hooks.backend(parse("sqlite://"))),
        ("sqlhelpers_resolve_url", 3, lambda hooks: hooks.resolve_url("default", SETTINGS)),
        ("sqlhelpers_engine_options", "echo", lambda hooks: hooks.engine_options("default", parse("sqlite://"))),
    ],
)
def test_a_wrong_type_is_named(hooks, hook, result, call):
    """With the type that was expected."""
    hooks.register(plugin(**{hook: lambda: result}), "p")

    with pytest.raises(InvalidHook, match=f"plugin p: {hook} should return "):
        call(hooks)


class Named(Backend):
    """A backend that takes the place of SQLite's."""

    names = ("sqlite",)

    def __init__(self, driver):
        self.drivers = Drivers(sync=(driver,), aio=())


def test_the_plugin_loaded_last_wins(hooks):
    """For backends, options and URLs alike."""
    for name in ("one", "two"):
        hooks.register(
            plugin(
                sqlhelpers_register_backend=lambda name=name: Named(name),
                sqlhelpers_engine_options=lambda name=name: {"logging_name": name, f"only_{name}": 1},
                sqlhelpers_resolve_url=lambda name=name: f"sqlite:///{name}",
            ),
            name,
        )

    assert hooks.backend(parse("sqlite://")).drivers.sync == ("two",)
    assert hooks.engine_options("default", parse("sqlite://")) == {"logging_name": "two", "only_one": 1, "only_two": 1}
    assert hooks.resolve_url("default", SETTINGS) == "sqlite:///two"


def test_nobody_knows_a_url(hooks):
    """None leaves it to the settings, and to the next plugin."""
    hooks.register(plugin(sqlhelpers_resolve_url=lambda: None), "p")

    assert hooks.resolve_url("default", SETTINGS) is None


def test_what_serves_everywhere_takes_part_like_any_other(hooks):
    """A run that it wants to see is not passed over; after the block it is gone."""
    with everywhere(plugin(sqlhelpers_after_sync=lambda result: None), "kit"):  # noqa: ARG005
        during = hooks.implements("sqlhelpers_before_sync", "sqlhelpers_after_sync")

    assert during
    assert not hooks.implements("sqlhelpers_before_sync", "sqlhelpers_after_sync")
