"""Runs code that may ``await`` at its top level: from a prompt, from IPython's, or all at once."""

from __future__ import annotations

import ast
import asyncio
import code
import os
import sys
import traceback
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    #: Runs a coroutine to its end, and returns its result.
    Await = Callable[[Coroutine[Any, Any, Any]], Any]

_CONSOLE = "<console>"


def has_ipython() -> bool:
    """Tell whether IPython is installed."""
    return find_spec("IPython") is not None


def execute(source: str, where: str, names: dict[str, Any], wait: Await) -> int:
    """Run code from its first line to its last, and return an exit status: 1 if it raised, after its traceback.

    Args:
        source: the code.
        where: where it comes from, for tracebacks.
        names: what it knows by name.
        wait: awaits for it.
    """
    try:
        _run(compile(source, where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names, wait)
    except SystemExit as ended:
        return status_of(ended)
    except Exception:  # noqa: BLE001  # the code can raise anything
        sys.stderr.write(_traceback(where))
        return 1
    return 0


def status_of(ended: SystemExit) -> int:
    """Return the exit status that ``sys.exit()`` was called with; a text is printed, as Python does."""
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    sys.stderr.write(f"{ended.code}\n")
    return 1


def _run(compiled: CodeType, names: dict[str, Any], wait: Await) -> None:
    result = FunctionType(compiled, names)()
    if asyncio.iscoroutine(result):
        wait(result)


def _traceback(where: str) -> str:
    """Return the traceback of the current exception, without the frames that are ours."""
    kind, error, frames = sys.exc_info()
    first = frames
    while first is not None and first.tb_frame.f_code.co_filename != where:
        first = first.tb_next
    return "".join(traceback.format_exception(kind, error, first))


class _Console(code.InteractiveConsole):
    """Python's prompt, which awaits."""

    def __init__(self, names: dict[str, Any], wait: Await) -> None:
        super().__init__(names, _CONSOLE)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._names = names
        self._wait = wait

    def runcode(self, code: CodeType) -> None:
        try:
            _run(code, self._names, self._wait)
        except SystemExit:
            raise
        except KeyboardInterrupt:
            self.write("\nKeyboardInterrupt\n")
        except BaseException:  # noqa: BLE001  # the code can raise anything
            self.write(_traceback(_CONSOLE))


def interact(names: dict[str, Any], banner: str, wait: Await) -> int:
    """Read and run what is typed, as Python's own prompt does, until Ctrl-D or ``exit()``; return an exit status."""
    names.setdefault("__name__", "__console__")
    _complete_and_remember(names)
    _start_up(names)
    try:
        _Console(names, wait).interact(banner, exitmsg="")
    except SystemExit as ended:
        return status_of(ended)
    finally:
        _write_history()
    return 0


def interact_with_ipython(names: dict[str, Any], banner: str, wait: Await) -> int:
    """Do the same with IPython, as its user has set it up."""
    from IPython import start_ipython  # the user's
    from traitlets.config import Config

    config = Config()
    config.TerminalInteractiveShell.banner2 = f"{banner}\n"
    # one loop for all, as connections belong to theirs; a function, as the configuration is copied
    config.TerminalInteractiveShell.loop_runner = lambda coroutine: wait(coroutine)  # noqa: PLW0108  # as said
    start_ipython(argv=[], user_ns=names, config=config)
    return 0


def _start_up(names: dict[str, Any]) -> None:
    file = os.environ.get("PYTHONSTARTUP")
    if file:
        try:
            exec(compile(Path(file).read_bytes(), file, "exec"), names)  # noqa: S102  # the user wants it
        except Exception:  # noqa: BLE001  # Python goes on as well
            sys.stderr.write(_traceback(file))


def _complete_and_remember(names: dict[str, Any]) -> None:
    """Complete with the tab key, and read the history of Python's own prompt, where there is readline."""
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    is_editline = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_editline else "tab: complete")
    with suppress(OSError):
        readline.read_init_file()
    with suppress(OSError):
        readline.read_history_file(_history_file())


def _write_history() -> None:
    with suppress(ImportError, OSError):
        import readline

        readline.write_history_file(_history_file())


def _history_file() -> str:
    return os.environ.get("PYTHON_HISTORY") or str(Path("~/.python_history").expanduser())
