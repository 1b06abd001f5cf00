"""The one error that ends a fetch: a code for the operator and a sentence for the user."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Why a fetch failed, as the operator reads it from the termination message."""

    NOT_FOUND = "NotFound"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    NO_SPACE = "NoSpace"
    NETWORK = "Network"
    CHECKSUM = "Checksum"
    BAD_URI = "BadUri"


class FetchError(Exception):
    """Ends the fetch; retrying within this run would not help."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class TransientError(Exception):
    """Worth another try; `wait` is what the server asked for (Retry-After), in seconds."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


def gated(uri: str, status: int, has_token: bool) -> FetchError:
    """The repository is there, but only for those whom its owner let in."""
    if status == 403 or has_token:
        text = "the repository is gated and the token's account is not on its list; ask for access on its page"
        return FetchError(Code.FORBIDDEN, f"{uri}: {text}")
    text = "the repository is gated, and no token was given"
    return FetchError(Code.UNAUTHORIZED, f"{uri}: {text}")


def http_refusal(uri: str, status: int, has_token: bool) -> FetchError:
    """Any other definite refusal."""
    if status == 401:
        hint = "the token was refused; is HF_TOKEN right and still valid?" if has_token else "a token is needed"
        return FetchError(Code.UNAUTHORIZED, f"{uri}: {hint}")
    if status == 403:
        return FetchError(Code.FORBIDDEN, f"{uri}: the server refuses access (403)")
    if status in (404, 410):
        return FetchError(Code.NOT_FOUND, f"{uri}: the server has no such file ({status})")
    return FetchError(Code.NETWORK, f"{uri}: the server answered {status}")
