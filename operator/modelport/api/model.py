"""What the API's objects are made of: the base model, rules over fields, and forms of single values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"
RuleReason = Literal["FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]


@dataclass(frozen=True)
class Told:
    """A message that names values: the CEL expression and the Python function that give the same text."""

    cel: str
    python: Callable[[Any], str]
    outline: str
    """The same without values, for the reference."""


@dataclass(frozen=True)
class Rule:
    """A rule over several fields, once in CEL for the API server and once in Python for `modelport render`.

    Both get the object that the rule belongs to: CEL as `self`, `holds` as the validated model. The message says what
    to write instead. A test evaluates both forms on the same inputs.
    """

    cel: str
    message: str | Told
    holds: Callable[[Any], bool]
    path: str = ""
    """The field below the object that the user should look at, such as `.triton`."""
    reason: RuleReason = "FieldValueForbidden"
    """How the API server words it: the field is forbidden, invalid or required."""

    def validation(self) -> dict[str, str]:
        """The rule as an entry of x-kubernetes-validations."""
        says = {"messageExpression": self.message.cel} if isinstance(self.message, Told) else {"message": self.message}
        return {"rule": self.cel, **says, **({"fieldPath": self.path} if self.path else {}), "reason": self.reason}

    def tell(self, value: Any) -> str:
        """What to write instead, for an object that breaks the rule."""
        return self.message.python(value) if isinstance(self.message, Told) else self.message


class Model(BaseModel):
    """Base of all API objects: camelCase outside, immutable, unknown keys dropped (a newer CRD may know more than we do)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _hold_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise PydanticCustomError("rule", "{message}", {"message": rule.tell(self), "path": rule.path})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        if cls.rules:
            handler.resolve_ref_schema(schema)[VALIDATIONS] = [rule.validation() for rule in cls.rules]
        return schema


@dataclass(frozen=True)
class Form:
    """The form of one value, as a rule: unlike a pattern in the schema it says in words what to write."""

    rule: Rule
    schema: Mapping[str, Any] = field(hash=False)

    def check(self, value: Any) -> Any:
        """The value; an error with the rule's message where it has another form."""
        too_long = isinstance(value, str) and len(value) > self.schema["maxLength"]
        if too_long or not self.rule.holds(value):
            raise PydanticCustomError("rule", "{message}", {"message": self.rule.tell(value), "path": ""})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**self.schema, VALIDATIONS: [self.rule.validation()]}


@dataclass(frozen=True)
class Keyed:
    """A list whose items are told apart, and merged, by a key; offline in the words in which the API server says it."""

    key: str

    def check(self, items: Any) -> Any:
        """The items; an error where two have the same key."""
        keys = [getattr(item, self.key) for item in items]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                said = json.dumps({self.key: key}, separators=(",", ":"), ensure_ascii=False)
                raise PydanticCustomError(
                    "rule", "{message}", {"message": f"Duplicate value: {said}", "path": f"[{index}]"}
                )
        return items

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}


def text(pattern: str, message: str, max_length: int = 253) -> Form:
    """A text that matches the pattern as a whole."""
    rule = Rule(f"self.matches(r'{pattern}')", message, lambda it: _matches(pattern, it), reason="FieldValueInvalid")
    return Form(rule, {"type": "string", "maxLength": max_length})


def int_or_text(pattern: str, message: str) -> Form:
    """A number or a text, which written as a text matches the pattern as a whole."""
    rule = Rule(
        f"string(self).matches(r'{pattern}')",
        message,
        lambda it: _matches(pattern, str(it)),
        reason="FieldValueInvalid",
    )
    return Form(rule, {"x-kubernetes-int-or-string": True, "maxLength": 64})


def _matches(pattern: str, value: str) -> bool:
    # As in RE2: white space is ASCII's, and the end is the end, not a newline before it.
    return re.fullmatch(pattern, value, re.ASCII) is not None
