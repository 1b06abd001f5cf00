"""The CustomResourceDefinition of ModelDeployment, made from the models of the spec and the status.

Pure. Nothing else may define the schema; `modelport.api.generate` writes it to crds/.
"""

from __future__ import annotations

from typing import Any

import yaml

from . import names
from .spec import ModelDeploymentSpec
from .status import ModelDeploymentStatus
from .structural import Schema, structural

HEADER = "# Generated from operator/modelport/api by `make generate`. Do not edit.\n"

_COLUMNS = (
    ("Runtime", "string", ".spec.runtime", "What serves the model.", 0),
    ("Model", "string", ".status.model", "Its first served name, or its source.", 0),
    ("Ready", "string", ".status.ready", "Pods whose model has answered, and pods wanted.", 0),
    ("Status", "string", ".status.phase", "Where it stands, in one word; docs/reasons.md lists them.", 0),
    ("GPUs", "integer", ".status.gpus", "GPUs of all replicas together.", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since it was created.", 0),
    ("URL", "string", ".status.url", "Where clients inside the cluster reach the model.", 1),
    ("Message", "string", ".status.message", "What is going on, and what to do about it.", 1),
)


def crd() -> dict[str, Any]:
    """The whole object, ready to be applied."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
                "categories": [names.CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def schema() -> Schema:
    """The structural schema of the whole resource."""
    status = structural(ModelDeploymentStatus)
    # Without it a fresh resource has no status at all, and tools would take it for one that is done.
    status["default"] = {"observedGeneration": -1}
    return {
        "description": "A model and how it is served: on vLLM, on Triton Inference Server or as a FastAPI application.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Always {names.API_VERSION}."},
            "kind": {"type": "string", "description": f"Always {names.KIND}."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural(ModelDeploymentSpec),
            "status": status,
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.matches('{names.NAME_PATTERN}')",
                "message": names.NAME_ADVICE,
                "fieldPath": ".metadata.name",
                "reason": "FieldValueInvalid",
            }
        ],
    }


def text() -> str:
    """The object as YAML, as it is committed."""
    return HEADER + yaml.safe_dump(crd(), sort_keys=False, width=200, allow_unicode=True)


def _version() -> dict[str, Any]:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "description": description, "priority": priority}
            for name, kind, path, description, priority in _COLUMNS
        ],
        "schema": {"openAPIV3Schema": schema()},
    }
