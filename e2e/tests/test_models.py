"""The models that the hub serves, and that an unmodified huggingface_hub gets them. Needs no cluster."""

from __future__ import annotations

import hashlib
import json
import math
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, RepoFile, hf_hub_download, snapshot_download

from e2e.models.build import CHAT, OCR, build
from e2e.models.hub import Hub

CHAT_FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "onnx/model.onnx",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
OCR_FILES = {"README.md", "PP-OCRv4/ch_PP-OCRv4_det_infer.onnx", "PP-OCRv4/ch_PP-OCRv4_rec_infer.onnx"}
PARAMETERS = 134_515_008  # what the model's card says


@pytest.fixture(scope="module")
def models() -> Path:
    return build()


@pytest.fixture
def hub(models: Path) -> Iterator[Hub]:
    with Hub(models) as hub:
        yield hub


def _files(repository: Path) -> set[str]:
    return {path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()}


def test_the_repositories_hold_what_the_examples_ask_for(models: Path) -> None:
    assert _files(models / CHAT) == CHAT_FILES
    assert _files(models / OCR) == OCR_FILES


def test_every_user_may_read_them(models: Path) -> None:
    wanted = {True: 0o755, False: 0o644}
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (models, *models.rglob("*"))}
    assert [path for path, mode in modes.items() if mode != wanted[path.is_dir()]] == []


def test_the_decoy_takes_no_room(models: Path) -> None:
    decoy = (models / CHAT / "onnx" / "model.onnx").stat()
    assert decoy.st_size == 64 << 20
    assert decoy.st_blocks * 512 < 1 << 20


def test_a_second_build_repeats_nothing(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = models.stat()
    assert build() == models
    assert (models.stat().st_ino, models.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert capsys.readouterr().err == ""


def test_the_weights_fill_their_file_without_a_gap(models: Path) -> None:
    file = models / CHAT / "model.safetensors"
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    assert header.pop("__metadata__") == {"format": "pt"}
    spans = {name: entry["data_offsets"] for name, entry in header.items()}
    starts, ends = (sorted(side) for side in zip(*spans.values(), strict=True))
    assert starts == [0, *ends[:-1]]
    assert 8 + length + ends[-1] == file.stat().st_size
    assert all(end - start == 2 * math.prod(header[name]["shape"]) for name, (start, end) in spans.items())


def test_the_hub_client_reads_the_weights_header(hub: Hub) -> None:
    found = HfApi(endpoint=hub.url).get_safetensors_metadata(CHAT)
    assert found.parameter_count == {"BF16": PARAMETERS}
    assert hub.stats()["total"] < 1 << 20


def test_a_snapshot_without_the_decoy(hub: Hub, models: Path, tmp_path: Path) -> None:
    ignored = ["onnx/*", "*.safetensors"]  # the weights' own test is the one above
    got = Path(snapshot_download(CHAT, endpoint=hub.url, cache_dir=tmp_path, ignore_patterns=ignored))
    assert _files(got) == CHAT_FILES - {"onnx/model.onnx", "model.safetensors"}
    assert json.loads((got / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    assert f"{CHAT}/onnx/model.onnx" not in hub.stats()["requests"]


def test_a_graph_arrives_as_the_tree_describes_it(hub: Hub, tmp_path: Path) -> None:
    path = "PP-OCRv4/ch_PP-OCRv4_det_infer.onnx"
    tree = HfApi(endpoint=hub.url).list_repo_tree(OCR, "PP-OCRv4")
    described = {item.path: item for item in tree if isinstance(item, RepoFile)}[path].lfs
    content = Path(hf_hub_download(OCR, path, endpoint=hub.url, cache_dir=tmp_path)).read_bytes()
    assert described is not None
    assert hashlib.sha256(content).hexdigest() == described.sha256
