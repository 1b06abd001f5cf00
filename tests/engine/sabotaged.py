"""`modelport` with mistakes built in, each for resources or objects of one name: run as a program, in the operator's place."""

from __future__ import annotations

from typing import Any

import modelport.app.operator
import modelport.app.watching
import modelport.control.apply
import modelport.control.reconcile
from modelport.cli.main import main

CURE = "MADE_GOOD"
"""A variable in the spec with which rendering succeeds."""


def _of(module: Any, name: str, fails: Any) -> None:
    """The module's function, with a mistake where `fails` says so of its arguments."""
    works = getattr(module, name)

    def function(*arguments: Any) -> Any:
        if fails(*arguments):
            raise KeyError(f"{name}: what no status may show")
        return works(*arguments)

    setattr(module, name, function)


def _named(kind: str, name: str) -> Any:
    return lambda raw: raw["metadata"]["name"].startswith(name) and raw["kind"] == kind


if __name__ == "__main__":
    _of(
        modelport.control.reconcile,
        "render",
        lambda identity, spec, platform: identity.name == "no-render" and CURE not in str(spec.get("env")),
    )
    _of(modelport.control.reconcile, "plan", lambda desired, observed: observed.resource.name == "no-plan")
    _of(modelport.control.reconcile, "summarise", lambda observed, desired: observed.resource.name == "no-summary")
    _of(modelport.app.operator, "project_child", _named("Pod", "odd-pod"))
    _of(modelport.app.operator, "project_child", _named("Service", "odd-service"))
    _of(modelport.control.apply, "project_child", _named("Service", "odd-service"))
    _of(modelport.app.watching, "project_resource", lambda raw: raw["metadata"]["name"] == "odd-resource")
    main()
