"""The catalogue of causes, read once from catalogue.yaml: what is looked for where, and what is said about it.

Pure data. It must never let anything into a message but captured groups, redacted, and facts of the pod's spec.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

from modelport.api.names import Reason
from modelport.state.hints import HINTS
from modelport.state.redact import hidden, line, secrets, sentence


class Source(StrEnum):
    """Where a cause can be read."""

    UNSCHEDULABLE = "unschedulable"
    WAITING = "waiting"
    TERMINATED = "terminated"
    LOG = "log"
    PROOF = "proof"
    MOUNT = "mount"
    POD = "pod"
    REPLICAS = "replicas"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is known about a pod or a container."""

    source: Source
    text: str
    facts: Mapping[str, str]
    """What a message may name: container, image, limit, exit_code."""
    state: str = ""
    """The reason of the container's state."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an entry makes of a symptom."""

    wrong: str
    """What is wrong."""
    advice: str
    """What the user can do."""
    words: str
    """What says so, redacted: the part of the text that was recognised."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One known cause."""

    id: str
    reason: Reason
    terminal: bool
    sources: frozenset[Source]
    state: re.Pattern[str]
    pattern: re.Pattern[str]
    exit_code: str | None
    computed: Mapping[str, tuple[str, ...]]
    """Name -> a function of state/hints.py and the groups that it is given."""
    message: str
    advice: str
    fallback: bool
    """Of a log: only where no other entry knows it, however late it stands there."""

    def find(self, text: str) -> re.Match[str] | None:
        """The last place that says so: a log ends with what brought a server down."""
        last = None
        for last in self.pattern.finditer(text):  # noqa: B007
            pass
        return last

    def explain(self, symptom: Symptom) -> Explanation | None:
        """What to tell the user, or None where this is not the cause."""
        if symptom.source not in self.sources or not self.state.fullmatch(symptom.state):
            return None
        if self.exit_code is not None and symptom.facts.get("exit_code") != self.exit_code:
            return None
        found = self.find(symptom.text)
        return None if found is None else self.told(found, symptom)

    def told(self, found: re.Match[str], symptom: Symptom) -> Explanation:
        """What is said when it has been found there."""
        spans = secrets(found.string)
        groups = {
            name: _KINDS.get(value or "") or line(hidden(found.string, *found.span(name), spans) if value else "")
            for name, value in found.groupdict().items()
        }
        facts = {name: sentence(value) for name, value in symptom.facts.items()}
        hints = {
            name: line(HINTS[hint](*(groups[group] for group in of))) for name, (hint, *of) in self.computed.items()
        }
        values = {**facts, **groups, **hints}
        return Explanation(
            wrong=self.message.format_map(values).rstrip(". "),
            advice=" ".join(self.advice.format_map(values).split()),
            words=line(hidden(found.string, *found.span(), spans)),
        )


_KINDS = {"secret": "Secret", "configmap": "ConfigMap", "config": "ConfigMap"}
"""Kinds as the kubelet writes them, and as people do."""


@cache
def entries() -> tuple[Entry, ...]:
    """All entries, in the order in which they are tried."""
    text = files("modelport.state").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return tuple(_entry(item) for item in yaml.safe_load(text))


@lru_cache(maxsize=16)
def last_words(log: str) -> tuple[Entry, re.Match[str]] | None:
    """The cause whose line stands last in a log, of those on one line the first of the catalogue: what is logged and mended on the
    way to it stands before. Kept for a few logs, as each is looked at again and again."""
    known = (entry for entry in entries() if Source.LOG in entry.sources and not entry.fallback)
    matches = [(entry, found) for entry in known if (found := entry.find(log)) is not None]
    return max(matches, key=lambda match: log.count("\n", 0, match[1].end()), default=None)


def _entry(item: Mapping[str, Any]) -> Entry:
    sources = item["source"] if isinstance(item["source"], list) else [item["source"]]
    return Entry(
        id=item["id"],
        reason=Reason(item["reason"]),
        terminal=item.get("terminal", False),
        sources=frozenset(Source(source) for source in sources),
        state=re.compile(item.get("state", ".*"), re.DOTALL),
        pattern=re.compile(item.get("pattern", r"\A"), re.MULTILINE),
        exit_code=str(item["exit_code"]) if "exit_code" in item else None,
        computed={name: tuple(how) for name, how in item.get("computed", {}).items()},
        fallback=item.get("fallback", False),
        message=item["message"],
        advice=item["advice"],
    )
