"""What is done to loggers for a while: they are as they were when it is over."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def kept() -> Iterator[None]:
    """Put all loggers back at the end of the block, which may configure logging, as an ``env.py`` can."""
    before = [(logger, dict(vars(logger)), list(logger.handlers), list(logger.filters)) for logger in _all()]
    try:
        yield
    finally:
        for logger, state, handlers, filters in before:
            logger.setLevel(state["level"])  # which also forgets what loggers have remembered of it
            logger.propagate, logger.disabled = state["propagate"], state["disabled"]
            logger.handlers[:], logger.filters[:] = handlers, filters


def _all() -> Iterator[logging.Logger]:
    yield logging.getLogger()
    yield from [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]


@contextmanager
def shown(names: Iterable[str], level: int) -> Iterator[None]:
    """Print what some loggers say in the block to stderr, from a level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.name != "alembic.runtime.plugins")  # of each of its parts that is loaded
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    found = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in found]
    for logger in found:
        logger.setLevel(min(level, logger.getEffectiveLevel()))
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, before in zip(found, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(before)
