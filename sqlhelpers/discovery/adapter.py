"""What a framework's adapter provides."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from typing_extensions import TypeVar

#: The runtime: ``sqlhelpers.Runtime``, which is made of all that this room finds.
R = TypeVar("R", default=Any)


@runtime_checkable
class Adapter(Protocol[R]):
    """Attaches a ``Runtime`` to an application object of one framework."""

    @property
    def framework(self) -> str:
        """The top-level module of the framework, which is also the name of the entry point: ``fastapi``."""
        ...

    def attach(self, app: Any, runtime: R | None = None) -> R:
        """Wire sessions and disposal into ``app``, and return the runtime that serves it.

        Args:
            app: the framework's application object.
            runtime: the runtime to use; None makes one from the settings.
        """
        ...
