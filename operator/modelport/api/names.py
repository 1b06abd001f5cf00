"""Every name that is part of the API: group, kinds, labels, annotations, containers, ports, reasons.

A name that users, dashboards or tools can see stands here once, so that code, documents and metrics use the same word.
"""

from __future__ import annotations

from enum import StrEnum

GROUP = "modelport.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"
SINGULAR = "modeldeployment"
SHORT_NAME = "mdep"
CATEGORY = "ml"

FIELD_MANAGER = "modelport"

LABEL_NAME = f"{GROUP}/name"
"""The ModelDeployment that a child or pod belongs to; half of the selector, never changes."""
LABEL_ROLE = f"{GROUP}/role"
"""What the pod does for it (`server`); the other half of the selector."""
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "modelport"
ROLE_SERVER = "server"
ROLE_PREFLIGHT = "preflight"
"""Of a pod that tries a new revision without its GPUs; no Service finds it."""

ANNOTATION_APPLIED_HASH = f"{GROUP}/applied-hash"
"""Hash of the object as it was applied; equal means that there is nothing to write."""
ANNOTATION_SPEC_HASH = f"{GROUP}/spec-hash"
"""Hash of the part of the spec that the pod template depends on."""
ANNOTATION_TEMPLATE_HASH = f"{GROUP}/template-hash"
"""Of a Deployment's pod template as it was rendered."""
ANNOTATION_RENDERER = f"{GROUP}/renderer-version"
"""The operator version that rendered the object."""
ANNOTATION_RECONCILE = f"{GROUP}/reconcile"
"""On a ModelDeployment: `paused` stops every write to its children until it is removed."""
PAUSED = "paused"

NAME_PATTERN = "^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$"
"""A resource's name is also its Service's name, and child names with a suffix have to fit 63 characters."""
NAME_ADVICE = (
    "write at most 52 lower-case letters, digits and dashes, the first a letter and the last no dash: the resource's "
    "Service and pods are named after it"
)

CONTAINER_SERVER = "server"
CONTAINER_AGENT = "agent"
CONTAINER_FETCH = "fetch"

PORT_HTTP, PORT_GRPC, PORT_METRICS, PORT_AGENT = 8000, 8001, 8002, 8003

MODELS_DIR = "/models"
CONFIG_DIR = "/etc/modelport"
CODE_DIR = "/code"
MODEL_DIR_ENV = "MODELPORT_MODEL_DIR"


class Runtime(StrEnum):
    """What serves the model."""

    VLLM = "vllm"
    TRITON = "triton"
    FASTAPI = "fastapi"


class ConditionType(StrEnum):
    """Conditions of a ModelDeployment; Reconciling and Stalled are present only while true (kstatus)."""

    READY = "Ready"
    AVAILABLE = "Available"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Reason(StrEnum):
    """Why a resource is in the state that it is in. `REASONS` says what each means and what to do."""

    READY = "Ready"
    SCALED_TO_ZERO = "ScaledToZero"
    SUSPENDED = "Suspended"
    PAUSED = "Paused"
    CREATING = "Creating"
    PENDING = "Pending"
    FETCHING = "Fetching"
    LOADING = "Loading"
    ASKING = "Asking"
    ROLLING_OUT = "RollingOut"
    SCALING = "Scaling"
    NOT_ANSWERING = "NotAnswering"
    WRONG_ANSWER = "WrongAnswer"
    MODEL_MISSING = "ModelMissing"
    INVALID_SPEC = "InvalidSpec"
    INTERNAL_ERROR = "InternalError"
    NAME_TAKEN = "NameTaken"
    WAITING_FOR_CLEANUP = "WaitingForCleanup"
    FIELD_CONFLICT = "FieldConflict"
    CHILD_REFUSED = "ChildRefused"
    FORBIDDEN = "Forbidden"
    UNAVAILABLE = "Unavailable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL = "ImagePull"
    MISSING_REFERENCE = "MissingReference"
    OUT_OF_MEMORY = "OutOfMemory"
    FETCH_FAILED = "FetchFailed"
    CRASHED = "Crashed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    TERMINATING = "Terminating"
