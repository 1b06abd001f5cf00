"""Asks a Triton server with the official client: every model ready, then the user's own request where there is one."""

from __future__ import annotations

from typing import Any

import tritonclient.http.aio as tritonclient

from modelport.asking import http
from modelport.asking.verdict import Refused
from modelport.asking.wire import Ask
from modelport.state.observed import DoorResult


class _Client(tritonclient.InferenceServerClient):  # type: ignore[misc]
    """The official client, except that it goes only where it is sent."""

    async def _get(self, request_uri: str, headers: dict[str, str] | None, query_params: dict[str, Any] | None) -> Any:
        return await self._stub.get(f"{self._url}/{request_uri}", headers=headers, allow_redirects=False)


async def ask(question: Ask) -> str:
    """What was answered, for people. Raises Refused."""
    client = _Client(question.url.removeprefix("http://"), conn_timeout=question.timeout)
    try:
        unready = [model for model in question.models if not await client.is_model_ready(model)]
    finally:
        await client.close()
    if unready:
        raise Refused(DoorResult.WRONG, f"not ready through the Service: {', '.join(unready)}")
    if question.request is not None and not question.disabled:
        return await http.ask(question)
    return f"ready: {', '.join(question.models)}"
