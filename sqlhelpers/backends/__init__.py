"""What differs between kinds of databases: one class for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.backends.base import Backend as Backend
    from sqlhelpers.backends.tables import TableName as TableName

__all__ = ["Backend", "TableName"]

__getattr__ = lazily(__name__, {"base": ("Backend",), "tables": ("TableName",)})
