"""The JSON API: ``uvicorn bookshop.api:app``. Its description is at ``/docs``."""

from fastapi import FastAPI

import sqlhelpers_fastapi
from bookshop.api import books, customers, errors, orders, world

app = FastAPI(title="Bookshop", version="1", exception_handlers=errors.HANDLERS)
sqlhelpers_fastapi.attach(app)

for part in (world, books, customers, orders):
    app.include_router(part.router)
