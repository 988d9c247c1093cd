"""What a prompt knows by name: the models of every app, and what is needed to query them."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import Table

from sqlhelpers.queries import mapper_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from sqlhelpers.discovery import App
    from sqlhelpers.runtime import Runtime

#: What is there beside the models, the runtime, the manager and the session.
TOOLS: dict[str, Any] = {
    "asyncio": asyncio,
    "sa": sqlalchemy,
    "select": sqlalchemy.select,
    "func": sqlalchemy.func,
    "text": sqlalchemy.text,
}


@dataclass(frozen=True)
class ModelNames:
    """The models and Core tables of apps, by the names that a prompt has for them.

    Attributes:
        single: those of the apps in one database, whose names no other app there uses.
        by_app: those of every app.
        shared: names that several apps in the database use, with these apps.
        elsewhere: the apps that are in other databases, with the names of these.
    """

    single: Mapping[str, Any]
    by_app: Mapping[str, Mapping[str, Any]]
    shared: Mapping[str, tuple[str, ...]]
    elsewhere: Mapping[str, str]

    def namespaces(self) -> dict[str, Any]:
        """Return an object for each app, whose attributes are its models: ``shop.Book``."""
        return {name.replace("-", "_").replace(".", "_"): SimpleNamespace(**each) for name, each in self.by_app.items()}


def model_names(runtime: Runtime, bind: str) -> ModelNames:
    """Return the models of the apps of a runtime.

    Args:
        runtime: it has imported their modules.
        bind: the database whose models have names of their own.
    """
    by_app = {name: dict(_models(app, runtime.tables[name])) for name, app in runtime.apps.items()}
    here = [name for name, app in runtime.apps.items() if app.bind == bind]
    users: dict[str, list[str]] = defaultdict(list)
    for app in here:
        for name in by_app[app]:
            users[name].append(app)
    return ModelNames(
        single={name: by_app[apps[0]][name] for name, apps in users.items() if len(apps) == 1},
        by_app=by_app,
        shared={name: tuple(apps) for name, apps in users.items() if len(apps) > 1},
        elsewhere={name: app.bind for name, app in runtime.apps.items() if app.bind != bind},
    )


def _models(app: App, tables: tuple[Table, ...]) -> Iterator[tuple[str, Any]]:
    owned = set(tables)
    for module in _modules(app):
        for name, value in vars(module).items():
            if isinstance(value, Table):
                if value in owned:
                    yield name, value
            elif isinstance(value, type):
                mapper = mapper_of(value)
                if mapper is not None and mapper.local_table in owned:
                    yield value.__name__, value


def _modules(app: App) -> Iterator[ModuleType]:
    """Yield the model modules of an app, and those in its packages of models."""
    for wanted in app.model_modules():
        for name, module in sorted(sys.modules.items()):
            if name == wanted or name.startswith(f"{wanted}."):
                yield module
