"""`modelport why`: from a resource down to the container that keeps it from being ready, with your own rights.

It must never change anything, and never show more of a log than what the diagnosis picks out of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

import click

from modelport.api.names import KIND, LABEL_NAME
from modelport.control.evidence import read
from modelport.kube.client import ApiCluster, Cluster
from modelport.kube.connection import Connection
from modelport.kube.errors import ApiError, NotFound
from modelport.kube.kinds import MODEL_DEPLOYMENT, POD, REPLICA_SET, WATCHED, Kind
from modelport.kube.transport import Transport
from modelport.state.chain import Link, Why, why
from modelport.state.diagnosis import evidence_wanted
from modelport.state.observed import Child, Observed
from modelport.state.project import project_child, project_resource


@click.command("why")
@click.argument("name")
@click.option("-n", "--namespace", help="Default: the namespace of the kubeconfig's context.")
@click.option("--context", help="A context of the kubeconfig.")
@click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="Default: $KUBECONFIG, ~/.kube/config."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def why_command(name: str, namespace: str | None, context: str | None, kubeconfig: str | None, output: str) -> None:
    """Why a ModelDeployment is, or is not, ready.

    Prints what it has made, down to the containers of the pods that are not ready, the words that say what is wrong, and
    what to do. It looks for itself, with your rights: to get and list what the resource has made, and to get pods/log and
    list Events where a pod is not ready.
    """
    try:
        answer, notes = asyncio.run(_ask(name, namespace, context, kubeconfig))
    except ApiError as problem:
        raise click.ClickException(problem.message) from problem
    if output == "json":
        click.echo(json.dumps(document(answer, notes), indent=2))
    else:
        click.echo("\n".join(lines(answer)))
    for note in notes:
        click.echo(note, err=True)


def document(answer: Why, notes: list[str]) -> dict[str, Any]:
    """The answer as JSON."""
    cause = answer.cause
    return {
        "status": {"phase": answer.phase, "message": answer.message, "current": answer.current},
        "cause": None
        if cause is None
        else {
            "id": cause.cause,
            "reason": str(cause.reason),
            "wrong": cause.wrong,
            "advice": cause.advice,
            "words": cause.words,
            "pod": cause.pod or None,
            "container": cause.container or None,
            "terminal": cause.terminal,
        },
        "chain": asdict(answer.chain),
        "notes": notes,
    }


def lines(answer: Why) -> Iterator[str]:
    """The answer for people."""
    yield from _tree(answer.chain, "", "")
    yield ""
    cause = answer.cause
    if cause is None:
        yield f"Status  {answer.message or 'none yet: is the operator running?'}"
        return
    yield f"Cause   {cause.wrong}"
    yield f"Advice  {cause.advice}"
    if cause.message not in answer.message and answer.message:
        yield f"Status  {answer.message}"


def _tree(link: Link, first: str, rest: str) -> Iterator[str]:
    yield f"{first}{link.kind} {link.name}: {link.state}"
    inner = "│  " if link.links else "   "
    if link.words:
        yield f"{rest}{inner}{click.style(link.words, bold=True)}"
    for number, child in enumerate(link.links, 1):
        last = number == len(link.links)
        yield from _tree(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


async def _ask(name: str, namespace: str | None, context: str | None, kubeconfig: str | None) -> tuple[Why, list[str]]:
    connection = Connection(kubeconfig, context)
    await connection.load()
    transport = Transport(connection, lambda verb, resource, code, seconds: None)
    try:
        cluster = ApiCluster(transport, _writes_nothing)
        return await _look(cluster, namespace or connection.namespace, name)
    finally:
        await transport.close()


async def _look(cluster: Cluster, namespace: str, name: str) -> tuple[Why, list[str]]:
    """Two looks, the second with what the first one asked for."""
    observed = await _observe(cluster, namespace, name)
    wanted = evidence_wanted(observed)
    if wanted is None:
        return why(observed), []
    try:
        text = await read(cluster, namespace, wanted)
    except ApiError as problem:
        return why(observed), [f"what would say more cannot be read: {problem.message}"]
    return why(replace(observed, evidence={wanted.key: text})), []


async def _observe(cluster: Cluster, namespace: str, name: str) -> Observed:
    try:
        resource = project_resource(await cluster.get(MODEL_DEPLOYMENT, namespace, name))
    except NotFound as problem:
        raise click.ClickException(await _unknown(cluster, namespace, name)) from problem
    children = {kind.name: await _children(cluster, kind, namespace, name) for kind in WATCHED}
    return Observed(
        resource=resource,
        now=datetime.now(UTC),
        replica_sets=children.pop(REPLICA_SET.name),
        pods=children.pop(POD.name),
        children=tuple(child for some in children.values() for child in some),
    )


async def _children(cluster: Cluster, kind: Kind, namespace: str, name: str) -> tuple[Child, ...]:
    pages = cluster.pages(kind, namespace, f"{LABEL_NAME}={name}")
    return tuple([project_child({**item, "kind": kind.name}) async for page in pages for item in page.items])


async def _unknown(cluster: Cluster, namespace: str, name: str) -> str:
    """Which there are, when there is none of that name."""
    pages = cluster.pages(MODEL_DEPLOYMENT, namespace, "")
    names = sorted([item["metadata"]["name"] async for page in pages for item in page.items])
    near = get_close_matches(name, names, n=_NEAR, cutoff=0.5) or names[:_NEAR]
    there = f"there are {', '.join(near)}{', …' if len(names) > len(near) else ''}" if names else "there is none"
    return f"no {KIND} {name} in namespace {namespace}; {there}"


_NEAR = 5


def _writes_nothing() -> float:
    raise AssertionError("this command never writes")
