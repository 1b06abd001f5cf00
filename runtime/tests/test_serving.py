"""The runtime as a process: what clients, the kubelet and Prometheus see of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

Start = Callable[..., Any]
Submit = Callable[..., Future[Any]]

QUESTION = {"method": "POST", "path": "/predict", "contentType": "application/json", "body": '{"text": "hi"}'}

# Listings 2.1 and 5.2 of the article in one application, with a model whose mood a test sets from outside:
# it can be broken, odd, blocking or slow, and well again.
ARTICLE = """
import asyncio, io, pathlib, time
from fastapi import FastAPI, UploadFile, File
from prometheus_client import Counter, Histogram, generate_latest
from pydantic import BaseModel

app = FastAPI(title="Model Service")
mood = pathlib.Path(__file__).with_name("mood")

def now():
    return mood.read_text() if mood.exists() else "well"

def model(text):
    if now() == "broken":
        raise RuntimeError("the weights are gone")
    while now() == "blocking":
        time.sleep(0.01)
    return {"label": "odd" if now() == "odd" else text.upper(), "score": 0.9}

class PredictionRequest(BaseModel):
    text: str
    max_length: int = 512

class PredictionResponse(BaseModel):
    result: str
    confidence: float

@app.post("/predict", response_model=PredictionResponse)
async def predict(request: PredictionRequest):
    output = model(request.text)
    return PredictionResponse(result=output["label"], confidence=output["score"])

@app.post("/predict/image")
async def predict_image(file: UploadFile = File(...)):
    image_bytes = await file.read()
    return {"result": image_bytes[:4].decode(), "confidence": 0.95}

@app.get("/slow")
async def slow():
    while now() != "go":
        await asyncio.sleep(0.01)
    return "done"

REQUEST_COUNT = Counter('model_requests_total', 'Total requests')
REQUEST_LATENCY = Histogram('model_request_latency_seconds', 'Request latency')

@app.middleware("http")
async def monitor(request, call_next):
    REQUEST_COUNT.inc()
    with REQUEST_LATENCY.time():
        response = await call_next(request)
    return response

@app.get("/metrics")
async def metrics():
    return generate_latest()
"""


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "request": QUESTION,
        "expect": {"status": 200, "contains": "HI"},
        "interval": 0.3,
        "timeout": 1.0,
        "drain": {"delay": 0.1, "deadline": 5.0},
        **changes,
    }


@pytest.fixture
def client() -> Iterator[Submit]:
    """Runs a request beside the test; its result, or its error, is asked for there."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


def wait_for_metric(runtime: Any, line: str) -> None:
    """A request is counted just after its last byte was sent, so its client may come first."""
    runtime.until(lambda: line in runtime.manage("/metrics").text, line)


def wait_for_one_in_flight(runtime: Any) -> None:
    wait_for_metric(runtime, "model_requests_in_progress 1.0")


def keeps(connection: Any) -> bool:
    """Whether the application lets a client keep its connection after an answer."""
    connection.request("GET", "/openapi.json")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return bool(answer.getheader("connection") != "close")


def test_serves_the_articles_application_as_it_is(start: Start) -> None:
    runtime = start(ARTICLE, settings())
    runtime.wait_for(200, "Answered")
    answer = runtime.ask("/predict", b'{"text": "Guten Tag"}')
    assert answer.json == {"result": "GUTEN TAG", "confidence": 0.9}
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="cat.png"\r\n'
        b"Content-Type: image/png\r\n\r\nMEOW picture\r\n--x--\r\n"
    )
    image = runtime.ask("/predict/image", form, "multipart/form-data; boundary=x")
    assert image.json == {"result": "MEOW", "confidence": 0.95}
    assert runtime.ask("/openapi.json").json["info"]["title"] == "Model Service"
    assert runtime.ask("/healthz").status == 404
    assert runtime.ask("/predict", b"{}").status == 422


def test_the_applications_own_metrics_stay_its_own(start: Start) -> None:
    runtime = start(ARTICLE, settings())
    runtime.wait_for(200, "Answered")
    for _ in range(3):
        runtime.ask("/predict", b'{"text": "x"}')
    own = runtime.ask("/metrics").json  # the listing returns bytes, which FastAPI sends as a JSON string
    assert "model_requests_total 5.0" in own  # one question in process, three requests, and this one
    wait_for_metric(runtime, 'model_requests_total{method="GET",status="200"} 1.0')
    page = runtime.manage("/metrics").text
    assert 'model_requests_total{method="POST",status="200"} 3.0' in page
    assert page.count("# TYPE model_requests_total counter") == 1
    assert "model_request_latency_seconds_count" in page
    assert "model_request_duration_seconds_count 4.0" in page
    assert "model_requests_in_progress 0.0" in page


@pytest.mark.parametrize("mood", ["broken", "odd"])
def test_a_wrong_answer_takes_the_pod_out_and_a_right_one_brings_it_back(start: Start, mood: str) -> None:
    runtime = start(ARTICLE, settings(interval=1.0))
    runtime.wait_for(200, "Answered")
    (runtime.folder / "mood").write_text(mood)
    broken = time.monotonic()
    runtime.wait_for(503, "WrongAnswer")
    assert time.monotonic() - broken < 2 * 1.0 + 0.5  # two intervals, and what a busy machine takes to look
    expected = "RuntimeError: the weights are gone" if mood == "broken" else "answered without 'HI'"
    assert expected in runtime.message()
    assert ("app.py:" in runtime.message()) == (mood == "broken")
    (runtime.folder / "mood").unlink()
    runtime.wait_for(200, "Answered")


def test_a_start_is_over_with_the_first_answer_also_with_a_wrong_one(start: Start, tmp_path: Path) -> None:
    """Another start would not mend it, so the kubelet is not to begin one; the log says what is wrong."""
    (tmp_path / "mood").write_text("broken")
    runtime = start("import time\ntime.sleep(1)\n" + ARTICLE, settings(interval=1.0))
    runtime.wait_for(503, "Starting")
    assert runtime.manage("/startupz").status == 503
    runtime.wait_for(503, "WrongAnswer")
    assert runtime.manage("/startupz").status == 200
    assert "prove: not ready: WrongAnswer: POST /predict answered 500" in runtime.log.read_text()
    (tmp_path / "mood").unlink()
    runtime.wait_for(200, "Answered")


def test_traffic_is_proof_until_a_request_fails(start: Start, client: Submit) -> None:
    runtime = start(ARTICLE, settings(interval=0.5, expect={"status": 200}))
    runtime.wait_for(200, "Answered")
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.wait(0.05):
            runtime.ask("/predict", b'{"text": "x"}')

    asking = client(keep_asking)
    try:
        runtime.until(lambda: "for its users" in runtime.message(), "real requests count as proof")
        (runtime.folder / "mood").write_text("broken")
        runtime.wait_for(503, "WrongAnswer")
    finally:
        stop.set()
    asking.result()


BREAKS = """
import asyncio
from pathlib import Path
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
FILE = Path("mood")


async def tokens():
    yield "HI"
    await asyncio.sleep(0.01)
    if FILE.exists():
        raise RuntimeError("the model died")


@app.post("/predict")
async def predict():
    return StreamingResponse(tokens())


@app.get("/slow")
def slow():
    import time
    while FILE.exists():
        time.sleep(0.05)
"""


def test_a_stream_that_breaks_off_is_a_wrong_answer(start: Start) -> None:
    runtime = start(BREAKS, settings(interval=0.5))
    runtime.wait_for(200, "Answered")
    (runtime.folder / "mood").write_text("broken")
    runtime.wait_for(503, "WrongAnswer")
    assert "RuntimeError: the model died" in runtime.message()


def test_a_question_that_is_not_answered_stays_the_only_one(start: Start, tmp_path: Path) -> None:
    """A handler in a thread cannot be called back: another question would only take another thread."""
    (tmp_path / "mood").write_text("stuck")
    runtime = start(BREAKS, settings(request={"path": "/slow"}, expect={"status": 200}, interval=0.2, timeout=0.2))
    runtime.wait_for(503, "NotAnswering")
    asked = runtime.log.read_text().count("prove: not ready: NotAnswering")
    threads = len(os.listdir(f"/proc/{runtime.process.pid}/task"))
    time.sleep(2)
    assert len(os.listdir(f"/proc/{runtime.process.pid}/task")) <= threads + 1
    assert asked == 1
    (tmp_path / "mood").unlink()
    runtime.wait_for(200, "Answered")


def test_a_blocked_loop_is_busy_and_alive(start: Start, client: Submit) -> None:
    runtime = start(ARTICLE, settings(timeout=2.0))
    runtime.wait_for(200, "Answered")
    (runtime.folder / "mood").write_text("blocking")
    asked = client(runtime.ask, "/predict", b'{"text": "x"}')
    runtime.wait_for(200, "Busy")
    assert runtime.manage("/healthz").status == 200
    assert not asked.done(), "all this while the application's loop did not turn"
    (runtime.folder / "mood").unlink()
    assert asked.result().status == 200
    runtime.wait_for(200, "Answered")


def test_a_loop_blocked_for_good_is_dead(start: Start) -> None:
    hang = "import time\nfrom fastapi import FastAPI\napp = FastAPI()\n\n@app.get('/')\nasync def hang():\n    {}\n"
    runtime = start(hang.format("time.sleep(3600)"), {"timeout": 0.1})
    runtime.wait_for(200, "HttpOnly")
    assert "set check.request" in runtime.message()
    connection = runtime.connect()
    connection.request("GET", "/")
    runtime.until(lambda: runtime.manage("/healthz").status == 503, "liveness notices the blocked loop")
    assert "blocked" in runtime.manage("/healthz").json["message"]
    connection.close()


def test_alive_and_not_ready_while_it_is_imported(start: Start) -> None:
    slow = "import pathlib, time\nwhile not pathlib.Path(__file__).with_name('go').exists(): time.sleep(0.01)\n"
    runtime = start(slow + ARTICLE, settings())
    runtime.wait_for(503, "Starting")
    assert runtime.manage("/healthz").status == 200
    (runtime.folder / "go").touch()
    runtime.wait_for(200, "Answered")


def test_disabled_is_ready_without_asking(start: Start) -> None:
    runtime = start(ARTICLE, settings(disabled=True, expect={"contains": "never"}))
    runtime.wait_for(200, "Disabled")


def test_lifespan_state_reaches_the_question_and_raw_asgi_apps_are_served(start: Start) -> None:
    code = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["model"] = "loaded"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    body = scope["state"]["model"].encode() + b" " + scope["path"].encode() + b" " + scope["query_string"]
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
    request = {"method": "GET", "path": "/a%20b?q=1"}
    runtime = start(code, settings(request=request, expect={"status": 201, "contains": "loaded /a b q=1"}))
    runtime.wait_for(200, "Answered")
    assert runtime.ask("/x").text == "loaded /x "
    assert runtime.end() == 0


def test_websockets_and_files_beside_the_application_work(start: Start) -> None:
    code = """
from fastapi import FastAPI, WebSocket
app = FastAPI()
label = open("label.txt").read()

@app.websocket("/ws")
async def talk(socket: WebSocket):
    await socket.accept()
    await socket.send_text(label + await socket.receive_text())
    await socket.receive_text()
"""
    runtime = start("import pathlib\npathlib.Path(__file__).with_name('label.txt').write_text('cat ')\n" + code)
    runtime.wait_for(200, "HttpOnly")
    with connect(runtime.app.replace("http", "ws") + "/ws") as socket:
        socket.send("sat")
        assert socket.recv() == "cat sat"
        wait_for_one_in_flight(runtime)
    wait_for_metric(runtime, "model_requests_in_progress 0.0")


def test_a_client_cannot_make_new_series(start: Start) -> None:
    runtime = start(ARTICLE, settings())
    runtime.wait_for(200, "Answered")
    connection = runtime.connect()
    for method, path in [("PROPFIND", "/a"), ("MKCOL", "/b")]:
        connection.request(method, path)
        connection.getresponse().read()
    connection.close()
    wait_for_metric(runtime, 'model_requests_total{method="OTHER",status="404"} 2.0')
    assert "PROPFIND" not in runtime.manage("/metrics").text


def test_drain_waits_for_requests_in_flight_and_moves_clients_away(start: Start, client: Submit) -> None:
    runtime = start(ARTICLE, settings())
    runtime.wait_for(200, "Answered")
    slow = client(runtime.ask, "/slow")
    wait_for_one_in_flight(runtime)
    connection = runtime.connect()
    assert keeps(connection)
    drained = client(runtime.manage, "/drain")
    runtime.wait_for(503, "Draining")
    assert not keeps(connection), "answered, and told to go elsewhere"
    assert not drained.done()
    (runtime.folder / "mood").write_text("go")
    assert drained.result().json == {"drained": True, "inFlight": 0}
    assert slow.result().json == "done"
    assert runtime.end() == 0


def test_drain_gives_up_at_its_deadline(start: Start, client: Submit) -> None:
    runtime = start(ARTICLE, settings(drain={"delay": 0.0, "deadline": 0.3}))
    runtime.wait_for(200, "Answered")
    slow = client(runtime.ask, "/slow")
    wait_for_one_in_flight(runtime)
    assert runtime.manage("/drain").json == {"drained": False, "inFlight": 1}
    (runtime.folder / "mood").write_text("go")
    assert slow.result().json == "done"


def test_sigterm_finishes_what_is_in_flight(start: Start, client: Submit) -> None:
    runtime = start(ARTICLE, settings())
    runtime.wait_for(200, "Answered")
    slow = client(runtime.ask, "/slow")
    wait_for_one_in_flight(runtime)
    runtime.process.terminate()
    runtime.wait_for(503, "Draining")
    (runtime.folder / "mood").write_text("go")
    assert slow.result().json == "done"
    assert runtime.process.wait(20) == 0
