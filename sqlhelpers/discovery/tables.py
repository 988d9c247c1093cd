"""``ModelModules``: the model modules of apps, and which tables they define."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import traceback
from collections import defaultdict
from importlib.util import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Table
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import registry
from sqlalchemy.orm.exc import UnmappedClassError

from sqlhelpers.exceptions import AppError, SqlhelpersError
from sqlhelpers.queries import mapper_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
    from types import ModuleType

    from sqlalchemy import MetaData
    from sqlalchemy.orm import Mapper

    from sqlhelpers.discovery.app import App


class Claim(NamedTuple):
    """An app, and the module in which it defines a table.

    Attributes:
        app: the app's name.
        module: the module's name.
        bind: the database that the app is in.
    """

    app: str
    module: str
    bind: str

    def __str__(self) -> str:
        return f"{self.module} (app {self.app!r})"


def shared_tables(definitions: Iterable[tuple[Hashable, str, Claim]]) -> Iterator[AppError]:
    """Yield an error for every table that is defined twice.

    Args:
        definitions: of each table what is the same for all names that mean it, its name, and who defines it.
    """
    first: dict[Hashable, tuple[str, Claim]] = {}
    for key, name, claim in definitions:
        other, owner = first.setdefault(key, (name, claim))
        if owner != claim:
            yield _defined_twice(other, owner, name, claim)


class ModelModules:
    """The model modules of some apps, and the tables that belong to each.

    Args:
        apps: the apps by name. Whatever is defined below an app's package belongs to it.
    """

    def __init__(self, apps: Mapping[str, App]) -> None:
        self._modules: dict[str, list[ModuleType]] = {}
        self._apps = apps
        self._roots = {name: _roots(app) for name, app in apps.items()}

    def load(self, app: str) -> None:
        """Import the model modules of an app, and everything below those that are packages.

        Raises:
            AppError: a module cannot be imported. A model that is not imported would make its
                table look like one to drop, so this is never passed over.
        """
        self._modules[app] = []
        for name in self._apps[app].model_modules():
            self._import_tree(app, name)

    def _import_tree(self, app: str, name: str) -> None:
        module = self._import(app, name)
        self._modules[app].append(module)
        for below in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
            if not below.name.endswith(".__main__"):
                self._import_tree(app, below.name)

    def _import(self, app: str, name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:
            taken = re.match(r"Table '([^']+)' is already defined", str(error))
            if not (taken and isinstance(error, InvalidRequestError)):
                raise self._not_imported(app, name, error, str(error)) from error
            imported = [sys.modules[each] for each in tuple(sys.modules) if self._app_of(each) is not None]
            for table, claims in self._claims(_definitions(imported)).items():
                if table.key == taken[1]:
                    raise _defined_twice(taken[1], claims[0], taken[1], self._claim(app, name)) from error
            raise self._not_imported(app, name, error, taken[0]) from error  # not the advice to merge the two

    def _not_imported(self, app: str, name: str, error: BaseException, reason: str) -> AppError:
        problem = f"app {app!r}: its models cannot be imported: {name}: {type(error).__name__}: {reason}{_line(error)}"
        return AppError(problem, [app])

    def tables(
        self,
        normalised: Callable[[str, Table], Hashable],
        errors: list[SqlhelpersError],
    ) -> dict[str, dict[Table, str]]:
        """Return the tables of each app, sorted by name, each with the module that defines it.

        Args:
            normalised: returns what is the same for all names that mean one table in a database.
            errors: takes an ``AppError`` for every table that two apps define, or that could be anybody's.

        A mapped table belongs to the app below whose package its class is defined; a Core ``Table``
        to the app whose module creates it, not to one that merely imports it.
        """
        claims = self._claims(self._named())
        owners = {table: found[0] for table, found in claims.items()}
        owners |= {table: self._claim(app, self._apps[app].package) for table, app in self._unnamed(owners, errors)}
        for table, (first, *others) in claims.items():
            name = table.fullname
            errors += (_defined_twice(name, first, name, each) for each in others if each.app != first.app)
        errors += shared_tables(
            ((claim.bind, normalised(claim.bind, table)), table.fullname, claim) for table, claim in owners.items()
        )
        order = sorted(owners, key=lambda table: table.fullname)
        return {app: {each: owners[each].module for each in order if owners[each].app == app} for app in self._modules}

    def _claims(self, definitions: Iterable[tuple[Table, str]]) -> dict[Table, list[Claim]]:
        """Return, for every table that is named, the apps that may have defined it."""
        claims: dict[Table, list[Claim]] = defaultdict(list)
        for table, module in definitions:
            origin = _origin(module, table)
            app = self._app_of(origin)
            if app is not None:
                claims[table].append(self._claim(app, origin))
        return dict(claims)

    def _claim(self, app: str, module: str) -> Claim:
        return Claim(app, module, self._apps[app].bind)

    def _named(self) -> Iterator[tuple[Table, str]]:
        return _definitions(module for modules in self._modules.values() for module in modules)

    def _app_of(self, module: str) -> str | None:
        found = [
            (len(root), app)
            for app, names in self._roots.items()
            for root in names
            if f"{module}.".startswith(f"{root}.")
        ]
        return max(found)[1] if found else None

    def _unnamed(self, owners: dict[Table, Claim], errors: list[SqlhelpersError]) -> Iterator[tuple[Table, str]]:
        """Yield tables that no module names (an inline ``secondary``), with the one app that uses their metadata."""
        users: dict[MetaData, set[str]] = defaultdict(set)
        for table, claim in owners.items():
            users[table.metadata].add(claim.app)
        named = {table for table, _ in self._named()}
        for metadata, apps in users.items():
            if named & set(metadata.tables.values()) - set(owners):
                continue  # the metadata is shared with what is no app, so these may belong there
            for table in set(metadata.tables.values()) - named:
                if len(apps) == 1:
                    yield table, next(iter(apps))
                    continue
                candidates = ", ".join(sorted(apps))
                problem = f"table {table.fullname!r} could belong to any of the apps {candidates}"
                errors.append(AppError(f"{problem}: give it a name in the module that defines it", apps))


def _roots(app: App) -> list[str]:
    """Return the packages and modules below which everything is an app's."""
    models = (app.models,) if isinstance(app.models, str) else app.models or ()
    return [app.package, *models]


def _line(error: BaseException) -> str:
    """Return where an import has failed: the line of a file, unless the error names it itself."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    lines = [each for each in frames if not each.filename.startswith("<") and each.filename != importlib.__file__]
    own = [each for each in lines if "site-packages" not in each.filename] or lines
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own and not isinstance(error, SyntaxError) else ""


def _definitions(modules: Iterable[ModuleType]) -> Iterator[tuple[Table, str]]:
    """Yield every table that the modules can reach, with the name of each module that may have defined it."""
    core: list[tuple[Table, str]] = []
    mapped: dict[Table, set[str]] = defaultdict(set)
    named: dict[Table, set[str]] = defaultdict(set)  # by a class with __tablename__; others map a table that is there
    for module in modules:
        for value in tuple(vars(module).values()):
            if isinstance(value, Table):
                core.append((value, module.__name__))
            elif isinstance(value, type):
                for mapper in _mappers_beside(value):
                    if isinstance(mapper.local_table, Table) and not _shares_table(mapper):
                        kind = named if getattr(mapper.class_, "__tablename__", None) else mapped
                        kind[mapper.local_table].add(mapper.class_.__module__)
    for table in {**mapped, **named}:
        yield from ((table, name) for name in sorted(named.get(table) or mapped[table]))
    yield from (found for found in core if found[0] not in mapped and found[0] not in named)


def _shares_table(mapper: Mapper[Any]) -> bool:
    """Tell whether the class has no table of its own: single-table inheritance."""
    return mapper.inherits is not None and mapper.inherits.local_table is mapper.local_table


def _mappers_beside(cls: type[Any]) -> Iterable[Mapper[Any]]:
    """Return every mapper of the registry of ``cls``, which may be a mapped class or a declarative base."""
    mapper = mapper_of(cls)
    found = getattr(cls, "registry", None) if mapper is None else mapper.registry
    if not isinstance(found, registry):
        return ()
    try:
        return found.mappers
    except UnmappedClassError:  # a class whose definition failed half-way, in an import that was reported
        return [manager.mapper for manager in found._managers if manager.is_mapped]  # noqa: SLF001  # no public way


def _origin(module: str, table: Table) -> str:
    """Return the module that a table comes from: ``module``, or the one that it imports the ``Table`` from."""
    names = {name for name, value in _names(module).items() if value is table}
    if not names:
        return module  # a mapped class stands for it
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return module
    nodes = list(ast.walk(tree))
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not names & assigned:
            package = str(_names(module).get("__package__") or "")
            source = resolve_name("." * node.level + (node.module or ""), package)
            imported = {alias.asname or alias.name for alias in node.names}
            if names & imported or ("*" in imported and names & _names(source).keys()):
                return source
    return module


def _names(module: str) -> dict[str, Any]:
    return vars(sys.modules[module]) if module in sys.modules else {}


def _defined_twice(name: str, one: Claim, other_name: str, other: Claim) -> AppError:
    also = f" as {other_name!r}" if other_name != name else ""
    problem = f"table {name!r} is defined twice, in {one} and{also} in {other}; a table belongs to one app"
    if one.app != other.app:
        problem += ": `enable_apps` chooses which of the installed apps this project uses"
    if one.bind != other.bind:
        problem += f", or a DeclarativeBase of its own for each parts them, in databases {one.bind} and {other.bind}"
    return AppError(problem, [one.app, other.app])
