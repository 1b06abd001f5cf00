"""Makes the images with buildah, as OCI archives that `python -m e2e.cluster load` takes.

An archive is named by the hash of all its inputs and never written under its final name before it is whole. Nothing of
this machine may stay in an image: the certificates that it trusts are mounted while the image is built.
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
from e2e.cluster.commands import run
from e2e.cluster.locks import locked, say
from e2e.cluster.paths import cache
from e2e.images.recipes import IMAGES, Image

_SUITE = "bookworm"
_TRUSTED = "/mnt"  # a folder that every image has, so that mounting there leaves nothing behind
_LONG = 3600.0  # seconds; a slow network is no error
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
    target, stored = archive(image), _stored(image)  # once: somebody may be editing the sources
    say(f"{position} image {image.reference} ...")
    with tempfile.TemporaryDirectory(dir=cache() / "images", prefix=".building-") as folder:
        work = Path(folder)
        context = work / "context"
        _fill(context, image)
        arguments = ["--build-arg", f"BASE={IMAGES[image.base].reference}"] if image.base else []
        _buildah(
            *("bud", "--isolation", "chroot", "--pull-never", "--format", "oci", *arguments, *_trust(work / "trust")),
            *("--file", str(image.dockerfile), "--tag", stored, "--tag", image.reference, str(context)),
        )
        _export(stored, f"oci-archive:{work / 'image.tar'}:{image.reference}")
        (work / "image.tar").rename(target)
    _drop_older(image, target)
    if not any(other.base == image.name for other in IMAGES.values()):
        _buildah("rmi", stored, image.reference)  # its archive is enough, and some are large
    say(f"{position} image {image.reference} ... {time.monotonic() - started:.0f} s")


def _export(stored: str, target: str) -> None:
    """Copy an image as it is: `buildah push` would compress its layers, for containerd to undo that at once."""
    store = f"containers-storage:[overlay@{_store() / 'root'}+{_store() / 'run'}]"
    run("skopeo", "copy", "--dest-oci-accept-uncompressed-layers", store + stored, target, timeout=_LONG)


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
    downloaded = folder.with_name("packages")
    downloaded.mkdir()
    command = ("debootstrap", "--variant=minbase", f"--include={packages}", f"--cache-dir={downloaded}", _SUITE)
    try:
        run(*command, str(folder), _mirror(), timeout=_LONG)
    except host.SetupError:  # one package that could not be fetched ends it; what it has is not fetched again
        shutil.rmtree(folder)
        run(*command, str(folder), _mirror(), timeout=_LONG)
    shutil.rmtree(downloaded)
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(folder / waste, ignore_errors=True)
    for borrowed in ("hostname", "resolv.conf"):  # debootstrap copies them from this machine
        (folder / "etc" / borrowed).unlink(missing_ok=True)


def _mirror() -> str:
    """The Debian mirror that this machine itself uses."""
    for source in sorted(Path("/etc/apt").rglob("*.sources")) + sorted(Path("/etc/apt").rglob("*.list")):
        found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?) +(\S+debian/?)(?:\s|$)", source.read_text(), re.MULTILINE)
        if found:
            return found[1]
    raise host.SetupError("no Debian mirror in /etc/apt: the base image is made with debootstrap")


def _trust(folder: Path) -> list[str]:
    """Lends the build the certificates that this machine trusts, where it has its own."""
    bundle = next((os.environ[name] for name in _TRUST_VARIABLES if os.environ.get(name)), None)
    if not bundle:
        return []
    folder.mkdir()
    shutil.copy(bundle, folder / "ca.crt")
    arguments = [word for name in _TRUST_VARIABLES for word in ("--build-arg", f"{name}={_TRUSTED}/ca.crt")]
    return ["--volume", f"{folder}:{_TRUSTED}:ro", *arguments]


def _drop_older(image: Image, newest: Path) -> None:
    for other in (cache() / "images").glob(f"{image.name}-*.tar"):
        if other != newest:
            other.unlink()


def _store() -> Path:
    return cache() / "buildah"


def _command(*arguments: str) -> tuple[str, ...]:
    places = ("--root", str(_store() / "root"), "--runroot", str(_store() / "run"))
    return ("buildah", "--storage-driver", "overlay", *places, *arguments)


def _buildah(*arguments: str) -> None:
    run(*_command(*arguments), timeout=_LONG)


def listed() -> str:
    """name -> reference and archive of the images that a cluster runs, as JSON."""
    images = {name: image for name, image in IMAGES.items() if image.base}
    return json.dumps(
        {name: {"reference": image.reference, "archive": str(archive(image))} for name, image in images.items()},
        indent=1,
    )
