"""Settings become engines; what their drivers raise becomes errors, and answers of services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.engines.create import database_url as database_url
    from sqlhelpers.engines.create import make_async_engine as make_async_engine
    from sqlhelpers.engines.create import make_engine as make_engine
    from sqlhelpers.engines.create import make_scratch_engine as make_scratch_engine
    from sqlhelpers.engines.errors import failures_named as failures_named
    from sqlhelpers.engines.http_errors import STATUSES as STATUSES
    from sqlhelpers.engines.http_errors import TRANSLATED as TRANSLATED
    from sqlhelpers.engines.http_errors import HttpError as HttpError
    from sqlhelpers.engines.http_errors import check_http_errors as check_http_errors
    from sqlhelpers.engines.http_errors import http_error_for as http_error_for
    from sqlhelpers.engines.waiting import wait_for as wait_for

__all__ = [
    "STATUSES",
    "TRANSLATED",
    "HttpError",
    "check_http_errors",
    "database_url",
    "failures_named",
    "http_error_for",
    "make_async_engine",
    "make_engine",
    "make_scratch_engine",
    "wait_for",
]

__getattr__: Final = lazily(
    __name__,
    {
        "create": ("database_url", "make_async_engine", "make_engine", "make_scratch_engine"),
        "errors": ("failures_named",),
        "http_errors": ("HttpError", "STATUSES", "TRANSLATED", "check_http_errors", "http_error_for"),
        "waiting": ("wait_for",),
    },
)
