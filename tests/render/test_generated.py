"""What is generated and committed is what the generators make of the installed packages."""

from __future__ import annotations

import json

from modelport.render.mergekeys import generate as mergekeys
from modelport.runtimes.schema import generate as schema


def test_merge_keys() -> None:
    assert json.loads(mergekeys.TARGET.read_text()) == mergekeys.merge_keys()


def test_tritons_schema() -> None:
    assert schema.TARGET.read_bytes() == schema.descriptor_set()
