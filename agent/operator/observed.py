"""What the objects of a workload mean: its phase, one sentence, reasons and counts, from what is observed only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agent.operator import causes
from agent.operator.facts import GroupFacts, NodeFacts, PodFacts
from agent.operator.lifecycle import Decision, image_error
from agent.operator.progress import format_indexes, parse_indexes
from agent.operator.routes import urls
from agent.operator.workload import WorkloadStatus, WorkloadView
from agent.wire.phases import Phase
from agent.wire.reports import Condition, ReasonReport

GPU_MEMORY_EXCEEDED = "GpuMemoryExceeded"
"""Condition: more GPU memory is used than was asked for. Nobody is stopped for it; neighbours may run out of memory."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A phase with its sentence and reasons."""

    phase: Phase
    message: str
    reasons: tuple[ReasonReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What the shell saw for one workload. ``refused``: what the API server said when objects were made; ``invalid``:
    it will say so for ever as the spec stands."""

    pods: Sequence[PodFacts]
    nodes: Mapping[str, NodeFacts]
    groups: Sequence[GroupFacts] = ()
    refused: str = ""
    invalid: bool = False


def status_of(view: WorkloadView, decision: Decision, seen: Observation, now: datetime) -> WorkloadStatus:
    """The status to write. Equal facts give an equal status, so that nothing is written when nothing changed."""
    finding = find(view, decision, seen, now)
    last = view.status
    mine = [pod for pod in seen.pods if pod.name in decision.wanted]
    holding = [pod for pod in seen.pods if pod.scheduled and pod.active]
    final = finding.phase in (Phase.COMPLETED, Phase.FAILED)
    same = finding.phase == last.phase and last.phase_since is not None
    return WorkloadStatus(
        phase=finding.phase,
        message=finding.message,
        reasons=finding.reasons,
        conditions=_conditions(view, finding, mine, decision, now),
        desired_pods=0 if final or view.spec.suspend or view.deleting else len(decision.wanted),
        running_pods=sum(1 for pod in seen.pods if _runs(pod)),
        ready_pods=sum(1 for pod in seen.pods if _runs(pod) and pod.ready),
        failed_attempts=0
        if view.spec.suspend
        else max(decision.progress.failures, last.failed_attempts if final else 0),
        allocated_gpu_milli=sum(pod.gpu_milli for pod in holding),
        node_pools=tuple(sorted({pod.pool for pod in holding})),
        started_at=_started(view, seen.pods),
        completed_at=(last.completed_at if last.phase == finding.phase else None) or _stamp(_finished(seen.pods, now))
        if final
        else None,
        phase_since=last.phase_since if same else _stamp(now),
        observed_generation=view.generation,
        attempts={} if view.spec.suspend else decision.progress.attempts,
        succeeded_indexes=_succeeded(view, decision),
        node_pool=decision.node_pool,
        replicas=decision.replicas,
        low_since=_stamp(decision.low_since) if decision.low_since else None,
        revision=decision.revision,
        project=view.project.name if view.project else None,
        urls=urls(view) if not final and not view.spec.suspend else (),
        rules=view.rules if view.project else view.status.rules,
        gpus=_decimal(sum(pod.gpu_milli for pod in holding)),
    )


def find(view: WorkloadView, decision: Decision, seen: Observation, now: datetime) -> Finding:
    """The phase (runai-features' table of statuses) and why."""
    if view.deleting:
        return Finding(Phase.DELETING, _leaving("being deleted", seen.pods))
    if view.spec.suspend:
        left = [pod for pod in seen.pods if pod.active or pod.deleting]
        return Finding(Phase.STOPPING, _leaving("stopping", left)) if left else Finding(Phase.STOPPED, "stopped")
    if decision.blocked:
        reason = ReasonReport(decision.blocked_code, decision.blocked)
        phase = decision.end or (Phase.CREATING if not seen.pods else view.status.phase)
        return Finding(phase, decision.blocked, (reason,))
    if decision.end is not None:
        return _ended(view, decision, seen)
    mine = [pod for pod in seen.pods if pod.name in decision.wanted]
    if decision.replicas == 0 and not mine:
        return Finding(Phase.RUNNING, "scaled to zero: the next request starts a pod")
    if not mine:
        return _nothing_yet(view, decision, seen, now)
    return _alive(view, decision, seen, mine)


def _ended(view: WorkloadView, decision: Decision, seen: Observation) -> Finding:
    if view.status.phase == decision.end and view.status.message:
        return Finding(decision.end, view.status.message, view.status.reasons)
    if decision.end is Phase.COMPLETED:
        done = view.completions
        text = "completed" if done == 1 else f"completed: {done} of {done} pods succeeded"
        return Finding(Phase.COMPLETED, text + _made_up(seen))
    if decision.end_text:
        return Finding(Phase.FAILED, decision.end_text, (ReasonReport(decision.end_code, decision.end_text),))
    code, text = causes.failure(decision.failed_pod) if decision.failed_pod else ("Failed", "failed")
    failures = decision.progress.failures
    if failures > 1:
        limit = causes.count(view.backoff_limit, "retry").replace("retrys", "retries")
        text = f"{text}; attempt {failures} failed and the limit is {limit}"
    text += _made_up(seen)
    return Finding(Phase.FAILED, text, (ReasonReport(code, text),))


def _made_up(seen: Observation) -> str:
    simulated = any(pod.node in seen.nodes and seen.nodes[pod.node].simulated for pod in seen.pods)
    return " (simulated: no container really ran)" if simulated else ""


def _nothing_yet(view: WorkloadView, decision: Decision, seen: Observation, now: datetime) -> Finding:
    """None of the pods it should have is there."""
    if seen.refused:
        text = f"the API server refuses its pods: {seen.refused}"
        if seen.invalid:
            return Finding(Phase.FAILED, text, (ReasonReport("InvalidSpec", text),))
        return Finding(Phase.CREATING, text, (ReasonReport("CreateRefused", text),))
    if decision.retry_at is not None and decision.failed_pod is not None:
        code, text = causes.failure(decision.failed_pod)
        tries = f"{decision.progress.failures} of {view.backoff_limit + 1} attempts failed"
        text = f"{text}; {tries}, the next starts at {decision.retry_at:%H:%M:%S} UTC"
        return Finding(Phase.PENDING, text, (ReasonReport(code, text),))
    ending = [pod for pod in seen.pods if pod.deleting]
    if ending:
        return Finding(Phase.TERMINATING, _leaving("ending", ending))
    again = view.status.phase in (Phase.STOPPED, Phase.STOPPING, Phase.RESUMING)
    text = f"making {causes.count(len(decision.wanted) or 1, 'pod')}"
    return Finding(Phase.RESUMING if again else Phase.CREATING, text)


def _alive(view: WorkloadView, decision: Decision, seen: Observation, mine: Sequence[PodFacts]) -> Finding:
    expected = len(decision.wanted)
    ending = [pod for pod in mine if pod.deleting]
    if ending and len(ending) == len(mine):
        why = next((pod.evicted for pod in ending if pod.evicted), "")
        word = f"evicted: {why}" if why else "its pods are being deleted and will be made again"
        return Finding(Phase.TERMINATING, _leaving(word, ending))
    running = [pod for pod in mine if _runs(pod) or pod.phase == "Succeeded"]
    waiting = [pod for pod in mine if not pod.scheduled and not pod.finished and not pod.deleting]
    troubles = [found for pod in mine if not pod.deleting if (found := _trouble(pod, seen.nodes)) is not None]
    if troubles:
        return _troubled(troubles, running, expected)
    if view.spec.min_replicas is not None and view.minimum <= len(running) < expected:
        text = f"{len(running)} of {causes.count(expected, 'pod')} running; it is elastic from {view.minimum} on"
        return Finding(Phase.RUNNING, text)
    if (not running or (view.gang and _first_time(view))) and (waiting or len(mine) < expected):
        return _pending(seen, waiting, mine, expected)
    if decision.updating and running:
        return Finding(Phase.UPDATING, f"updating: {len(running)} of {causes.count(expected, 'pod')} running")
    if not running:
        return _initializing(mine, seen, expected)
    if len(running) == expected:
        text = causes.running([pod for pod in running if _runs(pod)] or running, seen.nodes)
        excess = next((f"; {pod.name}: {pod.gpu_memory_excess}" for pod in mine if pod.gpu_memory_excess), "")
        return Finding(Phase.RUNNING, text + excess)
    return _partly(view, seen, mine, running, waiting, expected)


def _troubled(troubles: list[tuple[str, str]], running: Sequence[PodFacts], expected: int) -> Finding:
    code, text = causes.most_common(troubles)
    lost = code == "NodeNotReady" and len(troubles) == expected
    if expected > 1:
        text = f"{len(troubles)} of {causes.count(expected, 'pod')} in trouble: {text}"
    return Finding(Phase.UNKNOWN if lost else Phase.DEGRADED, text, (ReasonReport(code, text),))


def _pending(seen: Observation, waiting: Sequence[PodFacts], mine: Sequence[PodFacts], expected: int) -> Finding:
    """Waits for a place: the scheduler's own sentence, from its pod group or else from its pods."""
    reasons = [
        ReasonReport(code, text, node_pool=pool or None, details=dict(details))
        for group in seen.groups
        for code, text, pool, details in group.reasons
        if text
    ]
    if not reasons:
        texts = [("Unschedulable", pod.unschedulable) for pod in waiting if pod.unschedulable]
        if texts:
            code, text = causes.most_common(texts)
            reasons = [ReasonReport(code, text, node_pool=waiting[0].pool)]
    if reasons:
        return Finding(Phase.PENDING, reasons[0].message, tuple(reasons))
    if seen.refused:
        text = f"{len(mine)} of {causes.count(expected, 'pod')} made; the API server refuses more: {seen.refused}"
        return Finding(Phase.PENDING, text, (ReasonReport("CreateRefused", text),))
    return Finding(Phase.PENDING, "waiting for the scheduler")


def _initializing(mine: Sequence[PodFacts], seen: Observation, expected: int) -> Finding:
    starting = [pod for pod in mine if not pod.finished and not pod.deleting]
    found = [causes.not_started(pod, seen.nodes.get(pod.node)) for pod in starting]
    if not found:
        return Finding(Phase.INITIALIZING, "waiting for the kubelet")
    bad = [cause for cause in found if cause[0] != "ContainerCreating"]
    code, text = causes.most_common(bad or found)
    if expected > 1 and not bad:
        text = f"starting {causes.count(expected, 'pod')}"
    return Finding(Phase.INITIALIZING, text, (ReasonReport(code, text),))


def _partly(
    view: WorkloadView,
    seen: Observation,
    mine: Sequence[PodFacts],
    running: Sequence[PodFacts],
    waiting: Sequence[PodFacts],
    expected: int,
) -> Finding:
    """Some run and some do not: that is normal for independent pods and while a gang starts, else degraded."""
    head = f"{len(running)} of {causes.count(expected, 'pod')} running"
    if waiting:
        rest = _pending(seen, waiting, mine, expected)
        phase = Phase.DEGRADED if view.gang else Phase.RUNNING
        return Finding(phase, f"{head}; {len(waiting)} waiting: {rest.message}", rest.reasons)
    starting = _initializing([pod for pod in mine if pod not in running], seen, expected)
    text = f"{head}; {starting.message}"
    if view.gang:
        return Finding(Phase.INITIALIZING if _first_time(view) else Phase.DEGRADED, text, starting.reasons)
    return Finding(Phase.RUNNING, text, starting.reasons)


def _first_time(view: WorkloadView) -> bool:
    """It has not been up in this attempt: members that come one by one are no trouble yet."""
    return view.status.phase in (Phase.CREATING, Phase.PENDING, Phase.INITIALIZING, Phase.RESUMING)


def _trouble(pod: PodFacts, nodes: Mapping[str, NodeFacts]) -> tuple[str, str] | None:
    if pod.finished or not pod.scheduled or (pod.phase == "Pending" and not image_error(pod)):
        return None
    return causes.trouble(pod, nodes.get(pod.node))


def _runs(pod: PodFacts) -> bool:
    return pod.phase == "Running" and not pod.deleting


def _leaving(word: str, pods: Sequence[PodFacts]) -> str:
    return f"{word}; waiting for {causes.count(len(pods), 'pod')} to end" if pods else word


def _started(view: WorkloadView, pods: Sequence[PodFacts]) -> str | None:
    """First start since it was submitted or resumed."""
    if view.spec.suspend and not any(pod.active for pod in pods):
        return None
    found = min((pod.started_at for pod in pods if pod.started_at), default=None)
    return view.status.started_at or (_stamp(found) if found else None)


def _finished(pods: Sequence[PodFacts], now: datetime) -> datetime:
    return max((pod.finished_at for pod in pods if pod.finished_at), default=now)


def _succeeded(view: WorkloadView, decision: Decision) -> str:
    if view.gang or decision.fresh:
        return view.status.succeeded_indexes if view.gang and not decision.fresh else ""
    return format_indexes(parse_indexes(view.status.succeeded_indexes) | set(decision.progress.succeeded_indexes))


def _conditions(
    view: WorkloadView, finding: Finding, mine: Sequence[PodFacts], decision: Decision, now: datetime
) -> tuple[Condition, ...]:
    """Scheduled, Ready and Finished, each with the time of its last change; GpuMemoryExceeded once that was so."""
    placed = bool(mine) and len(mine) == len(decision.wanted) and all(pod.scheduled for pod in mine)
    final = finding.phase in (Phase.COMPLETED, Phase.FAILED)
    states = {
        "Scheduled": (placed, finding.phase.value),
        "Ready": (finding.phase is Phase.RUNNING, finding.phase.value),
        "Finished": (final, finding.phase.value),
    }
    before = {condition.type: condition for condition in view.status.conditions}
    excess = next((f"{pod.name}: {pod.gpu_memory_excess}" for pod in mine if pod.gpu_memory_excess), "")
    if excess or GPU_MEMORY_EXCEEDED in before:
        states[GPU_MEMORY_EXCEEDED] = (bool(excess), "MemoryAboveRequest" if excess else "MemoryWithinRequest")
    found = []
    for name, (true, reason) in states.items():
        text = excess if name == GPU_MEMORY_EXCEEDED else ""
        if name == "Ready" and not true and finding.reasons:  # what people and programs that wait for it see
            reason, text = finding.reasons[0].code, finding.message
        fresh = Condition(name, "True" if true else "False", reason, text)
        old = before.get(name)
        since = old.last_transition_time if old is not None and old.status == fresh.status else _stamp(now)
        found.append(replace(fresh, last_transition_time=since))
    return tuple(found)


def _decimal(milli: int) -> str:
    return f"{milli / 1000:.3f}".rstrip("0").rstrip(".")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
