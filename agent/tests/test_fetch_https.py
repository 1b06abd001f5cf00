"""`modelport-agent fetch` from https sources: the hub double behind TLS, with a certificate made for the test."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.models.hub import Hub

from .conftest import Fetch
from .test_fetch import wait_for


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1, which also is the only authority that the fetch is told to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


@pytest.fixture
def secure(hub: Hub, fetch: Fetch, tls: ssl.SSLContext, tmp_path: Path) -> str:
    """The hub with TLS, reached as an ordinary file server; the address of its folder of files."""
    hub.socket = tls.wrap_socket(hub.socket, server_side=True)
    fetch.env = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
    return hub.url.replace("http://", "https://") + "/cdn/acme/tiny/resolve/main"


def test_killed_at_half_it_goes_on_with_if_range(secure: str, hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    weights = (hub.root / "acme/tiny/model.safetensors").read_bytes()
    step = {"uri": f"{secure}/model.safetensors", "to": str(tmp_path / "models" / "demo"), "layout": "folder"}
    hub.faults.throttle = len(weights) // 3
    with fetch.start(step) as process:
        wait_for(lambda: hub.stats()["total"] > len(weights) // 2)
        process.kill()
    hub.faults.throttle = 0
    fetch(step)
    assert (tmp_path / "models/demo/model.safetensors").read_bytes() == weights
    assert hub.stats()["total"] < 1.1 * len(weights)
    assert "complete and unchanged" in fetch(step)


def test_changed_between_kill_and_resume_it_starts_over(secure: str, hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    file = hub.root / "acme/tiny/model.safetensors"
    step = {"uri": f"{secure}/model.safetensors", "to": str(tmp_path / "models" / "demo"), "layout": "folder"}
    hub.faults.throttle = file.stat().st_size // 3
    with fetch.start(step) as process:
        wait_for(lambda: hub.stats()["total"] > 1 << 20)
        process.kill()
    hub.faults.throttle = 0
    file.write_bytes(b"another" * 100_000)
    fetch(step)
    assert (tmp_path / "models/demo/model.safetensors").read_bytes() == file.read_bytes()


def test_a_checksum_in_the_uri_is_checked(secure: str, hub: Hub, fetch: Fetch, tmp_path: Path) -> None:
    right = hashlib.sha256(b"onnx").hexdigest()
    step = {"uri": f"{secure}/onnx/model.onnx#sha256={right}", "to": str(tmp_path / "m"), "layout": "triton-model"}
    fetch(step)
    assert (tmp_path / "m" / "1" / "model.onnx").read_bytes() == b"onnx"
    wrong = step | {"uri": f"{secure}/onnx/model.onnx#sha256={'0' * 64}", "to": str(tmp_path / "n")}
    assert "fetch: Checksum:" in fetch.failing(wrong)
    assert not (tmp_path / "n").exists()


def test_a_missing_file_and_an_unknown_authority(secure: str, fetch: Fetch, tmp_path: Path) -> None:
    missing = {"uri": f"{secure}/no.onnx", "to": str(tmp_path / "m")}
    assert fetch.failing(missing).endswith("/no.onnx: the server has no such file (404)")
    fetch.env = {}
    message = fetch.failing(missing)
    assert message.startswith("fetch: Network:")
    assert "CERTIFICATE_VERIFY_FAILED" in message


class Huge(BaseHTTPRequestHandler):
    """Announces a file of a petabyte."""

    def do_GET(self) -> None:
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 0-0/{10**15}")
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(b"x")

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def huge(tls: ssl.SSLContext) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Huge) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/huge.bin"
        server.shutdown()


def test_what_cannot_fit_is_said_beforehand(huge: str, fetch: Fetch, tmp_path: Path) -> None:
    fetch.env = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
    message = fetch.failing({"uri": huge, "to": str(tmp_path / "models" / "demo")})
    assert message.startswith(f"fetch: NoSpace: {huge}: needs {10**15} bytes (909.5 TiB) more, ")
    assert "are free on the volume" in message


class Endless(BaseHTTPRequestHandler):
    """HTTP/1.0 without a length: the end of the connection is the end of the file, or a fault."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"half of the weights")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_file_whose_end_nobody_tells_is_not_believed(fetch: Fetch, tls: ssl.SSLContext, tmp_path: Path) -> None:
    fetch.env = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
    target = tmp_path / "models" / "demo"
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        address = f"https://127.0.0.1:{server.server_port}/weights.bin"
        message = fetch.failing({"uri": address, "to": str(target)})
        checksum = hashlib.sha256(b"half of the weights").hexdigest()
        fetch({"uri": f"{address}#sha256={checksum}", "to": str(target)})
        server.shutdown()
    assert message.startswith(f"fetch: Network: {address}: the server tells no length of weights.bin")
    assert (target / "weights.bin").read_bytes() == b"half of the weights"


class Portal(Endless):
    """A login page of some proxy, in place of the hub."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "13")
        self.end_headers()
        self.wfile.write(b"<html></html>")


class Foreign(Endless):
    """Speaks JSON, but not the hub's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "12")
        self.end_headers()
        self.wfile.write(b'{"ok": true}')


@pytest.mark.parametrize("handler", [Portal, Foreign])
def test_an_endpoint_that_is_no_hub_is_named(
    handler: type[BaseHTTPRequestHandler], fetch: Fetch, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        fetch.endpoint = f"http://127.0.0.1:{server.server_port}/"
        message = fetch.failing({"uri": "hf://acme/tiny@main", "to": str(tmp_path / "models" / "demo")})
        server.shutdown()
    assert message.startswith("fetch: Network: hf://acme/tiny@main: what answers at http://127.0.0.1:")
    assert "does not speak the hub's API" in message
    assert message.endswith("correct hub.endpoint")
