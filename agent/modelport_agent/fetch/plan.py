"""What to fetch and where it lands. Pure: no network, no disk.

It must never let a name that a server sent point outside the folder it was meant for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from modelport_agent.fetch.errors import Code, FetchError

REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}")
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".onnx", ".h5", ".msgpack", ".plan", ".engine", ".npz")
PICKLED = (".bin", ".pt", ".pth")
SKIPPED_FOLDERS = ("onnx", "original")


@dataclass(frozen=True)
class HubSource:
    """A model repository on a hub, at a revision, or a path in it."""

    uri: str
    repo: str
    revision: str
    path: str


@dataclass(frozen=True)
class WebSource:
    """One file at an https address."""

    uri: str
    url: str
    name: str
    sha256: str | None


Source = HubSource | WebSource


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch. `digest` is `sha256:...`, `git:...` (a git blob's SHA-1), or empty when nobody knows it."""

    path: str
    url: str
    size: int | None
    digest: str
    validator: str = ""  # the ETag, when that is all there is to tell one version from another


def parse_source(uri: str) -> Source:
    """The source that a URI names."""
    if uri.startswith("hf://"):
        return _hub_source(uri)
    if uri.startswith("https://"):
        return _web_source(uri)
    raise FetchError(Code.BAD_URI, f"{uri}: has to start with hf:// or https://")


def _hub_source(uri: str) -> HubSource:
    location, _, fragment = uri.removeprefix("hf://").partition("#")
    parts = location.split("/", 2)
    if fragment or len(parts) < 2:
        raise FetchError(Code.BAD_URI, f"{uri}: has to be hf://OWNER/REPOSITORY[@REVISION][/PATH]")
    name, at, revision = parts[1].partition("@")
    repo, path = f"{parts[0]}/{name}", (parts[2] if len(parts) > 2 else "").strip("/")
    if parts[0] in ("datasets", "spaces"):
        raise FetchError(Code.BAD_URI, f"{uri}: only model repositories can be served, not {parts[0]}")
    if not REPO.fullmatch(repo) or (at and not revision):
        raise FetchError(Code.BAD_URI, f"{uri}: has to be hf://OWNER/REPOSITORY[@REVISION][/PATH]")
    if path:
        safe_path(path, uri)
    return HubSource(uri, repo, unquote(revision) or "main", path)


def _web_source(uri: str) -> WebSource:
    url, _, fragment = uri.partition("#")
    try:
        parts = urlsplit(url)
    except ValueError as error:  # such as a bracket that nobody closes
        raise FetchError(Code.BAD_URI, f"{uri}: {error}") from error
    name = unquote(parts.path.rsplit("/", 1)[-1])
    if not name or not parts.hostname:
        raise FetchError(Code.BAD_URI, f"{uri}: has to name a file: https://HOST/.../FILE")
    safe_path(name, uri)
    sha256 = fragment.removeprefix("sha256=").lower() if fragment else None
    if sha256 is not None and not (fragment.startswith("sha256=") and SHA256.fullmatch(sha256)):
        raise FetchError(Code.BAD_URI, f"{uri}: the part after # has to be sha256= and 64 hexadecimal digits")
    return WebSource(uri, url, name, sha256)


def safe_path(path: str, uri: str) -> str:
    """`path` if it stays inside the folder it is joined to."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or any(ord(char) < 32 for char in path):
        raise FetchError(Code.BAD_URI, f"{uri}: the file name {path!r} is refused: it could leave its folder")
    return path


def choose(source: HubSource, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files of a repository that this source means, their paths relative to its path."""
    if source.path:
        single = [replace(file, path=PurePosixPath(file.path).name) for file in files if file.path == source.path]
        if single:
            return [replace(single[0], path=safe_path(single[0].path, source.uri))]
    prefix = f"{source.path}/" if source.path else ""
    inside = [replace(file, path=file.path.removeprefix(prefix)) for file in files if file.path.startswith(prefix)]
    if not inside:
        what = f"the repository has no file or folder {source.path}" if prefix else "the repository is empty"
        raise FetchError(Code.NOT_FOUND, f"{source.uri}: {what}")
    for file in inside:
        safe_path(file.path, source.uri)
    kept = without_excluded(inside)
    dropped = [file.path for file in inside if file not in kept]
    if dropped and not any(file.path.endswith(WEIGHTS) for file in kept):
        example = next((path for path in dropped if path.endswith((".gguf", *WEIGHTS))), dropped[0])
        text = f"its weights are left out by default ({example}, ...); name the file or folder: "
        raise FetchError(Code.NOT_FOUND, f"{source.uri}: {text}hf://{source.repo}@{source.revision}/{prefix}{example}")
    return kept


def without_excluded(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Without other formats of the same weights: onnx/, original/, GGUF, and pickles beside safetensors."""
    folders = {_folder(file.path) for file in files if file.path.endswith(".safetensors")}
    return [
        file
        for file in files
        if file.path.split("/")[0] not in SKIPPED_FOLDERS
        and not file.path.endswith(".gguf")
        and not (file.path.endswith(PICKLED) and _folder(file.path) in folders)
    ]


def arrange(paths: Iterable[str], layout: str, *, single: bool) -> dict[str, str]:
    """Where each path lands below the step's folder."""
    names = list(paths)
    if layout == "folder":
        return {name: name for name in names}
    if single:
        return {name: f"1/model{PurePosixPath(name).suffix}" for name in names}
    tops = {name.split("/")[0] for name in names if "/" in name}
    complete = "config.pbtxt" in names or any(top.isdigit() for top in tops)
    return {name: name if complete else f"1/{name}" for name in names}


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
