"""What the README shows can be applied as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from modelport.api.names import Runtime
from modelport.render.desired import Desired, Identity
from modelport.render.platform import Platform
from modelport.render.render import render

README = (Path(__file__).parents[1] / "README.md").read_text()
RESOURCES = [
    document for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) for document in yaml.safe_load_all(block)
]


def test_there_is_one_for_each_runtime() -> None:
    assert {resource["spec"]["runtime"] for resource in RESOURCES} == set(Runtime)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource["metadata"]["name"])
def test_a_resource_can_be_rendered(resource: dict[str, dict[str, str]]) -> None:
    result = render(Identity("default", resource["metadata"]["name"], "uid"), resource["spec"], Platform())
    assert isinstance(result, Desired), result
