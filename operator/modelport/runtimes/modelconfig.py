"""Triton's ModelConfig: read from YAML or from Triton's own text, checked with Triton's own schema.

Needs `protobuf` alone. Must never import tritonclient, grpc or numpy: the controller process stays small.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_NO_FIELD = re.compile(r'Message type "(?P<type>[\w.]+)" has no field named "(?P<name>[^"]*)"')
_NO_VALUE = re.compile(r'(?:Enum type "(?P<type>[\w.]+)" has no value named (?P<name>\w+))')
_NO_VALUE_JSON = re.compile(r"Invalid enum value (?P<name>\S+) for enum type (?P<type>[\w.]+)")
_OUTER_FIELD = re.compile(r"Failed to parse (\w+) field: ")
_PLACE = re.compile(r' at "?ModelConfig\.?(?P<path>[^"\s]*?)"?\.*$')
_LONGEST_NAME = 100
"""No field has a longer one; comparing takes time by the length."""
_QUOTED_LINE = re.compile(r"^'.*': ")


class ConfigError(Exception):
    """A configuration that Triton would refuse; `path` is below the field that holds it."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What the operator has to know of a configuration."""

    text: str
    """The content of config.pbtxt."""
    name: str
    """Empty where the configuration leaves it to the folder."""
    steps: tuple[str, ...]
    """Models that an ensemble passes its requests through."""


def from_json(config: Mapping[str, Any]) -> ModelConfig:
    """A configuration in protobuf's JSON form."""
    message = _message()
    if (place := _switch(config, message.DESCRIPTOR, "")) is not None:
        raise ConfigError(
            "has to be a text: write it in quotes (y, n, yes, no, on and off are true or false in YAML)", place
        )
    try:
        json_format.ParseDict(dict(config), message)
    except json_format.ParseError as error:
        raise _json_error(str(error)) from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(f"cannot be read: {error}") from error
    return _read(text_format.MessageToString(message), message)


def from_text(text: str) -> ModelConfig:
    """A configuration as Triton's own text, which stays as it is."""
    message = _message()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise _text_error(error) from error
    except RecursionError as error:
        raise ConfigError("is nested too deeply") from error
    return _read(text, message)


def _switch(value: Any, kind: Any, path: str) -> str | None:
    """Path of the first true or false that stands where the schema has a text."""
    for key, item in value.items() if isinstance(value, Mapping) else ():
        field = kind.fields_by_camelcase_name.get(key) or kind.fields_by_name.get(key)
        if field is None or (field.message_type and field.message_type.GetOptions().map_entry):
            continue
        for index, one in enumerate(item if isinstance(item, list) else [item]):
            here = f"{path}{key}[{index}]" if isinstance(item, list) else f"{path}{key}"
            if field.type == FieldDescriptor.TYPE_STRING and isinstance(one, bool):
                return here
            if field.message_type and (found := _switch(one, field.message_type, f"{here}.")) is not None:
                return found
    return None


def _read(text: str, message: Message) -> ModelConfig:
    config: Any = message
    return ModelConfig(text, config.name, tuple(step.model_name for step in config.ensemble_scheduling.step))


def _text_error(error: text_format.ParseError) -> ConfigError:
    raw = str(error).partition(" : ")[2] or str(error)
    line = f"line {error.GetLine()}: " if error.GetLine() is not None else ""
    return ConfigError(line + _explain(_QUOTED_LINE.sub("", raw), original_names=True))


def _json_error(raw: str) -> ConfigError:
    """protobuf nests its messages field by field and sometimes ends with the path: both become one path and one sentence."""
    raw = raw.split("\n Available Fields", 1)[0]
    outer = _OUTER_FIELD.findall(raw)
    inner = _OUTER_FIELD.sub("", raw).rstrip(".")
    place = _PLACE.search(inner)
    text = inner if place is None else inner[: place.start()]
    path = place["path"] if place is not None and place["path"] else ".".join(outer)
    return ConfigError(_explain(text, original_names=False), path)


def _explain(text: str, original_names: bool) -> str:
    """protobuf's sentence in words for people, with the nearest name that exists."""
    if found := _NO_FIELD.search(text):
        return f"there is no field {found['name']}{_nearest(found['name'], _fields(found['type'], original_names))}"
    if found := _NO_VALUE.search(text) or _NO_VALUE_JSON.search(text):
        return f"there is no value {found['name']}{_nearest(found['name'], _values(found['type']))}"
    return text.rstrip(".")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(name.lower()[:_LONGEST_NAME], names, n=1, cutoff=0.5)
    return f"; did you mean {names[found[0]]}?" if found else ""


def _fields(type_name: str, original_names: bool) -> Iterator[str]:
    for field in _pool().FindMessageTypeByName(type_name).fields:
        yield field.name if original_names else field.json_name


def _values(type_name: str) -> list[str]:
    return list(_pool().FindEnumTypeByName(type_name).values_by_name)


def _message() -> Message:
    descriptor: Descriptor = _pool().FindMessageTypeByName("inference.ModelConfig")
    return GetMessageClass(descriptor)()


@cache
def _pool() -> DescriptorPool:
    """A pool of our own: a process that imports tritonclient as well has another file of the same name in the default one."""
    descriptors = FileDescriptorSet.FromString(files(__package__).joinpath("schema/model_config.binpb").read_bytes())
    pool = DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    return pool
