"""What the tests of the table have in common: what is applied, what the status then says, and what there is of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelport.api.names import API_VERSION, KIND
from tests.engine.harness import Engine, until

GOOD = {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": ["assistant"]}}
KEPT = ("configmaps", "services", "deployments", "replicasets", "pods")


def written(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The resource with this spec."""
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "assistant"}, "spec": spec}


def said(engine: Engine, reason: str, message: str, look: Callable[[], Mapping[str, Any]] | None = None) -> None:
    """Wait until the status says exactly this; {namespace} in the message stands for the test's."""
    wanted = {"phase": reason, "message": message.replace("{namespace}", engine.namespace)}
    found: dict[str, Any] = {}

    def same() -> bool:
        status = look() if look is not None else engine.status("assistant")
        found.update({key: status.get(key) for key in wanted})
        return found == wanted

    try:
        until("the status says it", same)
    except AssertionError:
        raise AssertionError(f"the status says\n  {found}\ninstead of\n  {wanted}") from None


def versions(engine: Engine) -> dict[str, tuple[str, str]]:
    """kind/name -> (uid, resourceVersion) of what belongs to the resource."""
    return {
        f"{kind}/{item['metadata']['name']}": (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        for kind in KEPT
        for item in engine.items(kind)
    }
