"""What an HTTP status through the Service says about the model. Pure; it must never import a client library."""

from __future__ import annotations

from modelport.state.observed import DoorResult

_AUTH = {401, 403}
_BUSY = {429, 502, 503, 504}


class Refused(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """The question has been answered, and not with what was expected."""

    def __init__(self, result: DoorResult, detail: str) -> None:
        super().__init__(detail)
        self.result = result
        self.detail = detail


def by_status(what: str, status: int, text: str) -> Refused:
    """The verdict on an answer whose status was not the expected one."""
    if status in _AUTH:
        return Refused(DoorResult.AUTH_REQUIRED, f"{what} answered {status}")
    if status in _BUSY:
        return Refused(DoorResult.UNREACHABLE, f"{what} answered {status}")
    return Refused(DoorResult.WRONG, f"{what} answered {status}: {text}" if text else f"{what} answered {status}")


def missing(wanted: tuple[str, ...], listed: list[str]) -> Refused:
    """The verdict when the server does not list a model that it should serve."""
    lacks = ", ".join(name for name in wanted if name not in listed)
    return Refused(DoorResult.WRONG, f"the server does not list {lacks}; it lists {', '.join(listed) or 'nothing'}")
