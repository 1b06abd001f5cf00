"""Turns the GGUF of SmolLM2 into what transformers and vLLM load: `convert.py FILE.gguf FOLDER`.

Runs in an environment of its own (tools.lock), which has no torch: safetensors and bfloat16 are written by hand. It
must never state a size or a token that the GGUF states itself.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf  # type: ignore[import-not-found, unused-ignore]
import numpy as np
from numpy.typing import NDArray

_CONTROL = 3  # the token type of llama.cpp for tokens that no text can spell
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def hf_name(name: str) -> str:
    """The name that LlamaForCausalLM gives to a tensor of llama.cpp."""
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{_LAYER[parts[2]]}.weight"
    return f"{_TOP[parts[0]]}.weight"


def in_halves(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of q and k as transformers rotates them: llama.cpp keeps the two members of a rotated pair side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper half of each float32, rounded to nearest, ties to even; weights are finite."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)


def metadata(reader: Any) -> dict[str, Any]:
    return {key: entry.contents() for key, entry in reader.fields.items()}


def weights(reader: Any, known: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...], NDArray[np.uint16]]]:
    """Name, shape and values of each tensor, one after another: all at once would take 600 MB."""
    heads = {"attn_q": known["llama.attention.head_count"], "attn_k": known["llama.attention.head_count_kv"]}
    for tensor in sorted(reader.tensors, key=lambda tensor: hf_name(tensor.name)):
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape(tensor))
        kind = tensor.name.split(".")[-2]
        yield hf_name(tensor.name), shape(tensor), bfloat16(in_halves(values, heads[kind]) if kind in heads else values)


def shape(tensor: Any) -> tuple[int, ...]:
    """GGUF counts the fastest dimension first."""
    return tuple(int(size) for size in reversed(tensor.shape))


def write_safetensors(reader: Any, known: dict[str, Any], target: Path) -> None:
    """An 8-byte length, a JSON header padded to 8 bytes, and the tensors in the header's order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, of in sorted((hf_name(tensor.name), shape(tensor)) for tensor in reader.tensors):
        start, end = end, end + 2 * int(np.prod(of))
        header[name] = {"dtype": "BF16", "shape": list(of), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, values in weights(reader, known):
            file.write(values.astype("<u2").tobytes())


def config(known: dict[str, Any]) -> dict[str, Any]:
    heads, hidden = known["llama.attention.head_count"], known["llama.embedding_length"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "head_dim": hidden // heads,
        "hidden_size": hidden,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": known["llama.feed_forward_length"],
        "max_position_embeddings": known["llama.context_length"],
        "mlp_bias": False,
        "num_attention_heads": heads,
        "num_hidden_layers": known["llama.block_count"],
        "num_key_value_heads": known["llama.attention.head_count_kv"],
        "rms_norm_eps": float(f"{known['llama.attention.layer_norm_rms_epsilon']:.6g}"),  # a float32 in the GGUF
        "rope_scaling": None,
        "rope_theta": known["llama.rope.freq_base"],
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": known["llama.vocab_size"],
        **special(known),
    }


def special(known: dict[str, Any]) -> dict[str, int]:
    names = {"bos": "bos", "eos": "eos", "pad": "padding"}
    return {f"{ours}_token_id": int(known[f"tokenizer.ggml.{theirs}_token_id"]) for ours, theirs in names.items()}


def tokenizer(known: dict[str, Any]) -> dict[str, Any]:
    """A byte-level BPE; "smollm" is llama.cpp's name for: every digit by itself, then GPT-2's way to split text."""
    if (known["tokenizer.ggml.model"], known["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
        raise SystemExit(f"no such tokenizer is known: {known['tokenizer.ggml.pre']!r}")
    tokens: list[str] = known["tokenizer.ggml.tokens"]
    byte_level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added | {"id": number} for number, added in control_tokens(known).items()],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                byte_level | {"add_prefix_space": known["tokenizer.ggml.add_space_prefix"]},
            ],
        },
        "post_processor": None,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in known["tokenizer.ggml.merges"]],
        },
    }


def control_tokens(known: dict[str, Any]) -> dict[int, dict[str, Any]]:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    kinds = known["tokenizer.ggml.token_type"]
    return {
        number: {"content": token} | flags
        for number, token in enumerate(known["tokenizer.ggml.tokens"])
        if kinds[number] == _CONTROL
    }


def special_tokens(known: dict[str, Any]) -> dict[str, Any]:
    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    tokens = known["tokenizer.ggml.tokens"]
    return {f"{ours}_token": tokens[known[f"tokenizer.ggml.{theirs}_token_id"]] for ours, theirs in names.items()}


def tokenizer_config(known: dict[str, Any]) -> dict[str, Any]:
    return special_tokens(known) | {
        "add_prefix_space": known["tokenizer.ggml.add_space_prefix"],
        "added_tokens_decoder": {str(number): added for number, added in control_tokens(known).items()},
        "chat_template": known["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": known["llama.context_length"],
        "tokenizer_class": "PreTrainedTokenizerFast",  # takes tokenizer.json as it is
    }


def main(source: str, folder: Path) -> None:
    reader = gguf.GGUFReader(source)
    known = metadata(reader)
    folder.mkdir(parents=True)
    for name, content in {
        "config.json": config(known),
        "generation_config.json": special(known),
        "special_tokens_map.json": special_tokens(known),
        "tokenizer.json": tokenizer(known),
        "tokenizer_config.json": tokenizer_config(known),
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_safetensors(reader, known, folder / "model.safetensors")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
