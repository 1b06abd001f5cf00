"""Downloads in process: what a refused range, a failure elsewhere and files of an earlier run do to them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modelport_agent.fetch.errors import Code, FetchError
from modelport_agent.fetch.plan import RemoteFile
from modelport_agent.fetch.progress import Progress
from modelport_agent.fetch.run import Job, download
from modelport_agent.fetch.transfer import StoppedError, Transfer

CONTENT = b"weights" * 100
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Files(BaseHTTPRequestHandler):
    """/whole is a file without a length beforehand, /busy never has time, /gone is not there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        status = {"/busy": 503, "/gone": 404}.get(self.path, 416 if start >= len(CONTENT) else 206 if start else 200)
        body = CONTENT[start:] if status < 300 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/*")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def job(url: str, name: str, progress: Progress, stop: threading.Event, size: int | None = None) -> Job:
    file = RemoteFile(name, f"{url}/{name}", size, DIGEST)
    return Job(file, name, Transfer("test://", {}, progress.count, progress.keep, stop))


@pytest.mark.parametrize("there", [b"", CONTENT[:100], CONTENT, b"x" * 9999])
def test_a_part_is_completed_or_begun_anew(server: str, tmp_path: Path, there: bytes) -> None:
    """A server has no range behind the end of a file; where nobody told its length, that may be just what is asked for."""
    (tmp_path / "part").write_bytes(there)
    progress, stop = Progress("x", 1, 0), threading.Event()
    one = job(server, "whole", progress, stop)
    one.transfer.download(one.file, tmp_path / "part", tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == CONTENT
    assert progress.bytes == len(CONTENT)


def test_nobody_tries_again_once_the_fetch_has_failed(server: str, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    one = job(server, "busy", Progress("x", 1, 0), stop)
    with pytest.raises(StoppedError):
        one.transfer.download(one.file, tmp_path / "part", tmp_path / "busy")


class Blocked(Transfer):
    """A connection on which nothing comes."""

    let_go, ended = threading.Event(), threading.Event()

    def download(self, file: RemoteFile, part_path: Path, final: Path) -> None:
        self.let_go.wait(10)
        self.ended.set()


def test_a_refusal_waits_for_no_other_file(server: str, tmp_path: Path) -> None:
    progress, stop = Progress("x", 2, 0), threading.Event()
    gone = job(server, "gone", progress, stop)
    blocked = Blocked("test://", {}, progress.count, progress.keep, stop)
    with pytest.raises(FetchError) as refused:
        download(tmp_path / "models" / "m", [Job(gone.file, "blocked", blocked), gone], progress, stop)
    assert refused.value.code == Code.NOT_FOUND
    assert not Blocked.ended.is_set()
    Blocked.let_go.set()


class Watched(Progress):
    """Notes whether it already tells how far the fetch is."""

    told = False

    def keep(self, amount: int) -> None:
        self.told = self._thread.is_alive()
        super().keep(amount)


def test_progress_is_told_while_files_of_an_earlier_run_are_checked(tmp_path: Path) -> None:
    to = tmp_path / "models" / "m"
    (to.parent / ".m.fetching" / "tree").mkdir(parents=True)
    (to.parent / ".m.fetching" / "tree" / "whole").write_bytes(CONTENT)
    progress, stop = Watched("x", 0, 0), threading.Event()
    download(to, [job("http://127.0.0.1:9", "whole", progress, stop, len(CONTENT))], progress, stop)
    assert progress.told
    assert progress.line().startswith("fetch: x: 1 of 1 files, 700 bytes of 700 bytes (100 %)")
