"""The hub double, driven by the unmodified huggingface_hub: what that client accepts is what the double must speak."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
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


def weights(hub: Hub) -> bytes:
    return (hub.root / REPO / "model.safetensors").read_bytes()


def test_snapshot_is_equal_to_the_folder(hub: Hub, tmp_path: Path) -> None:
    got = Path(snapshot_download(REPO, endpoint=hub.url, cache_dir=tmp_path / "cache", ignore_patterns=["onnx/*"]))
    assert (got / "model.safetensors").read_bytes() == weights(hub)
    assert not (got / "onnx").exists()
    assert {path.name for path in got.iterdir()} >= {"config.json", "empty.txt", "sub"}
    assert hub.stats()["bytes"].get(f"{REPO}/onnx/model.onnx") is None


def test_one_file_by_commit(hub: Hub, tmp_path: Path) -> None:
    sha = HfApi(endpoint=hub.url).model_info(REPO, revision="main").sha
    got = hf_hub_download(REPO, "config.json", revision=sha, endpoint=hub.url, cache_dir=tmp_path / "cache")
    assert Path(got).read_text() == "{}"
    assert str(sha) in got


def test_the_tree_comes_in_pages(hub: Hub) -> None:
    api = HfApi(endpoint=hub.url)
    paths = [item.path for item in api.list_repo_tree(REPO, recursive=True)]
    assert len(paths) == len(set(paths)) == 13
    assert {"onnx", "onnx/model.onnx", "sub/1/model.bin"} < set(paths)
    assert [item.path for item in api.list_repo_tree(REPO, "sub")] == ["sub/1", "sub/config.pbtxt"]
    assert "sub/1" not in [item.path for item in api.list_repo_tree(REPO)]


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
        assert (answer.status, answer.headers["Content-Range"]) == (206, f"bytes 100-199/{len(weights(hub))}")
        assert answer.read() == weights(hub)[100:200]
    faults = json.dumps({"corrupt": ".safetensors", "refuse": [503]}).encode()
    urllib.request.urlopen(f"{hub.url}/_faults", data=faults).close()
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        urllib.request.urlopen(url)
    refused.value.close()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == bytes([weights(hub)[0] ^ 1]) + weights(hub)[1:]
    expected = {f"{REPO}/model.safetensors": 100 + len(weights(hub))}
    for _ in range(100):  # a client has the last bytes a moment before the server has counted them
        with urllib.request.urlopen(f"{hub.url}/_stats") as answer:
            counted = json.load(answer)["bytes"]
        if counted == expected:
            break
        time.sleep(0.05)
    assert counted == expected


def test_a_cut_download_is_resumed_by_the_client(hub: Hub, tmp_path: Path) -> None:
    hub.faults.dieAfter = 2 << 20
    got = hf_hub_download(REPO, "model.safetensors", endpoint=hub.url, cache_dir=tmp_path / "cache")
    assert Path(got).read_bytes() == weights(hub)
    assert hub.stats()["requests"] == {f"{REPO}/model.safetensors": 2}
