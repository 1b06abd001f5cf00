"""The tests drive the agent's program against servers that really run; `e2e` at the repository's root holds the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from e2e.models.hub import Hub

AGENT = str(Path(sys.executable).parent / "modelport-agent")


@dataclass
class Fetch:
    """Runs `modelport-agent fetch` as a pod would, with its own termination log."""

    folder: Path
    endpoint: str
    env: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def start(self, *steps: dict[str, Any]) -> subprocess.Popen[str]:
        config = self.folder / "agent.json"
        config.write_text(json.dumps({"version": 1, "fetch": steps}))
        home = {"HOME": str(self.folder), "HF_HOME": str(self.folder / "hf"), "PATH": os.environ["PATH"]}
        return subprocess.Popen(
            [AGENT, "fetch", "--config", str(config), "--termination-log", str(self.log), *self.options],
            env={**home, "HF_ENDPOINT": self.endpoint, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *steps: dict[str, Any]) -> str:
        """The output of a fetch that has to succeed."""
        with self.start(*steps) as process:
            output = process.communicate(timeout=120)[0]
        assert process.returncode == 0, output
        return output

    def failing(self, *steps: dict[str, Any]) -> str:
        """The termination message of a fetch that has to fail."""
        with self.start(*steps) as process:
            output = process.communicate(timeout=120)[0]
        assert process.returncode == 1, output
        message = self.log.read_text()
        assert "\n" not in message
        return message

    @property
    def log(self) -> Path:
        return self.folder / "termination-log"


def files_below(folder: Path) -> list[str]:
    """Every file of a folder, hidden ones left out."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in found if not path.rpartition("/")[2].startswith("."))


@pytest.fixture
def listed() -> Callable[[Path], list[str]]:
    return files_below


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with acme/tiny (weights in safetensors beside the other formats) and the gated acme/locked."""
    tiny = tmp_path / "hub" / "acme" / "tiny"
    for folder in ("onnx", "original", "sub/1"):
        (tiny / folder).mkdir(parents=True)
    (tiny / "config.json").write_text("{}")
    (tiny / "empty.txt").touch()
    (tiny / "model.safetensors").write_bytes(os.urandom(6 << 20))
    (tiny / "pytorch_model.bin").write_bytes(b"pickle")
    (tiny / "tiny-q4.gguf").write_bytes(b"gguf")
    (tiny / "onnx" / "model.onnx").write_bytes(b"onnx")
    (tiny / "original" / "consolidated.pth").write_bytes(b"pickle")
    (tiny / "sub" / "config.pbtxt").write_text('name: "sub"')
    (tiny / "sub" / "1" / "model.bin").write_bytes(b"weights")
    locked = tmp_path / "hub" / "acme" / "locked"
    locked.mkdir()
    (locked / "config.json").write_text("{}")
    (locked / "model.safetensors").write_bytes(b"weights")
    with Hub(tmp_path / "hub", gated={"acme/locked": "hf_good"}, page=3) as hub:
        yield hub


@pytest.fixture
def fetch(tmp_path: Path, hub: Hub) -> Fetch:
    (tmp_path / "run").mkdir()
    return Fetch(tmp_path / "run", hub.url)
