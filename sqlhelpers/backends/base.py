"""``Backend``: all that differs between one kind of database and another; each kind is a class in a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sqlhelpers.backends.tables import TableName

if TYPE_CHECKING:
    from sqlhelpers.urls import Drivers


class Backend:
    """One kind of database, as far as it is like most: what a subclass says otherwise is all that differs."""

    #: What SQLAlchemy calls the kind: ``URL.get_backend_name()``. One class may serve several names.
    names: ClassVar[tuple[str, ...]] = ()
    #: The drivers for sync and async managers, each in order of preference.
    drivers: ClassVar[Drivers]
    #: Whether a rollback undoes changes of the schema.
    undoes_ddl: ClassVar[bool] = False

    def normalised(self, name: TableName, default_schema: str | None) -> TableName:
        """Return the one name that a table has among all the names that mean it.

        Args:
            name: the name as a model, the journal or the server says it.
            default_schema: the schema that the connection uses, as the server calls it.
        """
        return TableName(None if name.schema == default_schema else name.schema, name.name)
