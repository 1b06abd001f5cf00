"""The one entry: a ModelDeployment's spec becomes all that it should be, or what is wrong with it. Never raises on bad input."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelport.api.names import ANNOTATION_SPEC_HASH, NAME_ADVICE, NAME_PATTERN
from modelport.api.spec import ModelDeploymentSpec
from modelport.runtimes import question
from modelport.runtimes.base import Problem, ServerFacts
from modelport.runtimes.registry import RUNTIMES

from . import configmap, overrides, podtemplate, sizes
from .deployment import deadline, deployment
from .desired import Desired, Identity, Invalid, Question
from .hashing import short_hash
from .platform import AGENT, Platform
from .resolve import POD_TEMPLATE, Resolved, resolve
from .rollout import resting, rollout_rules
from .service import service, url

NOT_IN_TEMPLATE = ("replicas", "suspend", "rollout")
"""Fields of the spec that no pod has to be made anew for."""


def render(identity: Identity, spec: Mapping[str, Any], platform: Platform) -> Desired | Invalid:
    """The children of the ModelDeployment with this spec. Problems that only the installation's defaults make say so."""
    result = attempt(identity, spec, platform)
    if not isinstance(result, Invalid) or not platform.defaults:
        return result
    alone = attempt(identity, spec, replace(platform, defaults={}))
    own = alone.problems if isinstance(alone, Invalid) else ()
    return Invalid(tuple(one if one in own else Problem(one.path, one.message + _NOT_OWN) for one in result.problems))


_NOT_OWN = " (with the defaults of this installation, the chart's value `defaults`)"


def attempt(identity: Identity, spec: Mapping[str, Any], platform: Platform) -> Desired | Invalid:
    """The same, whoever wrote what is wrong."""
    resolved = resolve(spec, platform)
    if isinstance(resolved, Invalid):
        return resolved
    if problems := tuple(_problems(identity, resolved.spec, platform)):
        return Invalid(problems)
    facts = RUNTIMES[resolved.spec.runtime].facts(identity.name, resolved.spec)
    grace = overrides.grace_seconds(resolved.pod_templates, podtemplate.grace_seconds(facts))
    drain = podtemplate.drain_seconds(facts, grace)
    data = configmap.config_data(identity.name, resolved.spec, facts, drain)
    if problem := configmap.size_problem(data):
        return Invalid((problem,))
    inputs = podtemplate.PodInputs(
        identity.name, resolved.spec, facts, platform, configmap.config_name(identity.name, data), grace
    )
    template = overrides.override(podtemplate.pod_template(inputs), resolved.pod_templates, identity.name)
    if isinstance(template, Invalid):
        return template
    if problems := tuple(sizes.problems(resolved.spec, template)):
        return Invalid(problems)
    return _desired(identity, resolved, platform, facts, data, template, spec_hash(spec))


def spec_hash(user: Mapping[str, Any]) -> str:
    """Hash of what the user wrote about the pods, without what says nothing (null, empty maps and lists; in a podTemplate
    they may mean something). What the platform adds counts as version, not as input."""
    said = {key: value if key == POD_TEMPLATE else _said(value) for key, value in user.items()}
    return short_hash(
        {key: value for key, value in said.items() if key not in NOT_IN_TEMPLATE and value not in _NOTHING}
    )


_NOTHING: tuple[Any, ...] = (None, {}, [])


def _said(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: kept for key, item in value.items() if (kept := _said(item)) not in _NOTHING}
    return [_said(item) for item in value] if isinstance(value, list) else value


def _problems(identity: Identity, spec: ModelDeploymentSpec, platform: Platform) -> Iterator[Problem]:
    if not re.search(NAME_PATTERN, identity.name):
        yield Problem("metadata.name", NAME_ADVICE)
    if spec.image is None and not platform.images.get(str(spec.runtime)):
        yield Problem("spec.image", f"is required: this installation has no image for runtime {spec.runtime}")
    if not platform.images.get(AGENT):
        yield Problem("spec", "this installation has no image of the agent: its administrator sets images.agent")
    yield from question.problems(spec)
    yield from RUNTIMES[spec.runtime].problems(identity.name, spec)


def _desired(
    identity: Identity,
    resolved: Resolved,
    platform: Platform,
    facts: ServerFacts,
    data: Mapping[str, str],
    template: dict[str, Any],
    spec_hash: str,
) -> Desired:
    spec, version = resolved.spec, platform.renderer_version
    metadata = template.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION_SPEC_HASH: spec_hash}
    template = {**template, "metadata": {**metadata, "annotations": annotations}}
    replicas = 0 if spec.suspend else spec.replicas
    seconds = deadline(facts.budget)
    template_hash, rules = short_hash(template), rollout_rules(spec)
    children = (
        configmap.config_map(identity, data, version),
        service(identity, facts, version),
        deployment(
            identity,
            template,
            replicas=replicas,
            deadline=seconds,
            strategy=resting(rules),
            hashes=(spec_hash, template_hash),
            version=version,
        ),
    )
    return Desired(
        children=children,
        spec_hash=spec_hash,
        template_hash=template_hash,
        rollout=rules,
        question=_question(identity, spec, facts),
        replicas=replicas,
        gpus=replicas * (spec.gpu.count if spec.gpu is not None else 0),
        url=url(identity),
        model=_model(spec, facts),
        asked=facts.asked,
        deadline=float(seconds),
    )


def _question(identity: Identity, spec: ModelDeploymentSpec, facts: ServerFacts) -> Question:
    document = question.document(spec)
    return Question(
        runtime=spec.runtime,
        url=url(identity),
        models=facts.models,
        task=spec.check.task if spec.check is not None else None,
        request=document["request"],
        expect_status=document["expect"]["status"],
        expect_contains=document["expect"]["contains"],
        timeout=document["timeout"],
        disabled=document["disabled"],
        has_api_key=facts.api_key is not None,
    )


def _model(spec: ModelDeploymentSpec, facts: ServerFacts) -> str:
    """For the MODEL column: what clients call the model, or the application where it has no name."""
    if spec.fastapi is not None and not (spec.model is not None and spec.model.names):
        return spec.fastapi.app
    return facts.models[0]
