"""What each reason means and what to do about it: the table behind docs/reasons.md and behind the status messages.

Data only. It must never depend on how a reason was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .names import Reason


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """One line of the table."""

    meaning: str
    advice: str
    terminal: bool = False
    """True when waiting does not mend it: the resource is Stalled until somebody acts."""


REASONS: Mapping[Reason, ReasonInfo] = {
    Reason.READY: ReasonInfo(
        "This generation is fully rolled out and its models have answered.",
        "Nothing. Send requests to the address in status.url.",
    ),
    Reason.SCALED_TO_ZERO: ReasonInfo(
        "No replicas are wanted; the model had answered before.",
        "Nothing, or set spec.replicas above 0.",
    ),
    Reason.SUSPENDED: ReasonInfo(
        "spec.suspend is true: the pods are gone, the rest is kept.",
        "Set spec.suspend to false to bring the pods back.",
    ),
    Reason.PAUSED: ReasonInfo(
        "The annotation modelport.io/reconcile is `paused`: nothing is written to the children.",
        "Remove the annotation when you have finished your work by hand.",
    ),
    Reason.CREATING: ReasonInfo(
        "The children are being made.",
        "Wait.",
    ),
    Reason.PENDING: ReasonInfo(
        "The pods exist, and their containers have not started yet.",
        "Wait. `kubectl describe pod` shows each step.",
    ),
    Reason.FETCHING: ReasonInfo(
        "The model is being fetched.",
        "Wait. `kubectl logs POD -c fetch` shows how far it is. spec.model.size sets the time that is allowed.",
    ),
    Reason.LOADING: ReasonInfo(
        "The server is starting and loading the model.",
        "Wait. `kubectl logs POD -c server` shows what it does.",
    ),
    Reason.ASKING: ReasonInfo(
        "The server is up; the answer to the question that proves the model is awaited.",
        "Wait. spec.check says what is asked.",
    ),
    Reason.ROLLING_OUT: ReasonInfo(
        "Pods of an earlier generation are being replaced; they serve until the new ones have answered.",
        "Wait.",
    ),
    Reason.SCALING: ReasonInfo(
        "Pods are being added or taken away.",
        "Wait.",
    ),
    Reason.NOT_ANSWERING: ReasonInfo(
        "The server runs, and the model does not answer in time or not at all.",
        "Look at `kubectl logs POD -c server`. For a slow model raise spec.check.timeout.",
    ),
    Reason.WRONG_ANSWER: ReasonInfo(
        "The model answered, and not as spec.check.expect says.",
        "Compare the answer in the message with spec.check; correct the question, the expectation or the model.",
    ),
    Reason.MODEL_MISSING: ReasonInfo(
        "The server runs without the model: it could not load it, or does not know the name.",
        "Act on the cause in the message: correct the model's files, or its configuration in the spec.",
        terminal=True,
    ),
    Reason.INVALID_SPEC: ReasonInfo(
        "The spec cannot be rendered. What runs already is left as it is.",
        "Correct the field that the message names. `modelport render -f FILE` shows the same message offline.",
        terminal=True,
    ),
    Reason.INTERNAL_ERROR: ReasonInfo(
        "The operator itself fails on this resource: a mistake of ours. What runs already is left as it is, and no other"
        " resource is disturbed.",
        "Change the spec, or update the operator: either is tried at once. Please report the traceback in its log.",
        terminal=True,
    ),
    Reason.NAME_TAKEN: ReasonInfo(
        "An object of that name exists and belongs to somebody else. It is not touched.",
        "Delete it, or give the ModelDeployment another name. The message says who manages it.",
        terminal=True,
    ),
    Reason.WAITING_FOR_CLEANUP: ReasonInfo(
        "An object that is needed, or one of an earlier resource of the same name, is still being deleted.",
        "Wait. If it lasts, look at the finalizers of the object that the message names.",
    ),
    Reason.FIELD_CONFLICT: ReasonInfo(
        "Another manager keeps changing the same field of a child; it is left alone for a while.",
        "Decide who sets the field: remove it from the other tool, or set it here, for pods in spec.podTemplate.",
    ),
    Reason.CHILD_REFUSED: ReasonInfo(
        "The API server refused a child.",
        "Read the message: it names the field, often one of spec.podTemplate, or the policy that refused it.",
        terminal=True,
    ),
    Reason.FORBIDDEN: ReasonInfo(
        "The operator lacks a right that it needs.",
        "Install the chart's roles anew, or grant the right that the message names.",
        terminal=True,
    ),
    Reason.QUOTA_EXCEEDED: ReasonInfo(
        "The namespace's quota allows no further object or pod.",
        "Free some of it, ask for less, or have the quota raised. It is tried again.",
    ),
    Reason.UNAVAILABLE: ReasonInfo(
        "The API server cannot take a child at the moment, often because an admission webhook does not answer.",
        "Nothing: it is tried again. If it lasts, mend what the message names.",
    ),
    Reason.UNSCHEDULABLE: ReasonInfo(
        "No node has room for a pod.",
        "Free or add what the message says is lacking, or ask for less in spec.gpu or spec.resources.",
    ),
    Reason.IMAGE_PULL: ReasonInfo(
        "An image cannot be pulled.",
        "Check spec.image and its tag, and spec.imagePullSecrets for a private registry.",
    ),
    Reason.MISSING_REFERENCE: ReasonInfo(
        "A Secret, ConfigMap or PersistentVolumeClaim that the pods need does not exist, or lacks a key.",
        "Create what the message names in the same namespace, or correct the name.",
    ),
    Reason.OUT_OF_MEMORY: ReasonInfo(
        "A container was killed because it used more memory than its limit.",
        "Raise spec.resources.limits.memory, or let the server use less (vLLM: maxModelLen, kvCacheMemoryBytes).",
    ),
    Reason.FETCH_FAILED: ReasonInfo(
        "The model could not be fetched.",
        "Check spec.model.uri; for a private or gated model name a Secret with a token in spec.model.credentials.",
    ),
    Reason.CRASHED: ReasonInfo(
        "A container ends with an error, again and again.",
        "Act on the cause in the message. `kubectl logs POD -c server --previous` has the whole log.",
    ),
    Reason.DEADLINE_EXCEEDED: ReasonInfo(
        "The roll-out took longer than its deadline. What ran before still runs.",
        "Look at the pods. A large model may need spec.model.size, from which the deadline is computed.",
        terminal=True,
    ),
    Reason.TERMINATING: ReasonInfo(
        "The resource or its namespace is being deleted; nothing is written any more.",
        "Wait.",
    ),
}
"""Every reason, in the order of a resource's life."""
