"""What the API server's refusal of a child means to the user: its own sentence, in the user's field paths, and what to do.

Pure. It must never hide what the API server said.
"""

from __future__ import annotations

import re

from modelport.api.names import Reason
from modelport.state.observed import Obstacle

_ADVICE = {
    Reason.CHILD_REFUSED: "correct the field that it names (those of pods come from spec.podTemplate), or have the policy"
    " changed that refuses it",
    Reason.FORBIDDEN: "grant the operator that right: `helm upgrade` of the chart brings its roles anew",
    Reason.UNAVAILABLE: "it is tried again; if it lasts, mend what the message names",
    Reason.FIELD_CONFLICT: "it was put right three times and is left alone for now: take the field out of the other"
    " manager's hands, or set it in this resource (for pods in spec.podTemplate)",
}
_PREFIX = re.compile(r"^(?:failed to create typed patch object \([^)]*\)|[\w.]+ \"[^\"]*\" is (?:invalid|forbidden)): ")
"""Who is meant, in the API server's words: we name the child in ours."""
_TEMPLATE = re.compile(r"(?<![\w.])\.?spec\.template\b")


def refused(reason: Reason, kind: str, name: str, said: str) -> Obstacle:
    """The obstacle that a refusal puts in the way. `reason` is ChildRefused, Forbidden, Unavailable or FieldConflict."""
    why = _TEMPLATE.sub("spec.podTemplate", _PREFIX.sub("", said)).rstrip(". ")
    verb = "cannot take" if reason is Reason.UNAVAILABLE else "refuses"
    return Obstacle(reason, kind, name, f"Kubernetes {verb} {kind} {name}: {why}; {_ADVICE[reason]}")
