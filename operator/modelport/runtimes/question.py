"""The question that proves the model, from `spec.check`, in the form that agent, runtime and operator share."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from modelport.api.spec import Check, ModelDeploymentSpec, Request
from modelport.api.types import seconds

from .base import Problem

INTERVAL, TIMEOUT = 10.0, 30.0


def document(spec: ModelDeploymentSpec) -> dict[str, Any]:
    """The keys about the question in agent.json and in runtime.json."""
    check = spec.check or Check()
    expect = check.expect
    return {
        "request": None if check.request is None else _request(check.request),
        "expect": {
            "status": 200 if expect is None or expect.status is None else expect.status,
            "contains": None if expect is None else expect.contains,
        },
        "interval": INTERVAL if check.interval is None else seconds(check.interval),
        "timeout": TIMEOUT if check.timeout is None else seconds(check.timeout),
        "disabled": bool(check.disabled),
    }


def asks(spec: ModelDeploymentSpec, built_in: bool) -> bool:
    """Whether the model is asked: with a question of the user's own, or one that the runtime has built in."""
    check = spec.check or Check()
    return not check.disabled and (built_in or check.request is not None)


def problems(spec: ModelDeploymentSpec) -> Iterator[Problem]:
    """What the schema cannot say about `check`."""
    check = spec.check or Check()
    body = check.request.body_base64 if check.request is not None else None
    if body is not None:
        try:
            base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error as error:
            yield Problem("spec.check.request.bodyBase64", f"is not base64: {str(error).lower()}")


def _request(request: Request) -> dict[str, Any]:
    has_body = request.body is not None or request.body_base64 is not None
    return {
        "method": request.method or ("POST" if has_body else "GET"),
        "path": request.path,
        "contentType": request.content_type or "application/json",
        "body": request.body,
        "bodyBase64": None if request.body_base64 is None else "".join(request.body_base64.split()),
    }
