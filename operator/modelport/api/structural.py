"""A pydantic model's JSON schema as a Kubernetes structural schema.

Pure. It must never let a schema through that an API server would refuse or silently weaken: `structural` ends with a
check of the structural rules, so that a bad model fails the generator and not a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

INT_OR_STRING = "x-kubernetes-int-or-string"
PRESERVE = "x-kubernetes-preserve-unknown-fields"

_TYPES = {"array", "boolean", "integer", "number", "object", "string"}
_BOUNDS = {
    "maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "enum", "format",
}  # fmt: skip
_EXTENSIONS = {
    INT_OR_STRING,
    PRESERVE,
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
}
_KNOWN = {"additionalProperties", "default", "description", "items", "properties", "required", "type"}
_ALLOWED = _KNOWN | _BOUNDS | _EXTENSIONS
_FORMATS = {"date-time", "int32", "int64", "double"}


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model; ValueError names what an API server would not take."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    schema = _convert(_inline(document, document.get("$defs", {}), ()))
    found = list(problems(schema))
    if found:
        raise ValueError("not a structural schema:\n" + "\n".join(found))
    return schema


def _inline(node: Any, definitions: Mapping[str, Schema], trail: tuple[str, ...]) -> Any:
    """The node with every $ref replaced by what it names; keys beside the $ref win."""
    if isinstance(node, list):
        return [_inline(item, definitions, trail) for item in node]
    if not isinstance(node, dict):
        return node
    rest = {key: _inline(value, definitions, trail) for key, value in node.items() if key not in ("$ref", "$defs")}
    if "$ref" not in node:
        return rest
    name = node["$ref"].rsplit("/", 1)[1]
    if name in trail:
        raise ValueError(f"{' -> '.join((*trail, name))}: a structural schema cannot be recursive")
    return {**_inline(definitions[name], definitions, (*trail, name)), **rest}


def _convert(node: Schema) -> Schema:
    """One node, and all below it, in the API server's own dialect."""
    node = _without_null({key: value for key, value in node.items() if key != "title"})
    if "const" in node:
        node["enum"] = [node.pop("const")]
    for bound in ("Minimum", "Maximum"):  # the API server knows the older, boolean form
        if not isinstance(node.get(f"exclusive{bound}", True), bool):
            node[bound.lower()] = node[f"exclusive{bound}"]
            node[f"exclusive{bound}"] = True
    if node.get("type") == "integer":
        node.setdefault("format", "int32" if _fits_32_bits(node) else "int64")
    node = _convert_object(node)
    if "items" in node:
        node["items"] = _convert(node["items"])
    return node


def _convert_object(node: Schema) -> Schema:
    """Properties and maps: pruning is the API server's default, so closed objects need no word, and open ones do."""
    if "properties" in node:
        node.pop("additionalProperties", None)
        node["properties"] = {key: _convert(value) for key, value in node["properties"].items()}
    extra = node.get("additionalProperties")
    if extra is True:
        del node["additionalProperties"]
        node[PRESERVE] = True
    elif extra is False:
        del node["additionalProperties"]
    elif extra is not None:
        node["additionalProperties"] = _convert(extra)
    return node


def _without_null(node: Schema) -> Schema:
    """`X | None` as X without a default: an explicit null is pruned by the API server."""
    if node.get("default", ...) is None:
        del node["default"]
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        outer = {key: value for key, value in node.items() if key != "anyOf"}
        return {**{key: value for key, value in choices[0].items() if key != "title"}, **outer}
    return node


def _fits_32_bits(node: Schema) -> bool:
    return bool(node.get("minimum", -(2**63)) >= -(2**31) and node.get("maximum", 2**63) < 2**31)


def problems(node: Schema, path: str = "") -> Iterator[str]:
    """What breaks the rules for structural schemas, or leaves a field without words, each with its path."""
    at = path or "(root)"
    for key in sorted(node.keys() - _ALLOWED):
        yield f"{at}: {key} is not allowed"
    if INT_OR_STRING in node:
        if "type" in node:
            yield f"{at}: type stands beside {INT_OR_STRING}"
    elif node.get("type") not in _TYPES:
        yield f"{at}: type is {node.get('type')!r}"
    if node.get("format", "int32") not in _FORMATS:
        yield f"{at}: format {node['format']} is unknown to the API server"
    if "properties" in node and "additionalProperties" in node:
        yield f"{at}: properties and additionalProperties exclude each other"
    if node.get("type") == "object" and not node.keys() & {"properties", "additionalProperties", PRESERVE}:
        yield f"{at}: an object without properties keeps nothing"
    yield from _list_problems(node, at)
    for name, below in node.get("properties", {}).items():
        if not below.get("description"):
            yield f"{path}.{name}: has no description"
        yield from problems(below, f"{path}.{name}")
    for key, suffix in (("items", "[*]"), ("additionalProperties", ".*")):
        if key in node:
            yield from problems(node[key], path + suffix)


def _list_problems(node: Schema, at: str) -> Iterator[str]:
    if node.get("type") != "array":
        return
    if "items" not in node:
        yield f"{at}: a list says what its items are"
    if "maxItems" not in node:
        yield f"{at}: a list needs maxItems, else rules below it cost too much"
    if "x-kubernetes-list-type" not in node:
        yield f"{at}: a list says how it is merged (x-kubernetes-list-type)"
    for key in node.get("x-kubernetes-list-map-keys", ()):
        if key not in node.get("items", {}).get("required", ()):
            yield f"{at}: the key {key} is not required in the items"
