"""The deepest known cause of a pod's state, as a sentence with numbers. One table of words for all screens.

Sentences have no final stop. What the scheduler said is passed on unchanged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from agent.operator.facts import ContainerFacts, NodeFacts, PodFacts

SIGNALS = {1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
NOT_MOUNTED, NO_SANDBOX = "FailedMount", "FailedCreatePodSandBox"
"""Events of the kubelet: what is wrong with a volume or a sandbox stands nowhere on the pod."""
_SETTING_UP = ("ContainerCreating", "PodInitializing")


def failure(pod: PodFacts) -> tuple[str, str]:
    """(code, sentence) of why a pod failed, or why it cannot start and is given up."""
    if pod.disrupted:
        return "Disrupted", f"{pod.name} was ended from outside: {pod.disrupted}"
    for container in pod.before:
        if container.exit_code:
            return "PreparationFailed", _preparation(pod, container)
    for container in pod.containers:
        if container.waiting:
            return waiting(pod, container)
        if container.exit_code:
            return _exit(pod, container)
    text = pod.message or pod.reason or "no container reported why"
    return pod.reason or "PodFailed", f"{pod.name} failed: {text}"


def _exit(pod: PodFacts, container: ContainerFacts) -> tuple[str, str]:
    if container.ended_reason == "OOMKilled":
        limit = f" of {memory(pod.memory_limit)}" if pod.memory_limit else ""
        return "OOMKilled", f"{pod.name} used more memory than its limit{limit} and was killed{_after(container)}"
    code = container.exit_code or 0
    number = container.signal or (code - 128 if 128 < code < 160 else 0)
    by = f" ({SIGNALS[number]})" if number in SIGNALS else ""
    detail = f": {_one_line(container.ended_message)}" if container.ended_message else ""
    if container.ended_reason in ("StartError", "ContainerCannotRun"):
        return container.ended_reason, f"the command of {pod.name} cannot be started{detail}"
    return "ContainerFailed", f"{pod.name} exited with code {code}{by}{_after(container)}{detail}"


def _preparation(pod: PodFacts, container: ContainerFacts) -> str:
    """Of a container that runs before the workload's own: what it fetches or waits for is not there."""
    code = container.exit_code if container.exit_code is not None else container.last_exit_code
    detail = _one_line(container.ended_message or container.last_message)
    return f"{container.name} of {pod.name} ended with code {code}" + (f": {detail}" if detail else "")


def _after(container: ContainerFacts) -> str:
    if not container.started_at or not container.finished_at:
        return ""
    return f" after {span(container.started_at, container.finished_at)}"


def waiting(pod: PodFacts, container: ContainerFacts) -> tuple[str, str]:
    """(code, sentence) of what a container waits for."""
    text = _one_line(container.waiting_message)
    detail = f": {text}" if text else ""
    image = container.image or pod.image
    match container.waiting:
        case "InvalidImageName":
            return container.waiting, f'"{image}" is not a valid image name{detail}'
        case "ErrImagePull" | "ImagePullBackOff":
            return "ImagePullFailed", f'the image "{image}" cannot be pulled{detail}'
        case "ErrImageNeverPull":
            return "ImagePullFailed", (f'the image "{image}" is not on node {pod.node} and the pull policy is Never')
        case "CrashLoopBackOff":
            last = f" with code {container.last_exit_code}" if container.last_exit_code is not None else ""
            killed = " for lack of memory" if container.last_reason == "OOMKilled" else ""
            return (
                "CrashLoop",
                f"{pod.name} ended{last}{killed}, restarted {times(container.restarts)}, waits to restart",
            )
        case "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError":
            return container.waiting, f"the container of {pod.name} cannot be created{detail}"
    return "ContainerCreating", f"{pod.name} is being set up on node {pod.node}{detail}"


def not_started(pod: PodFacts, node: NodeFacts | None) -> tuple[str, str]:
    """(code, sentence) for a pod that has a node but does not run yet."""
    if node is not None and not node.ready:
        return "NodeNotReady", node_sentence(node)
    reason, said = pod.obstacle
    if said and reason == NOT_MOUNTED:
        return "MountFailed", f"a volume of {pod.name} cannot be mounted on node {pod.node}: {_one_line(said)}"
    if said:
        return "SandboxFailed", f"{pod.name} cannot be set up on node {pod.node}: {_one_line(said)}"
    for container in pod.before:
        if container.waiting == "CrashLoopBackOff":
            return "PreparationFailed", _preparation(pod, container) + f", tried {times(container.restarts + 1)}"
    for container in (*pod.before, *pod.containers):
        if container.waiting and container.waiting not in _SETTING_UP:
            return waiting(pod, container)
    return "ContainerCreating", f"{pod.name} is being set up on node {pod.node}"


def node_sentence(node: NodeFacts) -> str:
    since = f" since {node.not_ready_since:%Y-%m-%d %H:%M:%S} UTC" if node.not_ready_since else ""
    return f"node {node.name} is not ready{since}: {_one_line(node.ready_message)}"


def trouble(pod: PodFacts, node: NodeFacts | None) -> tuple[str, str] | None:
    """(code, sentence) when a pod that should run does not do so well."""
    if node is not None and not node.ready:
        return "NodeNotReady", node_sentence(node)
    for container in pod.containers:
        if container.waiting == "CrashLoopBackOff":
            return waiting(pod, container)
    if pod.phase == "Unknown":
        return "PodUnknown", f"node {pod.node} does not report the state of {pod.name}"
    return None


def most_common(found: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The cause that most pods share; the first in order of text where several do."""
    counts = Counter(found)
    return min(counts, key=lambda cause: (-counts[cause], cause))


def running(pods: Sequence[PodFacts], nodes: Mapping[str, NodeFacts]) -> str:
    """Where it runs. A pod on a simulated node is never passed off as a real one."""
    places = sorted({pod.node for pod in pods if pod.node})
    simulated = [name for name in places if name in nodes and nodes[name].simulated]
    if len(pods) == 1 and places:
        text = f"running on node {places[0]}"
    else:
        text = f"{count(len(pods), 'pod')} running on {count(len(places), 'node')}"
    if not simulated:
        return text
    if len(simulated) == len(places):
        kind = "a simulated node" if len(places) == 1 else "simulated nodes"
        return f"{text}, {kind}: no container really runs there"
    return f"{text}; {count(len(simulated), 'node')} of them simulated, where no container really runs"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def span(start: datetime, end: datetime) -> str:
    """``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = max(0, int((end - start).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def memory(quantity: str) -> str:
    """A plain number of bytes as people read it; other quantities as they were written."""
    if not quantity.isdigit():
        return quantity
    value = int(quantity)
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= size:
            return f"{value / size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{value} bytes"


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 300 else flat[:299] + "…"
