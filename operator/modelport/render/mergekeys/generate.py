"""Writes `podtemplate.json`, the merge keys below PodTemplateSpec, from Kubernetes' OpenAPI document.

    python -m modelport.render.mergekeys.generate

The document is the one that the development dependency kubernetes-validate carries. Types below which every list is
simply replaced are left out.
"""

from __future__ import annotations

import json
from importlib.metadata import files
from pathlib import Path
from typing import Any

KUBERNETES = "v1.35.0"
SOURCE = f"kubernetes_validate/kubernetes-json-schema/{KUBERNETES}-local/_definitions.json"
TARGET = Path(__file__).with_name("podtemplate.json")
ROOT = "io.k8s.api.core.v1.PodTemplateSpec"


def merge_keys() -> dict[str, Any]:
    """Type -> field -> {type of the value or its items, key of a merged list of maps, merge for one of scalars}."""
    located = [file.locate() for file in files("kubernetes-validate") or () if file.as_posix() == SOURCE]
    document = json.loads(Path(str(located[0])).read_text())
    definitions = document.get("$defs") or document["definitions"]
    found: dict[str, dict[str, Any]] = {}
    _collect(ROOT, definitions, found)
    return _pruned({_short(name): fields for name, fields in found.items()})


def _collect(name: str, definitions: dict[str, Any], found: dict[str, dict[str, Any]]) -> None:
    if name in found:
        return
    fields = found[name] = {}
    for field, schema in definitions[name].get("properties", {}).items():
        entry: dict[str, Any] = {}
        target = _target(schema)
        if target is not None:
            entry["type"] = _short(target)
            _collect(target, definitions, found)
        if "merge" in schema.get("x-kubernetes-patch-strategy", "").split(","):
            key = schema.get("x-kubernetes-patch-merge-key")
            entry |= {"merge": True} if key is None else {"key": key}
        if entry:
            fields[field] = entry


def _pruned(types: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Without the types that lead to no merged list."""
    useful: set[str] = set()
    while True:
        more = {name for name, fields in types.items() if any(_useful(field, useful) for field in fields.values())}
        if more == useful:
            break
        useful = more
    return {
        name: {
            field: {k: v for k, v in entry.items() if k != "type" or v in useful}
            for field, entry in sorted(types[name].items())
            if _useful(entry, useful)
        }
        for name in sorted(useful)
    }


def _useful(entry: dict[str, Any], useful: set[str]) -> bool:
    return "key" in entry or "merge" in entry or entry.get("type") in useful


def _target(schema: dict[str, Any]) -> str | None:
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref")
    return None if reference is None else str(reference).rsplit("/", 1)[-1]


def _short(name: str) -> str:
    return name.rsplit(".", 1)[-1]


if __name__ == "__main__":
    TARGET.write_text(json.dumps(merge_keys(), indent=2) + "\n")
