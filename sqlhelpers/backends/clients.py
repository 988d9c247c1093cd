"""``Client``: the command-line client of a database, and what the classes of each kind make it of."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from sqlhelpers.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import URL


@dataclass(frozen=True)
class Client:
    """A program that is ready to be run.

    Attributes:
        program: its path.
        arguments: what everybody on the machine may see.
        environment: variables, beside those of this process, which only its user may see.
        options: an option file of MySQL's or MariaDB's client, which it reads from a pipe; empty for none.
    """

    program: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: str = field(default="", repr=False)

    def replace_process(self) -> NoReturn:
        """Let the program take the place of this process: signals, the terminal and the exit status are its own."""
        arguments = [self.program, *self.arguments]
        environment = {**os.environ, **self.environment}
        if self.options:
            reading, writing = os.pipe()
            os.write(writing, self.options.encode())
            os.close(writing)
            os.set_inheritable(reading, True)
            arguments.insert(1, f"--defaults-extra-file=/dev/fd/{reading}")  # it has to be the first
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the program would inherit that
        os.execve(self.program, arguments, environment)  # noqa: S606  # that is the point of it


def found_program(names: Sequence[str], package: str) -> str:
    """Return the path of the first program that is installed.

    Args:
        names: what it may be called.
        package: how to install it, for the message.

    Raises:
        ConfigurationError: there is none.
    """
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise ConfigurationError(f"{' or '.join(names)} is not installed, or not on the PATH: {package}")


def driver_arguments(url: URL, driver: str, connect_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return what SQLAlchemy would pass to a driver, which need not be installed."""
    dialect = url.set(drivername=driver).get_dialect()()
    return {**dialect.create_connect_args(url)[1], **connect_args}
