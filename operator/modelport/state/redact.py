"""Takes secrets out of text before anybody sees it: tokens by their shape, passwords in URLs, signatures.

Pure. It must be applied to every text that comes from a log, a termination message or an answer; and it must stay linear, as such
a text may be one word of 64 KiB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HIDDEN = "[redacted]"

_TOKEN_SHAPES = re.compile(
    r"(?P<secret>\bhf_[A-Za-z0-9]{6,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\b(?:sk|nvapi)-[A-Za-z0-9_-]{16,}"
    r"|(?<![A-Za-z0-9_-])ey[A-Za-z0-9_-]{8,2048}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"
)
_SCHEMES = re.compile(r"(?i)\b(?:bearer|basic)\s+(?P<secret>[^\s\"',;]+)")
_USER_INFO = re.compile(r"(?i)(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://(?P<secret>[^\s/@]*(?:@[^\s/@]*)*)@")
_PARAMETERS = re.compile(
    r"(?i)(?:x-amz-(?:signature|security-token|credential)|x-goog-signature|\bsig|\bsignature|\bapi[-_]?key"
    r"|\baccess[-_]?token|\btoken|\bpassword|\bsecret[-_a-z]{0,30}"
    r"|(?<![a-z0-9_])[a-z0-9_]{0,60}(?:_token|_api_key|_password|_secret[a-z_]{0,30}))"
    r"[\"']?(?:\s*=|:)\s*[\"']?(?P<secret>[^\s&\"',;]+)"
)
_OPTIONS = re.compile(r"(?i)(?<!\S)--?[a-z0-9-]{0,60}(?:key|token|password|secret)s?\s+(?P<secret>[^\s-]\S*)")
_SECRETS = (_USER_INFO, _SCHEMES, _PARAMETERS, _OPTIONS, _TOKEN_SHAPES)


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    return hidden(text, 0, len(text), secrets(text))


def secrets(text: str) -> tuple[tuple[int, int], ...]:
    """Where in the text there are any, in order; parts may overlap."""
    return tuple(sorted(found.span("secret") for pattern in _SECRETS for found in pattern.finditer(text)))


def hidden(text: str, begin: int, end: int, spans: tuple[tuple[int, int], ...]) -> str:
    """A part of the text, without what of it lies in these spans."""
    return "".join(_kept(text, begin, end, spans))


def _kept(text: str, begin: int, end: int, spans: tuple[tuple[int, int], ...]) -> Iterator[str]:
    at = begin
    for first, last in spans:
        if last <= at or first >= end or first == last:
            continue
        yield text[at : max(at, first)]
        if first >= at or at == begin:
            yield HIDDEN
        at = last
    yield text[at:end] if at < end else ""


def sentence(text: str, longest: int = 300) -> str:
    """One redacted line of bearable length, of letters that can be printed."""
    return line(redact(text), longest)


def line(text: str, longest: int = 300) -> str:
    """The same of a text that has been redacted."""
    told = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return told if len(told) <= longest else told[: longest - 1] + "…"
