"""`modelport render`: the children of ModelDeployments, from the operator's own code. Must never contact a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import click
import yaml
from pydantic import ValidationError

from modelport.api.names import API_VERSION, KIND
from modelport.render import defaults
from modelport.render.desired import Desired, Identity, Invalid
from modelport.render.platform import Platform, platform_from, wrong
from modelport.render.render import render
from modelport.render.unknown import unknown_fields
from modelport.runtimes.base import Problem

PLACEHOLDER_UID = "00000000-0000-0000-0000-000000000000"
"""The real uid is the API server's to give."""


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: what looks like a date is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Without anchors, and texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


@click.command("render")
@click.option(
    "-f", "--filename", "files", type=click.File(), multiple=True, required=True, help="YAML file; - for stdin."
)
@click.option("--platform", "platform_file", type=click.File(), help="Values of the installation's chart.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace where a document names none.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def render_command(files: tuple[IO[str], ...], platform_file: IO[str] | None, namespace: str, output: str) -> None:
    """Print what ModelDeployments become, without a cluster.

    Documents of other kinds are left out. Problems go to stderr, one line per field, and the exit code is 1.
    """
    platform = Platform() if platform_file is None else _platform(platform_file)
    manifests: list[Mapping[str, Any]] = []
    failed = False
    for document in _model_deployments(files):
        result = _render(document, namespace, platform)
        if isinstance(result, Desired):
            manifests += [child.manifest for child in result.children]
            continue
        failed = True
        for problem in result.problems:
            click.echo(f"{_name(document)}: {problem}", err=True)
    if manifests:
        click.echo(dump(manifests, output), nl=False)
    if failed:
        raise SystemExit(1)


def dump(manifests: Iterable[Mapping[str, Any]], output: str) -> str:
    """The manifests as kubectl takes them."""
    if output == "json":
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}, indent=2) + "\n"
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)


def _platform(file: IO[str]) -> Platform:
    """From the chart's values, of which `images`, `hub`, `defaults` and `models` are about models."""
    values = _load(file)[0] or {}
    models = values.get("models") or {} if isinstance(values, Mapping) else None
    if not isinstance(models, Mapping):
        raise click.ClickException(f"{file.name}: {_NO_VALUES}")
    given = {**{key: values.get(key) for key in _ABOUT_MODELS}, "imagePullSecrets": models.get("imagePullSecrets")}
    try:
        platform = platform_from({key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise click.ClickException(f"{file.name}: {wrong(error)}") from error
    if problems := defaults.problems(platform):
        raise click.ClickException(f"{file.name}: " + "; ".join(map(str, problems)))
    return platform


_ABOUT_MODELS = ("images", "hub", "defaults")
_NO_VALUES = "has to be a map of settings, as the chart's values.yaml, and so has `models` in it"


def _render(document: Mapping[str, Any], namespace: str, platform: Platform) -> Desired | Invalid:
    metadata, spec = document.get("metadata"), document.get("spec")
    if not isinstance(spec, Mapping) or not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        return Invalid((Problem("spec", "metadata.name and spec are required"),))
    unknown = tuple(unknown_fields(spec))
    identity = Identity(str(metadata.get("namespace") or namespace), metadata["name"], PLACEHOLDER_UID)
    result = render(identity, spec, platform)
    problems = unknown + (result.problems if isinstance(result, Invalid) else ())
    return Invalid(problems) if problems else result


def _model_deployments(files: Iterable[IO[str]]) -> Iterator[Mapping[str, Any]]:
    for file in files:
        for document in _load(file):
            if not isinstance(document, Mapping):
                continue
            if (document.get("apiVersion"), document.get("kind")) == (API_VERSION, KIND):
                yield document
            else:
                click.echo(f"{_name(document)}: {document.get('kind')} is not rendered", err=True)


def _load(file: IO[str]) -> list[Any]:
    try:
        return [document for document in yaml.load_all(file, Loader=_Loader) if document is not None] or [None]
    except yaml.YAMLError as error:
        raise click.ClickException(f"{file.name}: is not YAML: {error}") from error
    except RecursionError as error:
        raise click.ClickException(f"{file.name}: is nested too deeply to be read") from error


def _name(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    return str(metadata.get("name") if isinstance(metadata, Mapping) else None)
