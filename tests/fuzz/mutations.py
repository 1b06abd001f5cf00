"""ModelDeployments gone wrong: those of examples/ and of the golden cases, changed at random where the schema has something
to say about them, and where it takes anything. The same seed gives the same resource."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelport.api.crd import schema
from modelport.api.names import KIND
from modelport.api.structural import INT_OR_STRING, PRESERVE, Schema

ROOT = Path(__file__).parents[2]
SPEC: Schema = schema()["properties"]["spec"]
_ANYTHING: Schema = {"type": "object", PRESERVE: True}
_MOST, _DEEPEST = 4, 12
"""Changes to one resource (with more of them nearly all are refused at the first look), and how far down they are made."""

TEXTS = (
    "", " ", "\n", "\t\n ", "null", "true", "yes", "0", "-1", "1e309", "NaN", ".inf", "0x1F", "1_000", "٣", "\uff14k", "k", "4K4",
    "../../etc/passwd", "/", "//", "\\", "a\x00b", "\x1b[31m", "é" * 40, "e\u0301", "ß", "İ", "模型", "🚀" * 20, "\u202eabc",
    "\ufeff", "\u2028", "\ud800", "{{ x }}", "${HOME}", "$(POD_NAME)", "%s%d%n", "a b", "A", "-a", "a-", "a" * 63, "a" * 64, "a.b",
    "hf://", "hf://a", "hf://a/b@", "hf://a/b@c/../d", "pvc://", "pvc://a/./b", "https://", "https://[", "https://a:b@c/d#sha256=",
    "s3://a/b", "http://a", "HF://a/b", "hf://a/b c", "10", "10s", "1ms", "99999h", "-5s", "5 s", "16Gi", "16 Gi", "1e99", "9" * 400,
    "max_batch_size: 4", "input [{ name: 'a' }]", "}{", "\"", "'", "#", "&a *a", "!!python/object:os.system", "app:app", "a:b:c",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 63, 64, 65, 1000, 1001, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 2**64, 10**400,
           0.0, -0.0, 0.5, 1.0000001, 1e-320, 1e308, -1e308, float("inf"), float("nan"))  # fmt: skip
KEYS = (
    "name", "env", "value", "valueFrom", "containers", "initContainers", "volumes", "resources", "limits", "requests", "claims",
    "labels", "annotations", "modelport.io/name", "terminationGracePeriodSeconds", "tolerations", "$patch", "$retainKeys",
    "$setElementOrder/containers", "$deleteFromPrimitiveList/args", "input", "output", "dims", "dataType", "parameters",
    "maxBatchSize", "ensembleScheduling", "step", "modelName", "dynamicBatching", "instanceGroup", "backend", "versionPolicy",
    "", "a", "runtimes", "replica", "Name", "x" * 300, "né", "a.b", "a/b", "0",
)  # fmt: skip
PIECES = (
    {"name": "server"}, {"name": "agent"}, {"name": "fetch", "$patch": "delete"}, {"$patch": "replace"}, {"$patch": "merge"},
    {"name": "server", "env": [{"name": "A"}]}, {"name": "server", "args": None}, {"name": "server", "resources": {"claims": 1}},
    {"containers": [{"name": "server", "command": ["sh"]}]}, {"containers": [{"image": "x"}]}, {"containers": {"name": "server"}},
    {"labels": {"modelport.io/name": "x"}}, {"volumes": [{"name": "config", "$patch": "delete"}]}, {"name": 5}, [[]], [{}], [None],
    {"step": [{"modelName": "x", "modelVersion": "y"}]}, {"input": [{"name": "a", "dims": [-1, "3"], "dataType": "TYPE_FP32"}]},
    {"metadata": {}, "spec": {"containers": [{"name": "server", "image": "x"}], "initContainers": [{"name": "agent"}]}},
)  # fmt: skip


@dataclass(frozen=True)
class Spot:
    """A place in a resource: a key of a map or an index of a list, what stands there, and what the schema says of it."""

    holder: Any
    key: Any
    node: Schema

    @property
    def present(self) -> bool:
        return isinstance(self.holder, list) or self.key in self.holder

    @property
    def value(self) -> Any:
        return self.holder[self.key]


Change = Callable[[random.Random, Spot, dict[str, Any]], None]


def originals() -> list[dict[str, Any]]:
    """What is mutated: every ModelDeployment of the examples and of the golden cases."""
    files = [*sorted((ROOT / "examples").glob("*.yaml")), *sorted((ROOT / "tests/golden").glob("*/*/in.yaml"))]
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    return [document for document in documents if document and document["kind"] == KIND]


def mutated(seed: int, sources: list[dict[str, Any]]) -> dict[str, Any]:
    """The resource of that seed, with the metadata that an API server gives it."""
    rng = random.Random(seed)
    document = copy.deepcopy(rng.choice(sources))
    spec = document["spec"]
    for _ in range(rng.choices(range(1, _MOST + 1), weights=(8, 4, 2, 1))[0]):
        change = rng.choices(list(CHANGES), weights=list(CHANGES.values()))[0]
        if spots := [spot for spot in places(spec) if spot.present or change is _put]:
            change(rng, rng.choice(spots), spec)
    spots = [spot for spot in places(spec) if spot.present and spot.node.get(PRESERVE, rng.random() < 0.05)]
    if spots and rng.random() < 0.05:  # the last change, as Python's own functions do not go as deep
        spot = rng.choice(spots)
        spot.holder[spot.key] = nested(rng)
    if rng.random() < 0.03:
        document["metadata"]["name"] = rng.choice([text for text in TEXTS if text and text != "\ud800"])
    given = {"namespace": "models", "uid": f"uid-{seed}", "resourceVersion": "7", "generation": 1}
    document["metadata"] = {**document["metadata"], **given}
    return document


def places(spec: dict[str, Any]) -> list[Spot]:
    """All places in a spec, and those where the schema would take something."""
    return list(_below(spec, SPEC, 0))


def _below(value: Any, node: Schema, depth: int) -> Iterator[Spot]:
    if isinstance(value, dict):
        properties = node.get("properties", {})
        rest = node.get("additionalProperties", _ANYTHING)
        spots = [Spot(value, name, properties.get(name, rest)) for name in value]
        yield from (Spot(value, name, below) for name, below in properties.items() if name not in value)
    else:
        spots = [
            Spot(value, index, node.get("items", _ANYTHING))
            for index in range(len(value) if isinstance(value, list) else 0)
        ]
    for spot in spots:
        yield spot
        if depth < _DEEPEST:
            yield from _below(spot.value, spot.node, depth + 1)


def sample(rng: random.Random, node: Schema) -> Any:
    """What the schema may take there; rules over texts and fields are left to chance."""
    if "enum" in node:
        return rng.choice(node["enum"])
    if node.get(INT_OR_STRING):
        return rng.choice([rng.randrange(10**6), "4k", "auto", "500m", "16Gi"])
    kind = node.get("type")
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("integer", "number"):
        return rng.choice([node.get("minimum", 0), node.get("maximum", 100), 1])
    if kind == "string":
        return rng.choice(
            ("a", "model", "hf://org/repo", "pvc://claim/model.onnx", "app:app", "/predict", "10s", "auto")
        )
    if kind == "array":
        return [sample(rng, node["items"]) for _ in range(rng.randrange(node.get("minItems", 0), 3))]
    if node.get(PRESERVE):
        return anything(rng)
    if "additionalProperties" in node:
        return {rng.choice(KEYS): sample(rng, node["additionalProperties"]) for _ in range(2)}
    properties: Mapping[str, Schema] = node.get("properties", {})
    wanted = set(node.get("required", ())) | {name for name in properties if rng.random() < 0.3}
    return {name: sample(rng, properties[name]) for name in sorted(wanted)}


def anything(rng: random.Random, depth: int = 0) -> Any:
    """A value as it may stand where the schema looks at nothing."""
    if depth > 3 or rng.random() < 0.4:
        return rng.choice((None, True, False, rng.choice(TEXTS), rng.choice(NUMBERS), piece(rng)))
    if rng.random() < 0.4:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): anything(rng, depth + 1) for _ in range(rng.randrange(4))}


def piece(rng: random.Random) -> Any:
    """A part of a pod or of a model's configuration."""
    return copy.deepcopy(rng.choice(PIECES))


def nested(rng: random.Random) -> Any:
    """Maps in maps, or lists in lists; the API server takes nearly ten thousand of them."""
    value: Any = rng.choice(TEXTS)
    key, in_lists = rng.choice(KEYS), rng.random() < 0.3
    for _ in range(rng.choice((5, 30, 100, 300, 1500, 9000))):
        value = [value] if in_lists else {key: value}
    return value


def _remove(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    del spot.holder[spot.key]


def _empty(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    spot.holder[spot.key] = rng.choice([None, "", [], {}, 0, False])


def _other_type(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    spot.holder[spot.key] = rng.choice([[spot.value], {"name": spot.value}, str(spot.value), True, 7, 1.5, [], {}])


def _text(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    spot.holder[spot.key] = rng.choice(TEXTS)


def _number(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    bounds = [spot.node[bound] + step for bound in ("minimum", "maximum") if bound in spot.node for step in (-1, 0, 1)]
    spot.holder[spot.key] = rng.choice(bounds or NUMBERS)


def _long(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    """As long as it may be, a little longer, or far too long."""
    node, value = spot.node, spot.value
    if isinstance(value, list) and value:
        spot.holder[spot.key] = value * rng.choice((2, node.get("maxItems", 100), 300))
    elif isinstance(value, dict):
        value.update({f"key-{number}": rng.choice(TEXTS) for number in range(rng.choice((17, 600)))})
    else:
        longest = node.get("maxLength", 4096)
        character = rng.choice(("a", "a", "é", "🚀", "\x01", "\n"))
        spot.holder[spot.key] = character * rng.choice((longest, longest + 1, 200_000, 200_000, 1_200_000))


def _unknown(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    holder = spot.value if isinstance(spot.value, dict) else spot.holder
    if isinstance(holder, dict):
        holder[rng.choice(KEYS)] = anything(rng)


def _swap(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    """What stands in one place goes to another, and mostly the other way round."""
    other = rng.choice([one for one in places(spec) if one.present])
    mine, theirs = copy.deepcopy(spot.value), copy.deepcopy(other.value)
    spot.holder[spot.key] = theirs
    if rng.random() < 0.7:
        other.holder[other.key] = mine


def _put(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    """A field that the schema knows, with a value that it takes."""
    spot.holder[spot.key] = sample(rng, spot.node)


def _template(rng: random.Random, spot: Spot, spec: dict[str, Any]) -> None:
    """Pieces of a pod, or of a model's configuration, wherever it may be."""
    if rng.random() < 0.7:
        template = spec.setdefault("podTemplate", {})
        if isinstance(template, dict):
            template[rng.choice(("metadata", "spec", "spec", "$patch"))] = rng.choice((anything(rng), piece(rng)))
    else:
        spot.holder[spot.key] = piece(rng)


CHANGES: dict[Change, int] = {
    _put: 12,
    _template: 8,
    _remove: 5,
    _empty: 5,
    _other_type: 6,
    _text: 8,
    _number: 6,
    _long: 5,
    _unknown: 5,
    _swap: 4,
}
"""With how often each is drawn."""
