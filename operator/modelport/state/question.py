"""When the model may be asked through the Service. Pure; how often it is asked is decided by who asks."""

from __future__ import annotations

from modelport.render.desired import Desired
from modelport.state.observed import Observed, PodFacts
from modelport.state.rollout import rolled_out, rollout


def question_due(observed: Observed, desired: Desired) -> bool:
    """Whether an answer would be about this generation, and only about it: all pods are of the current template and have
    proved their model, so a failure can only be the door's. While a pod that still answers ends, the nodes may send requests
    to it, and an answer may be its own; one that answers no more (its node may be lost) holds nothing up."""
    ending = any(pod.deleting and isinstance(pod.facts, PodFacts) and pod.facts.ready for pod in observed.pods)
    return desired.replicas > 0 and not ending and rolled_out(desired, observed, rollout(observed, desired.spec_hash))
