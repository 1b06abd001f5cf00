"""The operator's container under a kubelet: it is started anew whenever it ends. It must never hide how it ended."""

from __future__ import annotations

import threading
from types import TracebackType

from tests.engine.harness import Operator


class Container:
    """`with Container(operator) as container:` it runs, again and again."""

    def __init__(self, operator: Operator, pod: str = "operator-under-test") -> None:
        self.operator, self.pod = operator, pod
        self.exits: list[int] = []
        """Exit statuses so far; a signal is a negative number."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._restart, daemon=True)

    def __enter__(self) -> Container:
        if self.operator.process is None:
            self.operator.launch(self.pod)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _restart(self) -> None:
        while not self._over.wait(0.05):
            process = self.operator.process
            if process is not None and process.poll() is not None:
                self.exits.append(process.returncode)
                self.operator.launch(self.pod)
