"""Class 8: the operator's token expires, and is rotated too early, in time or too late."""

from __future__ import annotations

import http.client
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.engine.harness import Engine, until
from tests.engine.rights import grant
from tests.faults import staged
from tests.faults.check import everything_is_as_it_should_be
from tests.faults.container import Container
from tests.faults.proxy import Proxy, Refuse, Request
from tests.faults.users import PENDING, commotion, prepare

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("collected")]

_KUBECONFIG = """\
{{apiVersion: v1, kind: Config, current-context: p, contexts: [{{name: p, context: {{cluster: p, user: p}}}}],
  clusters: [{{name: p, cluster: {{server: "{server}"}}}}], users: [{{name: p, user: {{token: "{token}"}}}}]}}
"""


@dataclass
class Tokens:
    """Real tokens of a service account, each good for as long as the Secret lives that it is bound to."""

    engine: Engine
    account: str = "operator"

    def __post_init__(self) -> None:
        self._accounts = f"/api/v1/namespaces/{self.engine.namespace}/serviceaccounts"
        self.engine.api.create(self._accounts, {"metadata": {"name": self.account}})
        user = f"system:serviceaccount:{self.engine.namespace}:{self.account}"
        grant(self.engine.api, self.engine.namespace, user, (self.engine.namespace,))

    def make(self, bound_to: str) -> str:
        secret = self.engine.api.create(self.engine.path("secrets"), {"metadata": {"name": bound_to}})
        reference = {"apiVersion": "v1", "kind": "Secret", "name": bound_to, "uid": secret["metadata"]["uid"]}
        request = {"spec": {"boundObjectRef": reference, "expirationSeconds": 3600}}
        return str(self.engine.api.create(f"{self._accounts}/{self.account}/token", request)["status"]["token"])

    def revoke(self, bound_to: str, token: str) -> None:
        """Return when the API server takes it no longer, as it remembers good ones for some seconds."""
        self.engine.api.request("DELETE", self.engine.path("secrets", bound_to))
        until("the token is refused", lambda: self._status(token) == 401)

    def _status(self, token: str) -> int:
        context = ssl.create_default_context(cafile=str(self.engine.plane.authority.certificate))
        address = urlsplit(self.engine.plane.server)
        connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=context)
        connection.request("GET", "/apis/modelport.io/v1alpha1", headers={"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture
def bearer(stopped: Engine, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy that leaves the operator's token in its place; its connections can be cut, so that watches need it, too."""
    proxy = Proxy(stopped.plane, user=None)
    with proxy.serving(tmp_path):
        yield proxy
        stopped.operator.stop()


def test_a_kubeconfig_with_another_token(stopped: Engine, bearer: Proxy, tmp_path: Path) -> None:
    tokens = Tokens(stopped)
    old, new = tokens.make("old"), tokens.make("new")
    file = tmp_path / "kubeconfig"
    file.write_text(_KUBECONFIG.format(server=bearer.address, token=old))
    stopped.operator.kubeconfig = file
    process = stopped.operator.start().process
    assert process is not None
    prepare(stopped)
    file.write_text(_KUBECONFIG.format(server=bearer.address, token=new))
    tokens.revoke("old", old)
    bearer.cut()
    commotion(stopped)
    everything_is_as_it_should_be(stopped, PENDING)
    assert process.poll() is None


def test_a_service_account_whose_token_is_refused_until_the_next_is_there(
    stopped: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(stopped)
    old, new = tokens.make("old"), tokens.make("new")
    shutil.copy(stopped.plane.authority.certificate, tmp_path / "ca.crt")
    file = tmp_path / "token"
    file.write_text(old)
    address = urlsplit(stopped.plane.server)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
    stopped.operator.program = staged.program(secrets=tmp_path)
    stopped.operator.start()
    prepare(stopped)
    with Container(stopped.operator):
        tokens.revoke("old", old)
        commotion(stopped)
        until("it has been refused", lambda: "Unauthorized" in stopped.operator.log.read_text())
        file.write_text(new)
        everything_is_as_it_should_be(stopped, PENDING)


def test_401_for_a_moment_with_a_token_that_is_good(proxied: Engine, proxy: Proxy) -> None:
    """As an API server answers that has just started and does not know its issuers yet."""
    prepare(proxied)
    process = proxied.operator.process
    assert process is not None
    refused = 0

    def at_first(request: Request) -> Refuse | None:
        nonlocal refused
        refused += 1
        return Refuse(401) if refused < 20 else None

    proxy.rule = at_first
    proxy.cut()
    commotion(proxied)
    everything_is_as_it_should_be(proxied, PENDING)
    assert process.poll() is None
