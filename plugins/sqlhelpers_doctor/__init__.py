"""The command ``sqlhelpers doctor``: whatever is wrong with an installation and its databases, and what to do about it.

It is a plugin, which is imported wherever a ``Runtime`` is: all that takes a while is imported when it examines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers import hookimpl
from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    import click

    from sqlhelpers.reports import Diagnosis as Diagnosis
    from sqlhelpers_doctor.examination import diagnose as diagnose
    from sqlhelpers_doctor.examination import diagnose_async as diagnose_async
    from sqlhelpers_doctor.examination import exit_status as exit_status

__all__ = ["Diagnosis", "diagnose", "diagnose_async", "exit_status", "sqlhelpers_register_commands"]

__getattr__: Final = lazily(__name__, {"examination": ("Diagnosis", "diagnose", "diagnose_async", "exit_status")})


@hookimpl
def sqlhelpers_register_commands(cli: click.Group) -> None:
    """Add ``sqlhelpers doctor``."""
    from sqlhelpers_doctor.command import doctor

    cli.add_command(doctor)
