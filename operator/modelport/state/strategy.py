"""How a roll-out makes room for its new pods. The rules, the first that applies:

1. `strategy: Surge` makes new pods first, `Replace` takes old ones away first; what follows is about `Auto`.
2. While nothing rolls, the Deployment surges: whoever begins a roll-out (`kubectl rollout restart`, a webhook) begins it so.
3. A roll-out without devices begins with a surge: CPU and memory are seldom short, and the breaker is there.
4. With devices it surges where the cluster has room for another pod, counting those of its own pods that have to go anyway and
   serve nobody; where an elastic pool is declared (`surgeTimeout`); and where nobody may look. Else it replaces.
5. A roll-out goes on as it began, whatever becomes free meanwhile; an edit or a revert in between begins a new one.
6. **The breaker**: a new pod that has waited too long for what the older ones hold makes the roll-out replace.

So a surge keeps all replicas serving, a replacement all but `maxUnavailable`, and neither waits for ever. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from modelport.render.demand import Demand
from modelport.render.desired import Desired, Mode, RolloutRules, Strategy
from modelport.render.rollout import replacing, resting, surging
from modelport.state.capacity import Room
from modelport.state.observed import DeploymentFacts, Observed
from modelport.state.rollout import Pod, Rollout

BREAKS_AFTER = 10.0
"""Seconds for which a new pod may wait for what the older ones hold: a pod that ends leaves its place within them."""

_CLAIMS = "cannot allocate all claims"
"""What the scheduler says where devices are claimed (dynamic resource allocation), and there are too few."""
_LACKS = re.compile(r"Insufficient ([\w./-]*\w)")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the Deployment shall do, and why, where there was a decision to take."""

    strategy: Strategy
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nobody could look for room."""

    because: str


def choose(desired: Desired, observed: Observed, view: Rollout, room: Room | Unseen | None) -> Choice | None:
    """What to do now; None where somebody has to look for room first."""
    rules, facts = desired.rollout, view.facts
    if rules.mode is not Mode.AUTO or facts is None or not view.pods or desired.replicas == 0:
        return Choice(resting(rules))
    if begins(desired, facts):
        return _begin(desired, view, room)
    if not rolling(facts):
        return Choice(resting(rules))
    if facts.strategy.surge and (waits := _stuck(desired, view, observed.now)):
        return Choice(replacing(rules), f"{_one_at_a_time(rules)}: {waits}")
    return Choice(facts.strategy)


def begins(desired: Desired, facts: DeploymentFacts) -> bool:
    """Whether the Deployment still has another template."""
    return facts.template_hash != desired.template_hash


def rolling(facts: DeploymentFacts) -> bool:
    """Whether pods of an older template are there, or will be, as far as the Deployment's controller tells."""
    return facts.observed_generation < facts.generation or facts.updated < facts.replicas


def changes_in(desired: Desired, observed: Observed, view: Rollout) -> float | None:
    """Seconds until the breaker acts, if nothing else happens."""
    if desired.rollout.mode is not Mode.AUTO or view.facts is None or not view.facts.strategy.surge:
        return None
    patience = _patience(desired.rollout)
    ages = [_age(pod, observed.now) for pod in view.pods if pod.facts.unschedulable and _lacking(pod, desired.demand)]
    return min((patience - age for age in ages if age < patience), default=None)


def _begin(desired: Desired, view: Rollout, room: Room | Unseen | None) -> Choice | None:
    rules, demand = desired.rollout, desired.demand
    if not demand.devices:
        return Choice(surging(rules))
    if room is None:
        return None
    if isinstance(room, Unseen):
        return Choice(surging(rules), f"surge, and replace if the new pod finds no place: {room.because}")
    spare = _spare(view, desired.replicas)
    slots = room.slots + spare
    told = _arithmetic(room, demand, spare)
    if slots:
        strategy = surging(rules, slots)
        return Choice(strategy, f"surge by {strategy.surge}: {told}")
    if rules.surge_timeout is not None:
        return Choice(surging(rules), f"surge, and wait {rules.surge_timeout:g} s for a node: {told}")
    return Choice(replacing(rules), f"{_one_at_a_time(rules)}: {told}")


def _spare(view: Rollout, replicas: int) -> int:
    """Pods that have a place, serve nobody, and are more than are wanted: a surge takes them away at once."""
    idle = sum(pod.facts.node is not None and not pod.facts.ready for pod in view.pods)
    return max(0, min(idle, len(view.pods) - replicas))


def _arithmetic(room: Room, demand: Demand, spare: int) -> str:
    wanted = " and ".join(f"{number // 1000} {name}" for name, number in sorted(demand.devices.items()))
    parts = [f"the cluster has room for {room.slots} more with {wanted} each"]
    parts += [f"on {room.nodes} node{'s' if room.nodes != 1 else ''} that may take them"]
    notes = [f"{room.claimed} claimed by pods that wait"] if room.claimed else []
    notes += [f"quota {room.quota} allows no more"] if room.quota else []
    notes += [f"{spare} held by a pod of its own that serves nobody"] if spare else []
    return " ".join(parts) + (f" ({', '.join(notes)})" if notes else "")


def _one_at_a_time(rules: RolloutRules) -> str:
    return f"replace {rules.unavailable} at a time"


def _patience(rules: RolloutRules) -> float:
    return BREAKS_AFTER if rules.surge_timeout is None else rules.surge_timeout


def _stuck(desired: Desired, view: Rollout, now: datetime) -> str | None:
    """What a new pod lacks, and older ones hold, for longer than it may."""
    facts = view.facts
    if not any(pod.facts.node is not None for pod in view.pods) or facts is None:
        return None
    if facts.replica_failure is not None and "exceeded quota" in facts.replica_failure:
        return "the namespace's quota leaves no room beside the older pods"
    for pod in (pod for pod in view.pods if pod.facts.unschedulable):
        lacks = _lacking(pod, desired.demand)
        if lacks and _age(pod, now) >= _patience(desired.rollout):
            return f"a new pod has waited {_patience(desired.rollout):g} s for {lacks}, which the older ones hold"
    return None


def _lacking(pod: Pod, demand: Demand) -> str | None:
    """The resource of ours that no node has enough of for it."""
    message = pod.facts.unschedulable or ""
    if _CLAIMS in message:
        return "the devices of its claims"
    return next((name for name in _LACKS.findall(message) if name in demand.amounts), None)


def _age(pod: Pod, now: datetime) -> float:
    return max(0.0, (now - datetime.fromisoformat(pod.facts.created)).total_seconds())
