"""The directive ``setting-reference``: what can be set, read from the models of the settings.

A setting without a description is a warning, which ends the build.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.addnodes import desc_signature
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from sqlhelpers import App, Settings
from sqlhelpers.config import AppSettings, Names, SecretUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from pydantic.fields import FieldInfo
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_log = logging.getLogger(__name__)
_ENTRY = re.compile(r"^    (\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)

#: How the types of pydantic are told to a reader.
_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretUrl: "URL",
    Names: "list of names, or one text with commas",
    dict[str, Any]: "table",
    dict[str, str | int]: "table",
    list[str]: "list of texts",
    tuple[dict[str, str], ...]: "list of tables of texts",
    Any: "anything",
}


class SettingReference(SphinxDirective):
    """Every setting below the one that is named: ``databases.NAME``, or all of them but nested ones without a name."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the description of each setting, in the order of the models."""
        path = tuple((self.arguments or [""])[0].split(".")) if self.arguments else ()
        model = model_at(path)
        text = "\n\n".join(_entry(path, name, field, model) for name, field in fields(model))
        made = self.parse_text_to_nodes(text)
        for signature in (found for node in made for found in node.findall(desc_signature)):
            # the margin has no room for all of it
            signature["_toc_name"] = signature["_toc_name"].rpartition(".")[2]
        return made


def model_at(path: tuple[str, ...]) -> type[BaseModel]:
    """Return the model of the settings that stand below ``path``."""
    model: type[BaseModel] = Settings
    for part in path:
        if part != "NAME":
            model = _models(model.model_fields[part].annotation)[0]
    return model


def fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the settings of a model that are values, and not tables of settings."""
    for name, field in model.model_fields.items():
        if not _models(field.annotation):
            yield name, field


def all_settings(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the dotted names of all values that can be set."""
    for name, field in model.model_fields.items():
        below = _models(field.annotation)
        inner = (*path, name, *(["NAME"] if get_origin(field.annotation) is dict else []))
        if below:
            yield from all_settings(below[0], inner)
        else:
            yield ".".join((*path, name))


def descriptions(thing: type) -> dict[str, str]:
    """Return what the docstring of a class says about each attribute."""
    return {name: " ".join(text.split()) for name, text in _ENTRY.findall(inspect.getdoc(thing) or "")}


def _models(annotation: Any) -> list[type[BaseModel]]:
    found = [annotation, *get_args(annotation)]
    return [each for each in found if isinstance(each, type) and issubclass(each, BaseModel)]


def _entry(path: tuple[str, ...], name: str, field: FieldInfo, model: type[BaseModel]) -> str:
    told = {**(descriptions(App) if model is AppSettings else {}), **descriptions(model)}
    if name not in told:
        _log.warning("the setting %s of %s has no description in its docstring", name, model.__name__)
    dotted = ".".join((*path, name))
    variable = "SQLHELPERS_" + "__".join((*path, name)).upper()
    table = "tool.sqlhelpers" + "".join(f".{part}" for part in path)
    default = f"\n:default: '{_default(field)}'" if _default(field) else ""
    text = told.get(name, "")
    return (
        f":::{{confval}} {dotted}\n:type: '{_type(field)}'{default}\n\n{text[:1].upper()}{text[1:]}\n\n"
        f"`{variable}`, or `{name}` in `[{table}]`\n:::"
    )


def _default(field: FieldInfo) -> str:
    if field.default in (PydanticUndefined, None):
        return ""
    value = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"`{list(value) if isinstance(value, tuple) else value!r}`" if not isinstance(value, str) else f"`{value}`"


def _type(field: FieldInfo) -> str:
    limits = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return _words(limits) if limits in _WORDS else _words(field.annotation)


def _words(annotation: Any) -> str:
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(str(each).lower() if isinstance(each, bool) else f'"{each}"' for each in arguments)
    if origin is Annotated:
        kinds = {type(each).__name__ for each in arguments}
        return "dotted name of an object" if "ImportString" in kinds else _words(arguments[0])
    if origin in (Union, UnionType):
        return ", or ".join(_words(each) for each in arguments if each is not NoneType)
    raise TypeError(f"say in {__name__} how the type {annotation} is told to a reader")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directive."""
    app.add_directive("setting-reference", SettingReference)
    return {"parallel_read_safe": True}
