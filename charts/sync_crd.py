"""Makes the chart's template of the CRD from crds/modeldeployments.yaml; `make generate` calls it.

A template, because helm never upgrades what lies in a chart's crds folder; kept on uninstall, because deleting a CRD
deletes every resource of its kind. Must never change the schema itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parent
SOURCE = CHARTS.parent / "crds" / "modeldeployments.yaml"
TARGET = CHARTS / "modelport" / "templates" / "crd.yaml"


def template(crd: dict[str, Any]) -> str:
    annotations = {**crd["metadata"].get("annotations", {}), "helm.sh/resource-policy": "keep"}
    kept = {**crd, "metadata": {**crd["metadata"], "annotations": annotations}}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1000)
    # Descriptions may show templates of their own, such as a chat template's {{ messages }}.
    literal = text.replace("{{", '{{ "{{" }}')
    return (
        "{{- /* Made by charts/sync_crd.py from crds/modeldeployments.yaml. */ -}}\n"
        "{{- if .Values.crds.install }}\n" + literal + "{{- end }}\n"
    )


if __name__ == "__main__":
    TARGET.write_text(template(yaml.safe_load(SOURCE.read_text(encoding="utf-8"))), encoding="utf-8")
