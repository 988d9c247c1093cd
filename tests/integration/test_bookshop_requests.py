"""Requests made up from the bookshop's OpenAPI document: whatever is sent, the service is not at fault."""

from __future__ import annotations

import schemathesis
from bookshop.api import app
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance

NOT_KEPT = [
    allow_header_conformance,  # where two functions share a path, Starlette names the methods of the first
    positive_data_acceptance,  # no text is a cursor, and a name of spaces is none
]

EXAMPLES = 25  # made up for each operation, beside those at the limits of what its description allows


@schemathesis.openapi.from_dict(app.openapi()).parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=HealthCheck)
def test_every_request_is_answered(case, shop):
    """There is no 5xx, and every answer is as the document says: its status, its type, and what is in it."""
    case.call_and_validate(base_url=shop.url, excluded_checks=NOT_KEPT)
