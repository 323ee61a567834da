"""Which pods a workload should have now: the decision, as a value, from the object, its pods and the time.

Nothing is remembered between calls. Every object has a fixed name, so doing the decided actions twice, or half of
them and then deciding again, ends in the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.operator import names, new_claims, routes, services, ssh
from agent.operator import pods as make
from agent.operator.facts import PodFacts, moment
from agent.operator.limits import limits
from agent.operator.load import Scale, scale
from agent.operator.pods import Object
from agent.operator.progress import Progress, Unit, leader_until, progress_of
from agent.operator.workload import WorkloadView
from agent.wire.phases import Phase

RETRY_BASE = timedelta(seconds=2)
RETRY_MAX = timedelta(minutes=6)
IMAGE_DEADLINE = timedelta(minutes=10)
"""A pod that holds its GPUs but cannot get its image for so long counts as failed, without another try."""
POOL_PATIENCE = timedelta(seconds=30)
"""A workload that names several pools is tried in the next one after waiting so long without a place."""
IMAGE_ERRORS = frozenset({"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and what to say about it. ``create`` is in order: group, service, pods."""

    progress: Progress
    end: Phase | None = None
    """Completed or Failed, once it has ended."""
    create: tuple[Object, ...] = ()
    delete: tuple[PodFacts, ...] = ()
    wanted: tuple[str, ...] = ()
    """Names of the pods that should run now, whether they exist or not."""
    retry_at: datetime | None = None
    node_pool: str = ""
    blocked: str = ""
    """Why nothing can be made for it (no project, no queue, a wrong spec), as a sentence."""
    blocked_code: str = ""
    failed_pod: PodFacts | None = None
    check_at: datetime | None = None
    """Look again then, even if nothing changes."""
    remove_workload: bool = False
    end_code: str = ""
    end_text: str = ""
    """Why it ended, where no pod failed: a limit of its own."""
    replicas: int | None = None
    low_since: datetime | None = None
    revision: str | None = None
    updating: bool = False
    """Pods of an earlier revision still run."""
    fresh: bool = False
    """Attempts and successes so far no longer count: it was stopped after its end."""


def decide(view: WorkloadView, pods: Sequence[PodFacts], now: datetime) -> Decision:
    """The next steps for one workload. Pure: same view, pods and time, same decision."""
    scaled = _scaled(view, now)
    if scaled is not None:
        view = replace(view, status=replace(view.status, replicas=scaled.replicas))
    decision = _decide(view, pods, now)
    if view.spec.type != "inference":
        return decision
    decision = replace(decision, revision=view.template)
    if scaled is None:
        return decision
    check = [at for at in (decision.check_at, scaled.check_at) if at is not None]
    low = scaled.low_since
    return replace(decision, replicas=scaled.replicas, low_since=low, check_at=min(check, default=None))


def _scaled(view: WorkloadView, now: datetime) -> Scale | None:
    rule = view.spec.autoscaling
    if rule is None or view.spec.type != "inference" or view.errors or view.spec.suspend or view.deleting:
        return None
    since = moment(view.status.started_at) or view.created_at
    return scale(rule, view.replicas, view.load, now, low_since=moment(view.status.low_since), since=since)


def _decide(view: WorkloadView, pods: Sequence[PodFacts], now: datetime) -> Decision:
    progress = progress_of(view, pods, now)
    if view.deleting:
        return Decision(progress)
    if view.spec.suspend:
        return _suspended(view, progress, pods)
    if blocked := _blocked(view, pods):
        return Decision(progress, blocked=blocked[1], blocked_code=blocked[0], end=blocked[2])
    if ended := _end(view, progress, now):
        return _ended(view, progress, pods, ended, now)
    for limit in limits(view, pods):
        if limit.due <= now:
            ended_by = _ended(view, progress, pods, Phase.FAILED, now)
            return replace(ended_by, end_code=limit.code, end_text=limit.text, failed_pod=None)
    return _running(view, progress, pods, now)


def _blocked(view: WorkloadView, pods: Sequence[PodFacts]) -> tuple[str, str, Phase | None] | None:
    """(code, sentence, end) of what keeps the operator from making anything; pods that run already are left alone."""
    if _was_final(view) and not _was_invalid(view):
        return None
    if view.errors:
        return "InvalidSpec", "; ".join(view.errors), None if pods else Phase.FAILED
    if view.project is None:
        text = f'namespace "{view.namespace}" belongs to no project; submit it to the namespace of a project'
        return "NoProject", text, None
    missing = [pool for pool in view.pools if pool not in view.project.pools]
    if missing:
        have = ", ".join(view.project.pools)
        text = f'project "{view.project.name}" has no quota in node pool "{missing[0]}"; it has quota in {have}'
        return "NoQuotaInNodePool", text, None
    if view.spec.node_type and view.node_types and view.spec.node_type not in view.node_types and not pods:
        allowed = ", ".join(view.node_types)
        text = f'node type "{view.spec.node_type}" is not among those of project "{view.project.name}": {allowed}'
        return "NodeTypeNotAllowed", text, None
    return None


def _suspended(view: WorkloadView, progress: Progress, pods: Sequence[PodFacts]) -> Decision:
    """All pods go; attempts start anew at resume, completed indexes count on unless it had ended already."""
    gone = tuple(pod for pod in pods if not pod.deleting)
    return Decision(progress, delete=gone, fresh=_was_final(view) or _stopped_after_end(view))


def _was_final(view: WorkloadView) -> bool:
    return view.status.phase in (Phase.COMPLETED, Phase.FAILED)


def _was_invalid(view: WorkloadView) -> bool:
    """Failed for its spec alone: a better spec starts it."""
    return any(reason.code == "InvalidSpec" for reason in view.status.reasons)


def _stopped_after_end(view: WorkloadView) -> bool:
    return view.status.phase in (Phase.STOPPING, Phase.STOPPED) and not view.status.succeeded_indexes


def _end(view: WorkloadView, progress: Progress, now: datetime) -> Phase | None:
    """Completed or Failed are for good: they are read back from the status when the pods are gone."""
    if _was_final(view) and not _was_invalid(view):
        return view.status.phase
    if progress.units and all(unit.succeeded for unit in progress.units) and view.restart_policy != "Always":
        return Phase.COMPLETED
    if progress.failures > view.backoff_limit:
        return Phase.FAILED
    return Phase.FAILED if _image_failure(progress, now) else None


def _image_failure(progress: Progress, now: datetime) -> PodFacts | None:
    for unit in progress.units:
        for pod in unit.pods:
            since = pod.scheduled_at or pod.created_at
            hopeless = any(container.waiting == "InvalidImageName" for container in (*pod.before, *pod.containers))
            if hopeless or (image_error(pod) and since and now - since >= IMAGE_DEADLINE):
                return pod
    return None


def image_error(pod: PodFacts) -> bool:
    return any(container.waiting in IMAGE_ERRORS for container in (*pod.before, *pod.containers))


def _ended(view: WorkloadView, progress: Progress, pods: Sequence[PodFacts], end: Phase, now: datetime) -> Decision:
    """What still runs is stopped; finished pods stay for their logs until the time to live is over."""
    failed_pod = (_image_failure(progress, now) or progress.last_failure) if end is Phase.FAILED else None
    active = _to_clean(view, pods)
    over = _expires(view, pods, now)
    if over is None or over > now or not _was_final(view):  # the end is told before it is cleared away
        return Decision(progress, end=end, delete=active, failed_pod=failed_pod, check_at=over)
    # One that came down the link is the control plane's to delete: its document would bring it back.
    everything = tuple(pod for pod in pods if not pod.deleting)
    return Decision(
        progress,
        end=end,
        delete=everything if view.managed else active,
        failed_pod=failed_pod,
        remove_workload=not view.managed,
    )


def _to_clean(view: WorkloadView, pods: Sequence[PodFacts]) -> tuple[PodFacts, ...]:
    """What goes when it has ended: what runs, unless the clean-pod policy of a distributed workload says otherwise."""
    policy = view.spec.clean_pod_policy if view.gang else None
    if policy == "None":
        return ()
    return tuple(pod for pod in pods if not pod.deleting and (pod.active or policy == "All"))


def _expires(view: WorkloadView, pods: Sequence[PodFacts], now: datetime) -> datetime | None:
    if view.spec.ttl_seconds_after_finished is None:
        return None
    written = view.status.completed_at
    at = (
        datetime.fromisoformat(written) if written else max((p.finished_at for p in pods if p.finished_at), default=now)
    )
    return at + timedelta(seconds=view.spec.ttl_seconds_after_finished)


def _running(view: WorkloadView, progress: Progress, pods: Sequence[PodFacts], now: datetime) -> Decision:
    pool, moved = _pool(view, pods, now)
    if moved:
        # First the status says which pool is next; the pods of the old one go when that is written.
        return Decision(progress, node_pool=pool, wanted=tuple(pod.name for pod in pods if pod.active))
    steps = [_unit_step(view, unit, now) for unit in _open_units(view, progress)]
    wanted = tuple(name for step in steps for name in step.wanted)
    waiting = [step.retry_at for step in steps if step.retry_at]
    delete = [pod for step in steps for pod in step.delete]
    delete += [pod for pod in progress.strays if pod.active]
    delete += [pod for pod in pods if pod.pool != view.pool and not pod.scheduled and pod.active]
    outdated = _outdated(view, pods)
    delete += _next_to_update(view, pods, outdated)
    return Decision(
        progress,
        create=(*_shared_objects(view), *(obj for step in steps for obj in step.create)),
        updating=bool(outdated),
        delete=tuple({pod.uid: pod for pod in delete if not pod.deleting}.values()),
        wanted=wanted,
        retry_at=min(waiting, default=None),
        node_pool=view.pool if len(view.pools) > 1 else "",
        failed_pod=progress.last_failure,
        check_at=min([*waiting, *_deadlines(view, pods, now)], default=None),
    )


def _deadlines(view: WorkloadView, pods: Sequence[PodFacts], now: datetime) -> list[datetime]:
    found = [
        (pod.scheduled_at or pod.created_at or now) + IMAGE_DEADLINE for pod in pods if pod.active and image_error(pod)
    ]
    if len(view.pools) > 1:
        found += [pod.unschedulable_since + POOL_PATIENCE for pod in pods if pod.unschedulable_since]
    if until := leader_until(view, pods):
        found.append(until)
    found += [limit.due for limit in limits(view, pods)]
    return [at for at in found if at > now]


def _shared_objects(view: WorkloadView) -> list[Object]:
    """What all pods of the workload need or are reached by."""
    common, owner = make.common_labels(view), make.owner_reference(view)
    found = [services.port_service(view, common, owner), services.host_file(view, common, owner)]
    found.append(routes.route(view, common, owner))
    return [obj for obj in found if obj is not None]


def _outdated(view: WorkloadView, pods: Sequence[PodFacts]) -> list[PodFacts]:
    if view.spec.type != "inference":
        return []
    return [pod for pod in pods if pod.active and not pod.deleting and pod.revision != view.template]


def _next_to_update(view: WorkloadView, pods: Sequence[PodFacts], outdated: list[PodFacts]) -> list[PodFacts]:
    """One pod after the other: the next goes when all others answer; those that do not answer anyway go first."""
    idle = [pod for pod in outdated if not pod.ready]
    if idle or not outdated:
        return idle[:1]
    current = [pod for pod in pods if pod.active and not pod.deleting]
    all_up = len(current) >= view.completions and all(pod.ready for pod in current)
    return [max(outdated, key=lambda pod: pod.index)] if all_up else []


def _pool(view: WorkloadView, pods: Sequence[PodFacts], now: datetime) -> tuple[str, bool]:
    """The pool to use, and whether that is a change."""
    active = [pod for pod in pods if pod.active and not pod.deleting and pod.pool == view.pool]
    if len(view.pools) < 2 or not active or any(pod.scheduled for pod in active):
        return view.pool, False
    waited = all(pod.unschedulable_since and now - pod.unschedulable_since >= POOL_PATIENCE for pod in active)
    if not waited:
        return view.pool, False
    return view.pools[(view.pools.index(view.pool) + 1) % len(view.pools)], True


def _open_units(view: WorkloadView, progress: Progress) -> list[Unit]:
    """Units that are on now: the first ones not done, as many as may run at a time."""
    limit = 1 if view.gang else view.parallelism
    return [unit for unit in progress.units if not unit.succeeded][:limit]


@dataclass(frozen=True, slots=True)
class _Step:
    create: tuple[Object, ...] = ()
    delete: tuple[PodFacts, ...] = ()
    wanted: tuple[str, ...] = ()
    retry_at: datetime | None = None


def _unit_step(view: WorkloadView, unit: Unit, now: datetime) -> _Step:
    older = tuple(pod for pod in unit.older if pod.active or pod.attempt < unit.attempt - 1)
    if unit.failed is None:
        if any(pod.active for pod in unit.older):
            return _Step(delete=older)
        return _attempt(view, unit, unit.attempt, older)
    left = tuple(pod for pod in unit.pods if pod.active)
    ready_at = _retry_at(unit)
    if left or ready_at > now:
        return _Step(delete=left + older, retry_at=ready_at)
    return _attempt(view, unit, unit.attempt + 1, older)


def _attempt(view: WorkloadView, unit: Unit, attempt: int, older: tuple[PodFacts, ...]) -> _Step:
    """Everything of one attempt that is not there yet. A disrupted pod goes first, its name comes again."""
    present = {pod.index: pod for pod in unit.pods if pod.attempt == attempt}
    disrupted = tuple(pod for pod in present.values() if pod.disrupted)
    missing = [index for index in unit.indexes if index not in present]
    create: list[Object] = []
    if view.gang:
        create += [make.pod_group(view, attempt), make.headless_service(view)]
        keys = ssh.secret(view, make.common_labels(view), make.owner_reference(view)) if missing else None
        create += [keys] if keys is not None else []
    if missing:
        create += new_claims.claims(view, make.common_labels(view), make.owner_reference(view))
    create += [make.pod(view, index, attempt) for index in missing]
    wanted = tuple(names.pod_name(view.name, index, attempt) for index in unit.indexes)
    return _Step(tuple(create), disrupted + older, wanted)


def _retry_at(unit: Unit) -> datetime:
    """Two seconds after the first failure, then twice as long each time, at most six minutes."""
    assert unit.failed is not None
    ended = unit.failed.finished_at or unit.failed.created_at
    pause: timedelta = RETRY_BASE * (1 << min(unit.attempt, 10))
    return ended + min(RETRY_MAX, pause) if ended else datetime.min.replace(tzinfo=UTC)
