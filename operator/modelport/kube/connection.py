"""Where the API server is and how to prove who we are, as loaded by the official client.

In-cluster tokens are read again every minute; everything else (kubeconfig, exec plug-ins, client certificates) is loaded
again when the API server answers 401. It must never send a request itself.
"""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path

import yaml
from kubernetes.aio import config as kube_config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from modelport.kube.errors import Unavailable

_SERVICE_ENV = "KUBERNETES_SERVICE_HOST"
_RELOAD_AT_MOST_EVERY = 5.0
_DEFAULT = "default"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Connection:
    """The API server's address, TLS context and credentials."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        """`kubeconfig`: a file; else $KUBECONFIG, else the pod's service account, else ~/.kube/config. `context`: one of the
        file; else its current one."""
        self._kubeconfig = kubeconfig or os.environ.get("KUBECONFIG") or None
        self._context = context
        self._loaded_at = float("-inf")
        self._configuration: Configuration
        self.ssl: ssl.SSLContext

    async def load(self) -> None:
        """Read configuration and credentials (again); Unavailable when they cannot be read now."""
        try:
            await self._load()
        except (kube_config.ConfigException, yaml.YAMLError, OSError, TypeError, KeyError, AttributeError) as problem:
            where = self._kubeconfig or "the pod's account, or ~/.kube/config"
            raise Unavailable(0, f"the credentials cannot be loaded from {where}: {problem}") from problem

    async def _load(self) -> None:
        configuration = type.__call__(Configuration)  # the class itself returns a process-wide default
        if self._in_cluster:
            kube_config.load_incluster_config(client_configuration=configuration)
        else:
            await kube_config.load_kube_config(
                config_file=self._kubeconfig,
                context=self._context,
                client_configuration=configuration,
                persist_config=False,
            )
        self._configuration = configuration
        self.ssl = RESTClientObject(configuration).ssl_context
        self._loaded_at = time.monotonic()

    async def renew(self, sent: float | None = None) -> bool:
        """Load again after a 401, unless that was done a moment ago; whether it was done since the refused request was
        sent, by this call or by another one's."""
        if sent is not None and sent < self._loaded_at:
            return True
        if time.monotonic() - self._loaded_at < _RELOAD_AT_MOST_EVERY:
            return False
        await self.load()
        return True

    @property
    def _in_cluster(self) -> bool:
        return self._kubeconfig is None and self._context is None and bool(os.environ.get(_SERVICE_ENV))

    @property
    def namespace(self) -> str:
        """The namespace that is meant where none is named: the context's, or the pod's own. Known once it is loaded."""
        if self._in_cluster:
            return own_namespace() or _DEFAULT
        document = yaml.safe_load(Path(self._kubeconfig or "~/.kube/config").expanduser().read_text(encoding="utf-8"))
        name = self._context or document.get("current-context")
        chosen: dict[str, str] = next((one["context"] for one in document["contexts"] if one["name"] == name), {})
        return str(chosen.get("namespace") or _DEFAULT)

    @property
    def server(self) -> str:
        """Base URL without a trailing slash."""
        return str(self._configuration.host).rstrip("/")

    @property
    def proxy(self) -> str | None:
        """The kubeconfig's proxy-url."""
        return self._configuration.proxy or None

    @property
    def server_hostname(self) -> str | None:
        """The name in the server's certificate, where the kubeconfig says that it is not the host's."""
        return getattr(self._configuration, "tls_server_name", None) or None

    @property
    def certificate_files(self) -> tuple[str | None, str | None, str | None]:
        """Authority, client certificate and key, for kopf's own connection."""
        configuration = self._configuration
        return configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file

    @property
    def insecure(self) -> bool:
        """Whether the kubeconfig says not to verify the server."""
        return not self._configuration.verify_ssl

    async def authorization(self) -> str | None:
        """The Authorization header, with a fresh token."""
        try:
            settings = await self._configuration.auth_settings()
        except kube_config.ConfigException as problem:  # the token file is just being replaced
            raise Unavailable(0, f"the token cannot be read: {problem}") from problem
        token = settings.get("BearerToken", {}).get("value")
        return str(token).strip() if token else None


def own_namespace() -> str | None:
    """The namespace that this process runs in, when it runs in a pod."""
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else None
