"""Whether a new revision has to be tried without its devices first, and how that went. Pure.

Before a roll-out takes the first GPU away from a pod that serves, a pod without one has to have pulled the images, mounted the
volumes and been given a first byte of the model.
"""

from __future__ import annotations

from modelport.render.desired import Desired, Mode
from modelport.render.preflight import SHELL, name_of
from modelport.state.observed import ContainerFacts, Observed
from modelport.state.rollout import Pod, Rollout
from modelport.state.strategy import Choice, begins, rolling


def needed(desired: Desired, view: Rollout, choice: Choice) -> bool:
    """Whether the choice would take a pod away that serves: by beginning so, or by turning a surge into a replacement."""
    facts = view.facts
    if facts is None or choice.strategy.surge or not desired.rollout.preflight or desired.replicas == 0:
        return False
    turns = desired.rollout.mode is Mode.AUTO and facts.strategy.surge > 0 and rolling(facts)
    serving = any(pod.facts.ready for pod in view.pods)
    return serving and (begins(desired, facts) or turns) and bool(desired.demand.devices)


def of(desired: Desired, observed: Observed, view: Rollout) -> Pod | None:
    """The pod that tries this very template."""
    name = name_of(observed.resource.name, desired)
    return next((pod for pod in view.trials if pod.name == name), None)


def passed(pod: Pod) -> bool:
    """Everything was there. An image without a shell was pulled, which is what counts."""
    containers = pod.facts.containers
    return pod.facts.phase == "Succeeded" or (bool(containers) and all(_done(one) for one in containers))


def _done(container: ContainerFacts) -> bool:
    told = f"{container.terminated_message or ''} {container.waiting_message or ''}"
    return container.exit_code == 0 or f'exec: "{SHELL}"' in told
