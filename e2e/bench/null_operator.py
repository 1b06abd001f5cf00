"""The null operator: what any operator in Python has to spend for the same writes. Nothing else is in it.

It watches ModelDeployments and their Deployments, writes the same children and statuses as Modelport does (bodies of the
same size, made once and filled in), and that is all: no kopf, no validation, no comparison, no retry, no Lease, no
question, no metrics. It uses aiohttp and the standard library, and nothing that an ordinary operator would not do to be
fast. It must never be used on a cluster: what goes wrong ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from e2e.bench.web import APPLY, Json, send, session, watch

WORKERS = 8
NAMESPACE = "bench"
_NAME, _SIZE, _UID = "placeholder-name", "123457", "00000000-0000-0000-0000-000000000000"
_OWNER = {"apiVersion": "modelport.io/v1alpha1", "kind": "ModelDeployment"}
_RESOURCES = "/apis/modelport.io/v1alpha1/modeldeployments"
_DEPLOYMENTS = "/apis/apps/v1/deployments"
_QUERY = "fieldManager=null&force=true"
_PATHS = {
    "ConfigMap": f"/api/v1/namespaces/{NAMESPACE}/configmaps",
    "Service": f"/api/v1/namespaces/{NAMESPACE}/services",
    "Deployment": f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
}


@dataclass(frozen=True, slots=True)
class Child:
    """A child of any resource, with placeholders for what differs; `path` already has its query."""

    path: str
    body: str

    def of(self, name: str, uid: str, size: str) -> Child:
        """The child of one resource."""
        body = self.body.replace(_NAME, name).replace(_UID, uid).replace(_SIZE, size)
        return Child(self.path.replace(_NAME, name), body)


def rendered() -> list[Child]:
    """The children as `modelport render` prints them, in the order in which Modelport writes them."""
    spec = {"runtime": "vllm", "model": {"uri": "hf://org/repo"}, "vllm": {"maxModelLen": int(_SIZE)}}
    resource = {**_OWNER, "metadata": {"name": _NAME, "namespace": NAMESPACE}, "spec": spec}
    command = [sys.executable, "-m", "modelport", "render", "-f", "-", "-o", "json"]
    done = subprocess.run(command, input=json.dumps(resource), capture_output=True, text=True, check=True)
    manifests = json.loads(done.stdout)
    return [
        Child(f"{_PATHS[each['kind']]}/{each['metadata']['name']}?{_QUERY}", json.dumps(each))
        for each in (manifests["items"] if isinstance(manifests, dict) else manifests)
    ]


@dataclass(slots=True)
class Known:
    """What is remembered of one resource."""

    uid: str
    generation: int
    size: str
    deployed: int = 0
    """Generation of its Deployment, once that is written."""
    ready: bool = False


class NullOperator:
    """Two watches, a queue, some workers."""

    def __init__(self, client: aiohttp.ClientSession, children: list[Child]) -> None:
        self._client, self._children = client, children
        self._known: dict[str, Known] = {}
        self._deployed: dict[str, int] = {}
        """Generation of each Deployment whose controller has acted on it and has all pods ready."""
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Until something goes wrong, or it is ended."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_deployments())
            group.create_task(self._watch_resources())
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _watch_resources(self) -> None:
        async for seen in watch(self._client, _RESOURCES):
            metadata, status = seen["metadata"], seen.get("status", {})
            name, generation = metadata["name"], metadata["generation"]
            known = self._known.get(name)
            if known is not None and known.generation == generation:
                continue
            size = str(seen["spec"]["vllm"]["maxModelLen"])
            done = status.get("observedGeneration") == generation and status.get("phase") == "Ready"
            self._known[name] = Known(metadata["uid"], generation, size, ready=done)
            if not done:
                self._queue.put_nowait(name)

    async def _watch_deployments(self) -> None:
        async for seen in watch(self._client, _DEPLOYMENTS, "modelport.io/name"):
            metadata, status = seen["metadata"], seen.get("status", {})
            if status.get("observedGeneration") == metadata["generation"] and status.get("readyReplicas"):
                self._deployed[metadata["name"]] = metadata["generation"]
                known = self._known.get(metadata["name"])
                if known is not None and known.deployed and not known.ready:
                    self._queue.put_nowait(metadata["name"])

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            known = self._known[name]
            if not known.deployed:
                await self._create(name, known)
            if self._deployed.get(name) == known.deployed and not known.ready:
                known.ready = True
                await self._write_status(name, known)

    async def _create(self, name: str, known: Known) -> None:
        """All children of a new resource; of a changed one, the Deployment."""
        for child in self._children if known.generation == 1 else self._children[-1:]:
            written = child.of(name, known.uid, known.size)
            answer = await send(self._client, "PATCH", written.path, written.body, APPLY)
        known.deployed = answer["metadata"]["generation"]
        await self._write_status(name, known)

    async def _write_status(self, name: str, known: Known) -> None:
        path = f"/apis/modelport.io/v1alpha1/namespaces/{NAMESPACE}/modeldeployments/{name}/status?{_QUERY}"
        body = {**_OWNER, "metadata": {"name": name, "namespace": NAMESPACE}, "status": status(name, known)}
        await send(self._client, "PATCH", path, body, APPLY)


def status(name: str, known: Known) -> Json:
    """As long as Modelport's."""
    word = "Ready" if known.ready else "Creating"
    text = f"{name} has answered" if known.ready else "the Deployment is there; Kubernetes is making the pod"
    said = {"observedGeneration": known.generation, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    verdict = {"reason": word, "message": text, "status": str(known.ready), **said}
    types = ["Ready", "Available"] if known.ready else ["Ready", "Available", "Reconciling"]
    return {
        "observedGeneration": known.generation,
        "phase": word,
        "message": text,
        "ready": f"{int(known.ready)}/1",
        "url": f"http://{name}.{NAMESPACE}.svc:8000",
        "model": name,
        "gpus": 1,
        "replicas": 1,
        "readyReplicas": int(known.ready),
        "provedHash": "fdbcd2acda2267ac",
        "selector": f"modelport.io/name={name},modelport.io/role=server",
        "children": [
            {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": known.uid}
            for kind in ("ConfigMap", "Deployment", "Service")
        ],
        "conditions": [{"type": each, **verdict} for each in types],
    }


async def main() -> None:
    """On the cluster of $KUBECONFIG."""
    async with session(Path(os.environ["KUBECONFIG"]), connections=WORKERS + 2) as client:
        await NullOperator(client, rendered()).run()


if __name__ == "__main__":
    asyncio.run(main())
