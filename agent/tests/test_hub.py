"""The hub double, driven by the unmodified huggingface_hub: what that client accepts is what the double must speak."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from e2e.models.hub import Hub

REPO = "acme/tiny"
WEIGHTS = bytes(range(256)) * 1024


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "hub" / REPO
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "empty.txt").touch()
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "onnx" / "model.onnx").write_bytes(b"onnx")
    locked = tmp_path / "hub" / "acme" / "locked"
    locked.mkdir()
    (locked / "config.json").write_text("{}")
    with Hub(tmp_path / "hub", gated={"acme/locked": "hf_good"}, page=2) as hub:
        yield hub


def test_snapshot_is_equal_to_the_folder(hub: Hub, tmp_path: Path) -> None:
    got = Path(snapshot_download(REPO, endpoint=hub.url, cache_dir=tmp_path / "cache", ignore_patterns=["onnx/*"]))
    assert (got / "model.safetensors").read_bytes() == WEIGHTS
    assert sorted(path.name for path in got.iterdir()) == ["config.json", "empty.txt", "model.safetensors"]
    assert hub.stats()["bytes"].get(f"{REPO}/onnx/model.onnx") is None


def test_one_file_by_commit(hub: Hub, tmp_path: Path) -> None:
    sha = HfApi(endpoint=hub.url).model_info(REPO, revision="main").sha
    got = hf_hub_download(REPO, "config.json", revision=sha, endpoint=hub.url, cache_dir=tmp_path / "cache")
    assert Path(got).read_text() == "{}"
    assert sha in got


def test_the_tree_comes_in_pages(hub: Hub) -> None:
    api = HfApi(endpoint=hub.url)
    paths = [item.path for item in api.list_repo_tree(REPO, recursive=True)]
    assert paths == ["config.json", "empty.txt", "model.safetensors", "onnx", "onnx/model.onnx"]
    assert [item.path for item in api.list_repo_tree(REPO)] == paths[:-1]
    assert [item.path for item in api.list_repo_tree(REPO, "onnx")] == ["onnx/model.onnx"]


def test_missing_things_are_the_clients_own_errors(hub: Hub, tmp_path: Path) -> None:
    api = HfApi(endpoint=hub.url)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("acme/tinny")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision="v9")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(REPO, "no.json", endpoint=hub.url, cache_dir=tmp_path / "cache")
    with pytest.raises(HfHubHTTPError, match="401"):
        api.model_info(REPO, token="nonsense")


def test_gated_needs_the_token(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(GatedRepoError, match="401"):
        hf_hub_download("acme/locked", "config.json", endpoint=hub.url, cache_dir=tmp_path / "a")
    with pytest.raises(GatedRepoError, match="403"):
        hf_hub_download("acme/locked", "config.json", endpoint=hub.url, cache_dir=tmp_path / "a", token="hf_other")
    assert hf_hub_download("acme/locked", "config.json", endpoint=hub.url, cache_dir=tmp_path / "a", token="hf_good")


def test_ranges_and_faults(hub: Hub) -> None:
    url = f"{hub.url}/{REPO}/resolve/main/model.safetensors"
    request = urllib.request.Request(url, headers={"Range": "bytes=100-199"})
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (206, f"bytes 100-199/{len(WEIGHTS)}")
        assert answer.read() == WEIGHTS[100:200]
    faults = json.dumps({"corrupt": ".safetensors", "refuse": [503]}).encode()
    urllib.request.urlopen(f"{hub.url}/_faults", data=faults).close()
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        urllib.request.urlopen(url)
    refused.value.close()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"\1" + WEIGHTS[1:]
    with urllib.request.urlopen(f"{hub.url}/_stats") as answer:
        assert json.load(answer)["bytes"] == {f"{REPO}/model.safetensors": 100 + len(WEIGHTS)}


def test_a_cut_download_is_resumed_by_the_client(hub: Hub, tmp_path: Path) -> None:
    hub.faults.dieAfter = 128 << 10
    got = hf_hub_download(REPO, "model.safetensors", endpoint=hub.url, cache_dir=tmp_path / "cache")
    assert Path(got).read_bytes() == WEIGHTS
    assert hub.stats()["requests"] == {f"{REPO}/model.safetensors": 2}
