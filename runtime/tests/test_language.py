"""The example application, loaded out of its YAML: it answers as it says, alone and served by the runtime."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "language.yaml"


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def app(documents: dict[str, Any]) -> ModuleType:
    module = ModuleType("app")
    exec(compile(documents["ConfigMap"]["data"]["app.py"], "app.py", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The weather was so good that we walked all the way to the river."),
        ("de", "Das Wetter war so schön, dass wir bis zum Fluss gelaufen sind."),
        ("fr", "Il faisait si beau que nous avons marché jusqu'à la rivière."),
        ("es", "Hacía tan buen tiempo que fuimos caminando hasta el río."),
        ("it", "Il tempo era così bello che abbiamo camminato fino al fiume."),
        ("pl", "Pogoda była tak ładna, że poszliśmy pieszo aż nad rzekę."),
        ("ru", "Погода была такой хорошей, что мы дошли пешком до реки."),
        ("zh", "今天天气很好所以我们一直走到了河边。"),
        ("ja", "天気がとても良かったので、川まで歩きました。"),
        ("ar", "كان الطقس جميلا لدرجة أننا مشينا حتى النهر."),
    ],
)
def test_names_the_language(app: ModuleType, language: str, text: str) -> None:
    answer = app.predict(app.PredictionRequest(text=text))
    assert answer.result == language
    assert 0.4 < answer.confidence <= 1


def test_looks_at_no_more_than_max_length(app: ModuleType) -> None:
    text = "Das ist ein deutscher Satz über das Wetter. " + "The rest of it is plain English prose. " * 20
    assert app.predict(app.PredictionRequest(text=text)).result == "en"
    assert app.predict(app.PredictionRequest(text=text, max_length=43)).result == "de"


def test_the_runtime_proves_and_serves_it(documents: dict[str, Any], start: Any) -> None:
    spec = documents["ModelDeployment"]["spec"]
    assert spec["fastapi"]["code"]["configMapName"] == documents["ConfigMap"]["metadata"]["name"]
    code = documents["ConfigMap"]["data"]["app.py"]
    runtime = start(code, spec["check"], spec["fastapi"]["app"])
    runtime.wait_for(200, "Answered")
    answer = runtime.ask("/predict", '{"text": "¿Dónde está la estación de tren?"}'.encode())
    assert answer.status == 200
    assert answer.json["result"] == "es"
    assert runtime.ask("/predict", b'{"text": ""}').status == 422
    assert runtime.ask("/docs").status == 200
    assert runtime.end() == 0
