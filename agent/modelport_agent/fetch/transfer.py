"""Downloads one file so that a break costs only what had not arrived: ranges, checksums, redirects without secrets.

It never leaves a file under its final name that was not verified, and never sends a token to another host than the
one it is meant for.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from modelport_agent.fetch.errors import Code, FetchError, TransientError, gated, http_refusal
from modelport_agent.fetch.plan import RemoteFile
from modelport_agent.fetch.retry import RETRIED_STATUS, retry_after, retrying

CHUNK = 1 << 20
SILENCE_SECONDS = 30.0
# Hubs refuse plain downloads of more than 50 GB in one answer, not ranges of them.
SEGMENT = 16 << 30


class StoppedError(Exception):
    """Another file of the same fetch failed for good."""


class RangeError(TransientError):
    """The server has nothing from there on: what has arrived is no beginning of what it has now, or already all of it."""


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but a credential stays with the host it was given for."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if old.scheme == "https" and new.scheme != "https":
            raise FetchError(Code.NETWORK, f"{old.hostname}: redirects to {new.scheme}://{new.netloc}, without TLS")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            following.remove_header("Authorization")
        return following


_opener = urllib.request.build_opener(_Redirects)


def open_url(uri: str, url: str, headers: Mapping[str, str], method: str = "GET") -> http.client.HTTPResponse:
    """The answer to one request; a refusal is a FetchError, a bad moment is TransientError."""
    request = urllib.request.Request(url, headers={**headers, "Accept-Encoding": "identity"}, method=method)
    try:
        answer: http.client.HTTPResponse = _opener.open(request, timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.headers.get("X-Error-Code") == "GatedRepo":
            raise gated(uri, error.code, "Authorization" in headers) from error
        if error.code == 416:
            raise RangeError("the server has no such range of the file") from error
        if error.code in RETRIED_STATUS:
            asked = retry_after(error.headers.get("Retry-After"))
            raise TransientError(f"the server answered {error.code}", asked) from error
        raise http_refusal(uri, error.code, "Authorization" in headers) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            text = f"{uri}: {urlsplit(url).netloc}: {reason}; SSL_CERT_FILE names the authorities to trust"
            raise FetchError(Code.NETWORK, text) from error
        raise TransientError(f"{urlsplit(url).netloc} cannot be reached: {reason or type(error).__name__}") from error
    return answer


@dataclass
class Part:
    """The bytes that have arrived so far, and their checksum as it grows."""

    file: RemoteFile
    path: Path
    size: int
    digest: Digest

    @classmethod
    def resume(cls, file: RemoteFile, path: Path) -> Part:
        """What an earlier run left, read once for its checksum."""
        part = cls(file, path, 0, new_digest(file))
        comparable = file.digest or file.validator
        if comparable and path.exists() and path.stat().st_size <= (file.size or path.stat().st_size):
            with path.open("rb") as stream:
                while data := stream.read(CHUNK):
                    part.digest.update(data)
                    part.size += len(data)
        return part

    def restart(self) -> None:
        self.size, self.digest = 0, new_digest(self.file)

    def verified(self) -> bool:
        """Whether the checksum is the source's; without one the length has to do."""
        _, _, expected = self.file.digest.partition(":")
        if expected:
            return self.digest.hexdigest() == expected
        return self.file.size is None or self.size == self.file.size


def new_digest(file: RemoteFile) -> Digest:
    """The hash that the source's own checksum is made with."""
    if not file.digest.startswith("git:"):
        return hashlib.sha256()
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % (file.size or 0))
    return digest


@dataclass(frozen=True)
class Transfer:
    """How the files of one source are downloaded; one instance serves several threads."""

    uri: str
    headers: Mapping[str, str]
    count: Callable[[int], None]  # bytes that arrived, or that turned out worthless
    keep: Callable[[int], None]  # bytes that an earlier run brought
    stop: threading.Event

    def download(self, file: RemoteFile, part_path: Path, final: Path) -> None:
        """Make `final` the whole, verified file; `part_path` holds what has arrived until then."""
        part = Part.resume(file, part_path)
        self.keep(part.size)
        for last_try in (False, True):
            retrying(f"{self.uri}: {file.path}", lambda: self._receive(part), lambda: part.size, self._sleep)
            if part.verified():
                break
            found = part.digest.hexdigest()
            self.count(-part.size)
            part.restart()
            if last_try:
                part_path.unlink(missing_ok=True)
                text = f"{file.path} arrived with checksum {found} twice, where the source says {file.digest}"
                raise FetchError(Code.CHECKSUM, f"{self.uri}: {text}; the mirror or a proxy on the way alters it")
            print(f"fetch: {self.uri}: {file.path}: wrong checksum, fetching it once more", flush=True)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part_path, final)

    def _sleep(self, seconds: float) -> None:
        """Before another try, which nobody needs once the fetch has failed."""
        if self.stop.wait(seconds):
            raise StoppedError

    def _receive(self, part: Part) -> None:
        """Take in what is missing; whatever ends it early is TransientError and keeps what has arrived."""
        with part.path.open("r+b" if part.path.exists() else "w+b") as stream:
            try:
                stream.truncate(part.size)
                while part.size != part.file.size and not self._segment(part, stream):
                    pass
                stream.flush()
                os.fsync(stream.fileno())
            except OSError as error:
                raise disk_error(self.uri, part.path, error) from error

    def _segment(self, part: Part, stream: IO[bytes]) -> bool:
        """One request's worth; True when the file is complete."""
        size, headers = part.file.size, dict(self.headers)
        if part.size or (size or 0) > SEGMENT:
            last = min(part.size + SEGMENT, size) - 1 if size else ""
            headers["Range"] = f"bytes={part.size}-{last}"
            if part.file.validator:
                headers["If-Range"] = part.file.validator
        try:
            opened = open_url(self.uri, part.file.url, headers)
        except RangeError:
            self.count(-part.size)
            part.restart()
            raise
        with opened as answer:
            if part.size and not continues(answer, part.size):
                # The server began from the start: either it knows no ranges, or the file is another one now.
                self.count(-part.size)
                part.restart()
            if not self._ends_known(part.file, answer):
                text = f"the server tells no length of {part.file.path}, so a broken connection could pass for its end"
                raise FetchError(Code.NETWORK, f"{self.uri}: {text}; add its checksum to the URI: #sha256=...")
            stream.seek(part.size)
            stream.truncate()
            expected = part.size + int(answer.headers.get("Content-Length") or -part.size - 1)
            self._copy(part, answer, stream)
        if 0 <= expected != part.size:
            raise TransientError(f"the connection ended after {part.size} of {size or expected} bytes")
        return size is None or part.size >= size

    @staticmethod
    def _ends_known(file: RemoteFile, answer: http.client.HTTPResponse) -> bool:
        """Whether a file that was cut short can be told from a whole one."""
        announced = answer.length is not None or answer.chunked
        return bool(announced or file.size is not None or file.digest)

    def _copy(self, part: Part, answer: http.client.HTTPResponse, stream: IO[bytes]) -> None:
        limit = part.file.size
        while True:
            if self.stop.is_set():
                raise StoppedError
            try:
                data = answer.read1(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise TransientError(f"the connection broke: {error or type(error).__name__}") from error
            if not data:
                return
            if limit is not None and part.size + len(data) > limit:
                self.count(-part.size)
                part.restart()
                raise TransientError(f"the server sent more than the {limit} bytes it announced")
            stream.write(data)
            part.digest.update(data)
            part.size += len(data)
            self.count(len(data))


def continues(answer: http.client.HTTPResponse, start: int) -> bool:
    """Whether the answer carries on where we stopped."""
    return answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-")


def disk_error(uri: str, path: Path, error: OSError) -> Exception:
    """A full disk is the user's to solve and has its own code."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FetchError(Code.NO_SPACE, f"{uri}: the volume of {path.parent} is full")
    return error
