"""Every typed option of spec.vllm, as it is rendered, is one that the real `vllm serve` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from e2e import stack
from e2e.kube import CommandError, Json, kubectl, pods

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "vllm" / "every-flag" / "out.yaml"
PARSE = """
import sys
import vllm.entrypoints.cli.serve as serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
serve.cmd_init()[0].subparser_init(parser.add_subparsers())
print("taken:", len(vars(parser.parse_args(["serve", *sys.argv[1:]]))))
"""


def parsed(pod: Json, arguments: list[str]) -> str:
    """What vLLM's own parser, in the pod of the server, makes of the arguments."""
    python = ("env", "-u", "VLLM_API_KEY", "python3", "-c", PARSE)
    return kubectl("exec", "-n", stack.MODELS, pod["metadata"]["name"], "-c", "server", "--", *python, *arguments)


def test_vllm_takes_every_option_as_it_is_rendered(serving: Callable[[str], Json]) -> None:
    serving("assistant")
    (pod,) = pods("assistant", stack.MODELS)
    documents = yaml.safe_load_all(GOLDEN.read_text())
    deployment = next(document for document in documents if document["kind"] == "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "taken:" in parsed(pod, arguments)
    with pytest.raises(CommandError, match="unrecognized arguments: --no-such-option"):
        parsed(pod, [*arguments, "--no-such-option"])
