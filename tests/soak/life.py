"""What happens in a cluster all day long: people edit, delete and make anew, other tools change what is ours, pods start.

The real controllers make the pods; only what a node would tell of them is played here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from e2e.bench.web import APPLY, MERGE, BenchError, send, watch
from e2e.pods import running
from modelport.api.names import API_VERSION, KIND

Json = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
FEWEST = 0.9
"""Share of the resources that exist at any time."""
BUSY = 0.1
"""Share of the resources that people edit and scale: each has as many old revisions as Kubernetes keeps after a few minutes.
Were it all of them, the world would grow for an hour, and what is remembered of it with it."""
CALM = 600.0
"""Seconds in which a resource's children are changed by others at most twice: the third time would be a fight."""


class Life:
    """So many resources in one namespace, and what becomes of them."""

    def __init__(self, client: aiohttp.ClientSession, namespace: str, resources: int, seed: int = 0) -> None:
        self.done: Counter[str] = Counter()
        """What has happened, and how often; `lost` is what met an object that was just gone."""
        self._client = client
        self._at = f"/apis/{API_VERSION}/namespaces/{namespace}/modeldeployments"
        self._core, self._apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
        self._chance = random.Random(seed)
        self._names = [f"model-{number:04}" for number in range(resources)]
        self._specs: dict[str, Json] = {}
        """Of those that exist."""
        self._changed: dict[str, deque[float]] = {}

    async def begin(self) -> None:
        """Make all of them."""
        for name in self._names:
            await self._make(name)

    async def go_on(self, until: float, per_second: float) -> None:
        """One thing after the other, so many in a second, until then."""
        due = time.monotonic()
        while due < until:
            await asyncio.sleep(due - time.monotonic())
            due = max(due + 1 / per_second, time.monotonic())
            await self._one()

    async def play_node(self) -> None:
        """Every pod becomes ready at once, until cancelled."""
        async for pod in watch(self._client, f"{self._core}/pods"):
            conditions = pod.get("status", {}).get("conditions", [])
            if "deletionTimestamp" in pod["metadata"] or any(one["type"] == "Ready" for one in conditions):
                continue
            path = f"{self._core}/pods/{pod['metadata']['name']}/status"
            await self._send("PATCH", path, {"status": running(pod)}, STRATEGIC)

    async def ready(self) -> int:
        """How many are Ready, of those that exist."""
        async with self._client.get(self._at) as answer:
            items = (await answer.json())["items"]
        return sum(_is_ready(item) for item in items)

    @property
    def alive(self) -> int:
        return len(self._specs)

    async def _one(self) -> None:
        everything, busy = self._names, self._names[: round(BUSY * len(self._names))]
        actions: list[tuple[Callable[[str], Awaitable[None]], int, list[str]]] = [
            (self._edit, 40, busy),
            (self._scale, 10, busy),
            (self._ask_otherwise, 10, busy),
            (self._annotate, 10, everything),
            (self._drift, 16, everything),
            (self._delete, 7, everything),
        ]
        (act, _, those) = self._chance.choices(actions, [weight for _, weight, _ in actions])[0]
        name = self._chance.choice(those)
        await (act if name in self._specs else self._make)(name)

    async def _make(self, name: str) -> None:
        self._specs[name] = {"runtime": "vllm", "model": {"uri": "hf://org/repo", "names": [name]}, "image": "server:1"}
        await self._apply(name, "made")

    async def _edit(self, name: str) -> None:
        self._specs[name]["vllm"] = {"maxModelLen": self._chance.randrange(512, 4096)}
        await self._apply(name, "edited")

    async def _scale(self, name: str) -> None:
        self._specs[name]["replicas"] = self._chance.randrange(1, 3)
        await self._apply(name, "scaled")

    async def _ask_otherwise(self, name: str) -> None:
        """Another configuration, in a ConfigMap of another name."""
        self._specs[name]["check"] = {"timeout": f"{self._chance.randrange(10, 30)}s"}
        await self._apply(name, "asked otherwise")

    async def _annotate(self, name: str) -> None:
        body = {"metadata": {"annotations": {"example.com/touched": str(self._chance.random())}}}
        await self._send("PATCH", f"{self._at}/{name}", body, MERGE)
        self.done["annotated"] += 1

    async def _drift(self, name: str) -> None:
        now, changed = time.monotonic(), self._changed.setdefault(name, deque(maxlen=2))
        if len(changed) == 2 and now - changed[0] < CALM:
            return
        changed.append(now)
        image = {"spec": {"template": {"spec": {"containers": [{"name": "server", "image": "theirs:1"}]}}}}
        label = {"metadata": {"labels": {"modelport.io/role": "theirs"}}}
        method, path, body, form = self._chance.choice(
            [
                ("PATCH", f"{self._apps}/deployments/{name}", image, STRATEGIC),
                ("PATCH", f"{self._core}/services/{name}", label, MERGE),
                ("DELETE", f"{self._core}/services/{name}", {}, "application/json"),
                ("DELETE", f"{self._apps}/deployments/{name}", {"propagationPolicy": "Background"}, "application/json"),
            ]
        )
        await self._send(method, path, body, form)
        self.done["changed by others"] += 1

    async def _delete(self, name: str) -> None:
        if self.alive <= FEWEST * len(self._names):
            return
        del self._specs[name]
        await self._send("DELETE", f"{self._at}/{name}", {})
        self.done["deleted"] += 1

    async def _apply(self, name: str, what: str) -> None:
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": self._specs[name]}
        await self._send("PATCH", f"{self._at}/{name}?fieldManager=people&force=true", body, APPLY)
        self.done[what] += 1

    async def _send(self, method: str, path: str, body: Json, form: str = "application/json") -> None:
        try:
            await send(self._client, method, path, body, form)
        except BenchError as refusal:  # gone meanwhile, or being made anew
            if ": 404 " not in str(refusal) and ": 409 " not in str(refusal):
                raise
            self.done["lost"] += 1


def _is_ready(item: Json) -> bool:
    """Whether Ready is True of the present spec."""
    return any(
        one["type"] == "Ready"
        and one["status"] == "True"
        and one["observedGeneration"] == item["metadata"]["generation"]
        for one in item.get("status", {}).get("conditions", [])
    )
