"""The pod template: containers, volumes and what the whole pod has in common. Passes Pod Security `restricted`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelport.api.names import CODE_DIR, CONFIG_DIR, MODELS_DIR
from modelport.api.spec import Credentials, ModelDeploymentSpec
from modelport.runtimes.base import API_KEY_FILE, CLAIMS_DIR, FETCH_CODE_DIR, HOME, ServerFacts

from . import containers
from .metadata import labels
from .platform import AGENT, Platform

UID = 65532
SLACK_SECONDS = 15
"""Between the last thing that a pod does by plan and the moment in which it is killed."""

LONGEST_DRAIN = 24 * 3600

API_KEY_DIR, API_KEY_NAME = API_KEY_FILE.rsplit("/", 1)

Mount = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodInputs:
    """Everything that a pod is made from."""

    name: str
    spec: ModelDeploymentSpec
    facts: ServerFacts
    platform: Platform
    config_map: str
    grace_seconds: int


def grace_seconds(facts: ServerFacts) -> int:
    """Longer than the drain and the server's own shutdown together."""
    return facts.drain_seconds + facts.exit_seconds + SLACK_SECONDS


def drain_seconds(facts: ServerFacts, grace: int) -> float:
    """How long requests in progress may take, when the pod is killed after `grace` seconds."""
    return float(min(max(1, grace - facts.exit_seconds - SLACK_SECONDS), LONGEST_DRAIN))


def image(pod: PodInputs) -> str | None:
    """The server's image, or None where neither user nor platform names one."""
    return pod.spec.image or pod.platform.images.get(str(pod.spec.runtime))


def pod_template(pod: PodInputs) -> dict[str, Any]:
    spec, credentials = pod.spec, _credentials(pod.spec)
    init = list(_init_containers(pod))
    server = containers.server(pod.name, spec, pod.facts, image(pod) or "", _server_mounts(pod))
    secrets = [{"name": secret.name} for secret in spec.image_pull_secrets or ()]
    account = credentials.service_account_name if credentials is not None else None
    return {
        "metadata": {"labels": labels(pod.name)},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            **({"serviceAccountName": account} if account is not None else {}),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "fsGroup": UID,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": pod.grace_seconds,
            **({"imagePullSecrets": secrets} if secrets else {}),
            **({"tolerations": [_gpu_toleration(spec)]} if spec.gpu is not None else {}),
            **({"initContainers": init} if init else {}),
            "containers": [server],
            "volumes": list(_volumes(pod)),
        },
    }


def _credentials(spec: ModelDeploymentSpec) -> Credentials | None:
    return spec.model.credentials if spec.model is not None else None


def _gpu_toleration(spec: ModelDeploymentSpec) -> dict[str, str]:
    """GPU nodes are often kept free by a taint of the resource's name."""
    assert spec.gpu is not None
    return {"key": containers.gpu_resource(spec.gpu), "operator": "Exists"}


def _init_containers(pod: PodInputs) -> Iterator[dict[str, Any]]:
    agent_image = pod.platform.images[AGENT]
    if pod.facts.agent:
        yield containers.agent(agent_image, _agent_mounts(pod))
    if pod.facts.steps:
        credentials = _credentials(pod.spec)
        secret = credentials.secret_name if credentials is not None else None
        yield containers.fetch(pod.facts, agent_image, pod.platform.hub_endpoint, secret, _fetch_mounts(pod))


def _mount(name: str, path: str, read_only: bool = False) -> Mount:
    return {"name": name, "mountPath": path, **({"readOnly": True} if read_only else {})}


def _common_mounts() -> list[Mount]:
    return [_mount("home", HOME), _mount("tmp", "/tmp"), _mount("config", CONFIG_DIR, read_only=True)]


def _claim_mounts(pod: PodInputs) -> list[Mount]:
    return [_mount(f"claim-{i}", f"{CLAIMS_DIR}/{claim}", read_only=True) for i, claim in enumerate(pod.facts.claims)]


def _server_mounts(pod: PodInputs) -> list[Mount]:
    models = [_mount("models", MODELS_DIR, read_only=True)] if pod.facts.steps else []
    code = [_mount("code", CODE_DIR, read_only=True)] if pod.facts.code is not None else []
    return [*_common_mounts(), _mount("shm", "/dev/shm"), *models, *code, *_claim_mounts(pod)]


def _agent_mounts(pod: PodInputs) -> list[Mount]:
    key = [_mount("api-key", API_KEY_DIR, read_only=True)] if pod.facts.api_key is not None else []
    return [*_common_mounts(), *key]


def _fetch_mounts(pod: PodInputs) -> list[Mount]:
    code = [
        _mount(f"code-{i}", f"{FETCH_CODE_DIR}/{model}", read_only=True)
        for i, model in enumerate(pod.facts.fetched_code)
    ]
    return [*_common_mounts(), _mount("models", MODELS_DIR), *code, *_claim_mounts(pod)]


def _volumes(pod: PodInputs) -> Iterator[dict[str, Any]]:
    facts = pod.facts
    yield {"name": "home", "emptyDir": {}}
    yield {"name": "tmp", "emptyDir": {}}
    yield {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{facts.shm_gib}Gi"}}
    yield {"name": "config", "configMap": {"name": pod.config_map}}
    if facts.steps:
        yield {"name": "models", "emptyDir": {}}
    if facts.code is not None:
        yield {"name": "code", "configMap": {"name": facts.code}}
    for index, config_map in enumerate(facts.fetched_code.values()):
        yield {"name": f"code-{index}", "configMap": {"name": config_map}}
    if facts.api_key is not None:
        items = [{"key": facts.api_key.key, "path": API_KEY_NAME}]
        yield {"name": "api-key", "secret": {"secretName": facts.api_key.name, "items": items}}
    for index, claim in enumerate(facts.claims):
        # read-only as a whole, so that kubelet never changes the owner of the user's files
        yield {"name": f"claim-{index}", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
