"""Ten thousand mutated resources: what the operator makes of each is children or a reason, never an exception."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import yaml

from modelport.render.desired import Desired, Identity
from modelport.render.platform import Platform, platform_from
from modelport.render.render import render
from modelport.render.unknown import unknown_fields
from modelport.state.observed import Observed
from modelport.state.plan import plan
from modelport.state.project import project_resource
from modelport.state.status import summarise

from .mutations import mutated, originals

RESOURCES = 10_000
TRIES = 2_000
"""How many smaller resources are looked at for one that fails in the same way."""
LONGEST_MESSAGE = 32_768
"""Of a condition, in the schema of the status."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLATFORMS = (
    Platform(),
    platform_from({"defaults": {"env": [{"name": "A", "value": "1"}], "podTemplate": {"spec": {}}}}),
)


def outcome(document: dict[str, Any], platform: Platform) -> type:
    """What becomes of a resource; raises if that is neither children that can be sent nor a reason that can be told."""
    resource = project_resource(document)
    result = render(Identity(resource.namespace, resource.name, resource.uid), resource.spec, platform)
    observed = Observed(resource, NOW)
    status = summarise(observed, result)
    orjson.dumps(status)
    assert all(len(condition["message"]) <= LONGEST_MESSAGE for condition in status["conditions"])
    list(unknown_fields(resource.spec))
    if isinstance(result, Desired):
        orjson.dumps([step.child.manifest for step in plan(result, observed).apply])
        return Desired
    assert result.problems
    for problem in result.problems:
        assert problem.path.startswith(("spec", "metadata.name")) and problem.message, problem
    return type(result)


def failure(document: dict[str, Any], platform: Platform) -> str | None:
    """The place and the kind of what went wrong, None if nothing did."""
    try:
        outcome(document, platform)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {place.name}"
    return None


def smallest(document: dict[str, Any], platform: Platform) -> dict[str, Any]:
    """A smaller resource that fails in the same way: parts are taken out for as long as it does."""
    wanted, tries = failure(document, platform), 0
    shrunk = True
    while shrunk:
        shrunk = False
        for holder, key in list(_parts(document["spec"])):
            tries += 1
            if tries > TRIES:
                return document
            kept = dict(holder) if isinstance(holder, dict) else list(holder)
            del holder[key]
            if failure(document, platform) == wanted:
                shrunk = True
                break
            holder.clear()
            holder.update(kept) if isinstance(holder, dict) else holder.extend(kept)
    return document


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in the value, the outermost first."""
    level = [value]
    while level:
        places = [
            (holder, key)
            for holder in level
            for key in (
                list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
            )
        ]
        yield from places
        level = [holder[key] for holder, key in places]


def test_whatever_is_written_becomes_children_or_a_reason() -> None:
    sources, outcomes = originals(), Counter[type]()
    for seed in range(RESOURCES):
        document = mutated(seed, sources)
        platform = PLATFORMS[seed % len(PLATFORMS)]
        try:
            outcomes[outcome(document, platform)] += 1
        except Exception as error:
            found = yaml.safe_dump(smallest(document, platform), sort_keys=False, allow_unicode=True)
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{found[:10_000]}") from error
    assert RESOURCES / 10 < outcomes[Desired] < RESOURCES * 9 / 10, outcomes
