"""Plays the Deployment and ReplicaSet controllers, the scheduler and the kubelet: Deployments become ready at once.

For each revision of a Deployment that is four writes, the least that an operator which looks at pods can see as ready: a
ReplicaSet, a pod of it that is bound already, the pod's status, and the Deployment's status. The real controllers write
some eight more on the way, which cost every operator that watches their objects; with 5000 resources on two cores they
would cost more than what is measured. Where a revision follows another, the old one's ReplicaSet goes to zero and its
pod away.

Deployments whose names begin with `probe-` are kept from becoming ready until a line on standard input has their name.
It must never write anything for an operator: each of them gets the same from it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import aiohttp

from e2e.bench.web import MERGE, Json, send, session, watch
from e2e.pods import running

AT_ONCE = 8
HELD = "probe-"
NAMESPACE = "bench"
_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


class Player:
    """Everything between a Deployment and its ready pods."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._acted: dict[str, int] = {}
        """Generation of each Deployment that was last acted on."""
        self._queue: asyncio.Queue[tuple[Json, int]] = asyncio.Queue()
        self._held: dict[str, tuple[Json, Json]] = {}
        self._released: set[str] = set()

    async def run(self) -> None:
        """Until ended."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._listen())
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    async def _watch(self) -> None:
        async for deployment in watch(self._client, _DEPLOYMENTS):
            name, generation = deployment["metadata"]["name"], deployment["metadata"]["generation"]
            before = self._acted.get(name, 0)
            if generation > before:
                self._acted[name] = generation
                self._queue.put_nowait((deployment, before))

    async def _listen(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            name = line.decode().strip()
            self._released.add(name)
            if name in self._held:
                await self._become_ready(*self._held.pop(name))

    async def _work(self) -> None:
        while True:
            deployment, before = await self._queue.get()
            await self._act(deployment, before)

    async def _act(self, deployment: Json, before: int) -> None:
        name = deployment["metadata"]["name"]
        made = await send(self._client, "POST", _SETS, replica_set(deployment))
        pod = await send(self._client, "POST", _PODS, pod_of(made))
        if name.startswith(HELD) and name not in self._released:
            self._held[name] = (deployment, pod)
            return
        await self._become_ready(deployment, pod, revision(name, before) if before else None)

    async def _become_ready(self, deployment: Json, pod: Json, old: str | None = None) -> None:
        """The new pod first, then the old one goes, and then the Deployment's counts say so."""
        name, generation = deployment["metadata"]["name"], deployment["metadata"]["generation"]
        pod_status = f"{_PODS}/{pod['metadata']['name']}/status"
        await send(self._client, "PATCH", pod_status, {"status": running(pod)}, MERGE)
        if old is not None:
            await send(self._client, "PATCH", f"{_SETS}/{old}", {"spec": {"replicas": 0}}, MERGE)
            await send(self._client, "DELETE", f"{_PODS}/{old}", {"gracePeriodSeconds": 0})
        counts = {"status": deployment_status(generation)}
        await send(self._client, "PATCH", f"{_DEPLOYMENTS}/{name}/status", counts, MERGE)


def revision(name: str, generation: int) -> str:
    """What the ReplicaSet and the pod of one generation are called."""
    return f"{name}-{generation}"


def replica_set(deployment: Json) -> Json:
    """As the Deployment controller makes it for the present template."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    name = revision(metadata["name"], metadata["generation"])
    template = spec["template"]
    labels = {**template["metadata"]["labels"], "pod-template-hash": name}
    return {
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(metadata["generation"])},
            "ownerReferences": [_controller("apps/v1", "Deployment", metadata)],
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {**spec["selector"]["matchLabels"], "pod-template-hash": name}},
            "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
        },
    }


def pod_of(made: Json) -> Json:
    """As the ReplicaSet controller makes it, and as the scheduler binds it."""
    template = made["spec"]["template"]
    return {
        "metadata": {
            "name": made["metadata"]["name"],
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": [_controller("apps/v1", "ReplicaSet", made["metadata"])],
        },
        "spec": {**template["spec"], "nodeName": "played"},
    }


def deployment_status(generation: int) -> Json:
    """Of one whose only pod is ready."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    said = {"status": "True", "lastUpdateTime": moment, "lastTransitionTime": moment}
    return {
        "observedGeneration": generation,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "conditions": [
            {"type": "Available", "reason": "MinimumReplicasAvailable", "message": "it is available", **said},
            {"type": "Progressing", "reason": "NewReplicaSetAvailable", "message": "it has progressed", **said},
        ],
    }


def _controller(api_version: str, kind: str, metadata: Json) -> Json:
    owner = {"apiVersion": api_version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}
    return {**owner, "controller": True, "blockOwnerDeletion": True}


async def main() -> None:
    """On the cluster of $KUBECONFIG."""
    async with session(Path(os.environ["KUBECONFIG"]), connections=AT_ONCE + 4) as client:
        await Player(client).run()


if __name__ == "__main__":
    asyncio.run(main())
