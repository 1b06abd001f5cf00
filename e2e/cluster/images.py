"""The images of the cluster itself, and how images get into containerd.

An image must never be imported twice, and never be pulled: the cluster has no way out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

from e2e.cluster.commands import run, succeeds
from e2e.cluster.locks import say
from e2e.cluster.paths import cache
from e2e.host import SetupError

_HINT = "make one with: buildah push IMAGE oci-archive:FILE:NAME"
_NAME = "org.opencontainers.image.ref.name"


class Containerd:
    """The containerd at a socket, in the namespace that the kubelet uses."""

    def __init__(self, socket: Path) -> None:
        self._ctr = ("ctr", "--address", str(socket), "--namespace", "k8s.io")

    def load(self, archive: Path) -> bool:
        """Import an OCI archive unless an image of its name and digest is there; say whether it was imported."""
        wanted = described(archive)
        if wanted.items() <= self.images().items():
            return False
        run(*self._ctr, "images", "import", str(archive), timeout=3600)
        missing = wanted.items() - self.images().items()
        if missing:
            raise SetupError(
                f"containerd has not taken {sorted(missing)} from {archive}; it has {sorted(self.images())}"
            )
        return True

    def answers(self) -> bool:
        """Whether containerd and its CRI plugin are up."""
        return succeeds(*self._ctr, "plugins", "ls", "-q") and succeeds(*self._ctr, "version")

    def images(self) -> dict[str, str]:
        """Name to digest."""
        lines = run(*self._ctr, "images", "ls").splitlines()[1:]
        return {fields[0]: fields[2] for fields in map(str.split, lines)}

    def remove_containers(self) -> None:
        """Kill and delete whatever runs or ran, with its snapshots; images stay."""
        for task in run(*self._ctr, "tasks", "ls", "-q").split():
            succeeds(*self._ctr, "tasks", "delete", "--force", task)  # some end by themselves meanwhile
        containers = run(*self._ctr, "containers", "ls", "-q").split()
        if containers:
            run(*self._ctr, "containers", "rm", *containers)


def described(archive: Path) -> dict[str, str]:
    """Name to digest, as the index of an OCI archive says."""
    try:
        with tarfile.open(archive, "r:") as tar:
            file = tar.extractfile("index.json")
            index = json.load(file) if file else {}
    except (OSError, tarfile.TarError, KeyError) as error:
        raise SetupError(f"{archive} is no OCI archive ({error}); {_HINT}") from None
    images = [(entry.get("annotations", {}).get(_NAME), entry["digest"]) for entry in index["manifests"]]
    named = {name: digest for name, digest in images if name}
    if not named:
        raise SetupError(f"{archive} names no image; {_HINT}")
    return named


def scratch_image(name: str, program: Path, command: list[str]) -> Path:
    """An OCI archive of an image that holds one static program; made once for the same content."""
    recipe = f"FROM scratch\nCOPY {program.name} /bin/{program.name}\nENTRYPOINT {json.dumps(command)}\n"
    content = hashlib.sha256(recipe.encode() + program.read_bytes()).hexdigest()[:16]
    archive = cache() / "cluster-images" / f"{name.partition('/')[2].replace(':', '-')}-{content}.tar"
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    say(f"building the image {name}")
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".building-") as folder:
        work = Path(folder)
        (work / "context").mkdir()
        shutil.copy(program, work / "context" / program.name)
        (work / "context" / "Dockerfile").write_text(recipe)
        store = ["--root", str(work / "root"), "--runroot", str(work / "run"), "--storage-driver", "vfs"]
        run("buildah", *store, "bud", "--isolation", "chroot", "--timestamp", "0", "--tag", name, str(work / "context"))
        run("buildah", *store, "push", name, f"oci-archive:{work / 'image.tar'}:{name}")
        (work / "image.tar").rename(archive)
    return archive
