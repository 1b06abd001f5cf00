"""Builds pods that fail: one about which somebody says this."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from modelport.state.diagnosis import evidence_wanted
from modelport.state.observed import ContainerFacts, Observed

from .world import AGENT, STARTED, counts, observe, pod
from .world import container as made

CORE = "(EngineCore_DP0 pid=77) ERROR 11-23 10:00:21 [core.py:866] "
VLLM = {
    "engine": (
        "(APIServer pid=1) INFO 11-23 10:00:00 [utils.py:325] vLLM\n"
        f"{CORE}EngineCore failed to start.\n"
        f"{CORE}Traceback (most recent call last):\n"
        f'{CORE}  File "/x/worker.py", line 1, in check\n'
        f"{CORE}{{}}\n"
        "(EngineCore_DP0 pid=77) Process EngineCore_DP0:\n"
        "(EngineCore_DP0 pid=77) Traceback (most recent call last):\n"
        "(APIServer pid=1) Traceback (most recent call last):\n"
        '(APIServer pid=1)   File "/x/core_client.py", line 9, in launch\n'
        "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}\n"
    ),
    "settings": (
        "(APIServer pid=1) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "(APIServer pid=1)   Value error, {} [type=value_error, input_value=ArgsKwargs((), {{'token': 'x'}}), input_type=ArgsKwargs]\n"
        "(APIServer pid=1)     For further information visit https://errors.pydantic.dev/2.12/v/value_error\n"
    ),
    "api": "(APIServer pid=1) Traceback (most recent call last):\n(APIServer pid=1) {}\n",
}
"""Where vLLM says what brought it down: in its engine, when it looks at its settings, in its API server."""
LOGS = {
    "log": lambda text: text,
    "logfile": lambda name: (Path(__file__).parent / "logs" / f"{name}.log").read_text(encoding="utf-8"),
    **{place: shape.format for place, shape in VLLM.items()},
}
CREATING = tuple(made(name, waiting_reason="PodInitializing") for name in ("agent", "server"))


def failing(message: Any, kind: str) -> Observed:
    """A pod about which that is said."""
    match kind:
        case "unschedulable":
            return observe(counts(0), (pod(unschedulable=message),))
        case "replicas":
            return observe(counts(0, replica_failure=message))
        case "pod":
            return observe(counts(0), (pod(*CREATING, phase="Failed", rejected=message),))
        case "waiting":
            state = {"waiting_reason": message["reason"], "waiting_message": message["message"]}
            return observe(counts(0), (pod(AGENT, made(**state)),))
        case "terminated":
            return observe(counts(0), (pod(AGENT, ended(**message)),))
        case "mount":
            return shown(observe(counts(0), (pod(*CREATING),)), message)
        case "proof":
            return shown(observe(counts(0), (pod(*STARTED),)), message)
    return shown(observe(counts(0), (pod(AGENT, ended()),)), LOGS[kind](message))


def ended(
    message: str | None = None, code: int = 1, reason: str = "Error", container: str = "server", **changes: Any
) -> ContainerFacts:
    """A container that ended so, and is not started again yet."""
    return replace(
        made(container),
        terminated_reason=reason,
        exit_code=code,
        terminated_message=message,
        waiting_reason="CrashLoopBackOff",
        waiting_message="back-off 10s restarting failed container",
        **changes,
    )


def shown(observed: Observed, text: str) -> Observed:
    """With what the diagnosis asks for."""
    wanted = evidence_wanted(observed)
    assert wanted is not None
    return replace(observed, evidence={wanted.key: text})
