"""Lets the ordinary (CUDA) build of torch start without NVIDIA's libraries: `python3 stubs.py FOLDER_OF_TORCH_LIB`.

torch's libraries name NVIDIA's, 2.7 GB, and the dynamic linker wants every name that they import, though nothing calls
one on a machine without a GPU. So one small library defines them all, each as "no CUDA device", and stands under the
file names that are missing. It must never define a name that a library which is there defines. Needs binutils.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

_NO_DEVICE = 100  # cudaErrorNoDevice; for the other libraries any status but 0 is an error
_NAME = "libcuda-absent.so"


def main(folder: Path) -> None:
    """Write the library and its names into `folder`."""
    libraries = sorted(folder.glob("*.so*"))
    available = _available(folder)
    needed = {
        name for library in libraries for name in re.findall(r"\(NEEDED\).*\[(.+)\]", _told("readelf", "-dW", library))
    }
    missing = sorted(needed - available.keys())
    defined = {name for name in needed - set(missing) for name in _defined(available[name])}
    absent = {name: version for library in libraries for name, version in _imported(library) if name not in defined}
    _link(absent, folder / _NAME)
    for name in missing:
        (folder / name).symlink_to(_NAME)
    print(f"{len(absent)} names of {', '.join(missing)}")


def _told(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def _available(folder: Path) -> dict[str, Path]:
    """What the dynamic linker finds: torch's own libraries and the system's."""
    system = {path.name: path for path in map(Path, re.findall(r"=> (\S+)", _told("ldconfig", "-p")))}
    return system | {path.name: path for path in folder.glob("*.so*")}


def _defined(library: Path) -> set[str]:
    return {line.split()[-1].partition("@")[0] for line in _told("nm", "-D", "--defined-only", library).splitlines()}


def _imported(library: Path) -> list[tuple[str, str]]:
    """Name and version (empty where it has none) of what has to be found; weak imports may be missing."""
    lines = _told("nm", "-D", "--undefined-only", "--with-symbol-versions", library).splitlines()
    found = [line.split() for line in lines]
    parts = [words[1].partition("@") for words in found if words[0] == "U"]
    return [(name, version.lstrip("@")) for name, _, version in parts]


def _link(absent: dict[str, str], target: Path) -> None:
    """Every name is the same two instructions; the versions are those that torch was linked against."""
    versions: dict[str, list[str]] = defaultdict(list)
    for name, version in sorted(absent.items()):
        versions[version or "ABSENT"].append(name)
    labels = "".join(f".globl {name}\n.type {name}, @function\n{name}:\n" for name in sorted(absent))
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        (work / "stubs.s").write_text(
            f'.text\n{labels}movl ${_NO_DEVICE}, %eax\nret\n.section .note.GNU-stack,"",@progbits\n'
        )
        (work / "versions").write_text(
            "".join(f'"{version}" {{ global: {"; ".join(names)}; }};\n' for version, names in sorted(versions.items()))
        )
        _told("as", "-o", work / "stubs.o", work / "stubs.s")
        script = f"--version-script={work / 'versions'}"
        _told("ld", "-shared", "-s", "-soname", _NAME, script, "-o", target, work / "stubs.o")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
