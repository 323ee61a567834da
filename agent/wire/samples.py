"""Measurements on their way up: the metrics role posts a ``SampleBatch`` as gzip JSON to ``{link}/agent/v1/metrics``.

A sample is one number of one metric of one subject at one moment. Sending a batch twice stores it once.
Metric names are those of the public API. Units: cores, bytes, percent 0..100, whole GPUs as a float.
"""

from __future__ import annotations

from dataclasses import dataclass

CLUSTER, NODE_POOL, NODE, WORKLOAD, POD, PROJECT = "cluster", "nodepool", "node", "workload", "pod", "project"
SUBJECT_KINDS = frozenset({CLUSTER, NODE_POOL, NODE, WORKLOAD, POD, PROJECT})
"""What ``subject`` names: cluster ``""``, node pool, node and project by name, workload by workload id, pod by uid."""

MAX_SAMPLES = 20_000
"""Of one batch; a bigger tick is cut into several batches."""

MAX_TEXT = 253


@dataclass(frozen=True, slots=True)
class Sample:
    metric: str
    kind: str
    subject: str
    at_ms: int
    """Milliseconds since 1970-01-01 UTC, by the agent's clock."""
    value: float
    device: str = ""
    """Index of the GPU for metrics ``*_PER_GPU``, else empty."""


@dataclass(frozen=True, slots=True)
class SampleBatch:
    samples: tuple[Sample, ...]
    dropped: int = 0
    """Samples this agent gave up since it started because the link did not take them in time."""
    version: int = 1


def check(batch: SampleBatch) -> None:
    """Raises ``ValueError`` naming the field when a batch is too big or a sample is out of shape."""
    if len(batch.samples) > MAX_SAMPLES:
        raise ValueError(f"samples: {len(batch.samples)} given, at most {MAX_SAMPLES} are allowed in a batch")
    for index, sample in enumerate(batch.samples):
        _check_one(sample, f"samples[{index}]")


def _check_one(sample: Sample, where: str) -> None:
    if sample.kind not in SUBJECT_KINDS:
        raise ValueError(f"{where}.kind: {sample.kind!r} given, allowed are {', '.join(sorted(SUBJECT_KINDS))}")
    for name in ("metric", "subject", "device"):
        text = getattr(sample, name)
        if len(text) > MAX_TEXT or "\x00" in text:
            raise ValueError(f"{where}.{name}: must be at most {MAX_TEXT} characters without NUL")
    if not sample.metric:
        raise ValueError(f"{where}.metric: must not be empty")
    value = sample.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) > 1e300:
        raise ValueError(f"{where}.value: {value!r} given, a finite number is needed")
