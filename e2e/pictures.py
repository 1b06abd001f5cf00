"""Five pictures with text, and what rapidocr-onnxruntime reads in them: `python e2e/pictures.py FOLDER`, in an environment of its own.

Called by `reference()` with the packages pinned below, once; it needs OpenCV, which the project does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

_PACKAGES = ("rapidocr-onnxruntime==1.4.4", "opencv-python-headless", "pillow==13.0.0", "numpy==2.4.6")
_PICTURES: dict[str, dict[str, Any]] = {
    "invoice": {"lines": ["INVOICE 2024-0817", "Model serving, one month", "Total 1,299.00 EUR"], "size": (860, 400)},
    "sign": {"lines": ["NO PARKING", "Monday to Friday"], "size": (640, 320), "font": 52, "ink": (180, 20, 20)},
    "note": {
        "lines": ["Dear reader,", "this note has several lines of", "small text, and the network has"]
        + ["to find each one of them.", "Yours, Modelport"],
        "size": (900, 480),
        "font": 32,
    },
    "rotated": {"lines": ["Rotated by 12 degrees", "and still readable"], "size": (760, 300), "turn": 12},
    "dark": {
        "lines": ["Night shift 22:45", "Gate B17"],
        "size": (700, 300),
        "font": 44,
        "ink": (235, 235, 210),
        "paper": (25, 30, 40),
    },
}


def reference() -> dict[str, tuple[Any, list[str]]]:
    """name -> the picture as RGB [height, width, 3], and the lines that rapidocr finds in it."""
    import numpy as np

    from e2e.cluster.paths import cache

    folder = cache() / "pictures" / sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    if not (folder / "found.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        # the headless build of OpenCV needs no graphics libraries of the system
        override = folder / "override.txt"
        override.write_text('opencv-python ; python_version < "3"\n')
        uv, python = os.environ.get("UV", "uv"), str(folder / "venv" / "bin" / "python")
        subprocess.run([uv, "venv", "--quiet", "--clear", str(folder / "venv")], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", python, "--override", str(override), *_PACKAGES], check=True
        )
        subprocess.run([python, __file__, str(folder)], check=True)
    found: dict[str, list[str]] = json.loads((folder / "found.json").read_text())
    return {name: (np.load(folder / f"{name}.npy"), lines) for name, lines in found.items()}


def _draw(lines: list[str], size: tuple[int, int], font: int = 36, turn: int = 0, **colours: Any) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    paper = colours.get("paper", (250, 248, 240))
    image = Image.new("RGB", size, paper)
    face = ImageFont.load_default(font)
    for number, line in enumerate(lines):
        # wide gaps: whether a narrow one is read as a space hangs on a fraction of a pixel
        at = (40, 40 + number * int(font * 1.9))
        ImageDraw.Draw(image).text(at, line.replace(" ", "   "), fill=colours.get("ink", (20, 20, 60)), font=face)
    return image.rotate(turn, expand=True, fillcolor=paper, resample=Image.Resampling.BICUBIC) if turn else image


def _main(folder: Path) -> None:
    import numpy as np
    from rapidocr_onnxruntime import RapidOCR

    engine, found = RapidOCR(intra_op_num_threads=2), {}
    for name, picture in _PICTURES.items():
        pixels = np.asarray(_draw(**picture))
        np.save(folder / f"{name}.npy", pixels)
        result, _ = engine(pixels[:, :, ::-1])
        found[name] = [line[1] for line in result]
    (folder / "found.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
