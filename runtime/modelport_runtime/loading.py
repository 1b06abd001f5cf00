"""Imports the user's application, `module:name`, and says in one line what is wrong where that fails.

Must never swallow the user's exception: it is always the cause of the AppError that is raised.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from modelport_runtime.asgi import App
from modelport_runtime.explaining import one_line


class AppError(Exception):
    """The application cannot be served; the text is for the person who wrote it."""


class Stopped(SystemExit):
    """SIGTERM came while the application was being imported: nobody's mistake."""


def load(target: str, folder: Path) -> App:
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise AppError(f"{target!r} is not module:name; app.py with `app = FastAPI()` is served as app:app")
    folder = folder.absolute()
    sys.path.insert(0, str(folder))
    value = _import(module_name, folder)
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise AppError(f"{target}: {_name(value)} has no {part!r}; {_candidates(value)}")
        value = getattr(value, part)
    return _checked(value, target)


def _import(module_name: str, folder: Path) -> Any:
    try:
        return importlib.import_module(module_name)
    except Stopped:
        raise
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            found = ", ".join(sorted(entry.name for entry in folder.glob("*.py"))) or "no Python file"
            raise AppError(f"no module {module_name!r} in {folder}, which holds: {found}") from error
        raise AppError(one_line(error, folder)) from error
    except (Exception, SystemExit) as error:
        raise AppError(one_line(error, folder)) from error


def _checked(value: Any, target: str) -> App:
    """Any callable that takes scope, receive and send; the rest gets told what it looks like."""
    if not callable(value):
        raise AppError(
            f"{target} is {type(value).__name__}, not an ASGI application; name the object made by FastAPI()"
        )
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return value  # type: ignore[no-any-return]
    try:
        signature.bind(None, None, None)
    except TypeError as error:
        hint = "wrap a WSGI application with a2wsgi.WSGIMiddleware"
        if not signature.parameters:
            hint = "it looks like a function that makes the application: call it in the module, app = make_app()"
        raise AppError(f"{target} cannot be called as ASGI application (scope, receive, send); {hint}") from error
    return value  # type: ignore[no-any-return]


def _name(value: Any) -> str:
    if inspect.ismodule(value):
        return Path(value.__file__).name if value.__file__ else value.__name__
    return type(value).__name__


def _candidates(value: Any) -> str:
    names = [
        name
        for name, found in vars(value).items()
        if not name.startswith("_") and not inspect.isclass(found) and inspect.iscoroutinefunction(_call_of(found))
    ]
    return f"it defines: {', '.join(names)}" if names else "it defines no ASGI application"


def _call_of(value: Any) -> Any:
    return value if inspect.isfunction(value) else getattr(value, "__call__", None)  # noqa: B004
