"""The few reads of the API server that the set-up itself needs. It must never write."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from e2e.cluster.certificates import Pair


class Api:
    """Reads with a client certificate; no proxy is asked, whatever the environment says."""

    def __init__(self, server: str, authority: Path, pair: Pair) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(pair.certificate, pair.key)
        self._server = server
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def ok(self, path: str) -> bool:
        """Whether the path answers 200."""
        return self.read(path) is not None

    def get(self, path: str) -> Any:
        """The JSON document at the path, or None where the server gives none."""
        body = self.read(path)
        return None if body is None else json.loads(body)

    def read(self, path: str) -> bytes | None:
        """What the path answers with 200, or None for any other status and for no answer."""
        try:
            with self._opener.open(self._server + path, timeout=5) as answer:
                return bytes(answer.read())
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return None
