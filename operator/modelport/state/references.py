"""The Secrets, ConfigMaps and claims of the user that pods need. While one is missing as a volume, the kubelet says so in
Events only, and the pod just waits: so people are told which they are. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelport.render.desired import Desired


def references(desired: Desired) -> tuple[str, ...]:
    """Such as `Secret hf`, sorted; without what the operator itself makes."""
    made = {f"{child.kind} {child.name}" for child in desired.children}
    return tuple(sorted(set(_volumes(desired.template["spec"])) - made))


def _volumes(pod: Mapping[str, Any]) -> Iterator[str]:
    for volume in pod.get("volumes") or ():
        if name := (volume.get("secret") or {}).get("secretName"):
            yield f"Secret {name}"
        if name := (volume.get("configMap") or {}).get("name"):
            yield f"ConfigMap {name}"
        if name := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
            yield f"PersistentVolumeClaim {name}"
