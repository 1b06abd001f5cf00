"""What the API server's refusal of a child means to the user: its own sentence, in the user's field paths, and what to do.

Pure. It must never hide what the API server said.
"""

from __future__ import annotations

import re

from modelport.api.names import Reason
from modelport.state.observed import Obstacle

_ADVICE = {
    Reason.CHILD_REFUSED: "correct what it names (pods come from spec.resources, spec.env and spec.podTemplate), or have the"
    " policy changed that refuses it",
    Reason.QUOTA_EXCEEDED: "free some of it, or have the quota raised",
    Reason.FORBIDDEN: "grant the operator that right: `helm upgrade` of the chart brings its roles anew",
    Reason.UNAVAILABLE: "it is tried again; if it lasts, mend what the message names",
    Reason.FIELD_CONFLICT: "it was put right three times and is left alone for now: take the field out of that manager's"
    " hands, or set it in this resource (for pods in spec.podTemplate)",
}
_VERBS = {
    Reason.UNAVAILABLE: "Kubernetes cannot take",
    Reason.QUOTA_EXCEEDED: "the namespace's quota allows no",
    Reason.FIELD_CONFLICT: "another manager keeps changing",
}
_PREFIX = re.compile(
    r"^(?:failed to create typed patch object \([^)]*\)|[\w.]+ \"[^\"]*\" is (?:invalid|forbidden)"
    r"|Apply failed with \d+ conflicts?): "
)
"""Who and what is meant, in the API server's words: we say it in ours."""
_TEMPLATE = re.compile(r"(?<![\w.])\.?spec\.template\b")


def refused(reason: Reason, kind: str, name: str, said: str) -> Obstacle:
    """The obstacle that a refusal puts in the way: Forbidden, Unavailable, FieldConflict, or ChildRefused, of which a quota
    is the kind that time may mend."""
    why = _TEMPLATE.sub("spec.podTemplate", _PREFIX.sub("", said)).rstrip(". ")
    why = why.removeprefix("exceeded quota: ") if (quota := why.startswith("exceeded quota: ")) else why
    why = why.replace("field not declared in schema", "there is no such field")
    reason = Reason.QUOTA_EXCEEDED if quota and reason is Reason.CHILD_REFUSED else reason
    verb = _VERBS.get(reason, "Kubernetes refuses")
    return Obstacle(reason, kind, name, f"{verb} {kind} {name}: {why}; {_ADVICE[reason]}")
