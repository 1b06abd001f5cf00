"""Where models come from: what a URI means for the fetch container. Pure text work; must never contact a source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from .base import CLAIMS_DIR, Problem

Layout = Literal["folder", "triton-model"]

_PART = r"[A-Za-z0-9][\w.-]*"
_HUB = re.compile(rf"hf://(?P<owner>{_PART})/(?P<repository>{_PART})(?:@[^/#]+)?/?(?:/[^/#]+)*/?", re.ASCII)
_WEB = re.compile(r"https://(?P<host>[^/?#]+)/(?:[^?#]*/)?(?P<file>[^/?#]+)(?:\?[^#]*)?(?:#sha256=[0-9a-fA-F]{64})?")
_CLAIM = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def repository_id(uri: str | None) -> str | None:
    """owner/repo of an hf:// URI."""
    found = _HUB.fullmatch(uri) if uri is not None else None
    return None if found is None else f"{found['owner']}/{found['repository']}"


def step(uri: str, to: str, layout: Layout) -> Mapping[str, Any]:
    """How the fetch container brings a source to its place: claims are linked, everything else is downloaded."""
    claim = _claim(uri)
    if claim is None:
        return {"uri": uri, "to": to, "layout": layout}
    name, path = claim
    return {"link": f"{CLAIMS_DIR}/{name}/{path}".rstrip("/"), "to": to, "layout": layout}


def claims(uris: Iterable[str | None]) -> tuple[str, ...]:
    """Names of the PersistentVolumeClaims among the URIs, each once, in their order."""
    found = (_claim(uri) for uri in uris if uri is not None)
    return tuple(dict.fromkeys(claim[0] for claim in found if claim is not None))


def problems(path: str, uri: str | None) -> Iterator[Problem]:
    """What is wrong with a URI beyond its scheme, which the schema checks."""
    if uri is None:
        return
    scheme, _, rest = uri.partition("://")
    if {".", ".."} & set(rest.split("/")) or "\\" in rest:
        yield Problem(path, "may not contain '.' or '..' as a part, nor a backslash")
    elif scheme == "hf" and rest.split("/")[0] in ("datasets", "spaces"):
        yield Problem(path, f"{uri}: only model repositories can be served: write hf://owner/repo")
    elif scheme == "hf" and repository_id(uri) is None:
        yield Problem(path, f"{uri} names no repository: write hf://owner/repo, then @revision and /path where needed")
    elif scheme == "https" and _WEB.fullmatch(uri) is None:
        yield Problem(path, f"{uri} names no file: write https://host/path/file, with #sha256=... where it is known")
    elif scheme == "pvc" and not _CLAIM.fullmatch(rest.split("/")[0]):
        yield Problem(path, f"{uri} names no claim: write pvc://claim/path")


def downloads(uris: Iterable[str | None]) -> bool:
    """Whether anything has to travel over the network before the server can start."""
    return any(uri is not None and _claim(uri) is None for uri in uris)


def _claim(uri: str) -> tuple[str, str] | None:
    if not uri.startswith("pvc://"):
        return None
    name, _, path = uri.removeprefix("pvc://").partition("/")
    return name, path.strip("/")
