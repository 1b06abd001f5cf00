"""Makes the images with buildah, as OCI archives that `python -m e2e.cluster load` takes.

An archive is named by the hash of all its inputs and never written under its final name before it is whole. Nothing of
this machine (certificates, package sources) may stay in an image: they are mounted while it is built.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from e2e import host
from e2e.cluster.locks import locked, say
from e2e.cluster.paths import cache
from e2e.images.recipes import IMAGES, Image

_SUITE = "bookworm"
_TRUST = "/run/build-ca.crt"
_TRUST_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT")
_IGNORED = {"__pycache__", ".venv", "tests"}


def build(names: Iterable[str] = IMAGES) -> None:
    """Make the archives of these images where they are missing, bases first."""
    host.require("images")
    with locked(cache() / "images" / ".lock", "it builds images"):
        missing = [name for name in names if not archive(IMAGES[name]).exists()]
        for number, name in enumerate(missing, 1):
            _build(IMAGES[name], f"[{number}/{len(missing)}]")


def archive(image: Image) -> Path:
    """Where the image's archive is, or will be."""
    return cache() / "images" / f"{image.name}-{content(image)}.tar"


def content(image: Image) -> str:
    """The hash of everything that the image is made of."""
    digest = hashlib.sha256(image.reference.encode() + image.dockerfile.read_bytes() + _SUITE.encode())
    if image.base:
        digest.update(content(IMAGES[image.base]).encode())
    for path in sorted(_inputs(image)):
        digest.update(str(path.relative_to(image.context)).encode() + b"\0" + path.read_bytes())
    for name, folder in image.more().items():
        digest.update(f"{name} {folder.name}".encode())  # such a folder is named by its content
    return digest.hexdigest()[:16]


def _inputs(image: Image) -> Iterator[Path]:
    for name in image.files:
        path = image.context / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (
            file for file in found if file.is_file() and not _IGNORED & set(file.relative_to(image.context).parts)
        )


def _build(image: Image, position: str) -> None:
    if image.base:
        _have(IMAGES[image.base])
    started = time.monotonic()
    say(f"{position} image {image.reference} ...")
    with tempfile.TemporaryDirectory(dir=cache() / "images", prefix=".building-") as folder:
        work = Path(folder)
        context = work / "context"
        _fill(context, image)
        arguments = ["--build-arg", f"BASE={IMAGES[image.base].reference}"] if image.base else []
        _buildah(
            *("bud", "--isolation", "chroot", "--pull-never", "--format", "oci", *arguments, *_machine()),
            *("--file", str(image.dockerfile), "--tag", _stored(image), "--tag", image.reference, str(context)),
        )
        _buildah(
            "push", "--disable-compression", image.reference, f"oci-archive:{work / 'image.tar'}:{image.reference}"
        )
        (work / "image.tar").rename(archive(image))
    _drop_older(image)
    say(f"{position} image {image.reference} ... {time.monotonic() - started:.0f} s")


def _have(base: Image) -> None:
    """Make sure that the store holds this very content of a base: archives outlive the store's tags."""
    if subprocess.run(_command("inspect", "--type", "image", _stored(base)), capture_output=True).returncode == 0:
        _buildah("tag", _stored(base), base.reference)
    else:
        _build(base, "[base]")


def _stored(image: Image) -> str:
    return f"localhost/built/{image.name}:{content(image)}"


def _fill(context: Path, image: Image) -> None:
    context.mkdir()
    for path in _inputs(image):
        target = context / path.relative_to(image.context)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for name, folder in image.more().items():
        shutil.copytree(folder, context / name, copy_function=os.link)
    if image.base is None:
        _debootstrap(context / "rootfs")


def _debootstrap(folder: Path) -> None:
    packages = "python3,python3-venv,ca-certificates"
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", _SUITE, str(folder), _mirror()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise host.SetupError(f"debootstrap failed: {(done.stdout + done.stderr)[-2000:]}")
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(folder / waste, ignore_errors=True)


def _mirror() -> str:
    """The Debian mirror that this machine itself uses."""
    for source in sorted(Path("/etc/apt").rglob("*.sources")) + sorted(Path("/etc/apt").rglob("*.list")):
        found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?) +(\S+debian/?)(?:\s|$)", source.read_text(), re.MULTILINE)
        if found:
            return found[1]
    raise host.SetupError("no Debian mirror in /etc/apt: the base image is made with debootstrap")


def _machine() -> list[str]:
    """What the build borrows of this machine: package sources, and the certificates it trusts where it has its own."""
    options: list[str] = []
    for folder in ("/etc/apt/sources.list.d", "/etc/apt/apt.conf.d"):
        options += ["--volume", f"{folder}:{folder}:ro"]
    bundle = next((os.environ[name] for name in _TRUST_VARIABLES if os.environ.get(name)), None)
    if bundle:
        options += ["--volume", f"{bundle}:{_TRUST}:ro"]
        options += [word for name in _TRUST_VARIABLES for word in ("--build-arg", f"{name}={_TRUST}")]
    return options


def _drop_older(image: Image) -> None:
    for other in (cache() / "images").glob(f"{image.name}-*.tar"):
        if other != archive(image):
            other.unlink()


def _command(*arguments: str) -> list[str]:
    store = cache() / "buildah"
    return [
        "buildah",
        "--storage-driver",
        "overlay",
        "--root",
        str(store / "root"),
        "--runroot",
        str(store / "run"),
        *arguments,
    ]


def _buildah(*arguments: str) -> None:
    done = subprocess.run(_command(*arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise host.SetupError(f"buildah {arguments[0]} failed: {(done.stdout + done.stderr)[-3000:]}")


def listed() -> str:
    """name -> reference and archive, as JSON."""
    return json.dumps({n: {"reference": i.reference, "archive": str(archive(i))} for n, i in IMAGES.items()}, indent=1)
