"""The ancestor's query methods of models: mixins for declarative bases, one with a ``Session`` and one for asyncio.

There are four and no more: a model's columns are often called ``count`` or ``exists``, which functions leave alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from sqlhelpers import asyncqueries, queries
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
        return queries.get_by_pk(first, session=_given(session, cls), model=cls)

    @classmethod
    def get_one(cls, session: Session | None = None, /, **attrs: Any) -> Self:
        """Return the only row whose attributes have these values.

        Raises:
            NoResultFound: there is none.
            MultipleResultsFound: there are several.
        """
        return queries.get_one(_given(session, cls), cls, **attrs)

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
        return queries.get_or_create(_given(session, cls), cls, defaults, **attrs)

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
        return queries.update_or_create(_given(session, cls), cls, defaults, create_defaults, **attrs)


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
        return await asyncqueries.get_by_pk(first, session=session, model=cls)

    @classmethod
    async def get_one(cls, session: AsyncSession, /, **attrs: Any) -> Self:
        """Return the only row whose attributes have these values.

        Raises:
            NoResultFound: there is none.
            MultipleResultsFound: there are several.
        """
        return await asyncqueries.get_one(session, cls, **attrs)

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
        return await asyncqueries.get_or_create(session, cls, defaults, **attrs)

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
        return await asyncqueries.update_or_create(session, cls, defaults, create_defaults, **attrs)
