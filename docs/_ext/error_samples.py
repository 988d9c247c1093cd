"""What each error says: every one is raised here, and its text is put into the reference of errors.

Run as a program, it prints the texts as JSON, by class. ``samples()`` does that in a process of its own, because models
and plugins are imported, and the working directory changes.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from error_makers import MAKERS

from sqlhelpers import cli, exceptions
from sqlhelpers.exceptions import SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Raised as one of its kinds only.
ROOTS = {exceptions.PluginError}


def samples() -> dict[str, list[str]]:
    """Return the lines that each error prints, by the name of its class.

    Raises:
        RuntimeError: one of them is not raised any more where it should be.
    """
    env = {name: text for name, text in os.environ.items() if not name.startswith(("SQLHELPERS_", "DATABASE_URL"))}
    done = subprocess.run(  # noqa: S603  # this file
        [sys.executable, __file__], env=env, check=False, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def raised(make: Callable[[], object]) -> tuple[SqlhelpersError, str]:
    """Return the error of ours that ``make`` raises, and the empty folder that was the working directory meanwhile."""
    before = set(sys.modules)
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.realpath(temporary)
        os.chdir(folder)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            make()
        except cli.Failure as failure:
            if isinstance(failure.__cause__, SqlhelpersError):
                return failure.__cause__, folder
            raise
        except SqlhelpersError as error:
            return error, folder
        finally:
            sys.path.remove(folder)
            os.chdir("/")
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", None) or folder).startswith(folder):
                    del sys.modules[name]
    raise RuntimeError(f"{make.__name__} raises nothing")


def shown(error: SqlhelpersError, folder: str) -> list[str]:
    """Return its lines as the command line prints them, without what differs from machine to machine."""
    lines = (" ".join(line.split()).replace(folder, "/srv/shop") for line in error.lines)
    return [re.sub(r"\S+@\S+ pid \d+", "deploy@web-1 pid 4711", f"error: {line}") for line in lines]


def main() -> None:
    """Print what each error says."""
    found = {}
    for kind, make in MAKERS.items():
        error, folder = raised(make)
        if isinstance(error, exceptions.DiscoveryError) and kind is not exceptions.DiscoveryError:
            (error,) = error.errors
        if type(error) is not kind:
            raise TypeError(f"{make.__name__} raises {type(error).__name__}, not {kind.__name__}: {error}")
        found[kind.__name__] = shown(error, folder)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
