"""The tables of the countries app, which nobody writes to."""

from countries.models import Country, Currency, Subdivision
from fastapi import APIRouter
from sqlalchemy import select

from bookshop.api.fields import SECRET, CountryCode, Cursor, Out, Page, Size, refusals
from sqlhelpers.aio import get_one, paginate_by_key
from sqlhelpers_fastapi import SessionDep

router = APIRouter(tags=["countries"])


class CountryOut(Out):
    alpha_2: str
    alpha_3: str
    name: str
    official_name: str | None
    flag: str


class SubdivisionOut(Out):
    code: str
    name: str
    kind: str
    parent_code: str | None


class CurrencyOut(Out):
    alpha_3: str
    name: str


@router.get("/countries")
async def list_countries(session: SessionDep, cursor: Cursor = None, size: Size = 50) -> Page[CountryOut]:
    """All countries of ISO 3166-1, by their code of two letters."""
    page = await paginate_by_key(session, Country, secret=SECRET, cursor=cursor, size=size)
    return Page[CountryOut].model_validate(page)


@router.get("/countries/{alpha_2}", responses=refusals(404))
async def read_country(alpha_2: CountryCode, session: SessionDep) -> CountryOut:
    """One country."""
    return CountryOut.model_validate(await get_one(session, Country, alpha_2=alpha_2))


@router.get("/countries/{alpha_2}/subdivisions", responses=refusals(404))
async def list_subdivisions(
    alpha_2: CountryCode, session: SessionDep, cursor: Cursor = None, size: Size = 50
) -> Page[SubdivisionOut]:
    """The parts of a country, of ISO 3166-2, by their code."""
    await get_one(session, Country, alpha_2=alpha_2)  # 404 if there is no such country
    query = select(Subdivision).where(Subdivision.country_code == alpha_2)
    page = await paginate_by_key(session, query, secret=SECRET, cursor=cursor, size=size)
    return Page[SubdivisionOut].model_validate(page)


@router.get("/currencies")
async def list_currencies(session: SessionDep, cursor: Cursor = None, size: Size = 50) -> Page[CurrencyOut]:
    """All currencies of ISO 4217, by their code of three letters."""
    page = await paginate_by_key(session, Currency, secret=SECRET, cursor=cursor, size=size)
    return Page[CurrencyOut].model_validate(page)
