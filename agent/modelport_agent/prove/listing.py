"""Which of the named models a server has, in each runtime's own way. Never Triton's server-wide readiness: one bad
model, or one that loads, would take the whole server out.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from modelport_agent.config import ProveConfig, Request
from modelport_agent.prove.client import NoAnswerError, get
from modelport_agent.prove.model import Contact, Listing, ModelState, Response

Ask = Callable[[Request], Awaitable[Response]]


async def list_models(config: ProveConfig, ask: Ask) -> Listing:
    """The named models as the server tells of them."""
    try:
        return await (vllm(config, ask) if config.runtime == "vllm" else triton(config, ask))
    except NoAnswerError as error:
        return Listing(error.contact, message=str(error))


async def vllm(config: ProveConfig, ask: Ask) -> Listing:
    response = await ask(get("/v1/models"))
    if response.status != 200:
        return Listing(Contact.ANSWERED, response.status, message=f"/v1/models answered {response.status}")
    try:
        listed = [str(model["id"]) for model in json.loads(response.body)["data"]]
    except (ValueError, LookupError, TypeError):
        return Listing(Contact.ANSWERED, 200, message="/v1/models did not answer with a list of models")
    hint = f"the server lists {', '.join(listed) or 'no model'}, not this name"
    models = {
        name: ModelState(True, "READY") if name in listed else ModelState(False, "MISSING", hint)
        for name in config.models
    }
    return Listing(Contact.ANSWERED, 200, models)


async def triton(config: ProveConfig, ask: Ask) -> Listing:
    models: dict[str, ModelState] = {}
    for name in config.models:
        response = await ask(get(f"/v2/models/{quote(name, safe='')}/ready"))
        if response.status in (401, 403):
            return Listing(Contact.ANSWERED, response.status)
        models[name] = ModelState(response.status == 200, "READY" if response.status == 200 else "")
    if all(state.ready for state in models.values()):
        return Listing(Contact.ANSWERED, 200, models)
    index = await ask(Request("POST", "/v2/repository/index", "application/json", b"{}"))
    return Listing(Contact.ANSWERED, 200, explained(models, index))


def explained(models: dict[str, ModelState], index: Response) -> dict[str, ModelState]:
    """The models that are not ready, with what the repository index says of them."""
    try:
        rows: list[Any] = json.loads(index.body) if index.status == 200 else []
        told = {str(row["name"]): row for row in rows}
    except (ValueError, LookupError, TypeError):
        told = {}
    return {name: state if state.ready else why(told.get(name)) for name, state in models.items()}


def why(row: dict[str, Any] | None) -> ModelState:
    if row is None:
        return ModelState(False, "MISSING", "the model repository has no such model")
    state, reason = str(row.get("state") or "UNKNOWN"), str(row.get("reason") or "")
    told = " ".join(line.strip() for line in reason.splitlines() if "<frozen " not in line).strip()
    return ModelState(False, state, told or f"Triton says {state}")
