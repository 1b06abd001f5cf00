"""`make demo`: everything from nothing to answers. Applies one example per runtime and a broken one, waits, asks, prints."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from e2e import asking, stack
from e2e.kube import CommandError, condition, get, is_ready, kubectl, reach, until
from e2e.pictures import reference

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SERVING = ("language", "assistant", "ocr")
BROKEN = "typo"


def main() -> None:
    """Up, apply, wait, ask, print. Ends with status 1 and the table where a model did not become Ready."""
    stack.up()
    print("\n$ kubectl apply -f examples/{language,assistant,ocr,typo}.yaml", flush=True)
    for name in (*SERVING, BROKEN):
        print(kubectl("apply", "-n", stack.MODELS, "-f", str(EXAMPLES / f"{name}.yaml")).rstrip(), flush=True)
    try:
        watch_until_settled()
        ask()
    except (TimeoutError, CommandError, RuntimeError) as error:
        print(table(), flush=True)
        raise SystemExit(f"the demo failed: {error}") from None
    print(f"\n$ kubectl get mdep -n {stack.MODELS} -o wide\n{table()}")
    print("The cluster stays up: `make demo-down` takes it away. Its kubeconfig: python -m e2e.cluster kubeconfig")


def table() -> str:
    """The status table as kubectl prints it."""
    return kubectl("get", "mdep", "-n", stack.MODELS, "-o", "wide")


def watch_until_settled() -> None:
    """Until the three are Ready and the broken one says why it is not; each change of the table is printed."""
    seen: dict[str, tuple[str, str]] = {}

    def settled() -> bool:
        for name in (*SERVING, BROKEN):
            status = get("mdep", name, stack.MODELS).get("status", {})
            now = (status.get("phase", ""), status.get("message", ""))
            if now != seen.get(name):
                seen[name] = now
                stack.say(f"{name:10} {now[0]:14} {now[1]}")
        broken = condition(get("mdep", BROKEN, stack.MODELS), "Ready").get("reason")
        return broken == "FetchFailed" and all(is_ready(get("mdep", name, stack.MODELS)) for name in SERVING)

    until("language, assistant and ocr are Ready, and typo says why it is not", settled, timeout=1500, every=1)


def ask() -> None:
    """One real question per runtime, with the client that people use for it."""
    with reach("language", stack.MODELS) as address:
        text = "Où est la bibliothèque, s'il vous plaît ?"
        answer = asking.curl(f"http://{address}/predict", {"text": text})
        print(f"\ncurl -> language   {text}\n  {answer}")
    with reach("assistant", stack.MODELS) as address:
        question = "What is the capital of France?"
        print(f"openai -> assistant   {question}\n  {asking.chat(address, 'smollm2', question)}")
        print(f"  streamed: {asking.stream(address, 'smollm2', question)}")
        print(f"  models: {asking.models(address)}")
    picture, expected = reference()["invoice"]
    for protocol, port in (("http", 8000), ("grpc", 8001)):
        with reach("ocr", stack.MODELS, port) as address:
            started = time.monotonic()
            found = asking.text_in_picture(address, picture, protocol)
            print(
                f"tritonclient ({protocol}) -> ocr   a picture of {picture.shape}, {time.monotonic() - started:.1f} s\n  {found}"
            )
            if found != expected:
                raise RuntimeError(f"ocr over {protocol} found {found}, rapidocr finds {expected}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
