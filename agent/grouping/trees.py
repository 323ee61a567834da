"""Gangs with parts: the sub-groups that pods of a JobSet, a Ray cluster or a segmented job form, and who is where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Spec = Mapping[str, Any]
Labels = Mapping[str, str]
MOST_PARTS = 10_000
HEAD = "headgroup"
SEGMENT_SIZE = "kai.scheduler/segment-size"
SEGMENT_REQUIRED = "kai.scheduler/segment-topology-required-placement"
SEGMENT_PREFERRED = "kai.scheduler/segment-topology-preferred-placement"
_RAY_GROUP = "ray.io/group"
_JOB = "jobset.sigs.k8s.io/replicatedjob-name"
_JOB_INDEX = "jobset.sigs.k8s.io/job-index"
_INDEX_LABELS = (
    "training.kubeflow.org/replica-index",
    "leaderworkerset.sigs.k8s.io/worker-index",
    "batch.kubernetes.io/job-completion-index",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One sub-group: a leaf with a minimum of pods, or an inner one with a minimum of sub-groups."""

    name: str
    minimum: int = 1
    parent: str = ""
    inner: bool = False
    topology: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, slots=True)
class Tree:
    """``minimum``: how many of the top parts must start together."""

    parts: tuple[Part, ...]
    minimum: int


def ray_tree(spec: Spec) -> Tree | None:
    """Head and worker groups of a RayCluster, RayJob or RayService: each with its least replicas times its hosts."""
    cluster = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
    if not cluster.get("headGroupSpec"):
        return None
    parts = [Part(HEAD, 1)]
    for worker in cluster.get("workerGroupSpecs") or ():
        wanted = _count(worker.get("minReplicas"), _count(worker.get("replicas"), 0))
        if not worker.get("suspend") and worker.get("groupName"):
            parts.append(Part(worker["groupName"], wanted * _count(worker.get("numOfHosts"), 1)))
    return Tree(tuple(parts), len(parts))


def ray_part(labels: Labels) -> str:
    return labels.get(_RAY_GROUP, HEAD if labels.get("ray.io/node-type") == "head" else "")


def job_set_tree(spec: Spec) -> Tree | None:
    """Each replicated job is a sub-group of its jobs; in order of start one of them is enough to begin."""
    parts: list[Part] = []
    jobs = [job for job in spec.get("replicatedJobs") or () if job.get("name") and _count(job.get("replicas"), 1)]
    for job in jobs:
        inner = (job.get("template") or {}).get("spec") or {}
        count, pods = _count(job.get("replicas"), 1), _count(inner.get("parallelism"), 1)
        parts.append(Part(job["name"], count, inner=True))
        parts += [Part(f"{job['name']}-{index}", pods, job["name"]) for index in range(count)]
    if not parts or len(parts) > MOST_PARTS:
        return None
    ordered = (spec.get("startupPolicy") or {}).get("startupPolicyOrder") == "InOrder"
    return Tree(tuple(parts), 1 if ordered else len(jobs))


def job_set_part(labels: Labels) -> str:
    return f"{labels[_JOB]}-{labels.get(_JOB_INDEX, '0')}" if _JOB in labels else ""


def segment_size(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 7 else 0


def segment_tree(pods: int, size: int, topology: tuple[str, str, str]) -> Tree | None:
    """Pods in segments by their index, each close together; None where that makes no or too many segments."""
    if size < 1 or pods < 1 or -(-pods // size) > MOST_PARTS:
        return None
    starts = range(0, pods, size)
    parts = tuple(Part(f"segment-{start // size}", min(size, pods - start), topology=topology) for start in starts)
    return Tree(parts, len(parts))


def segment_part(labels: Labels, size: int) -> str:
    text = next((labels[key] for key in _INDEX_LABELS if key in labels), "0")
    return f"segment-{(int(text) if text.isdecimal() else 0) // size}"


def _count(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default
