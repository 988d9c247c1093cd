"""The errors of the kit."""

from __future__ import annotations

from sqlhelpers.exceptions import ConfigurationError, DatabaseFailure, Refused


class NotIsolated(ConfigurationError):
    """Code asked for the database in a way, or at a time, in which the kit cannot isolate it."""


class Entangled(DatabaseFailure):
    """Two sessions wrote by turns in one test, and one of them cannot be rolled back without the other."""


class IsolationLost(DatabaseFailure):
    """The transaction around a test has ended before the test."""


class NotOurs(Refused):
    """A database that the kit would have to drop was not made by it."""
