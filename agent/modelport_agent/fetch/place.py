"""Puts files where the server looks for them: whole folders by one rename, single files by one rename, links.

It must never leave a folder under its final name that holds only a part of a model, and it writes only below `to`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport_agent.fetch.errors import Code, FetchError
from modelport_agent.fetch.plan import arrange
from modelport_agent.fetch.progress import size
from modelport_agent.fetch.transfer import disk_error

MARKER = ".modelport.json"
SPARE = 16 << 20


def staging(to: Path) -> Path:
    """The hidden folder beside `to`, on the same volume, that a fetch fills."""
    return to.parent / f".{to.name}.fetching"


def finished(to: Path, others: Iterable[Path]) -> dict[str, str] | None:
    """The sources, URI to version, that a complete folder was made from; None when it is not complete.

    Where another step writes (`others`), a file may well have another length than the one that was fetched.
    """
    written = tuple(others)
    try:
        marker = json.loads((to / MARKER).read_bytes())
        whole = all(
            (to / path).stat().st_size == length or any(place in (to / path, *(to / path).parents) for place in written)
            for path, length in marker["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(marker["sources"]) if whole else None


def land(to: Path, tree: Path, files: Sequence[str], sources: Mapping[str, str]) -> None:
    """Rename the complete `tree` to `to`; the marker goes with it, so it is there only with all the files."""
    keep = set(files)
    for path in [path for path in tree.rglob("*") if path.is_file()]:
        if path.relative_to(tree).as_posix() not in keep:
            path.unlink()
    marker: dict[str, Any] = {"sources": dict(sources), "files": {path: (tree / path).stat().st_size for path in files}}
    write(tree / MARKER, json.dumps(marker, indent=1).encode())
    old = to.parent / f".{to.name}.old"
    remove(old)
    if to.is_symlink() or to.exists():
        os.rename(to, old)
    os.rename(tree, to)
    sync(to.parent)
    remove(old)
    remove(staging(to))


def check_space(uri: str, folder: Path, needed: int) -> None:
    """Say beforehand that it will not fit, rather than after an hour."""
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    if needed + SPARE > free:
        amounts = f"needs {needed} bytes ({size(needed)}) more, {free} bytes ({size(free)}) are free"
        text = f"{uri}: {amounts} on the volume of {folder.parent}"
        raise FetchError(Code.NO_SPACE, text)


def copy(source: Path, to: Path) -> None:
    """Copy one mounted file."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise FetchError(Code.NOT_FOUND, f"{source}: cannot be read: {error.strerror}") from error
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write(to, content)
    except OSError as error:
        raise disk_error(str(source), to, error) from error


def copy_folder(source: Path, to: Path) -> None:
    """Copy every file below a mounted folder; names that begin with .. are Kubernetes' own in a ConfigMap volume."""
    if not source.is_dir():
        raise FetchError(Code.NOT_FOUND, f"{source}: there is no such folder")
    for entry in sorted(source.iterdir()):
        if entry.name.startswith(".."):
            continue
        if entry.is_dir():
            copy_folder(entry, to / entry.name)
        else:
            copy(entry, to / entry.name)


def link(source: Path, to: Path, layout: str, others: Iterable[Path]) -> None:
    """Make `to` show what `source` holds. Where another step writes inside, folders are real and only files linked."""
    if not source.exists():
        raise FetchError(Code.NOT_FOUND, f"{source}: the volume has no such file or folder")
    written = tuple(others)
    if source.is_file():
        name = arrange([source.name], layout, single=True)[source.name]
        return _symlink(source, to / name)
    complete = layout == "folder" or any(
        entry.name == "config.pbtxt" or (entry.name.isdigit() and entry.is_dir()) for entry in source.iterdir()
    )
    return _link_tree(source, to if complete else to / "1", written)


def _link_tree(source: Path, to: Path, written: tuple[Path, ...]) -> None:
    if not source.is_dir() or not any(other == to or to in other.parents for other in written):
        return _symlink(source, to)
    if to.is_symlink():
        to.unlink()
    to.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if to / entry.name not in written or entry.is_dir():
            _link_tree(entry, to / entry.name, written)
    return None


def _symlink(source: Path, to: Path) -> None:
    if to.is_symlink() and Path(os.readlink(to)) == source:
        return
    remove(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.symlink_to(source)


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all; a link in its place is replaced, not followed."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)


def remove(path: Path) -> None:
    """Remove a file, link or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
