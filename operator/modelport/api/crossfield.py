"""The rules over several fields: what cannot go together, what needs what, and what to write instead.

Each stands here in CEL for the API server and in Python for offline use. It must never hold a rule that needs more than
the resource itself; those are found while rendering.
"""

from __future__ import annotations

from typing import Any

from pydantic.alias_generators import to_camel

from .model import Rule, RuleReason, Told
from .names import Runtime

REQUIRED: RuleReason = "FieldValueRequired"
INVALID: RuleReason = "FieldValueInvalid"


def at_most_one(first: str, second: str, message: str) -> Rule:
    """Not both of two fields, given by their Python names; the second is the one that is pointed at."""
    return Rule(
        f"!(has(self.{to_camel(first)}) && has(self.{to_camel(second)}))",
        message,
        lambda it: getattr(it, first) is None or getattr(it, second) is None,
        path=f".{to_camel(second)}",
    )


CREDENTIALS = (
    Rule(
        "has(self.secretName) || has(self.serviceAccountName)",
        "name a Secret (secretName), a ServiceAccount (serviceAccountName) or both, or leave credentials out",
        lambda it: it.secret_name is not None or it.service_account_name is not None,
        reason=REQUIRED,
    ),
)


_GPU_VENDORS = ("nvidia.com/", "amd.com/")


def _no_gpus(part: str) -> Rule:
    named = " || ".join(f"k.startsWith('{vendor}')" for vendor in _GPU_VENDORS)
    return Rule(
        f"!has(self.{part}) || !self.{part}.exists(k, k.endsWith('/gpu') || {named})",
        "GPUs stand in a field of their own: write spec.gpu, such as gpu: {count: 1, resource: nvidia.com/gpu}",
        lambda it: not any(key.endswith("/gpu") or key.startswith(_GPU_VENDORS) for key in getattr(it, part) or ()),
        path=f".{part}",
    )


RESOURCES = (_no_gpus("requests"), _no_gpus("limits"))

ENV_SOURCE = (
    Rule(
        "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(x, x).size() == 1",
        "write exactly one of secretKeyRef, configMapKeyRef and fieldRef",
        lambda it: [it.secret_key_ref, it.config_map_key_ref, it.field_ref].count(None) == 2,
        reason=INVALID,
    ),
)

ENV_VAR = (
    Rule(
        "has(self.value) != has(self.valueFrom)",
        "write either value or valueFrom (value: '' sets an empty variable)",
        lambda it: (it.value is None) != (it.value_from is None),
        reason=INVALID,
    ),
)

REQUEST = (
    at_most_one("body", "body_base64", "write either body (text) or bodyBase64 (binary)"),
    Rule(
        "!(has(self.method) && self.method == 'GET' && (has(self.body) || has(self.bodyBase64)))",
        "a GET request has no body: leave the body out, or write method: POST",
        lambda it: it.method != "GET" or (it.body is None and it.body_base64 is None),
        path=".method",
        reason=INVALID,
    ),
)


CHECK = (at_most_one("task", "request", "request is asked instead of the task's question: remove one"),)

VLLM = (
    Rule(
        "!(has(self.enableAutoToolChoice) && self.enableAutoToolChoice) || has(self.toolCallParser)",
        "enableAutoToolChoice needs the parser of the model's tool calls, such as toolCallParser: hermes",
        lambda it: not it.enable_auto_tool_choice or it.tool_call_parser is not None,
        path=".toolCallParser",
        reason=REQUIRED,
    ),
)

TRITON_MODEL = (
    at_most_one("config", "config_pbtxt", "write either config (YAML) or configPbtxt (Triton's text)"),
    Rule(
        "has(self.uri) || has(self.config) || has(self.configPbtxt) || has(self.code)",
        "the model has no content: write at least one of uri, config, configPbtxt and code",
        lambda it: any(part is not None for part in (it.uri, it.config, it.config_pbtxt, it.code)),
        reason=REQUIRED,
    ),
)


def _block(runtime: Runtime) -> Rule:
    """The block of another runtime than the one that was chosen does nothing, so it is refused."""
    return Rule(
        f"!has(self.{runtime}) || self.runtime == '{runtime}'",
        Told(
            "'runtime is ' + self.runtime + '; move these options to spec.' + self.runtime"
            f" + ' or set runtime: {runtime}'",
            lambda it: f"runtime is {it.runtime}; move these options to spec.{it.runtime} or set runtime: {runtime}",
            f"only for runtime {runtime}",
        ),
        lambda it: getattr(it, runtime) is None or it.runtime == runtime,
        path=f".{runtime}",
    )


def _uri(spec: Any) -> Any:
    return spec.model.uri if spec.model else None


def _models(spec: Any) -> Any:
    return spec.triton.models if spec.triton else None


_HAS_URI = "(has(self.model) && has(self.model.uri))"
_HAS_MODELS = "(has(self.triton) && has(self.triton.models))"

SOURCES = (
    Rule(
        "self.runtime != 'fastapi' || has(self.fastapi)",
        "runtime fastapi needs the application, such as fastapi: {app: 'app:app'}",
        lambda it: it.runtime != Runtime.FASTAPI or it.fastapi is not None,
        path=".fastapi",
        reason=REQUIRED,
    ),
    Rule(
        f"self.runtime != 'vllm' || {_HAS_URI} || has(self.image)",
        "runtime vllm needs a model: write model.uri, such as hf://owner/repo, or image with the weights in "
        "/models/<name of the resource>",
        lambda it: it.runtime != Runtime.VLLM or _uri(it) is not None or it.image is not None,
        path=".model",
        reason=REQUIRED,
    ),
    Rule(
        f"self.runtime != 'triton' || {_HAS_URI} || {_HAS_MODELS} || has(self.image)",
        "runtime triton needs models: write triton.models, model.uri of a whole model repository, or image with the "
        "repository in /models/<name of the resource>",
        lambda it: (
            it.runtime != Runtime.TRITON or _uri(it) is not None or _models(it) is not None or it.image is not None
        ),
        path=".triton",
        reason=REQUIRED,
    ),
    Rule(
        f"self.runtime != 'triton' || {_HAS_MODELS} || !({_HAS_URI} || has(self.image)) || (has(self.model) &&"
        " has(self.model.names))",
        "name the models of the repository that are loaded and have to be ready",
        lambda it: (
            it.runtime != Runtime.TRITON
            or _models(it) is not None
            or (_uri(it) is None and it.image is None)
            or (it.model is not None and it.model.names is not None)
        ),
        path=".model.names",
        reason=REQUIRED,
    ),
    Rule(
        f"!({_HAS_URI} && {_HAS_MODELS})",
        "model.uri is a whole model repository and triton.models lists its models one by one: keep one of the two",
        lambda it: _uri(it) is None or _models(it) is None,
        path=".triton.models",
    ),
    Rule(
        f"self.runtime == 'fastapi' || !{_HAS_URI} || !self.model.uri.startsWith('https://')",
        "https:// names one file, and this runtime needs a folder: write hf://owner/repo or pvc://claim/path",
        lambda it: it.runtime == Runtime.FASTAPI or not (_uri(it) or "").startswith("https://"),
        path=".model.uri",
        reason=INVALID,
    ),
    Rule(
        "self.runtime != 'fastapi' || !has(self.model) || !has(self.model.names) || self.model.names.size() == 1",
        "an application has one name: keep one",
        lambda it: (
            it.runtime != Runtime.FASTAPI or it.model is None or it.model.names is None or len(it.model.names) == 1
        ),
        path=".model.names",
        reason=INVALID,
    ),
    Rule(
        f"!(has(self.model) && has(self.model.credentials) && has(self.model.credentials.secretName)) || ({_HAS_URI} &&"
        f" !self.model.uri.startsWith('pvc://')) || ({_HAS_MODELS} && self.triton.models.exists(m, has(m.uri) &&"
        " !m.uri.startsWith('pvc://')))",
        "nothing is fetched, so no Secret is needed for it: remove secretName, or write model.uri",
        lambda it: (
            it.model is None
            or it.model.credentials is None
            or it.model.credentials.secret_name is None
            or any(uri and not uri.startswith("pvc://") for uri in (_uri(it), *(m.uri for m in _models(it) or ())))
        ),
        path=".model.credentials.secretName",
    ),
)

QUESTIONS = (
    Rule(
        "!(has(self.check) && has(self.check.task)) || self.runtime == 'vllm'",
        "a task is asked of runtime vllm only: write check.request with a question of your own",
        lambda it: it.check is None or it.check.task is None or it.runtime == Runtime.VLLM,
        path=".check.task",
    ),
    Rule(
        "!(has(self.check) && has(self.check.expect)) || has(self.check.request) || self.runtime == 'vllm'",
        "there is no answer to compare with: write check.request, the question that gets it",
        lambda it: (
            it.check is None or it.check.expect is None or it.check.request is not None or it.runtime == Runtime.VLLM
        ),
        path=".check.request",
        reason=REQUIRED,
    ),
    Rule(
        "self.runtime != 'vllm' || !has(self.env) || !self.env.exists(e, e.name == 'VLLM_API_KEY')",
        "the pods could not ask their own model: write vllm.apiKey, which names the Secret, instead of VLLM_API_KEY",
        lambda it: it.runtime != Runtime.VLLM or not any(e.name == "VLLM_API_KEY" for e in it.env or ()),
        path=".env",
    ),
)

_SIZES = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")


def _cel_size(field: str) -> str:
    return f"(has(self.vllm.{field}) ? self.vllm.{field} : 1)"


_TENSOR, _PIPELINE, _DATA = (f"{kind}ParallelSize" for kind in ("tensor", "pipeline", "data"))
_OTHERS = f"({_cel_size(_PIPELINE)} * {_cel_size(_DATA)})"
_USED = f"{_cel_size(_TENSOR)} * {_OTHERS}"
_SHAPED = "!(has(self.gpu) && has(self.vllm))"


def _others(spec: Any) -> int:
    return int((spec.vllm.pipeline_parallel_size or 1) * (spec.vllm.data_parallel_size or 1))


def _parallel_fits(spec: Any) -> bool:
    if spec.gpu is None or spec.vllm is None:
        return True
    tensor = spec.vllm.tensor_parallel_size
    used = _others(spec)
    return bool(spec.gpu.count % used == 0 if tensor is None else tensor * used == spec.gpu.count)


def _parallel_message(spec: Any) -> str:
    count, used, tensor = spec.gpu.count, _others(spec), spec.vllm.tensor_parallel_size
    if count % used:
        return (
            f"pipelineParallelSize x dataParallelSize is {used}, which does not divide gpu.count {count}: "
            f"set gpu.count to a multiple of {used}"
        )
    return (
        f"tensorParallelSize x pipelineParallelSize x dataParallelSize is {tensor * used}, but gpu.count is {count}: set"
        f" tensorParallelSize: {count // used} or leave it out, or set gpu.count: {tensor * used}"
    )


GPUS = (
    Rule(
        f"{_SHAPED} || (has(self.vllm.{_TENSOR}) ? self.vllm.{_TENSOR} * {_OTHERS} == self.gpu.count"
        f" : self.gpu.count % {_OTHERS} == 0)",
        Told(
            f"self.gpu.count % {_OTHERS} != 0 ? 'pipelineParallelSize x dataParallelSize is %d, which does not divide"
            f" gpu.count %d: set gpu.count to a multiple of %d'.format([{_OTHERS}, self.gpu.count, {_OTHERS}]) :"
            " 'tensorParallelSize x pipelineParallelSize x dataParallelSize is %d, but gpu.count is %d: set"
            f" tensorParallelSize: %d or leave it out, or set gpu.count: %d'.format([{_USED}, self.gpu.count,"
            f" self.gpu.count / {_OTHERS}, {_USED}])",
            _parallel_message,
            "gpu.count has to be tensorParallelSize x pipelineParallelSize x dataParallelSize, or where tensorParallelSize is"
            " left out a multiple of the other two",
        ),
        _parallel_fits,
        path=".vllm",
        reason=INVALID,
    ),
    Rule(
        "!(has(self.vllm) && has(self.vllm.gpuMemoryUtilization)) || has(self.gpu)",
        "without a GPU it would be a share of the node's memory, and the engine would not start: write "
        "kvCacheMemoryBytes, such as 2G, or spec.gpu",
        lambda it: it.vllm is None or it.vllm.gpu_memory_utilization is None or it.gpu is not None,
        path=".vllm.gpuMemoryUtilization",
    ),
)

SPEC = (*(_block(runtime) for runtime in Runtime), *SOURCES, *QUESTIONS, *GPUS)
