"""The values that clients may send, each within what its column can hold, and the parts that answers share."""

import os
import secrets
from typing import Annotated, Any, Generic, TypeVar

from fastapi import HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")

MOST = 2**31 - 1  # in a column of type INTEGER

# PostgreSQL stores no NUL, and nobody else needs one
_TEXT = r"^[^\x00]*$"

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_TEXT)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=_TEXT)]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$", examples=["four@example.com"])]
Isbn = Annotated[str, Field(pattern=r"^97[89][0-9]{10}$", examples=["9780141439587"])]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["DE"])]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])]
Id = Annotated[int, Field(ge=1, le=MOST, examples=[1])]
Amount = Annotated[int, Field(ge=0, le=MOST)]

PathId = Annotated[int, Path(ge=1, le=MOST, examples=[1])]
Cursor = Annotated[str | None, Query(description="`next` or `previous` of another page")]
Size = Annotated[int, Query(ge=1, le=100, description="how many items a page has")]

#: What cursors are signed with. Set it where several processes serve, or where cursors should outlive one.
SECRET = os.environ.get("BOOKSHOP_SECRET") or secrets.token_hex()


class Out(BaseModel):
    """What is sent is read from the attributes of a model."""

    model_config = ConfigDict(from_attributes=True)


class Page(Out, Generic[T]):
    """Some items of a list, and the cursors of the pages beside it."""

    items: list[T]
    next: str | None
    previous: str | None


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the description of the API says of these statuses."""
    return {status: {"model": Problem} for status in statuses}


async def known(session: AsyncSession, model: type[Any], pk: str | int) -> None:
    """Refuse a request that refers to a row that is not there."""
    if await session.get(model, pk) is None:
        raise HTTPException(404, f"there is no {model.__name__.lower()} {pk}")
