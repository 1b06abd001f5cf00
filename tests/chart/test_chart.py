"""The chart as helm renders it: valid objects, no more rights than needed, and values that refuse a typing error."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from e2e.cluster.binaries import binary
from modelport.app.scope import Scope, Shard
from modelport.app.settings import load

CHARTS = Path(__file__).parents[2] / "charts"
CHART = CHARTS / "modelport"
KUBERNETES = "1.35"

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    program = binary("helm")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True)

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    def rendered(*values: str, chart: Path = CHART) -> Objects:
        sets = [part for value in values for part in ("--set-json", value)]
        done = helm("template", "modelport", str(chart), "--namespace", "modelport-system", *sets)
        assert done.returncode == 0, done.stderr
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    return rendered


def one(objects: Objects, kind: str, name: str = "modelport") -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def rules(objects: Objects) -> Iterator[dict[str, Any]]:
    for each in objects:
        if each["kind"] in {"Role", "ClusterRole"}:
            yield from each["rules"]


SETTINGS_IN_FULL = (
    "replicaCount=2",
    'namespaces=["models","more-models"]',
    'imagePullSecrets=[{"name":"own"}]',
    'models={"imagePullSecrets":[{"name":"theirs"}]}',
    'defaults={"resources":{"requests":{"cpu":"1"}}}',
    'hub={"endpoint":"http://hub.mirror:8080"}',
    'podAnnotations={"a":"b"}',
    'podLabels={"c":"d"}',
    'nodeSelector={"kubernetes.io/os":"linux"}',
    'tolerations=[{"key":"ops","operator":"Exists"}]',
    'affinity={"nodeAffinity":{}}',
    'priorityClassName="system-cluster-critical"',
    'serviceAccount={"create":true,"name":"mine","annotations":{"e":"f"}}',
    "metrics.perResource=true",
    'writes={"perSecond":50,"burst":10}',
)
SHARDED = ("shards=3", "replicaCount=2", 'podLabels={"c":"d"}')


@pytest.mark.parametrize("values", [(), SHARDED], ids=["defaults", "sharded"])
def test_helm_finds_nothing_to_say(
    helm: Callable[..., subprocess.CompletedProcess[str]], values: tuple[str, ...]
) -> None:
    done = helm("lint", "--strict", str(CHART), *(part for value in values for part in ("--set-json", value)))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout + done.stderr


@pytest.mark.parametrize("values", [(), SETTINGS_IN_FULL, SHARDED], ids=["defaults", "in-full", "sharded"])
def test_every_object_is_valid(render: Render, values: tuple[str, ...]) -> None:
    objects = render(*values)
    assert len(objects) >= 12
    for each in objects:
        if each["kind"] != "CustomResourceDefinition":  # its schema is checked where it is made
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_names_and_selectors_fit_together(render: Render) -> None:
    objects = render(*SETTINGS_IN_FULL)
    template = one(objects, "Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    assert one(objects, "Service", "modelport-metrics")["spec"]["selector"].items() <= labels
    assert one(objects, "Deployment")["spec"]["selector"]["matchLabels"].items() <= labels
    assert template["spec"]["serviceAccountName"] == one(objects, "ServiceAccount", "mine")["metadata"]["name"]
    for each in objects:
        if each["kind"].endswith("Binding"):
            assert each["subjects"] == [{"kind": "ServiceAccount", "name": "mine", "namespace": "modelport-system"}]
            role = each["roleRef"]
            (bound,) = [
                other
                for other in objects
                if (other["kind"], other["metadata"]["name"]) == (role["kind"], role["name"])
                and other["metadata"].get("namespace") == each["metadata"].get("namespace")
            ]
            assert bound["rules"]


def test_no_right_reaches_secrets_or_everything(render: Render) -> None:
    seen = list(rules(render()))
    assert seen
    for rule in seen:
        assert not {"*", "secrets"} & {*rule["resources"], *rule["verbs"], *rule["apiGroups"]}, rule
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"]), rule


def test_rights_are_those_the_operator_uses(render: Render) -> None:
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in one(render(), "ClusterRole")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    watch, change = {"list", "watch"}, {"create", "patch", "delete"}
    assert granted == {
        ("modelport.io", "modeldeployments"): {"get"} | watch,
        ("modelport.io", "modeldeployments/status"): {"patch"},
        ("modelport.io", "modeldeployments/finalizers"): {"update"},
        ("apps", "deployments"): {"get"} | watch | change,
        ("apps", "replicasets"): watch,
        ("", "services"): {"get"} | watch | change,
        ("", "configmaps"): {"get"} | watch | change,
        ("", "pods"): watch | {"create", "delete"},
        ("", "nodes"): {"list"},
        ("", "resourcequotas"): {"list"},
        ("", "namespaces"): {"get"},
        ("", "pods/log"): {"get"},
        ("events.k8s.io", "events"): {"list", "create"},
    }


def test_logs_are_read_only_where_the_switch_allows_it(render: Render) -> None:
    objects = render("diagnosis.readLogs=false")
    assert all("pods/log" not in rule["resources"] for rule in rules(objects))
    assert settings(objects)["diagnosis"] == {"readLogs": False}


def test_with_namespaces_the_rights_end_at_them(render: Render) -> None:
    objects = render('namespaces=["models"]', "rbac.aggregate=false")
    assert not [each for each in objects if each["kind"].startswith("ClusterRole")]
    reach = {each["metadata"]["namespace"]: each for each in objects if each["kind"] == "Role"}
    assert set(reach) == {"models", "modelport-system"}
    assert {resource for rule in reach["modelport-system"]["rules"] for resource in rule["resources"]} == {"leases"}


def test_each_shard_is_a_deployment_with_pods_and_a_lease_of_its_own(render: Render) -> None:
    objects = render(*SHARDED)
    names = [f"modelport-shard-{number}-of-3" for number in range(3)]
    deployments = [each for each in objects if each["kind"] == "Deployment"]
    assert [each["metadata"]["name"] for each in deployments] == names
    one_lease = one(objects, "Role", "modelport-lease")["rules"][0]
    assert one_lease["resourceNames"] == names
    selectors = [each["spec"]["selector"]["matchLabels"] for each in deployments]
    for number, (deployment, selector) in enumerate(zip(deployments, selectors, strict=True)):
        template = deployment["spec"]["template"]
        assert deployment["spec"]["replicas"] == 2
        assert template["spec"]["containers"][0]["args"] == ["run", f"--shard={number}/3"]
        scope = Scope((), Shard.parse(f"{number}/3"))
        assert scope.lease_name(settings(objects)["lease"]["name"]) == names[number]
        labels = template["metadata"]["labels"].items()
        assert [other.items() <= labels for other in selectors] == [other is selector for other in selectors]
        assert one(objects, "Service", "modelport-metrics")["spec"]["selector"].items() <= labels


def test_a_release_of_one_process_has_no_shard(render: Render) -> None:
    objects = render()
    assert one(objects, "Role", "modelport-lease")["rules"][0]["resourceNames"] == ["modelport"]
    assert "shard" not in str(one(objects, "Deployment"))


def test_who_may_edit_a_namespace_may_edit_its_models_but_not_their_status(render: Render) -> None:
    objects = render()
    for name, verbs in {"view": {"get"}, "edit": {"get", "create", "delete"}, "admin": {"get", "create"}}.items():
        role = one(objects, "ClusterRole", f"modelport-{name}")
        assert role["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{name}"] == "true"
        assert verbs <= set(role["rules"][0]["verbs"])
        for rule in role["rules"]:
            if "modeldeployments/status" in rule["resources"]:
                assert not {"update", "patch"} & set(rule["verbs"])


def settings(objects: Objects) -> dict[str, Any]:
    text = one(objects, "ConfigMap")["data"]["operator.yaml"]
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def test_the_settings_file_carries_the_values(render: Render) -> None:
    assert settings(render(*SETTINGS_IN_FULL)) == {
        "images": yaml.safe_load((CHART / "values.yaml").read_text())["images"],
        "imagePullSecrets": [{"name": "theirs"}],
        "hub": {"endpoint": "http://hub.mirror:8080"},
        "defaults": {"resources": {"requests": {"cpu": "1"}}},
        "namespaces": ["models", "more-models"],
        "diagnosis": {"readLogs": True},
        "door": {"mode": "service"},
        "lease": {"name": "modelport"},
        "metrics": {"perResource": True},
        "logLevel": "info",
        "writes": {"perSecond": 50, "burst": 10},
        "workers": 8,
    }


def test_the_operator_reads_what_the_chart_writes(render: Render, tmp_path: Path) -> None:
    for values in ((), SETTINGS_IN_FULL, ('door.mode="http://gateway/{namespace}/{name}/{port}"', 'logLevel="debug"')):
        written = settings(render(*values))
        file = tmp_path / "operator.yaml"
        file.write_text(yaml.safe_dump(written), encoding="utf-8")
        read = load(file, {}).model_dump(by_alias=True, mode="json")
        assert {key: read[key] for key in written} | {"lease": written["lease"]} == written
        assert read["lease"]["name"] == "modelport"


def test_only_changed_settings_restart_the_operator(render: Render) -> None:
    def checksum(*values: str) -> str:
        template = one(render(*values), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["modelport.io/settings-checksum"])

    assert checksum() == checksum("rbac.aggregate=false")
    assert checksum() != checksum('logLevel="debug"')


def test_the_operators_pod_passes_the_restricted_profile(render: Render) -> None:
    pod = one(render(), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {variable["name"] for variable in container["env"]} == {"POD_NAME", "HOME"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (container["command"], container["args"]) == (["modelport"], ["run"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("replicaCuont=2", "additional properties 'replicaCuont' not allowed"),
        ('images.vlm="x"', "at '/images': additional properties 'vlm' not allowed"),
        ('image.pullPolicy="Sometimes"', "at '/image/pullPolicy': value must be one of"),
        ('logLevel="loud"', "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
        ('workers="8"', "at '/workers': got string, want integer"),
        ("workers=0", "at '/workers': minimum: got 0, want 1"),
        ("shards=0", "at '/shards': minimum: got 0, want 1"),
        ('metrics.perResource="yes"', "at '/metrics/perResource': got string, want boolean"),
        ('door.mode="window"', "at '/door/mode': 'window' does not match pattern"),
        ('hub.endpoint="hub.mirror"', "at '/hub/endpoint': 'hub.mirror' does not match pattern"),
        ('namespaces="models"', "at '/namespaces': got string, want array"),
        ('imagePullSecrets=["regcred"]', "at '/imagePullSecrets/0': got string, want object"),
        ('resources.limit={"cpu":1}', "at '/resources': additional properties 'limit' not allowed"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    helm: Callable[..., subprocess.CompletedProcess[str]], value: str, message: str
) -> None:
    done = helm("template", "modelport", str(CHART), "--set-json", value)
    assert done.returncode != 0
    assert message in done.stderr


def test_every_value_is_in_the_schema_and_explained() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
    assert set(yaml.safe_load(text)) == set(schema) - {"global"}
    assert "``" not in text


def test_the_crd_is_an_upgradable_template_that_uninstall_keeps(render: Render) -> None:
    crd = one(render(), "CustomResourceDefinition", "modeldeployments.modelport.io")
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    source = yaml.safe_load((CHARTS.parent / "crds" / "modeldeployments.yaml").read_text(encoding="utf-8"))
    assert crd["spec"] == source["spec"]
    assert not [each for each in render("crds.install=false") if each["kind"] == "CustomResourceDefinition"]


def test_descriptions_with_templates_of_their_own_survive(render: Render, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("sync_crd", CHARTS / "sync_crd.py")
    assert spec is not None and spec.loader is not None
    sync_crd = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sync_crd)
    description = "A chat template: {{ messages }}, {{- .Values.x -}}, {%- if %}, `{{{` and }} '\"é"
    crd = {"kind": "CustomResourceDefinition", "metadata": {"name": "x"}, "spec": {"description": description}}
    chart = Path(shutil.copytree(CHART, tmp_path / "modelport"))
    (chart / "templates" / "crd.yaml").write_text(sync_crd.template(crd), encoding="utf-8")
    assert one(render(chart=chart), "CustomResourceDefinition", "x")["spec"]["description"] == description
