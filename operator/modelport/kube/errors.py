"""What the API server's refusals mean, as exceptions by kind of refusal.

It must never decide what to do about them.
"""

# ruff: noqa: N818 - the API's own words for its refusals

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A request that did not succeed. `message` is the API server's own sentence."""

    def __init__(self, code: int, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or {}

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        """The single causes that the API server names."""
        return list(self.details.get("causes") or [])


class Unauthorized(ApiError):
    """401: the credentials are not, or no longer, good."""


class Forbidden(ApiError):
    """403: a right is missing, or admission (quota, a policy) refuses."""

    @property
    def namespace_terminating(self) -> bool:
        """The namespace is being deleted and takes nothing new."""
        return any(cause.get("reason") == "NamespaceTerminating" for cause in self.causes)

    @property
    def missing_right(self) -> bool:
        """A role lacks a verb, as opposed to a refusal by admission, whose words are anybody's."""
        return _LACKS_RIGHT.search(self.message) is not None


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: the object exists, has another uid or version, or another manager owns the field."""

    @property
    def another_object(self) -> bool:
        """The object that was meant is gone; there is none, or one with another uid."""
        return _OTHER_UID.search(self.message) is not None


class Gone(ApiError):
    """410: the resource version is too old to continue from."""


class Invalid(ApiError):
    """400, 413, 415, 422, and a 500 that says so: the object will never be accepted as it is."""

    @property
    def another_object(self) -> bool:
        """The name belongs to an object with another uid than the one that was meant."""
        return any(cause.get("field") == "metadata.uid" for cause in self.causes)


class Unavailable(ApiError):
    """429, 5xx, no answer or no connection, after the retries: try again later."""


_LACKS_RIGHT = re.compile('is forbidden: (?:User "|cannot set blockOwnerDeletion)')
"""What RBAC says, and the admission plug-in that wants the right on modeldeployments/finalizers."""
_OTHER_UID = re.compile("uid mismatch|UID in (?:the )?precondition")
"""Of an apply to an object that is gone, and of a deletion."""

_BY_CODE: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}


_NEVER = re.compile(
    "^failed to create typed patch object|etcdserver: request is too large|trying to send message larger"
)
"""What the API server says, with code 500, of an apply with a field that the kind does not have, and of an object that is
too large to be kept."""


def error(code: int, status: Any) -> ApiError:
    """The exception for an answer: `status` is the decoded body, a Status object if all is well."""
    body = status if isinstance(status, Mapping) else {}
    message = str(body.get("message") or f"the API server answered {code}")
    details = body.get("details")
    kind = Invalid if _NEVER.search(message) else _BY_CODE.get(code, Unavailable)
    return kind(code, message, details if isinstance(details, Mapping) else None)
