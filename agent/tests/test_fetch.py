"""`modelport-agent fetch` as a program against the hub double: killed, cut, refused, altered, and what it leaves."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.models.hub import Hub

from .conftest import Fetch

Listed = Callable[[Path], list[str]]
WHOLE = ["config.json", "empty.txt", "model.safetensors", "sub/1/model.bin", "sub/config.pbtxt"]


def step(to: Path, uri: str = "hf://acme/tiny@main", layout: str = "folder") -> dict[str, str]:
    return {"uri": uri, "to": str(to), "layout": layout}


def weights(hub: Hub) -> bytes:
    return (hub.root / "acme/tiny/model.safetensors").read_bytes()


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "this did not come to pass"
        time.sleep(0.01)


def test_a_repository_without_the_other_formats(hub: Hub, fetch: Fetch, tmp_path: Path, listed: Listed) -> None:
    to = tmp_path / "models" / "demo"
    output = fetch(step(to))
    assert listed(to) == WHOLE
    assert (to / "model.safetensors").read_bytes() == weights(hub)
    assert not any("onnx" in key or "gguf" in key or "original" in key for key in hub.stats()["bytes"])
    assert "5 of 5 files, 6.0 MiB of 6.0 MiB (100 %)" in output
    assert [path.name for path in to.parent.iterdir()] == ["demo"]


def test_killed_at_half_it_goes_on_from_there(hub: Hub, fetch: Fetch, tmp_path: Path, listed: Listed) -> None:
    to, size = tmp_path / "models" / "demo", len(weights(hub))
    hub.faults.throttle = size // 3
    with fetch.start(step(to)) as process:
        wait_for(lambda: hub.stats()["total"] > size // 2)
        process.kill()
    assert not to.exists()
    hub.faults.throttle = 0
    fetch(step(to))
    assert listed(to) == WHOLE
    assert (to / "model.safetensors").read_bytes() == weights(hub)
    assert size <= hub.stats()["total"] < 1.1 * size


def test_an_endpoint_may_end_with_a_slash(fetch: Fetch, tmp_path: Path, listed: Listed) -> None:
    fetch.endpoint += "/"
    fetch(step(tmp_path / "models" / "demo"))
    assert listed(tmp_path / "models" / "demo") == WHOLE


def test_a_damaged_remainder_is_not_believed(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    to = tmp_path / "models" / "demo"
    hub.faults.throttle = len(weights(hub)) // 2
    with fetch.start(step(to)) as process:
        wait_for(lambda: hub.stats()["total"] > 1 << 20)
        process.kill()
    hub.faults.throttle = 0
    (part,) = [path for path in (tmp_path / "models").rglob("parts/*") if path.stat().st_size > 1000]
    with part.open("r+b") as stream:
        stream.write(b"damaged")
    assert "wrong checksum, fetching it once more" in fetch(step(to))
    assert (to / "model.safetensors").read_bytes() == weights(hub)


def test_cut_connections_and_bad_moments_cost_little(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    hub.faults.dieAfter, hub.faults.dieTimes, hub.faults.refuse = 2 << 20, 1, [503, 429]
    output = fetch(step(tmp_path / "models" / "demo"))
    assert "the server answered 503; trying again in 1 s" in output
    assert "the connection ended after 2097152 of 6291456 bytes; trying again in 1 s" in output
    assert hub.stats()["total"] < 1.1 * len(weights(hub))


def test_a_finished_model_is_fetched_again_only_when_it_changed(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    to = tmp_path / "models" / "demo"
    fetch(step(to))
    before = hub.stats()["total"]
    assert "complete and unchanged" in fetch(step(to))
    assert hub.stats()["total"] == before
    (hub.root / "acme/tiny/config.json").write_text('{"new": true}')
    (hub.root / "acme/tiny/empty.txt").unlink()
    fetch(step(to))
    assert (to / "config.json").read_text() == '{"new": true}'
    assert not (to / "empty.txt").exists()
    assert [path.name for path in to.parent.iterdir()] == ["demo"]


def test_a_file_that_went_missing_is_fetched_again(fetch: Fetch, tmp_path: Path, listed: Listed) -> None:
    to = tmp_path / "models" / "demo"
    fetch(step(to))
    (to / "model.safetensors").unlink()
    fetch(step(to))
    assert listed(to) == WHOLE


def test_a_commit_needs_no_hub_once_it_is_there(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    to = tmp_path / "models" / "demo"
    output = fetch(step(to))
    commit = output.rsplit(" at ", 1)[1].strip()
    shutil.rmtree(to)
    fetch(step(to, f"hf://acme/tiny@{commit}"))
    fetch.endpoint = "http://127.0.0.1:9"
    assert "complete and unchanged" in fetch(step(to, f"hf://acme/tiny@{commit}"))


@pytest.mark.parametrize(
    ("uri", "layout", "expected"),
    [
        ("hf://acme/tiny/onnx", "folder", ["model.onnx"]),
        ("hf://acme/tiny@main/tiny-q4.gguf", "folder", ["tiny-q4.gguf"]),
        ("hf://acme/tiny/onnx/model.onnx", "triton-model", ["1/model.onnx"]),
        ("hf://acme/tiny/onnx", "triton-model", ["1/model.onnx"]),
        ("hf://acme/tiny/sub", "triton-model", ["1/model.bin", "config.pbtxt"]),
        ("hf://acme/tiny/sub/1", "triton-model", ["1/model.bin"]),
    ],
)
def test_where_files_land(
    fetch: Fetch, tmp_path: Path, listed: Listed, uri: str, layout: str, expected: list[str]
) -> None:
    fetch(step(tmp_path / "models" / "demo", uri, layout))
    assert listed(tmp_path / "models" / "demo") == expected


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "hf://acme/tinny@main",
            "fetch: NotFound: hf://acme/tinny@main: the hub knows no such repository, "
            "or it is private and the token cannot see it (no token is set)",
        ),
        ("hf://acme/tiny@v9", "fetch: NotFound: hf://acme/tiny@v9: the repository has no revision v9"),
        ("hf://acme/tiny/no/such", "fetch: NotFound: hf://acme/tiny/no/such: the repository has no file or folder"),
        ("hf://acme", "fetch: BadUri: hf://acme: has to be hf://OWNER/REPOSITORY[@REVISION][/PATH]"),
        ("hf://acme/locked", "fetch: Unauthorized: hf://acme/locked: the repository is gated, and no token was given"),
    ],
)
def test_what_the_user_reads(fetch: Fetch, tmp_path: Path, uri: str, message: str) -> None:
    assert fetch.failing(step(tmp_path / "models" / "demo", uri)).startswith(message)
    assert not (tmp_path / "models" / "demo").exists()


def test_tokens(fetch: Fetch, tmp_path: Path, listed: Listed) -> None:
    gated = step(tmp_path / "models" / "demo", "hf://acme/locked")
    fetch.env = {"HF_TOKEN": "hf_other"}
    assert fetch.failing(gated).startswith("fetch: Forbidden: hf://acme/locked: the repository is gated")
    fetch.env = {"HF_TOKEN": "nonsense"}
    assert fetch.failing(gated).startswith("fetch: Unauthorized: hf://acme/locked: the token was refused")
    fetch.env = {"HF_TOKEN": "hf_good"}
    fetch(gated)
    assert listed(tmp_path / "models" / "demo") == ["config.json", "model.safetensors"]


def test_an_altered_file_is_never_served(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    hub.faults.corrupt = ".safetensors"
    message = fetch.failing(step(tmp_path / "models" / "demo"))
    assert message.startswith("fetch: Checksum: hf://acme/tiny@main: model.safetensors arrived with checksum")
    assert not (tmp_path / "models" / "demo").exists()


def test_small_files_are_checked_too(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    hub.faults.corrupt = "config.json"
    assert fetch.failing(step(tmp_path / "models" / "demo")).startswith("fetch: Checksum: hf://acme/tiny@main: config")


def test_terminated_it_keeps_what_has_arrived(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    hub.faults.throttle = len(weights(hub)) // 4
    with fetch.start(step(tmp_path / "models" / "demo")) as process:
        wait_for(lambda: hub.stats()["total"] > 1 << 20)
        process.terminate()
        assert process.wait(5) == 143
    parts = [path.stat().st_size for path in (tmp_path / "models").rglob("parts/*")]
    assert max(parts) >= 1 << 19


def test_copies_and_links_come_after_downloads(fetch: Fetch, tmp_path: Path, listed: Listed) -> None:
    models, claim, code = tmp_path / "models", tmp_path / "claim", tmp_path / "code"
    (claim / "1").mkdir(parents=True)
    (claim / "1" / "weights.npz").write_bytes(b"weights")
    (claim / "config.pbtxt").write_text("theirs")
    (code / "..data").mkdir(parents=True)
    (code / "..data" / "model.py").write_text("code")
    (code / "model.py").symlink_to("..data/model.py")
    (tmp_path / "det.pbtxt").write_text("ours")
    steps = [
        {"file": str(tmp_path / "det.pbtxt"), "to": str(models / "det" / "config.pbtxt")},
        {"folder": str(code), "to": str(models / "det" / "1")},
        {"link": str(claim), "to": str(models / "det"), "layout": "triton-model"},
        {"link": str(claim), "to": str(models / "plain"), "layout": "folder"},
        step(models / "onnx", "hf://acme/tiny/onnx/model.onnx", "triton-model"),
    ]
    for _ in range(2):
        fetch(*steps)
        assert listed(models / "det") == ["1/model.py", "1/weights.npz", "config.pbtxt"]
        assert (models / "det" / "config.pbtxt").read_text() == "ours"
        assert (models / "plain").is_symlink()
        assert (claim / "config.pbtxt").read_text() == "theirs"
        assert os.listdir(claim / "1") == ["weights.npz"]


def test_a_file_of_the_users_over_a_fetched_one_stays(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    to = tmp_path / "models" / "sub"
    (tmp_path / "own.pbtxt").write_text("a longer one than what the repository has")
    own = {"file": str(tmp_path / "own.pbtxt"), "to": str(to / "config.pbtxt")}
    fetch(step(to, "hf://acme/tiny/sub", "triton-model"), own)
    before = hub.stats()["total"]
    assert "complete and unchanged" in fetch(step(to, "hf://acme/tiny/sub", "triton-model"), own)
    assert hub.stats()["total"] == before
    assert (to / "config.pbtxt").read_text() == (tmp_path / "own.pbtxt").read_text()


def test_a_missing_claim_folder_is_named(fetch: Fetch, tmp_path: Path) -> None:
    link = {"link": "/mnt/claims/weights/sub", "to": str(tmp_path / "models" / "demo"), "layout": "folder"}
    assert fetch.failing(link) == "fetch: NotFound: /mnt/claims/weights/sub: the volume has no such file or folder"


def test_a_check_fetches_nothing_and_finds_out_what_a_fetch_would(hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    """A hub tells everybody which files a gated repository has: only asking for one proves the token."""
    fetch.options = ("--check",)
    to, claim = tmp_path / "models" / "demo", tmp_path / "claim"
    assert "every source can be fetched from" in fetch(step(to))
    assert not to.parent.exists()
    assert hub.stats()["total"] < 100
    locked = step(to, "hf://acme/locked")
    assert fetch.failing(locked).startswith("fetch: Unauthorized: hf://acme/locked: the repository is gated")
    fetch.env["HF_TOKEN"] = "hf_good"
    fetch(locked)
    assert fetch.failing(step(to, "hf://acme/nothing")).startswith("fetch: NotFound: hf://acme/nothing")
    missing = {"link": str(claim / "a"), "to": str(to)}
    assert fetch.failing(missing) == f"fetch: NotFound: {claim}/a: the volume has no such file or folder"
    (claim / "a").mkdir(parents=True)
    fetch(missing)
    assert not to.parent.exists()
