"""Which module serves which `spec.runtime`. Adding a runtime is one module, one line here and one enum member."""

from __future__ import annotations

from collections.abc import Mapping

from modelport.api.names import Runtime

from . import fastapi, triton, vllm
from .base import RuntimeModule

RUNTIMES: Mapping[Runtime, RuntimeModule] = {Runtime.VLLM: vllm, Runtime.TRITON: triton, Runtime.FASTAPI: fastapi}
