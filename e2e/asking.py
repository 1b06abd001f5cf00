"""Real questions with the clients that people use: openai, tritonclient, curl. Each function returns what was answered."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from openai import OpenAI

Picture = npt.NDArray[np.uint8]


def client(address: str, key: str = "none") -> OpenAI:
    """The openai client on a vLLM server."""
    return OpenAI(base_url=f"http://{address}/v1", api_key=key, timeout=120, max_retries=0)


def chat(address: str, model: str, question: str, key: str = "none") -> str:
    """The answer of a chat model, greedy."""
    messages: Any = [{"role": "user", "content": question}]
    answer = client(address, key).chat.completions.create(model=model, messages=messages, max_tokens=24, temperature=0)
    return answer.choices[0].message.content or ""


def stream(address: str, model: str, question: str, key: str = "none") -> list[str]:
    """The pieces of a streamed answer, greedy."""
    messages: Any = [{"role": "user", "content": question}]
    chunks: Any = client(address, key).chat.completions.create(
        model=model, messages=messages, max_tokens=24, temperature=0, stream=True
    )
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]


def models(address: str, key: str = "none") -> list[str]:
    """The names that a vLLM server lists."""
    return [model.id for model in client(address, key).models.list().data]


def text_in_picture(address: str, picture: Picture, protocol: str = "http") -> list[str]:
    """The lines of text that the `ocr` ensemble finds in an RGB picture [height, width, 3], over HTTP or gRPC."""
    module: Any = triton_http if protocol == "http" else triton_grpc
    tensor = module.InferInput("IMAGE", list(picture.shape), "UINT8")
    tensor.set_data_from_numpy(picture)
    connection = module.InferenceServerClient(address)
    try:
        found = connection.infer("ocr", [tensor]).as_numpy("TEXT")
    finally:
        connection.close()
    return [line.decode() for line in found]


def curl(url: str, body: Any, options: Sequence[str] = ()) -> Any:
    """The JSON that curl got for a JSON body."""
    command = ["curl", "-sS", "--fail-with-body", "--max-time", "60", *options]
    command += ["-H", "Content-Type: application/json", "-d", json.dumps(body), url]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"curl {url}: {done.stderr.strip()} {done.stdout.strip()}")
    return json.loads(done.stdout)
