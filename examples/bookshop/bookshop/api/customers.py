"""Customers."""

from countries.models import Country
from fastapi import APIRouter
from pydantic import BaseModel

from bookshop.api.fields import CountryCode, Email, Name, Out, known, refusals
from bookshop.models import Customer
from sqlhelpers_fastapi import SessionDep

router = APIRouter(tags=["customers"])


class CustomerIn(BaseModel):
    email: Email
    given_name: Name
    family_name: Name
    country_code: CountryCode


class CustomerOut(Out):
    id: int
    email: str
    given_name: str
    family_name: str
    country_code: str


@router.post("/customers", status_code=201, responses=refusals(400, 404, 409))
async def add_customer(given: CustomerIn, session: SessionDep) -> CustomerOut:
    """Add a customer. An email address that is known already is a conflict."""
    await known(session, Country, given.country_code)
    customer = Customer(**given.model_dump())
    session.add(customer)
    await session.flush()  # the database gives the id
    return CustomerOut.model_validate(customer)
