"""Takes secrets out of text before anybody sees it: tokens by their shape, passwords in URLs, signatures.

Pure. It must be applied to every text that comes from a log, a termination message or an answer.
"""

from __future__ import annotations

import re

HIDDEN = "[redacted]"

_TOKEN_SHAPES = re.compile(
    r"\bhf_[A-Za-z0-9]{6,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\b(?:sk|nvapi)-[A-Za-z0-9_-]{16,}"
    r"|\bey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
)
_SCHEMES = re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+")
_USER_INFO = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://)[^\s/@]*(?:@[^\s/@]*)*@")
_PARAMETERS = re.compile(
    r"(?i)((?:x-amz-(?:signature|security-token|credential)|x-goog-signature|\bsig|\bsignature|\bapi[-_]?key"
    r"|\baccess[-_]?token|\btoken|\bpassword|\bsecret[-_a-z]*|[a-z0-9_]*(?:_token|_api_key|_password|_secret[a-z_]*))"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;]+"
)


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    text = _USER_INFO.sub(rf"\1{HIDDEN}@", text)
    text = _SCHEMES.sub(rf"\1 {HIDDEN}", text)
    text = _PARAMETERS.sub(rf"\1{HIDDEN}", text)
    return _TOKEN_SHAPES.sub(HIDDEN, text)


def sentence(text: str, longest: int = 300) -> str:
    """One redacted line of bearable length."""
    line = " ".join(redact(text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
