"""How the types of an app's columns are written in its revisions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Enum, TypeDecorator

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext


class TypeNames:
    """Writes types that Alembic cannot write for itself; leaves all else to Alembic.

    Attributes:
        existing: enumerations, by schema and name, whose types PostgreSQL has already when the revision runs.
    """

    def __init__(self) -> None:
        self.existing: set[tuple[str | None, str]] = set()

    def __call__(self, kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
        """Return a type as it is written in a revision, or False.

        A type that is not SQLAlchemy's gets the import that it needs. If it cannot be made from what it says of itself,
        it is written as the type that it decorates.
        """
        if kind != "type":
            return False
        key = enumeration_key(item)
        if key in self.existing and context.dialect.name == "postgresql":
            context.imports.add("from sqlalchemy.dialects import postgresql")
            schema = f", schema={item.schema!r}" if item.schema else ""
            return f"postgresql.ENUM({', '.join(map(repr, item.enums))}, name={item.name!r}{schema}, create_type=False)"
        module = type(item).__module__
        if module.startswith("sqlalchemy."):
            return False
        text = f"{module}.{item!r}"
        if _makes_the_same(text, item):
            context.imports.add(f"import {module}")
            return text
        return _render_impl(item, context) if isinstance(item, TypeDecorator) else False


def enumeration_key(type_: Any) -> tuple[str | None, str] | None:
    """Return the schema and the name of an enumeration that may be a type of its own; None for anything else."""
    is_named = isinstance(type_, Enum) and type_.native_enum and type_.name
    return (type_.schema, str(type_.name)) if is_named else None


def _makes_the_same(text: str, item: Any) -> bool:
    module = type(item).__module__
    try:
        names = {module.partition(".")[0]: importlib.import_module(module.partition(".")[0])}
        made = eval(text, names)  # noqa: S307  # the representation of a type of the app, which the revision will run
    except Exception:  # noqa: BLE001  # of whatever kind: it cannot be used
        return False
    return type(made) is type(item)


def _render_impl(item: Any, context: AutogenContext) -> str:
    from alembic.autogenerate.render import _repr_type

    return _repr_type(item.impl_instance, context)
