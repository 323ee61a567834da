"""Many workloads at once, for benchmarks and the large demo: rows only, nothing reaches a cluster."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from agent.wire.objects import Compute, WorkloadSpec
from agent.wire.phases import Phase
from projects.models import Project
from runai_cp.lib.models import uuid7
from workloads.models import DesiredPhase, PhaseChange, Pod, Workload
from workloads.services.rows import spec_columns

BATCH = 1000
PHASES = ((Phase.COMPLETED, 70), (Phase.FAILED, 10), (Phase.STOPPED, 8), (Phase.PENDING, 8), (Phase.RUNNING, 4))
MESSAGES = {
    Phase.COMPLETED: "completed: its pod ended with exit code 0",
    Phase.FAILED: "failed: exit code 1 after 1 attempt",
    Phase.STOPPED: "stopped",
    Phase.PENDING: "waits for 1 GPU: none of the nodes has one free",
    Phase.RUNNING: "1 of 1 pods runs",
}
PEOPLE = ("ann@example.test", "ben@example.test", "cem@example.test", "eva@example.test")
STEMS = ("train", "finetune", "eval", "sweep", "embed", "distill")


def fill(projects: list[Project], number: int, *, seed: int = 1) -> int:
    """Insert ``number`` workloads with a pod each, over the projects and the last 30 days. Deterministic shape.

    Managed rows without a document: they look like any other and are never sent anywhere.
    """
    dice, now = random.Random(seed), timezone.now()  # noqa: S311 (shape of a demo, not a secret)
    taken = Workload.objects.count()
    done = 0
    while done < number:
        size = min(BATCH, number - done)
        rows = [
            _workload(dice, projects[(done + index) % len(projects)], taken + done + index, now)
            for index in range(size)
        ]
        Workload.objects.bulk_create(rows)
        Pod.objects.bulk_create(pod for row in rows for pod in _pods(row))
        PhaseChange.objects.bulk_create(
            PhaseChange(workload=row, at=row.phase_since, phase=row.phase, message=row.message) for row in rows
        )
        done += size
    return done


def _workload(dice: random.Random, project: Project, index: int, now: datetime) -> Workload:
    phase = dice.choices([item for item, _ in PHASES], [weight for _, weight in PHASES])[0]
    created = now - timedelta(seconds=dice.randrange(30 * 86400))
    ended = phase in (Phase.COMPLETED, Phase.FAILED)
    since = min(now, created + timedelta(seconds=dice.randrange(20, 7200)))
    spec = WorkloadSpec(
        type=dice.choice(("training", "training", "training", "workspace")),
        image="example.local/python:3.11",
        command=("python", "-m", "train"),
        compute=Compute(gpu_devices=dice.choice((0, 1, 1, 2, 4)), cpu_milli=1000, memory_bytes=1 << 30),
        priority_class=dice.choice(("train", "train", "low", "high")),
    )
    columns: dict[str, Any] = spec_columns(spec)
    runs = phase == Phase.RUNNING
    name = f"{dice.choice(STEMS)}-{index:06d}"
    return Workload(
        id=uuid7(),
        name=name,
        object_name=name,
        project=project,
        cluster_id=project.cluster_id,
        submitted_by=dice.choice(PEOPLE),
        object_uid=uuid7(),
        desired_phase=DesiredPhase.STOPPED if phase == Phase.STOPPED else DesiredPhase.RUNNING,
        phase=phase,
        phase_since=since,
        message=MESSAGES[phase],
        running_pods=int(runs),
        ready_pods=int(runs),
        allocated_gpu_milli=columns["requested_gpu_milli"] if runs else 0,
        node_pools=["default"] if runs else [],
        started_at=since if runs or ended else None,
        completed_at=since if ended else None,
        created_at=created,
        updated_at=since,
        **columns,
    )


def _pods(row: Workload) -> Iterator[Pod]:
    state = {Phase.COMPLETED: "Succeeded", Phase.FAILED: "Failed", Phase.RUNNING: "Running", Phase.PENDING: "Pending"}
    if row.phase not in state:
        return
    yield Pod(
        cluster_id=row.cluster_id,
        uid=uuid7(),
        workload=row,
        project=row.project,
        name=f"{row.name}-0",
        namespace=row.project.namespace,
        phase=state[row.phase],
        node="node-1" if row.phase != Phase.PENDING else "",
        node_pool="default",
        containers=["main"],
        image=row.image,
        gpu_milli=row.requested_gpu_milli,
        cpu_milli=1000,
        memory_bytes=1 << 30,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.completed_at,
        exit_code={Phase.COMPLETED: 0, Phase.FAILED: 1}.get(row.phase),
        updated_at=row.updated_at,
    )
