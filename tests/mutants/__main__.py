"""`make mutants`: each patch breaks one thing on purpose, and the test that it names has to notice.

A patch begins with `Test: FILE::NAME` (what has to fail) above its diff. Works on a copy of the tracked and new files, so
that the working tree is never touched. Ends with status 1 where a mutant survives, or does not apply any more.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("api", "runtimes", "render", "state", "kube", "asking", "control", "app", "cli", "agent", "runtime", "chart")
FAILED = 1  # pytest's status when tests ran and some failed; anything else is no proof


@dataclass(frozen=True)
class Mutant:
    """One patch: what it breaks is in its name, LAYER-what."""

    path: Path
    test: str

    @property
    def layer(self) -> str:
        return self.path.stem.partition("-")[0]


def mutants() -> list[Mutant]:
    """All of them, in the order of their names."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.patch")):
        test = re.match(r"Test: (\S+)\n", path.read_text())
        if test is None:
            raise SystemExit(f"{path.name}: has to begin with `Test: FILE::NAME`")
        found.append(Mutant(path, test[1]))
    return found


def main() -> None:
    """All mutants, or those whose names are given."""
    chosen = [mutant for mutant in mutants() if not sys.argv[1:] or mutant.path.stem in sys.argv[1:]]
    if missing := set(LAYERS) - {mutant.layer for mutant in mutants()}:
        raise SystemExit(f"no mutant for {', '.join(sorted(missing))}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        _copy_to(copy)
        print(f"[0/{len(chosen)}] without a mutant every test has to pass ...", flush=True)
        if _pytest(copy, *dict.fromkeys(mutant.test for mutant in chosen)) != 0:
            raise SystemExit("a named test fails without its mutant")
        survivors = [
            mutant for number, mutant in enumerate(chosen, 1) if not _killed(copy, mutant, number, len(chosen))
        ]
    if survivors:
        raise SystemExit(f"survived: {', '.join(mutant.path.stem for mutant in survivors)}")
    print(f"{len(chosen)} mutants, each noticed by its test")


def _killed(copy: Path, mutant: Mutant, number: int, of: int) -> bool:
    started = time.monotonic()
    _git(copy, "apply", str(mutant.path))
    status = _pytest(copy, mutant.test, quiet=True)
    _git(copy, "apply", "--reverse", str(mutant.path))
    word = "noticed" if status == FAILED else f"NOT NOTICED (pytest ended with {status})"
    print(
        f"[{number}/{of}] {mutant.path.stem}: {word} by {mutant.test} ... {time.monotonic() - started:.0f} s",
        flush=True,
    )
    return status == FAILED


def _copy_to(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def _git(folder: Path, *arguments: str) -> None:
    """`git apply` outside of a repository; a patch that does not fit any more ends the run."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, env=_outside(folder))
    if done.returncode != 0:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")


def _outside(folder: Path) -> dict[str, str]:
    """The environment in which the copy's packages are imported before the installed ones."""
    sources = os.pathsep.join(str(folder / name) for name in ("operator", "agent", "runtime", "."))
    return {**os.environ, "PYTHONPATH": sources, "GIT_CEILING_DIRECTORIES": str(folder.parent)}


def _pytest(folder: Path, *tests: str, quiet: bool = False) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, cwd=folder, env=_outside(folder), stdout=output, stderr=output).returncode


if __name__ == "__main__":
    main()
