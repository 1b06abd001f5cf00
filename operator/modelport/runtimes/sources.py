"""Where models come from: what a URI means for the fetch container. Pure text work; must never contact a source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from modelport.api.types import DNS_NAME

from .base import CLAIMS_DIR, Problem

Layout = Literal["folder", "triton-model"]

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_SHA256 = re.compile(r"sha256=[0-9a-f]{64}", re.IGNORECASE | re.ASCII)
_OUTSIDE = "may not contain '.' or '..' as a part, an empty part or a backslash"


def repository_id(uri: str | None) -> str | None:
    """owner/repo of an hf:// URI."""
    if uri is None or not uri.startswith("hf://"):
        return None
    owner, repository, *_ = (*uri.removeprefix("hf://").partition("#")[0].split("/"), "")
    return f"{owner}/{repository.partition('@')[0]}"


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
    """What is wrong with a URI beyond its scheme, which the schema checks: what the agent would refuse when a node, and
    perhaps a GPU, is already waiting. The agent's own rules are those of its module fetch.plan."""
    message = _PROBLEMS[uri.partition("://")[0]](uri) if uri is not None else None
    if message is not None:
        yield Problem(path, f"{uri} {message}")


def _hub_problem(uri: str) -> str | None:
    location, _, fragment = uri.removeprefix("hf://").partition("#")
    owner, name, path, *_ = (*location.split("/", 2), "", "")
    _, at, revision = name.partition("@")
    if owner in ("datasets", "spaces"):
        return "names no model: only repositories of models can be served; write hf://owner/repo"
    if fragment or (at and not revision) or not _REPOSITORY.fullmatch(repository_id(uri) or ""):
        return "names no repository: write hf://owner/repo, then @revision and /path where needed"
    return _OUTSIDE if path.strip("/") and not _stays_inside(path.strip("/")) else None


def _web_problem(uri: str) -> str | None:
    url, _, fragment = uri.partition("#")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return f"is no address: {error}"
    file = unquote(parts.path.rsplit("/", 1)[-1])
    if not file or not parts.hostname:
        return "names no file: write https://host/path/file"
    if not _stays_inside(file):
        return _OUTSIDE
    return (
        "has to end with #sha256= and 64 hexadecimal digits" if fragment and not _SHA256.fullmatch(fragment) else None
    )


def _claim_problem(uri: str) -> str | None:
    claim, _, path = uri.removeprefix("pvc://").partition("/")
    if not re.fullmatch(DNS_NAME, claim):
        return "names no claim: write pvc://claim/path, with the claim's name as `kubectl get pvc` shows it"
    return _OUTSIDE if path.strip("/") and not _stays_inside(path.strip("/")) else None


_PROBLEMS = {"hf": _hub_problem, "https": _web_problem, "pvc": _claim_problem}


def _stays_inside(path: str) -> bool:
    """Whether the path stays inside the folder that it is joined to."""
    parts = path.split("/")
    return not any(part in ("", ".", "..") for part in parts) and "\\" not in path and min(path) >= " "


def downloads(uris: Iterable[str | None]) -> bool:
    """Whether anything has to travel over the network before the server can start."""
    return any(uri is not None and _claim(uri) is None for uri in uris)


def _claim(uri: str) -> tuple[str, str] | None:
    if not uri.startswith("pvc://"):
        return None
    name, _, path = uri.removeprefix("pvc://").partition("/")
    return name, path.strip("/")
