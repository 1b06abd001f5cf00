"""The catalogue of causes, read once from catalogue.yaml: what is looked for where, and what is said about it.

Pure data. It must never let anything into a message but captured groups, redacted, and facts of the pod's spec.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from modelport.api.names import Reason
from modelport.state.hints import HINTS
from modelport.state.redact import redact, sentence


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
    """Where it was found: the line of the text that says so, redacted."""


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

    def explain(self, symptom: Symptom) -> Explanation | None:
        """What to tell the user, or None where this is not the cause."""
        if symptom.source not in self.sources or not self.state.fullmatch(symptom.state):
            return None
        if self.exit_code is not None and symptom.facts.get("exit_code") != self.exit_code:
            return None
        text = redact(symptom.text)
        found = list(self.pattern.finditer(text))
        if not found:
            return None
        last = found[-1]  # an engine's log ends with what brought it down
        groups = {name: _KINDS.get(value, sentence(value or "")) for name, value in last.groupdict().items()}
        hints = {name: HINTS[hint](*(last[group] or "" for group in of)) for name, (hint, *of) in self.computed.items()}
        values = {**symptom.facts, **groups, **hints}
        words = text[text.rfind("\n", 0, last.end()) + 1 :].partition("\n")[0] if last[0] else text
        return Explanation(
            self.message.format_map(values).rstrip(". "), self.advice.format_map(values).strip(), sentence(words)
        )


_KINDS = {"secret": "Secret", "configmap": "ConfigMap", "config": "ConfigMap"}
"""Kinds as the kubelet writes them, and as people do."""


@cache
def entries() -> tuple[Entry, ...]:
    """All entries, in the order in which they are tried."""
    text = files("modelport.state").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return tuple(_entry(item) for item in yaml.safe_load(text))


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
        message=item["message"],
        advice=item["advice"],
    )
