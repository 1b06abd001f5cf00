"""The immutable ConfigMap with what agent, runtime and server read at their start, named by its content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelport.api.names import PORT_HTTP
from modelport.api.spec import ModelDeploymentSpec
from modelport.runtimes import question
from modelport.runtimes.base import API_KEY_FILE, Problem, ServerFacts
from modelport.runtimes.fastapi import RUNTIME_CONFIG

from .desired import Child, Identity
from .hashing import canonical, short_hash
from .metadata import make_child

AGENT_CONFIG, FETCH_CONFIG = "agent.json", "fetch.json"
LARGEST = 1_000_000
"""Bytes, as JSON carries them; the API server takes 1 MiB of data."""

DRAIN_DELAY = 3.0


def fetch_config(facts: ServerFacts) -> str:
    """Name of the file with the steps of the fetch container."""
    return AGENT_CONFIG if facts.agent else FETCH_CONFIG


def config_data(name: str, spec: ModelDeploymentSpec, facts: ServerFacts, drain_seconds: float) -> dict[str, str]:
    """File name -> text."""
    drain = {"delay": DRAIN_DELAY, "deadline": drain_seconds}
    data = dict(facts.files)
    if facts.agent:
        data[AGENT_CONFIG] = _text(_agent(spec, facts) | {"drain": drain, "fetch": list(facts.steps)})
    else:
        data[RUNTIME_CONFIG] = _text({"version": 1, "name": name, **question.document(spec), "drain": drain})
        if facts.steps:
            data[FETCH_CONFIG] = _text({"version": 1, "fetch": list(facts.steps)})
    return data


def config_name(name: str, data: Mapping[str, str]) -> str:
    """A name that changes with the content, so that every revision of the pods keeps its own."""
    return f"{name}-{short_hash(data, size=5)}"


def config_map(identity: Identity, data: Mapping[str, str], version: str) -> Child:
    content = {"immutable": True, "data": dict(sorted(data.items()))}
    name = config_name(identity.name, data)
    return make_child(identity, "ConfigMap", content, version, name=name, immutable=True)


def size_problem(data: Mapping[str, str]) -> Problem | None:
    """Whether the texts of the spec fit into one ConfigMap."""
    size = len(canonical(data))
    if size <= LARGEST:
        return None
    longest = max(data, key=lambda file: len(data[file]))
    advice = f"write shorter ones, or put the longest ({longest}) among the model's own files"
    return Problem(
        "spec", f"its texts (configurations, templates) have {size} bytes together, and {LARGEST} fit: {advice}"
    )


def _agent(spec: ModelDeploymentSpec, facts: ServerFacts) -> dict[str, Any]:
    return {
        "version": 1,
        "runtime": str(spec.runtime),
        "server": f"http://127.0.0.1:{PORT_HTTP}",
        "models": list(facts.models),
        "task": spec.check.task if spec.check is not None else None,
        **question.document(spec),
        "apiKeyFile": None if facts.api_key is None else API_KEY_FILE,
    }


def _text(document: Mapping[str, Any]) -> str:
    """Indented, because people read it with kubectl when something is wrong."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
