"""What a framework's adapter provides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from sqlhelpers.runtime import Runtime


@runtime_checkable
class Adapter(Protocol):
    """Attaches a ``Runtime`` to an application object of one framework."""

    @property
    def framework(self) -> str:
        """The top-level module of the framework, which is also the name of the entry point: ``fastapi``."""
        ...

    def attach(self, app: Any, runtime: Runtime | None = None) -> Runtime:
        """Wire sessions and disposal into ``app``, and return the runtime that serves it.

        Args:
            app: the framework's application object.
            runtime: the runtime to use; None makes one from the settings.
        """
        ...
