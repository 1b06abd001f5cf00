"""Before a child that vanished is made anew: is the resource still there, and its namespace not on its way out?

A broken watch may have lost the resource's deletion, and a namespace that is being deleted loses its children first. It
must never be asked in vain: nothing is read as long as nothing has vanished.
"""

from __future__ import annotations

from modelport.control.cache import Cache
from modelport.control.meter import Meter
from modelport.kube.client import Cluster
from modelport.kube.errors import Forbidden, NotFound
from modelport.kube.kinds import MODEL_DEPLOYMENT, NAMESPACE
from modelport.state.observed import Resource
from modelport.state.project import project_resource


class Presence:
    """Reads a resource once after one of its children vanished."""

    def __init__(self, cluster: Cluster, cache: Cache, meter: Meter) -> None:
        self._cluster, self._cache, self._meter = cluster, cache, meter

    async def confirmed(self, resource: Resource) -> bool:
        """Whether the resource, with this uid, is there to stay as far as anybody knows."""
        key = (resource.namespace, resource.name)
        if not self._cache.vanished(key, resource.uid):
            return True
        try:
            live = project_resource(dict(await self._cluster.get(MODEL_DEPLOYMENT, *key)))
        except NotFound:
            self._meter.ghost()
            self._cache.drop_resource(key, resource.resource_version)
            return False
        self._cache.put_resource(live)
        if live.uid != resource.uid or live.deleting or await self._namespace_ends(resource.namespace):
            return False
        self._cache.confirm(key)
        return True

    async def _namespace_ends(self, name: str) -> bool:
        try:
            namespace = await self._cluster.get(NAMESPACE, None, name)
        except NotFound:
            return True
        except Forbidden:  # without that right the API server's own refusal has to do
            return False
        return "deletionTimestamp" in namespace["metadata"]
