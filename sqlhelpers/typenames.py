"""How the types of an app's columns are written in its revisions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import TypeDecorator

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Write a type that is not SQLAlchemy's with the import that it needs; leave all else to Alembic.

    A type that cannot be made from what it says of itself is written as the type that it decorates.
    """
    module = type(item).__module__
    if kind != "type" or module.startswith("sqlalchemy."):
        return False
    text = f"{module}.{item!r}"
    if _makes_the_same(text, item):
        context.imports.add(f"import {module}")
        return text
    return _render_impl(item, context) if isinstance(item, TypeDecorator) else False


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

    return _repr_type(item.impl_instance if hasattr(item, "impl_instance") else item.impl, context)
