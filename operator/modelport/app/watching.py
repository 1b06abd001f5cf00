"""kopf's part: the watch of ModelDeployments, login and signals. Its handler only hands a projection to the cache.

It must never use kopf's indexes, daemons, timers, change-detecting handlers, annotations or finalizers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat
from typing import Any

import kopf

from modelport.api import names
from modelport.app.scope import Scope
from modelport.control.cache import Cache
from modelport.kube.connection import Connection
from modelport.kube.errors import Unavailable
from modelport.state.project import project_resource

_LOGIN_AGAIN = 1.0
"""Seconds from a refusal of the credentials to the next login."""


def settings() -> kopf.OperatorSettings:
    """kopf's settings for an operator that writes nothing through it."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.watching.chunk_size = 100
    chosen.watching.server_timeout = 600
    chosen.watching.client_timeout = 660
    chosen.watching.connect_timeout = 10
    chosen.watching.reconnect_backoff = 1.0
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 10
    chosen.networking.enforce_retry_after = True
    chosen.networking.error_backoffs = _ForEver()
    chosen.queueing.idle_timeout = 1.0
    chosen.execution.max_workers = 1
    chosen.persistence.finalizer = f"{names.GROUP}/unused"
    chosen.persistence.progress_storage = _NoProgress()
    chosen.persistence.diffbase_storage = _NoComparison()
    return chosen


class _ForEver:
    """kopf would give up after a minute without the API server, or without the right to watch one namespace of several,
    and end the process, which all others need."""

    def __iter__(self) -> Iterator[float]:
        return chain((1.0, 1.0, 2.0, 3.0, 5.0, 8.0), repeat(13.0))


class _NoComparison(kopf.DiffBaseStorage):  # type: ignore[misc]  # kopf exports it without a type
    """kopf copies each body to compare it with the last one, though only handlers that we have none of would be told."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):  # type: ignore[misc]
    """kopf keeps the progress of handlers that we have none of."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def registry(cache: Cache, connection: Connection, ours: Callable[[str], bool]) -> kopf.OperatorRegistry:
    """The one handler, and the login."""

    async def seen(event: dict[str, Any], **_: Any) -> None:
        if not ours(event["object"]["metadata"]["namespace"]):
            return
        resource = project_resource(event["object"])
        if event["type"] == "DELETED":
            cache.drop_resource((resource.namespace, resource.name), resource.resource_version)
        else:
            cache.put_resource(resource)

    logins = count()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        if number := next(logins):
            await asyncio.sleep(_LOGIN_AGAIN)
        try:
            await connection.renew()
            scheme, _space, token = (await connection.authorization() or "").partition(" ")
        except Unavailable as problem:
            raise kopf.TemporaryError(problem.message, delay=_LOGIN_AGAIN) from problem
        authority, certificate, key = connection.certificate_files
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_path=authority,
            insecure=connection.insecure,
            scheme=scheme or None,
            token=token.strip() or None,
            certificate_path=certificate,
            private_key_path=key,
            proxy_url=connection.proxy,
            priority=number,  # kopf takes nothing twice, but an API server that has just started refuses good tokens, too
        )

    handlers = kopf.OperatorRegistry()
    kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers, id="seen")(seen)
    kopf.on.login(registry=handlers, id="login")(login)
    return handlers


async def watch(cache: Cache, connection: Connection, scope: Scope) -> None:
    """Watch until SIGTERM or SIGINT, which kopf takes over. With a stop flag it would need five seconds more to end."""
    await kopf.operator(
        registry=registry(cache, connection, scope.covers),
        settings=settings(),
        standalone=True,
        identity=names.MANAGED_BY,  # else kopf asks for the user's name, and a container's user has none
        clusterwide=not scope.namespaces,
        namespaces=scope.namespaces,
    )
