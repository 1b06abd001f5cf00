"""The whole stack on a cluster: `python -m e2e.stack up`. Kubernetes, images, the hub mirror and the operator by helm.

Building Kubernetes and building images need different things of the machine, so they run side by side. What is done
already is not done again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import yaml

from e2e.cluster import given
from e2e.kube import get, helm, kubectl

ROOT = Path(__file__).resolve().parent.parent
SYSTEM = "modelport-system"
MIRROR = "modelport-mirror"
MODELS = "models"

_MADE_OF = "modelport.io/made-of"
_MIRROR_URL = f"http://hub.{MIRROR}.svc:8080"


def say(text: str) -> None:
    """A line of progress, with the time since the start."""
    print(f"[{time.monotonic() - _STARTED:4.0f} s] {text}", file=sys.stderr, flush=True)


_STARTED = time.monotonic()


def up() -> None:
    """Have everything run: cluster, images on its node, hub mirror, operator."""
    side_by_side(("-m", "e2e.cluster", "up"), ("-m", "e2e.images", "build"))
    images = built()
    say("images onto the node")
    python("-m", "e2e.cluster", "load", *(image["archive"] for image in images.values()))
    namespaces()
    forget_older(images)
    say("hub mirror and operator")
    mirror(images["hub"]["reference"])
    install(images)
    kubectl("rollout", "status", "deployment/hub", "-n", MIRROR, "--timeout=120s", timeout=150)
    say("the operator is installed")


def python(*arguments: str) -> None:
    """Run one of our own modules; what it prints is the progress."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT)
    if done.returncode != 0:
        raise SystemExit(f"python {' '.join(arguments[:3])} failed with status {done.returncode}")


def side_by_side(*commands: tuple[str, ...]) -> None:
    """Run our own modules at the same time; the first failure is reported when all have ended."""
    failures: list[str] = []

    def one(command: tuple[str, ...]) -> None:
        try:
            python(*command)
        except SystemExit as failure:
            failures.append(str(failure))

    threads = [threading.Thread(target=one, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit("; ".join(failures))


def built() -> dict[str, dict[str, str]]:
    """name -> reference and archive of every image."""
    listed = subprocess.run(
        [sys.executable, "-m", "e2e.images", "list", "--json"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    images: dict[str, dict[str, str]] = json.loads(listed.stdout)
    return images


def namespaces() -> None:
    """The operator's, the mirror's and one for models, which enforces Pod Security `restricted`."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name, labels in ((SYSTEM, restricted), (MIRROR, restricted), (MODELS, restricted))
    ]
    kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))


def forget_older(images: dict[str, dict[str, str]]) -> None:
    """In our own cluster, take away models that run images of the same names and another content: nothing rolls them."""
    made_of = " ".join(sorted(content(image) for image in images.values()))
    kept = get("namespace", MODELS, "").get("metadata", {}).get("annotations", {}).get(_MADE_OF, made_of)
    if kept != made_of and not given.kubeconfig():
        say("other images than those that the models run on: the models begin anew")
        kubectl("delete", "modeldeployments", "--all", "-n", MODELS, "--cascade=foreground", "--timeout=180s")
    kubectl("annotate", "namespace", MODELS, f"{_MADE_OF}={made_of}", "--overwrite")


def content(image: dict[str, str]) -> str:
    """Name and content hash of an image, by its archive."""
    return Path(image["archive"]).stem


def mirror(image: str) -> None:
    """The stand-in for the model hub, with the converted models inside."""
    manifest = (ROOT / "e2e" / "models" / "hub.yaml").read_text().replace("HUB_IMAGE", image)
    kubectl("apply", "--server-side", "-n", MIRROR, "-f", "-", stdin=manifest)


def values(images: dict[str, dict[str, str]]) -> dict[str, object]:
    """What differs from the chart's defaults: CPU images of the servers, the hub mirror, and which build the operator is."""
    return {
        "images": {"vllm": images["vllm"]["reference"], "triton": images["triton"]["reference"]},
        "hub": {"endpoint": _MIRROR_URL},
        "podAnnotations": {_MADE_OF: content(images["operator"])},  # the same tag, another image
    }


def install(images: dict[str, dict[str, str]]) -> None:
    """Install or upgrade the chart, as a user would."""
    overrides = [word for key, value in values(images).items() for word in ("--set-json", f"{key}={json.dumps(value)}")]
    chart = str(ROOT / "charts" / "modelport")
    helm("upgrade", "--install", "modelport", chart, "-n", SYSTEM, *overrides, "--wait", "--timeout", "5m")
    kubectl("wait", "--for=condition=Established", "crd/modeldeployments.modelport.io", "--timeout=60s")


if __name__ == "__main__":
    if sys.argv[1:] != ["up"]:
        raise SystemExit("usage: python -m e2e.stack up")
    if given.kubeconfig():
        say("KUBECONFIG is set: its cluster has to be able to pull the images (python -m e2e.images list)")
    up()
