"""How much a server has to do, from its own Prometheus metrics. Pure, and lenient: what is not there is not known."""

from __future__ import annotations

from collections.abc import Iterable

from modelport_agent.prove.model import Work

# A token counts as progress as much as a finished request: long answers are work, not a hang.
ACTIVE = {
    "vllm": ("vllm:num_requests_running", "vllm:num_requests_waiting"),
    "triton": ("nv_inference_pending_request_count",),
}
PROGRESS = {
    "vllm": ("vllm:request_success_total", "vllm:generation_tokens_total", "vllm:prompt_tokens_total"),
    "triton": ("nv_inference_request_success", "nv_inference_request_failure"),
}


def samples(text: str, names: Iterable[str]) -> dict[str, float]:
    """The sum over all labels of each named metric that is there."""
    sums: dict[str, float] = {}
    wanted = frozenset(names)
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in wanted:
            try:
                value = float(line.rpartition("}")[2].split()[0] if "}" in line else line.split()[1])
            except (ValueError, IndexError):
                continue
            sums[name] = sums.get(name, 0.0) + value
    return sums


def work(runtime: str, metrics: str, own: int) -> Work | None:
    """What the server does for others; `own` of the requests in it are ours. None when it does not count them.

    Triton counts what waits, not what runs, so there our own waiting question is itself a sign of other work.
    """
    active = samples(metrics, ACTIVE[runtime])
    if not active:
        return None
    progress = samples(metrics, PROGRESS[runtime])
    ours = own if runtime == "vllm" else 0
    return Work(others=max(0.0, sum(active.values()) - ours), progress=sum(progress.values()))
