"""What the API server knows about a kind's fields: which lists are merged by which keys, and what is owned as a whole.

Read from Kubernetes' OpenAPI document (the one that the development dependency kubernetes-validate carries) and from our
CRD. It must never hold a rule of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.metadata import files
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = "v1.35.0"
_DOCUMENT = f"kubernetes_validate/kubernetes-json-schema/{KUBERNETES}-local/_definitions.json"
_CRD = Path(__file__).parents[2] / "crds" / "modeldeployments.yaml"
_GROUPS = {
    "v1": "io.k8s.api.core.v1",
    "apps/v1": "io.k8s.api.apps.v1",
    "events.k8s.io/v1": "io.k8s.api.events.v1",
    "coordination.k8s.io/v1": "io.k8s.api.coordination.v1",
}

Schema = Mapping[str, Any]


class Type:
    """One field's type. Of a map `named` tells its declared fields from its other keys; `keys` of a list are those by
    which its items are told apart, none where it is a set of scalars."""

    def __init__(self, schema: Schema, *, open_to_all: bool = False) -> None:
        self._schema = schema
        self._open = open_to_all or schema.get("x-kubernetes-preserve-unknown-fields") is True
        self._properties: Schema = schema.get("properties") or {}
        self._known: dict[str, Type] = {}
        self.atomic_map = schema.get("x-kubernetes-map-type") == "atomic"
        self.atomic_list = schema.get("x-kubernetes-list-type", "atomic") == "atomic"
        self.keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())

    def named(self, name: str) -> bool:
        """Whether the map declares that field."""
        return name in self._properties

    def at(self, name: str) -> Type | None:
        """The type of a map's value; None where the kind has no such field."""
        if name not in self._properties:
            return self._others
        if name not in self._known:
            self._known[name] = _type(self._properties[name], self._open)
        return self._known[name]

    @cached_property
    def item(self) -> Type:
        """The type of a list's items."""
        return _type(self._schema.get("items") or {}, self._open)

    def default(self, name: str) -> Any:
        """What a key that an item leaves out stands for."""
        declared = _resolved(self._properties.get(name) or {})
        if "default" not in declared and name == "protocol":
            return "TCP"  # which the document leaves out
        return declared.get("default")

    def with_defaults(self, value: Any) -> Any:
        """The value with what the schema itself fills in, as it is done for custom resources."""
        if isinstance(value, Mapping):
            absent = {k: s["default"] for k, s in self._properties.items() if "default" in s and k not in value}
            return {k: (t.with_defaults(v) if (t := self.at(k)) else v) for k, v in {**value, **absent}.items()}
        return [self.item.with_defaults(item) for item in value] if isinstance(value, list) else value

    @cached_property
    def _others(self) -> Type | None:
        more = self._schema.get("additionalProperties")
        if isinstance(more, Mapping):
            return _type(more, self._open)
        return UNTYPED if more is True or self._open or not self._properties else None


UNTYPED = Type({})
"""Whatever is not declared: maps key by key, lists as a whole."""


@cache
def type_of(api_version: str, kind: str) -> Type:
    """The type of a whole object."""
    if api_version in _GROUPS:
        return _type({"$ref": f"#/$defs/{_GROUPS[api_version]}.{kind}"}, False)
    (version,) = yaml.safe_load(_CRD.read_text(encoding="utf-8"))["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    metadata = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    return Type({**schema, "properties": {**schema["properties"], "metadata": metadata}})


@cache
def _shared(reference: str) -> Type:
    return Type(_definitions()[reference.rpartition("/")[2]])


def _type(schema: Schema, open_to_all: bool) -> Type:
    reference = schema.get("$ref")
    return _shared(reference) if reference else Type(schema, open_to_all=open_to_all)


def _resolved(schema: Schema) -> Schema:
    reference = schema.get("$ref")
    return _definitions()[reference.rpartition("/")[2]] if reference else schema


@cache
def _definitions() -> Mapping[str, Schema]:
    located = [file.locate() for file in files("kubernetes-validate") or () if file.as_posix() == _DOCUMENT]
    definitions: Mapping[str, Schema] = json.loads(Path(str(located[0])).read_text(encoding="utf-8"))["$defs"]
    return definitions
