"""Where models come from: what a URI means for the fetch container. Pure text work; must never contact a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from .base import CLAIMS_DIR, Problem

Layout = Literal["folder", "triton-model"]


def repository_id(uri: str | None) -> str | None:
    """owner/repo of an hf:// URI."""
    if uri is None or not uri.startswith("hf://"):
        return None
    owner, _, rest = uri.removeprefix("hf://").partition("/")
    return f"{owner}/{rest.split('@', 1)[0].split('/', 1)[0]}"


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
    parts = rest.split("/")
    if ".." in parts:
        yield Problem(path, "may not contain '..'")
    if scheme == "hf" and not all(_repository_parts(uri)):
        yield Problem(path, f"{uri} names no repository: write hf://owner/repo, then @revision and /path where needed")
    if scheme in ("https", "pvc") and not parts[0]:
        yield Problem(path, f"{uri} names no {'host' if scheme == 'https' else 'claim'}")
    if scheme == "https" and not any(parts[1:]):
        yield Problem(path, f"{uri} names no file: write https://host/path/file")


def downloads(uris: Iterable[str | None]) -> bool:
    """Whether anything has to travel over the network before the server can start."""
    return any(uri is not None and _claim(uri) is None for uri in uris)


def _repository_parts(uri: str) -> list[str]:
    return (repository_id(uri) or "/").split("/", 1)


def _claim(uri: str) -> tuple[str, str] | None:
    if not uri.startswith("pvc://"):
        return None
    name, _, path = uri.removeprefix("pvc://").partition("/")
    return name, path.strip("/")
