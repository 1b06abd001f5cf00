"""What is fetched and where it lands, as tables; and the waits between tries, with a clock of our own."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from modelport_agent.fetch.errors import Code, FetchError, TransientError
from modelport_agent.fetch.plan import HubSource, RemoteFile, WebSource, arrange, choose, parse_source, safe_path
from modelport_agent.fetch.retry import pause, retry_after, retrying
from modelport_agent.fetch.transfer import disk_error
from modelport_agent.fetch.web import length


def remote(*paths: str) -> list[RemoteFile]:
    return [RemoteFile(path, f"http://hub/{path}", 1, "") for path in paths]


@pytest.mark.parametrize(
    ("uri", "repo", "revision", "path"),
    [
        ("hf://o/r", "o/r", "main", ""),
        ("hf://o/r@v1", "o/r", "v1", ""),
        ("hf://o/r@refs%2Fpr%2F1/a/b.onnx", "o/r", "refs/pr/1", "a/b.onnx"),
        ("hf://o/r/a/", "o/r", "main", "a"),
    ],
)
def test_hub_uris(uri: str, repo: str, revision: str, path: str) -> None:
    assert parse_source(uri) == HubSource(uri, repo, revision, path)


def test_https_uris() -> None:
    digest = "a" * 64
    uri = f"https://host/x/my%20model.onnx?sig=1#sha256={digest}"
    assert parse_source(uri) == WebSource(uri, "https://host/x/my%20model.onnx?sig=1", "my model.onnx", digest)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/key",
        "http://host/file",
        "hf://o",
        "hf://o/r@",
        "hf://o/r/../x",
        "hf://../r",
        "hf://o/r#x",
        "hf://datasets/o/r",
        "https://host/",
        "https://host/..%2Fx",
        "https://host/%2e%2e",
        "https://host/f#md5=1",
        "https://host/f#sha256=1",
    ],
)
def test_uris_that_are_refused(uri: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse_source(uri)
    assert caught.value.code == Code.BAD_URI
    assert uri in caught.value.text


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", "a\\b", "a/./b", "", "a\nb"])
def test_names_that_could_leave_the_folder_are_refused(path: str) -> None:
    with pytest.raises(FetchError, match="refused"):
        safe_path(path, "hf://o/r")
    with pytest.raises(FetchError):
        choose(HubSource("hf://o/r", "o/r", "main", ""), remote("config.json", path))


@pytest.mark.parametrize(
    ("path", "there", "chosen"),
    [
        ("", ["a.safetensors", "a.bin", "b/c.bin", "b/c.pt"], ["a.safetensors", "b/c.bin", "b/c.pt"]),
        ("", ["pytorch_model.bin", "x.gguf", "onnx/m.onnx"], ["pytorch_model.bin"]),
        ("", ["m.onnx", "original/x.pth"], ["m.onnx"]),
        ("", ["a.safetensors", "sub/onnx/x.onnx"], ["a.safetensors", "sub/onnx/x.onnx"]),
        ("original", ["a.safetensors", "original/x.pth"], ["x.pth"]),
        ("x.gguf", ["a.safetensors", "x.gguf"], ["x.gguf"]),
        ("a.bin", ["a.safetensors", "a.bin"], ["a.bin"]),
        ("", ["config.json"], ["config.json"]),
    ],
)
def test_other_formats_of_the_same_weights_stay(path: str, there: list[str], chosen: list[str]) -> None:
    source = HubSource("hf://o/r", "o/r", "main", path)
    assert [file.path for file in choose(source, remote(*there))] == chosen


def test_a_repository_of_nothing_but_excluded_weights_says_so() -> None:
    with pytest.raises(FetchError, match=r"name the file or folder: hf://o/r@main/m-q4\.gguf"):
        choose(HubSource("hf://o/r", "o/r", "main", ""), remote("README.md", "m-q4.gguf", "m-q8.gguf"))


@pytest.mark.parametrize(
    ("layout", "single", "paths", "landing"),
    [
        ("folder", True, ["m.onnx"], ["m.onnx"]),
        ("folder", False, ["1/m.onnx", "x"], ["1/m.onnx", "x"]),
        ("triton-model", True, ["deep.onnx"], ["1/model.onnx"]),
        ("triton-model", False, ["m.onnx", "d/x"], ["1/m.onnx", "1/d/x"]),
        ("triton-model", False, ["3/m.onnx", "labels.txt"], ["3/m.onnx", "labels.txt"]),
        ("triton-model", False, ["config.pbtxt"], ["config.pbtxt"]),
    ],
)
def test_layouts(layout: str, single: bool, paths: list[str], landing: list[str]) -> None:
    assert list(arrange(paths, layout, single=single).values()) == landing


def test_waits_grow_and_end() -> None:
    waits: list[float] = []
    outcomes = [TransientError("busy", 7.0), *[TransientError("cut")] * 9]

    def call() -> None:
        raise outcomes.pop(0)

    with pytest.raises(FetchError, match=r"Network: hf://o/r: cut \(6 tries\)"):
        retrying("hf://o/r", call, sleep=waits.append)
    assert waits == [7, 2, 4, 8, 16]
    assert pause(99, None) == 30
    assert pause(1, 3600) == 60
    assert [retry_after(value) for value in ("12", None, "Mon, 23 Nov 2026 23:00:00 GMT")] == [12, None, None]


def test_progress_forgives_failures() -> None:
    waits: list[float] = []
    arrived = [0]

    def call() -> str:
        arrived[0] += 1
        if arrived[0] < 20:
            raise TransientError("cut")
        return "whole"

    assert retrying("x", call, moved=lambda: arrived[0], sleep=waits.append) == "whole"
    assert set(waits) == {1.0}


def test_lengths_and_full_disks() -> None:
    assert length(206, "bytes 0-0/77", "1") == 77
    assert length(200, None, "55") == 55
    assert length(206, "bytes 0-0/*", "1") is None
    full = disk_error("hf://o/r", Path("/models/x"), OSError(errno.ENOSPC, "full"))
    assert str(full) == "NoSpace: hf://o/r: the volume of /models is full"
