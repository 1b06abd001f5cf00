"""A model hub made of folders: the part of the Hugging Face Hub's HTTP API that an unmodified huggingface_hub uses.

    python3 hub.py --root DIR --port 8080        serves DIR/<owner>/<repository>/<files>

It stands in for the hub where no hub can be reached, and it produces on request the failures that a real hub shows
seldom (`POST /_faults`). It must never answer with anything that is not in the folder, and it needs nothing but the
standard library, so that any Python image can run it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

LFS_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".onnx", ".gguf"}
LFS_SIZE = 1 << 20
CHUNK = 64 << 10
API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.+))?)?")
FILE = re.compile(r"/(cdn/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass(frozen=True)
class Entry:
    """One file of a repository as the hub's tree shows it; `sha256` only for large-file storage."""

    path: str
    size: int
    oid: str
    sha256: str | None

    def tree(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": "file", "path": self.path, "size": self.size, "oid": self.oid}
        if self.sha256:
            shown["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": len(pointer(self.sha256, self.size))}
        return shown


@dataclass
class Faults:
    """What goes wrong on purpose; all off by default. `POST /_faults` replaces the whole set."""

    throttle: int = 0  # bytes per second and response
    dieAfter: int = 0  # noqa: N815 (JSON name) the connection is cut after so many bytes of a file
    dieTimes: int = 1  # noqa: N815 (JSON name) how often that happens to one file
    corrupt: str = ""  # files whose path ends so have their first byte changed on the way
    refuse: list[int] = field(default_factory=list)  # status codes that the next file downloads get, one each


def pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(ThreadingHTTPServer):
    """The server and what its requests share; `with Hub(folder) as hub:` serves in the background."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, root: Path, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        super().__init__((host, port), Handler)
        self.root = root
        self.gated: dict[str, str] = options.get("gated", {})
        self.page: int = options.get("page", 1000)
        self.verbose = False
        self.faults = Faults()
        self.lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        self._digests: dict[tuple[str, int, int], tuple[str, str | None]] = {}

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what half of the tests are about, and no error here."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def entries(self, repo: str) -> list[Entry] | None:
        """Every file of a repository in path order; None when there is no such repository."""
        folder = self.root / repo
        if any(part.startswith(".") for part in repo.split("/")) or not folder.is_dir():
            return None
        found = (file for file in folder.rglob("*") if file.is_file())
        return sorted((self._entry(folder, file) for file in found), key=lambda entry: entry.path)

    def _entry(self, folder: Path, file: Path) -> Entry:
        stat = file.stat()
        key = (str(file), stat.st_size, stat.st_mtime_ns)
        if key not in self._digests:
            self._digests[key] = digests(file, stat.st_size)
        oid, sha256 = self._digests[key]
        return Entry(file.relative_to(folder).as_posix(), stat.st_size, oid, sha256)

    def stats(self) -> dict[str, Any]:
        with self.lock:
            return {"requests": dict(self.requests), "bytes": dict(self.sent), "total": sum(self.sent.values())}


def digests(file: Path, size: int) -> tuple[str, str | None]:
    """The git object id, and the SHA-256 of what the hub keeps in large-file storage."""
    if size < LFS_SIZE and file.suffix not in LFS_SUFFIXES:
        return git_blob(file.read_bytes()), None
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return git_blob(pointer(sha256, size)), sha256


def commit(entries: list[Entry]) -> str:
    """The revision's id follows from the content alone, so equal folders are equal commits."""
    return hashlib.sha1("\n".join(f"{entry.oid} {entry.path}" for entry in entries).encode()).hexdigest()


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open interval a Range header asks for, the whole file without one; None when it cannot be met."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").strip())
    if not match or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    return (start, end) if start < end else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path != "/_faults":
            return self.fail(404, "EntryNotFound", "no such page")
        with self.server.lock:
            self.server.faults = Faults(**json.loads(body))
            self.server.deaths.clear()
        return self.answer({})

    def route(self) -> None:
        path = urlsplit(self.path).path
        if path == "/healthz":
            return self.answer({"ok": True})
        if path == "/_stats":
            return self.answer(self.server.stats())
        if file := FILE.fullmatch(path):
            cdn, repo, revision, name = file.groups()
            return self.resolve(repo, unquote(revision), unquote(name), direct=bool(cdn))
        if api := API.fullmatch(path):
            repo, what, revision, below = api.groups()
            return self.describe(repo, what or "revision", unquote(revision or "main"), unquote(below or ""))
        return self.fail(404, None, "no such page")

    do_GET = do_HEAD = route  # noqa: N815 (the names that BaseHTTPRequestHandler looks for)

    def describe(self, repo: str, what: str, revision: str, below: str) -> None:
        entries = self.find(repo, revision)
        if entries is None:
            return None
        if what == "tree":
            return self.tree(entries, below)
        siblings = [{"rfilename": entry.path} for entry in entries]
        return self.answer({"id": repo, "sha": commit(entries), "siblings": siblings})

    def tree(self, entries: list[Entry], below: str) -> None:
        query = parse_qs(urlsplit(self.path).query)
        prefix = f"{below}/" if below else ""
        inside = [entry for entry in entries if entry.path.startswith(prefix)]
        if not inside:
            return self.fail(404, "EntryNotFound", f"{below} does not exist")
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        shown = {entry.path: entry.tree() for entry in inside}
        for path in [str(parent) for entry in inside for parent in PurePosixPath(entry.path).parents]:
            oid = hashlib.sha1(path.encode()).hexdigest()
            if path.startswith(prefix) and path != ".":
                shown[path] = {"type": "directory", "path": path, "size": 0, "oid": oid}
        rows = [shown[path] for path in sorted(shown) if recursive or "/" not in path[len(prefix) :]]
        start, page = int(query.get("cursor", ["0"])[0]), self.server.page
        headers = {}
        if start + page < len(rows):
            url = f"http://{self.headers['Host']}{urlsplit(self.path).path}"
            headers["Link"] = f'<{url}?recursive={str(recursive).lower()}&cursor={start + page}>; rel="next"'
        return self.answer(rows[start : start + page], headers)

    def find(self, repo: str, revision: str) -> list[Entry] | None:
        """The files of a revision; None after the refusal has been sent."""
        token = self.token()
        if token and not token.startswith("hf_"):
            self.fail(401, None, "Invalid credentials in Authorization header")
            return None
        entries = self.server.entries(repo)
        if entries is None:
            self.fail(404 if token else 401, "RepoNotFound", "Repository not found")
            return None
        if revision not in ("main", commit(entries)):
            self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return entries

    def token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()

    def resolve(self, repo: str, revision: str, name: str, *, direct: bool) -> None:
        entries = self.find(repo, revision)
        if entries is None:
            return None
        if (wanted := self.server.gated.get(repo)) and self.token() != wanted:
            message = f"Access to model {repo} is restricted. You must be authenticated and on the authorized list."
            return self.fail(403 if self.token() else 401, "GatedRepo", message)
        entry = next((entry for entry in entries if entry.path == name), None)
        if entry is None:
            return self.fail(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit(entries), "Accept-Ranges": "bytes"}
        if entry.sha256 and not direct:
            headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
            headers["Location"] = f"http://{self.headers['Host']}/cdn/{repo}/resolve/{commit(entries)}/{quote(name)}"
            return self.answer({}, headers, 302)
        return self.send(repo, entry, headers)

    def send(self, repo: str, entry: Entry, headers: dict[str, str]) -> None:
        key = f"{repo}/{entry.path}"
        etag = f'"{entry.sha256 or entry.oid}"'
        with self.server.lock:
            self.server.requests[key] += self.command == "GET"
            refusal = self.server.faults.refuse.pop(0) if self.command == "GET" and self.server.faults.refuse else None
        if refusal:
            return self.fail(refusal, None, "refused on purpose", {"Retry-After": "1"})
        usable = self.headers.get("If-Range") in (None, etag)
        wanted = byte_range(self.headers.get("Range") if usable else None, entry.size)
        if wanted is None and entry.size:
            return self.fail(416, None, "no such range", {"Content-Range": f"bytes */{entry.size}"})
        start, end = wanted or (0, 0)
        partial = end - start != entry.size or (usable and "Range" in self.headers)
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{entry.size}")
        self.head(headers | {"ETag": etag}, "application/octet-stream", end - start)
        if self.command == "GET":
            self.stream(key, self.server.root / key, start, end)
        return None

    def stream(self, key: str, file: Path, start: int, end: int) -> None:
        faults, began, position = self.server.faults, time.monotonic(), start
        with file.open("rb") as stream:
            stream.seek(start)
            while position < end:
                data = stream.read(min(CHUNK, end - position))
                if faults.corrupt and position == 0 and key.endswith(faults.corrupt):
                    data = bytes([data[0] ^ 1]) + data[1:]
                self.wfile.write(data)
                position += len(data)
                with self.server.lock:
                    self.server.sent[key] += len(data)
                    dies = faults.dieAfter and position - start >= faults.dieAfter and position < end
                    if dies and self.server.deaths[key] < faults.dieTimes:
                        self.server.deaths[key] += 1
                        self.close_connection = True
                        return
                if faults.throttle:
                    time.sleep(max(0.0, (position - start) / faults.throttle - (time.monotonic() - began)))

    def answer(self, value: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.head(headers or {}, "application/json", len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, headers: dict[str, str], kind: str, length: int) -> None:
        for name, text in (headers | {"Content-Type": kind, "Content-Length": str(length)}).items():
            self.send_header(name, text)
        self.end_headers()

    def fail(self, status: int, code: str | None, message: str, headers: dict[str, str] | None = None) -> None:
        named = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.answer({"error": message}, named | (headers or {}), status)

    def log_message(self, format: str, *arguments: object) -> None:
        if self.server.verbose:
            print(f"{self.client_address[0]} {format % arguments}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves folders as a model hub.")
    parser.add_argument("--root", type=Path, required=True, help="holds OWNER/REPOSITORY/files")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--gated", action="append", default=[], metavar="OWNER/REPO=TOKEN", help="needs this token")
    parser.add_argument("--page", type=int, default=1000, help="entries per page of a tree")
    parser.add_argument("--faults", type=json.loads, default={}, metavar="JSON", help="as for POST /_faults")
    options = parser.parse_args()
    gated = dict(item.split("=", 1) for item in options.gated)
    hub = Hub(options.root, options.host, options.port, gated=gated, page=options.page)
    hub.verbose, hub.faults = True, Faults(**options.faults)
    # A container's first process ignores SIGTERM unless it says otherwise.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"serving {options.root} on port {options.port}", flush=True)
    hub.serve_forever()


if __name__ == "__main__":
    main()
