"""etcd, kube-apiserver and kube-controller-manager, as few or as many as a caller needs.

With the default settings it needs no root: everything listens on loopback at free ports. It must never reach beyond
its own folder, and as a context manager it must never outlive the process that made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from e2e.cluster.api import Api
from e2e.cluster.audit import POLICY, AuditEvent, read_events
from e2e.cluster.binaries import binary, build
from e2e.cluster.certificates import Authority, Pair, signing_key, write_kubeconfig
from e2e.cluster.processes import Processes
from e2e.cluster.waiting import wait_for
from e2e.ports import free_ports

# What matters for objects that nothing runs: owners, deletion, ReplicaSets and their pods, service accounts.
API_LEVEL_CONTROLLERS = (
    "deployment-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
)
_READY_WITHIN = 120.0


@dataclass(frozen=True)
class Settings:
    """Where a control plane listens; a port of 0 stands for a free one. `prefix` comes before every command."""

    address: str = "127.0.0.1"
    port: int = 0
    etcd_port: int = 0
    etcd_peer_port: int = 0
    prefix: tuple[str, ...] = ()
    controllers: tuple[str, ...] = API_LEVEL_CONTROLLERS
    service_range: str = "10.96.0.0/16"
    service_address: str = "10.96.0.1"


class ControlPlane:
    """A control plane in a folder: `with ControlPlane(tmp_path) as plane: plane.kubeconfig`."""

    def __init__(self, directory: Path, settings: Settings | None = None) -> None:
        self.directory = directory
        self.settings = _with_ports(settings or Settings())
        self.server = f"https://{self.settings.address}:{self.settings.port}"
        self.processes = Processes(directory)
        self.kubeconfig = directory / "kubeconfig"
        self.audit_log = directory / "audit.log"
        self._pki = directory / "pki"

    @cached_property
    def authority(self) -> Authority:
        """Signs everything but the API server's calls to aggregated APIs."""
        return Authority(self._pki, "ca")

    @cached_property
    def api(self) -> Api:
        """Reads as the administrator."""
        return Api(self.server, self.authority.certificate, self._admin)

    @property
    def _admin(self) -> Pair:
        return self.authority.issue("admin", "modelport-admin", ["system:masters"])

    def __enter__(self) -> ControlPlane:
        self.processes.end_with_this_process()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start what does not run, and return when the API server and the controllers have shown that they work."""
        build(["etcd", "kube-apiserver", "kube-controller-manager"])
        write_kubeconfig(self.kubeconfig, self.server, self.authority.certificate, self._admin)
        self.run("etcd", self._etcd_flags())
        self._start_apiserver()
        self._start_controller_manager()

    def stop(self) -> None:
        """End everything; the folder stays for whoever wants to read the logs."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            self.processes.stop(name, grace=0)
        self.processes.release()

    def restart_apiserver(self, grace: float = 2.0) -> None:
        """End the API server as an upgrade does (open watches hold it until `grace` is over), and start it again."""
        self.processes.stop("kube-apiserver", grace)
        self._start_apiserver()

    def restart_controller_manager(self) -> None:
        """End the controllers, and start them again: they look at everything anew."""
        self.processes.stop("kube-controller-manager", grace=0)
        self._start_controller_manager()

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a client certificate of `user` in `groups`."""
        name = "-".join([user, *groups]).replace(":", "-").replace("/", "-")
        pair = self.authority.issue(name, user, groups)
        return write_kubeconfig(self._pki / f"{name}.kubeconfig", self.server, self.authority.certificate, pair)

    def audit_events(self) -> list[AuditEvent]:
        """Every request that has been answered so far, the oldest first."""
        return read_events(self.audit_log)

    def run(self, name: str, flags: Sequence[str]) -> None:
        """Start one of our programs as this control plane's are started, unless it runs."""
        self.processes.start(name, [*self.settings.prefix, str(binary(name)), *flags])

    def _start_apiserver(self) -> None:
        self.run("kube-apiserver", self._apiserver_flags())
        self._wait("kube-apiserver", "/readyz")

    def _start_controller_manager(self) -> None:
        manager = self.kubeconfig_for("system:kube-controller-manager")
        self.run("kube-controller-manager", self._controller_manager_flags(manager))
        self._wait("kube-controller-manager", "/api/v1/namespaces/default/serviceaccounts/default")

    def _wait(self, name: str, path: str) -> None:
        wait_for(f"{name} answers", lambda: self.api.ok(path), _READY_WITHIN, lambda: self.processes.check(name))

    def _etcd_flags(self) -> list[str]:
        client = f"http://127.0.0.1:{self.settings.etcd_port}"
        peer = f"http://127.0.0.1:{self.settings.etcd_peer_port}"
        return [
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # the data is thrown away with the folder
            f"--quota-backend-bytes={8 << 30}",
            "--log-level=warn",
        ]

    def _apiserver_flags(self) -> list[str]:
        settings = self.settings
        return [
            f"--advertise-address={settings.address}",
            f"--bind-address={settings.address}",
            f"--secure-port={settings.port}",
            # The Service `kubernetes` cannot have a loopback address as its endpoint.
            f"--endpoint-reconciler-type={'none' if settings.address.startswith('127.') else 'lease'}",
            f"--etcd-servers=http://127.0.0.1:{settings.etcd_port}",
            f"--service-cluster-ip-range={settings.service_range}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            *self._identity_flags(),
            *self._aggregation_flags(),
            *self._audit_flags(),
        ]

    def _identity_flags(self) -> list[str]:
        """Who the API server is, whom it believes, and how it speaks to kubelets."""
        key = signing_key(self._pki)
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
        hosts = list(dict.fromkeys([*names, self.settings.address, "127.0.0.1", self.settings.service_address]))
        serving = self.authority.issue("kube-apiserver", "kube-apiserver", hosts=hosts, client=False)
        kubelets = self.authority.issue("kube-apiserver-kubelet", "kube-apiserver-kubelet-client", ["system:masters"])
        return [
            f"--client-ca-file={self.authority.certificate}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            f"--kubelet-certificate-authority={self.authority.certificate}",
            f"--kubelet-client-certificate={kubelets.certificate}",
            f"--kubelet-client-key={kubelets.key}",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _aggregation_flags(self) -> list[str]:
        """What aggregated APIs need, those of metrics for example."""
        authority = Authority(self._pki, "front-proxy-ca")
        pair = authority.issue("front-proxy", "front-proxy-client")
        return [
            f"--requestheader-client-ca-file={authority.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pair.certificate}",
            f"--proxy-client-key-file={pair.key}",
        ]

    def _audit_flags(self) -> list[str]:
        policy = self.directory / "audit-policy.yaml"
        policy.write_text(POLICY)
        return [
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",  # the event is in the file before the client has its answer
            "--audit-log-maxsize=2048",  # MB; larger than any test writes, so that no event is rotated away
        ]

    def _controller_manager_flags(self, kubeconfig: Path) -> list[str]:
        return [
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--controllers={','.join(self.settings.controllers)}",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--root-ca-file={self.authority.certificate}",
            f"--service-account-private-key-file={signing_key(self._pki)}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]


def _with_ports(settings: Settings) -> Settings:
    """The settings with free ports in place of zeros."""
    names = [name for name in ("port", "etcd_port", "etcd_peer_port") if getattr(settings, name) == 0]
    ports: dict[str, Any] = dict(zip(names, free_ports(len(names)), strict=True))
    return replace(settings, **ports)
