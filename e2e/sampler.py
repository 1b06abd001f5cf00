"""Asks a model over and over while something happens to it, and says which answers were promised and not given.

Promised: Ready held before the question was sent and still after the answer (or its failure) had come. One request is in
flight at a time. It must never end the run at a failure: the caller wants them all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from kubernetes import client, config

from e2e.kube import environment, is_ready


@dataclass
class Sampler:
    """`ask` raises, or returns, when the answer is wrong or right. `pause` is the time between questions in seconds."""

    name: str
    namespace: str
    ask: Callable[[], None]
    pause: float = 0.0
    promised: int = 0
    """Questions whose answer was promised."""
    unready: int = 0
    """Questions asked while Ready did not hold all the time."""
    broken: list[str] = field(default_factory=list)
    """Promised answers that did not come, or were wrong."""

    def __enter__(self) -> Sampler:
        configuration = client.Configuration()
        config.load_kube_config(config_file=environment()["KUBECONFIG"], client_configuration=configuration)
        self._api = client.CustomObjectsApi(client.ApiClient(configuration))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sampler-{self.name}")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.pause):
            before = self._ready()
            started = time.strftime("%H:%M:%S")
            failure = self._failure()
            if not (before and self._ready()):
                self.unready += 1
            elif failure:
                self.broken.append(f"{started} {failure}")
                self.promised += 1
            else:
                self.promised += 1

    def _failure(self) -> str | None:
        try:
            self.ask()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    def _ready(self) -> bool:
        try:
            resource: Any = self._api.get_namespaced_custom_object(
                "modelport.io", "v1alpha1", self.namespace, "modeldeployments", self.name
            )
        except client.ApiException as error:
            if error.status == 404:
                return False
            raise
        return is_ready(resource)
