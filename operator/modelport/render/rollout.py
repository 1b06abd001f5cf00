"""What the spec says about roll-outs, as rules; and the strategy of a Deployment that does not roll. Pure."""

from __future__ import annotations

from modelport.api.spec import ModelDeploymentSpec, Rollout
from modelport.api.types import seconds

from .desired import Mode, RolloutRules, Strategy


def rollout_rules(spec: ModelDeploymentSpec) -> RolloutRules:
    """With the defaults filled in."""
    given = spec.rollout or Rollout()
    return RolloutRules(
        mode=Mode(given.strategy or Mode.AUTO),
        surge=given.max_surge or 1,
        unavailable=given.max_unavailable or 1,
        preflight=given.preflight is not False,
        surge_timeout=None if given.surge_timeout is None else seconds(given.surge_timeout),
    )


def surging(rules: RolloutRules, room: int | None = None) -> Strategy:
    """New pods first, as many at a time as there is room for."""
    return Strategy(surge=rules.surge if room is None else min(rules.surge, room), unavailable=0)


def replacing(rules: RolloutRules) -> Strategy:
    """Old pods away first."""
    return Strategy(surge=0, unavailable=rules.unavailable)


def resting(rules: RolloutRules) -> Strategy:
    """What the Deployment does while nothing rolls, and what is rendered."""
    return replacing(rules) if rules.mode is Mode.REPLACE else surging(rules)
