"""The scheduler's view of the cluster as a file that ``agent.scheduler.replay`` reads: redacted, compressed.

The scheduler offers its snapshots on the process's ``Board``; ``GET /snapshot`` and the link take them from there.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.domain.constraints import Constraints
from agent.scheduler.saved import dump
from agent.scheduler.snapshot import Snapshot


class Board:
    """Where the scheduler of this process lets others read its snapshot; empty in a process without one."""

    def __init__(self) -> None:
        self._source: Callable[[], Snapshot] | None = None

    def offer(self, source: Callable[[], Snapshot]) -> None:
        self._source = source

    def read(self) -> Snapshot | None:
        """The cluster as it is now; equal to the one before, part by part the same objects, where nothing changed."""
        return self._source() if self._source is not None else None


def redacted(snapshot: Snapshot) -> Snapshot:
    """Without the labels of pods that no other pod's rules look at: they may say anything about people.

    Environment, images, commands and annotations never are in a snapshot.
    """
    keys = frozenset(key for pod in snapshot.pods for key in _looked_at(pod.constraints))
    pods = tuple(
        replace(pod, labels={key: value for key, value in pod.labels.items() if key in keys}) if pod.labels else pod
        for pod in snapshot.pods
    )
    return replace(snapshot, pods=pods)


def _looked_at(constraints: Constraints) -> Iterator[str]:
    """Keys of the labels by which these constraints choose other pods."""
    preferred = (term for _, term in constraints.preferred_pods)
    for term in (*constraints.pod_affinity, *constraints.pod_anti_affinity, *preferred):
        for requirement in term.selector:
            yield requirement.key


def document(snapshot: Snapshot, now: int) -> bytes:
    """The file: gzip of ``saved.dump``. Takes a second for ten thousand pods: call it in a thread."""
    return gzip.compress(dump(redacted(snapshot), now).encode(), 6, mtime=0)
