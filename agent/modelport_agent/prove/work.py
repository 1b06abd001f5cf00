"""How much a server has to do, from its own Prometheus metrics. Pure, and lenient: what is not there is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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

TRITON_SECONDS, TRITON_ANSWERS = "nv_inference_request_duration_us", "nv_inference_request_success"


def samples(text: str, names: Iterable[str]) -> dict[str, float]:
    """The sum over all labels of each named metric that is there."""
    sums: dict[str, float] = {}
    for name, _, value in parsed(text, names):
        sums[name] = sums.get(name, 0.0) + value
    return sums


def parsed(text: str, names: Iterable[str]) -> Iterator[tuple[str, str, float]]:
    """Name, labels as they are written, and value of each line about the named metrics."""
    wanted = frozenset(names)
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in wanted:
            labels, _, rest = line.removeprefix(name).rpartition("}")
            try:
                yield name, labels, float(rest.split()[0])
            except (ValueError, IndexError):
                continue


def work(runtime: str, metrics: str, own: int) -> Work | None:
    """What the server does for others; `own` of the requests in it are ours. None when it does not count them.

    Triton counts what waits, not what runs, so there our own waiting question is itself a sign of other work.
    """
    active = samples(metrics, ACTIVE[runtime])
    if not active:
        return None
    progress = samples(metrics, PROGRESS[runtime])
    ours = own if runtime == "vllm" else 0
    unseen = usual(metrics) if runtime == "triton" else 0.0
    return Work(max(0.0, sum(active.values()) - ours), sum(progress.values()), unseen)


def usual(metrics: str) -> float:
    """Seconds that the slowest model's requests have taken on average; no counter of Triton's knows of one that runs."""
    found = {(name, labels): value for name, labels, value in parsed(metrics, (TRITON_SECONDS, TRITON_ANSWERS))}
    averages = [
        found.get((TRITON_SECONDS, labels), 0.0) / 1e6 / value
        for (name, labels), value in found.items()
        if name == TRITON_ANSWERS and value
    ]
    return max(averages, default=0.0)
