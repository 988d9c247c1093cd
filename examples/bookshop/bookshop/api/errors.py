"""What clients hear of errors that FastAPI and ``sqlhelpers_fastapi`` do not answer as this API wants it."""

from typing import Any

from fastapi import Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from sqlhelpers.exceptions import InvalidCursor


async def invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong, but do not repeat it: a lone surrogate or a NaN cannot be sent back."""
    assert isinstance(error, RequestValidationError)
    detail = [{"loc": each["loc"], "msg": each["msg"], "type": each["type"]} for each in error.errors()]
    return JSONResponse({"detail": jsonable_encoder(detail)}, 422)


async def invalid_cursor(_: Request, error: Exception) -> JSONResponse:
    detail = [{"loc": ["query", "cursor"], "msg": str(error), "type": "invalid_cursor"}]
    return JSONResponse({"detail": detail}, 422)


HANDLERS: dict[Any, Any] = {RequestValidationError: invalid_request, InvalidCursor: invalid_cursor}
