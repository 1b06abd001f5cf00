"""What an https server says about one file: its length and what tells one version of it from another."""

from __future__ import annotations

import re

from modelport_agent.fetch.plan import RemoteFile, WebSource
from modelport_agent.fetch.retry import retrying
from modelport_agent.fetch.transfer import open_url


def describe(source: WebSource) -> RemoteFile:
    """The file as it is now. One byte is asked for with GET, because signed URLs refuse HEAD."""

    def attempt() -> RemoteFile:
        with open_url(source.uri, source.url, {"Range": "bytes=0-0"}) as answer:
            etag = answer.headers.get("ETag") or ""
            strong = etag if etag.startswith('"') else ""
            return RemoteFile(
                path=source.name,
                url=source.url,
                size=length(answer.status, answer.headers.get("Content-Range"), answer.headers.get("Content-Length")),
                digest=f"sha256:{source.sha256}" if source.sha256 else "",
                validator=strong or answer.headers.get("Last-Modified") or "",
            )

    return retrying(source.uri, attempt)


def length(status: int, content_range: str | None, content_length: str | None) -> int | None:
    """The whole file's length, from a partial answer or from a full one."""
    if status == 206:
        match = re.fullmatch(r"bytes \d+-\d+/(\d+)", content_range or "")
        return int(match.group(1)) if match else None
    return int(content_length) if content_length and content_length.isdigit() else None
