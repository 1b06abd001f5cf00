"""Asks a converted model a question, in numpy alone: `check.py FOLDER` fails unless it answers as the real one does.

A forward pass that shares nothing with the conversion: names, shapes, the order of rows, rounding, tokenizer and chat
template are right when the answer is. It must never read anything but the folder.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import jinja2  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import tokenizers  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray

QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris.<|im_end|>"
PROMPT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
)
TEXT = "It's 2024:  naïve 東京 \n\n\tx = [1, 23]; <|im_end|>"
Array = NDArray[np.float32]


def tensors(file: Path) -> dict[str, Array]:
    """Every tensor of a safetensors file of bfloat16, as float32; the offsets must fill the file without a gap."""
    data = file.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    found, expected = {}, 0
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        require(start == expected and entry["dtype"] == "BF16", f"{name} is not where or what it should be")
        raw = np.frombuffer(data, "<u2", (end - start) // 2, 8 + length + start)
        found[name] = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(entry["shape"])
        expected = end
    require(len(data) == 8 + length + expected, "the file is longer than its tensors")
    return found


def wanted(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a LlamaForCausalLM with tied embeddings."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries, keys = (config["head_dim"] * config[f"num_{kind}_heads"] for kind in ("attention", "key_value"))
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    return {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)} | {
        f"model.layers.{number}.{name}.weight": of
        for number in range(config["num_hidden_layers"])
        for name, of in layer.items()
    }


def normed(x: Array, weight: Array, epsilon: float) -> Array:
    scale = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(epsilon))
    return np.asarray(x / scale * weight, dtype=np.float32)


def rotated(x: Array, theta: float) -> Array:
    """Rotary positions; x is (position, head, dimension), and a pair is a dimension and the one half a head further."""
    half = x.shape[-1] // 2
    angles = np.outer(np.arange(len(x)), theta ** -(np.arange(half) / half)).astype(np.float32)[:, None, :]
    first, second = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attention(x: Array, of: dict[str, Array], config: dict[str, Any]) -> Array:
    count, size = len(x), config["head_dim"]
    q, k, v = ((x @ of[f"self_attn.{name}_proj"].T).reshape(count, -1, size) for name in "qkv")
    q, k = rotated(q, config["rope_theta"]), rotated(k, config["rope_theta"])
    groups = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, groups, axis=1), np.repeat(v, groups, axis=1)
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(np.float32(size))
    scores += np.triu(np.full((count, count), -np.inf, dtype=np.float32), 1)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", shares, v).reshape(count, -1)
    return np.asarray(mixed @ of["self_attn.o_proj"].T, dtype=np.float32)


def next_token(tokens: list[int], found: dict[str, Array], config: dict[str, Any]) -> int:
    """The likeliest token after these; everything is computed anew each time, which is fast enough here."""
    epsilon = config["rms_norm_eps"]
    x = found["model.embed_tokens.weight"][tokens]
    for number in range(config["num_hidden_layers"]):
        start = f"model.layers.{number}."
        of = {name[len(start) : -len(".weight")]: value for name, value in found.items() if name.startswith(start)}
        x = x + attention(normed(x, of["input_layernorm"], epsilon), of, config)
        inner = normed(x, of["post_attention_layernorm"], epsilon)
        gate = inner @ of["mlp.gate_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * (inner @ of["mlp.up_proj"].T)) @ of["mlp.down_proj"].T
    last = normed(x[-1:], found["model.norm.weight"], epsilon)
    return int(np.argmax(last @ found["model.embed_tokens.weight"].T))


def rendered(folder: Path) -> str:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(settings["chat_template"])
    return str(template.render(messages=[{"role": "user", "content": QUESTION}], add_generation_prompt=True))


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"the converted model is wrong: {otherwise}")


def main(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    found = tensors(folder / "model.safetensors")
    require({name: value.shape for name, value in found.items()} == wanted(config), "names or shapes of its tensors")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    back = tokenizer.decode(tokenizer.encode(TEXT).ids, skip_special_tokens=False)
    require(back == TEXT, f"text that becomes tokens comes back as {back!r}")
    require(rendered(folder) == PROMPT, f"its chat template gives {rendered(folder)!r}")
    tokens = tokenizer.encode(PROMPT).ids
    begin = len(tokens)
    while len(tokens) < begin + 16 and tokens[-1] != config["eos_token_id"]:
        tokens.append(next_token(tokens, found, config))
    answer = tokenizer.decode(tokens[begin:], skip_special_tokens=False)
    require(answer == ANSWER, f"{QUESTION!r} is answered with {answer!r}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
