"""Turns an exception of the user's code into one line that names the user's own file and line.

The full traceback goes to stderr; this line goes where Kubernetes shows it. Must never raise, and never hide the
exception's type or text.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from pathlib import Path

TERMINATION_LOG = "MODELPORT_TERMINATION_LOG"
LONGEST = 1000


def one_line(error: BaseException, folder: Path) -> str:
    """`app.py:12: FileNotFoundError: ...`, with the last place in the user's own code that led to it."""
    if isinstance(error, SyntaxError) and error.filename:
        place, text = f"{_shown(error.filename, folder)}:{error.lineno}", error.msg
    else:
        place, text = _place(error, folder), str(error)
    kind = type(error).__name__
    return ": ".join(part for part in (place, kind, text) if part) + _advice(error)


def leave_behind(line: str) -> None:
    """Writes the line to the container's termination message, where the operator finds it, and to stderr."""
    text = " ".join(line.split())[:LONGEST]
    print(text, file=sys.stderr, flush=True)
    try:
        Path(os.environ.get(TERMINATION_LOG, "/dev/termination-log")).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        print(f"(the termination message could not be written: {error})", file=sys.stderr)


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"; the image has no {error.name.partition('.')[0]!r}: take an image that has it, or put it beside the app"
        )
    return ""


def _place(error: BaseException, folder: Path) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_foreign(frame.filename)]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)] or frames
    return f"{_shown(own[-1].filename, folder)}:{own[-1].lineno}" if own else ""


def _is_foreign(filename: str) -> bool:
    """The interpreter's, an installed package's, or this program's: not where the user looks first."""
    if filename.startswith("<") or {"site-packages", "dist-packages"} & set(Path(filename).parts):
        return True
    return any(Path(filename).is_relative_to(root) for root in (sysconfig.get_path("stdlib"), Path(__file__).parent))


def _shown(filename: str, folder: Path) -> str:
    path = Path(filename)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else filename
