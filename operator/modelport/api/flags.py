"""Which command line flags belong to whom, and the rules that keep `extraArgs` from repeating them.

It must never parse values: only the names of flags are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from .model import Rule

VLLM_ALIASES: Mapping[str, tuple[str, ...]] = {
    "tensor_parallel_size": ("-tp",),
    "pipeline_parallel_size": ("-pp",),
    "data_parallel_size": ("-dp",),
    "quantization": ("-q",),
    "gpu_memory_utilization": ("--device-memory-utilization",),
}
"""Other spellings that `vllm serve` knows for the typed fields."""

VLLM_OWNED: Mapping[str, str] = {
    "--model": "write spec.model.uri",
    "--served-model-name": "write spec.model.names",
    "--host": "the server listens on all addresses of its pod",
    "--port": "the server listens on port 8000, and so does its Service",
    "--uds": "the server listens on port 8000, and so does its Service",
    "--config": "write its content as fields of spec.vllm and as extraArgs",
    "--ssl-keyfile": "the server speaks HTTP inside the cluster; end TLS in front of its Service",
    "--ssl-certfile": "the server speaks HTTP inside the cluster; end TLS in front of its Service",
    "--grpc": "the pod is asked over HTTP whether its model answers",
    "--headless": "the pod could not be asked whether its model answers",
    "--tokens-only": "clients and the pod's own question write text",
    "--data-parallel-multi-port-external-lb": "the server listens on port 8000, and so does its Service",
    "--shutdown-timeout": "the pod's grace period is computed; spec.podTemplate can lengthen it",
}
"""Flags of `vllm serve` that the operator decides, and what to do instead."""

TRITON_OWNED: Mapping[str, str] = {
    "--model-repository": "write spec.model.uri or spec.triton.models",
    "--model-store": "write spec.model.uri or spec.triton.models",
    "--model-control-mode": "the operator names the models to load",
    "--load-model": "write spec.triton.models",
    "--exit-on-error": "each model is proved by itself",
    "--strict-readiness": "each model is proved by itself",
    "--allow-http": "the pod is asked over HTTP whether its models answer",
    "--allow-grpc": "the Service has a port for gRPC",
    "--allow-metrics": "the Service has a port for metrics",
    "--http-address": "the server listens on all addresses of its pod",
    "--grpc-address": "the server listens on all addresses of its pod",
    "--metrics-address": "the server listens on all addresses of its pod",
    "--http-port": "the server listens on port 8000, and so does its Service",
    "--grpc-port": "the server listens on port 8001, and so does its Service",
    "--metrics-port": "the server listens on port 8002, and so does its Service",
    "--exit-timeout-secs": "the pod's grace period is computed; spec.podTemplate can lengthen it",
}
"""Flags of `tritonserver` that the operator decides, and what to do instead."""


def typed_flags(fields: Mapping[str, FieldInfo]) -> tuple[Rule, ...]:
    """One rule per typed field of the vllm block: its flag stands in the field and not in extraArgs."""
    rules = [DASHES]
    for field, info in fields.items():
        name = field.replace("_", "-")
        spellings = [f"--{name}", *VLLM_ALIASES.get(field, ())]
        if info.annotation == bool | None:
            spellings.append(f"--no-{name}")
        rules.append(_without(spellings, f"--{name} is a field of its own: write spec.vllm.{to_camel(field)}"))
    return tuple(rules)


def owned_flags(flags: Mapping[str, str]) -> tuple[Rule, ...]:
    """One rule per flag that the operator decides."""
    return tuple(_without([flag], f"{flag} is set by the operator: {advice}") for flag, advice in flags.items())


def _without(spellings: Iterable[str], message: str) -> Rule:
    """No argument is one of these flags, alone or with `=` and a value; a single letter also takes its value directly."""
    exact = tuple(spelling for spelling in spellings if len(spelling) > 2)
    begun = (*(f"{spelling}=" for spelling in exact), *(spelling for spelling in spellings if len(spelling) == 2))

    def holds(block: Any) -> bool:
        return not any(argument in exact or argument.startswith(begun) for argument in block.extra_args or ())

    # Comparisons and not one pattern: the API server estimates a pattern's cost from the longest argument allowed.
    parts = [*(f"a == '{spelling}'" for spelling in exact), *(f"a.startsWith('{start}')" for start in begun)]
    cel = f"!has(self.extraArgs) || !self.extraArgs.exists(a, {' || '.join(parts)})"
    return Rule(cel, message, holds, path=".extraArgs")


_UNDERSCORE = "^--[-a-z0-9]*_"

DASHES = Rule(
    f"!has(self.extraArgs) || !self.extraArgs.exists(a, a.matches('{_UNDERSCORE}'))",
    "write flags with dashes, such as --seed or --max-log-len, so that each has one spelling",
    lambda block: not any(re.search(_UNDERSCORE, argument) for argument in block.extra_args or ()),
    path=".extraArgs",
)
"""vLLM takes underscores for dashes; with one spelling the rules above see every flag."""
