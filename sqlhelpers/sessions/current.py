"""Which session a model is asked with when none was passed: that of the ``with manager.session():`` around the call."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from sqlhelpers.exceptions import NoSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import FromClause
    from sqlalchemy.orm import Session


class _Block:
    """An open ``with manager.session():`` block.

    Args:
        session: the session.
        manager: whose it is.
        serves: tells whether a table is in the manager's database.
    """

    def __init__(self, session: Session, manager: object, serves: Callable[[FromClause], bool]) -> None:
        self.session = session
        self.manager = manager
        self.serves = serves
        self.thread = threading.get_ident()  # a copied context may run in another thread, which must not share it
        self.is_closed = False  # or end in another context than it began in, as the dependencies of FastAPI do


#: The blocks that are open in this context, the innermost last.
_BLOCKS: ContextVar[tuple[_Block, ...]] = ContextVar("sqlhelpers_blocks", default=())


@contextmanager
def opened(session: Session, manager: object, serves: Callable[[FromClause], bool]) -> Iterator[None]:
    """Let ``session`` serve the models of ``manager`` within the block."""
    block = _Block(session, manager, serves)
    _BLOCKS.set((*_BLOCKS.get(), block))
    try:
        yield
    finally:
        block.is_closed = True
        _BLOCKS.set(tuple(each for each in _BLOCKS.get() if each is not block))


def session_for(model: type[object]) -> Session:
    """Return the session of the innermost open block of the manager that serves the table of ``model``.

    Raises:
        NoSession: there is none, or there are blocks of several managers that serve it.
    """
    thread = threading.get_ident()
    mapper = inspect(model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise NoSession(f"{model.__name__} is not mapped to a table")
    open_here = [block for block in _BLOCKS.get() if block.thread == thread and not block.is_closed]
    found = [block for block in open_here if block.serves(mapper.local_table)]
    if not found:
        others = ", ".join(sorted({repr(block.manager) for block in open_here}))
        why = (
            f"the open sessions are those of {others}, which do not serve its table" if others else "none is open here"
        )
        raise NoSession(f"{model.__name__} was asked without a session, and {why}: {_HINT}")
    managers = {id(block.manager): repr(block.manager) for block in found}
    if len(managers) > 1:
        several = ", ".join(managers.values())
        raise NoSession(
            f"{model.__name__} was asked without a session, and could be meant for any of {several}: {_HINT}"
        )
    return found[-1].session


_HINT = "pass one as the first argument, or ask within `with manager.session():` of the database's manager"
