"""Reads the API server's audit log. It must never take a line that is still being written for an event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# One event per request, when it has been answered; a watch is told when it ends.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
"""


@dataclass(frozen=True)
class AuditEvent:
    """One answered request; `raw` is the event as the API server wrote it."""

    verb: str
    user: str
    user_agent: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    uri: str
    time: str
    raw: dict[str, Any]


def read_events(path: Path) -> list[AuditEvent]:
    """All complete events of the log, the oldest first; a log that was never written is empty."""
    if not path.exists():
        return []
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    return [_event(json.loads(line)) for line in complete.splitlines() if line]


def _event(raw: dict[str, Any]) -> AuditEvent:
    target = raw.get("objectRef", {})
    return AuditEvent(
        verb=raw["verb"],
        user=raw["user"].get("username", ""),
        user_agent=raw.get("userAgent", ""),
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=raw.get("responseStatus", {}).get("code", 0),
        uri=raw["requestURI"],
        time=raw["stageTimestamp"],
        raw=raw,
    )
