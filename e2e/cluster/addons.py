"""CoreDNS in the cluster, and the question that shows that it answers.

It must never forward a question: what is not in the cluster does not exist.
"""

from __future__ import annotations

import secrets
import socket
import struct
from pathlib import Path

from e2e.cluster.binaries import PROGRAMS, binary, version
from e2e.cluster.commands import run
from e2e.cluster.images import scratch_image
from e2e.cluster.node import DNS, PAUSE

_KNOWN = "kubernetes.default.svc.cluster.local"
_MANIFEST = Path(__file__).with_name("coredns.yaml")


def archives() -> list[Path]:
    """The images that the cluster itself needs."""
    pause = scratch_image(PAUSE, Path("/bin/busybox"), ["/bin/busybox", "sleep", "2147483647"])
    return [pause, scratch_image(_dns_image(), binary("coredns"), ["/bin/coredns"])]


def apply_dns(kubeconfig: Path) -> None:
    """Create or update CoreDNS."""
    manifest = _MANIFEST.read_text().replace("IMAGE", _dns_image()).replace("ADDRESS", DNS)
    kubectl = (str(binary("kubectl")), "--kubeconfig", str(kubeconfig))
    run(*kubectl, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)


def dns_answers() -> bool:
    """Whether the cluster's DNS knows the API server's Service, asked through its own Service from the host."""
    number = secrets.randbelow(1 << 16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in _KNOWN.split("."))
    question = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        try:
            client.sendto(question, (DNS, 53))
            answer = client.recv(512)
        except OSError:
            return False
    return answer[:2] == question[:2] and answer.endswith(socket.inet_aton("10.96.0.1"))


def _dns_image() -> str:
    return f"localhost/modelport-coredns:{version(PROGRAMS['coredns'])}"
