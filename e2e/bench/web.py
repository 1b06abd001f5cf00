"""How the bench's programs talk to the API server: one aiohttp session, a LIST with its watch, and nothing else.

It must never retry, wait or decide: what a program of the bench costs has to be what it does.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Json = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
_PAGE = "500"
_STREAM_SECONDS = "3600"  # no watch has to be opened anew while something is measured


class BenchError(Exception):
    """Nothing can be measured; the text says why."""


@asynccontextmanager
async def session(kubeconfig: Path, connections: int) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the kubeconfig's server as its base, and at most so many connections."""
    cluster, user = _config(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=_context(cluster, user), limit=connections)
    timeout = aiohttp.ClientTimeout(total=None, connect=30)
    async with aiohttp.ClientSession(
        cluster["server"], connector=connector, timeout=timeout, read_bufsize=1 << 20
    ) as opened:
        yield opened


def _config(kubeconfig: Path) -> tuple[Json, Json]:
    """Cluster and user, of which there is one each."""
    config = yaml.safe_load(kubeconfig.read_text())
    return config["clusters"][0]["cluster"], config["users"][0]["user"]


def _context(cluster: Json, user: Json) -> ssl.SSLContext:
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return context


async def send(
    client: aiohttp.ClientSession, method: str, path: str, body: str | Json, content_type: str = "application/json"
) -> Json:
    """One write, and the object that comes back."""
    data = body if isinstance(body, str) else json.dumps(body)
    async with client.request(method, path, data=data, headers={"Content-Type": content_type}) as answer:
        content = await answer.read()
        if answer.status >= 300:
            raise BenchError(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        document: Json = json.loads(content)
        return document


async def watch(client: aiohttp.ClientSession, path: str, selector: str = "") -> AsyncIterator[Json]:
    """Every object that is there, and then each as it changes, until cancelled."""
    query = {"labelSelector": selector} if selector else {}
    page = {"continue": ""}
    while True:
        listed = await _list(client, path, {**query, "limit": _PAGE, **page})
        for item in listed["items"]:
            yield item
        if not listed["metadata"].get("continue"):
            break
        page = {"continue": listed["metadata"]["continue"]}
    query |= {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
    async with client.get(path, params={**query, "timeoutSeconds": _STREAM_SECONDS}) as stream:
        async for line in stream.content:
            event = json.loads(line)
            if event["type"] not in ("ADDED", "MODIFIED"):
                if event["type"] == "DELETED":
                    continue
                raise BenchError(f"watch of {path}: {event['object']}")
            yield event["object"]
    raise BenchError(f"the watch of {path} ended")


async def _list(client: aiohttp.ClientSession, path: str, query: dict[str, str]) -> Json:
    async with client.get(path, params=query) as answer:
        listed: Json = json.loads(await answer.read())
        if answer.status >= 300:
            raise BenchError(f"LIST {path}: {answer.status} {listed.get('message')}")
        return listed
