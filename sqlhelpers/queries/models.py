"""Models: the naming convention, the query methods, and ``Base``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, overload

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from sqlhelpers.queries import aio, rows
from sqlhelpers.sessions import session_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session


class ModelQueries:
    """Query methods for the models of a declarative base: ``class Base(ModelQueries, DeclarativeBase)``.

    Each takes a session as its first argument. Without one, it uses that of the ``with manager.session():`` block
    around the call whose manager serves the model's table, and raises ``NoSession`` if there is none, or several.
    """

    @overload
    @classmethod
    def get_by_pk(cls, session: Session, pk: Any, /) -> Self | None: ...
    @overload
    @classmethod
    def get_by_pk(cls, pk: Any, /, *, session: Session | None = None) -> Self | None: ...
    @classmethod
    def get_by_pk(cls, first: Any, /, *second: Any, session: Session | None = None) -> Self | None:
        """Return the row with this primary key; None if there is none.

        Args:
            first: the session, and then the primary key; or the primary key alone.
            second: the primary key.
            session: the session, if it is not the first argument.
        """
        if second:
            session, first = first, *second
        return rows.get_by_pk(first, session=_given(session, cls), model=cls)

    @classmethod
    def get_one(cls, session: Session | None = None, /, **attrs: Any) -> Self:
        """Return the only row whose attributes have these values.

        Raises:
            NoResultFound: there is none.
            MultipleResultsFound: there are several.
        """
        return rows.get_one(_given(session, cls), cls, **attrs)

    @classmethod
    def get_or_create(
        cls,
        session: Session | None = None,
        /,
        defaults: Mapping[str, Any] | None = None,
        **attrs: Any,
    ) -> tuple[Self, bool]:
        """Return the only row whose attributes have these values, or a new one; and whether it is new.

        See the function ``get_or_create``.
        """
        return rows.get_or_create(_given(session, cls), cls, defaults, **attrs)

    @classmethod
    def update_or_create(
        cls,
        session: Session | None = None,
        /,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **attrs: Any,
    ) -> tuple[Self, bool]:
        """Set attributes of the only row whose attributes have these values, or make a new one; and tell which.

        See the function ``update_or_create``.
        """
        return rows.update_or_create(_given(session, cls), cls, defaults, create_defaults, **attrs)


def _given(session: Session | None, model: type[object]) -> Session:
    return session_for(model) if session is None else session


class AsyncModelQueries:
    """Query methods for the models of a declarative base, with an ``AsyncSession`` as their first argument."""

    @overload
    @classmethod
    async def get_by_pk(cls, session: AsyncSession, pk: Any, /) -> Self | None: ...
    @overload
    @classmethod
    async def get_by_pk(cls, pk: Any, /, *, session: AsyncSession) -> Self | None: ...
    @classmethod
    async def get_by_pk(cls, first: Any, /, *second: Any, session: Any = None) -> Self | None:
        """Return the row with this primary key; None if there is none.

        Args:
            first: the session, and then the primary key; or the primary key alone.
            second: the primary key.
            session: the session, if it is not the first argument.
        """
        if second:
            session, first = first, *second
        return await aio.get_by_pk(first, session=session, model=cls)

    @classmethod
    async def get_one(cls, session: AsyncSession, /, **attrs: Any) -> Self:
        """Return the only row whose attributes have these values.

        Raises:
            NoResultFound: there is none.
            MultipleResultsFound: there are several.
        """
        return await aio.get_one(session, cls, **attrs)

    @classmethod
    async def get_or_create(
        cls,
        session: AsyncSession,
        /,
        defaults: Mapping[str, Any] | None = None,
        **attrs: Any,
    ) -> tuple[Self, bool]:
        """Return the only row whose attributes have these values, or a new one; and whether it is new.

        See the function ``get_or_create``.
        """
        return await aio.get_or_create(session, cls, defaults, **attrs)

    @classmethod
    async def update_or_create(
        cls,
        session: AsyncSession,
        /,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **attrs: Any,
    ) -> tuple[Self, bool]:
        """Set attributes of the only row whose attributes have these values, or make a new one; and tell which.

        See the function ``update_or_create``.
        """
        return await aio.update_or_create(session, cls, defaults, create_defaults, **attrs)


#: Every column takes part in a name, so that two composite constraints that share a first column differ.
#: https://docs.sqlalchemy.org/en/21/core/metadata.html#sqlalchemy.schema.MetaData.params.naming_convention
NAMING_CONVENTION: dict[str, str] = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(ModelQueries, DeclarativeBase):
    """A declarative base whose constraints have predictable names, and whose models have the query methods.

    Nothing else ties a model to sqlhelpers: any ``DeclarativeBase`` of your own serves as well.
    """

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)
