"""Replaces CUDA's large libraries by hollow ones of the same name: `python3 hollow.py SITE-PACKAGES`.

PyPI's torch is linked against 2 GB of CUDA and cannot be imported without it, but on CPU calls none of it. A hollow library
defines the symbols that torch asks for, under the same versions; whoever calls one is stopped at once. Needs gcc and binutils.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

LARGE = 10e6  # bytes; torch does call small ones when it is imported (libcudart)


def lines(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def symbols(library: Path, which: str) -> dict[str, str | None]:
    """name -> version of a library's dynamic symbols: `--undefined-only` or `--defined-only`."""
    found = (re.search(r"\b[A-Za-z] ([^\s@]+)(?:@+(\S+))?$", line) for line in lines("nm", "-D", which, str(library)))
    return {match[1]: match[2] for match in found if match}


def hollow(library: Path, asked: set[str]) -> None:
    """Write a library of the same soname in place of this one."""
    offered = {name: version for name, version in symbols(library, "--defined-only").items() if name in asked}
    (soname,) = re.findall(r"SONAME.*\[(.+)\]", "\n".join(lines("readelf", "-d", str(library))))
    versions: dict[str, list[str]] = defaultdict(list)
    for name, version in offered.items():
        if version:
            versions[version].append(name)
    with tempfile.TemporaryDirectory() as folder:
        code, script = Path(folder, "hollow.c"), Path(folder, "versions")
        code.write_text("".join(f"void {name}(void) {{ __builtin_trap(); }}\n" for name in offered))
        script.write_text(
            "".join(f"{version} {{ global: {'; '.join(names)}; }};\n" for version, names in versions.items())
        )
        library.unlink()
        flags = ["-w", "-fno-builtin", "-shared", "-nostdlib", f"-Wl,-soname,{soname}"]
        flags += [f"-Wl,--version-script={script}"] if versions else []
        lines("gcc", *flags, "-o", str(library), str(code))


def main(site: Path) -> None:
    asked = {
        name for library in (site / "torch" / "lib").glob("*.so*") for name in symbols(library, "--undefined-only")
    }
    for library in sorted((site / "nvidia").rglob("*.so*")):
        if library.stat().st_size > LARGE:
            hollow(library, asked)


main(Path(sys.argv[1]))
