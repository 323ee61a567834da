"""What queues held over the last days, for time-aware fairness: measured here, kept in a ConfigMap, no database needed.

Between two plans a queue holds what the earlier one left it; that is summed up over a step (a two-hundredth of the
window) and becomes one sample. A process that dies loses the step it was in; the others are in ConfigMap
``runai-usage-history`` and are read at the start.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from agent.domain.nodes import Node
from agent.domain.quantities import NANOSECONDS
from agent.domain.queues import UsageShare
from agent.kube.errors import KubeError, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import CONFIG_MAP
from agent.scheduler.snapshot import QueueShares
from agent.scheduler.usage import History, Sample, Window
from agent.wire import labels
from agent.wire.config import Fairness

log = structlog.get_logger(__name__)

NAME = "runai-usage-history"
MANAGER = "runai-scheduler"
STEPS = 200
LEAST_STEP_S = 10
MAX_BYTES = 900_000
"""A ConfigMap holds a mebibyte; older samples go before it is full."""
Vector = tuple[int, int, int]


class UsageHistory:
    """``observe`` after every plan, ``shares`` before it; ``run`` keeps it. Off: it holds nothing and answers {}."""

    def __init__(self, kube: Kube, *, leading: Callable[[], bool], shard: str = "") -> None:
        self._kube, self._leading = kube, leading
        self._name = f"{NAME}-{shard}" if shard else NAME
        self._fairness = Fairness()
        self._history = History()
        self._held: dict[str, list[int]] = {}
        """Amounts × seconds of the present step."""
        self._capacity = [0, 0, 0]
        self._now: Mapping[str, Vector] = {}
        self._room: Vector = (0, 0, 0)
        self._last = 0
        self._begun = 0
        self._answer: dict[str, UsageShare] = {}
        self._answered = 0
        self._due = asyncio.Event()
        self._loaded = False

    def configure(self, fairness: Fairness) -> None:
        """A longer or shorter window keeps the samples that lie in it."""
        self._fairness = fairness
        window = Window(
            fairness.window_type, fairness.window_seconds * NANOSECONDS, fairness.half_life_seconds * NANOSECONDS
        )
        self._history = replace(self._history, window=window)
        self._answered = 0
        self._due.set()

    @property
    def _step(self) -> int:
        return max(LEAST_STEP_S, self._fairness.window_seconds // STEPS) * NANOSECONDS

    def observe(self, now: int, shares: Mapping[str, QueueShares], nodes: tuple[Node, ...]) -> None:
        """At ``now`` (ns) queues hold what ``shares`` says, until the next call."""
        if not self._fairness.enabled:
            return
        self._add_up(now)
        self._now = {name: share.allocated for name, share in shares.items() if any(share.allocated)}
        ready = [node for node in nodes if node.ready]
        self._room = (
            1000 * sum(node.gpus for node in ready),
            sum(node.cpu for node in ready),
            sum(node.memory for node in ready),
        )
        if now - self._begun >= self._step:
            self._close(now)

    def _add_up(self, now: int) -> None:
        seconds = max(0, now - self._last) // NANOSECONDS if self._last else 0
        if self._last and not seconds:
            return
        for queue, amounts in self._now.items():
            sums = self._held.setdefault(queue, [0, 0, 0])
            for index in range(3):
                sums[index] += amounts[index] * seconds
        for index in range(3):
            self._capacity[index] += self._room[index] * seconds
        self._last = now
        self._begun = self._begun or now

    def _close(self, now: int) -> None:
        """The step is over: its averages are a sample."""
        if any(self._capacity):
            held = {queue: _vector(sums) for queue, sums in self._held.items()}
            self._history = self._history.add(Sample(now, held, _vector(self._capacity)))
            self._answered = 0
            self._due.set()
        self._held, self._capacity, self._begun = {}, [0, 0, 0], now

    def shares(self, now: int) -> Mapping[str, UsageShare]:
        """Each queue's part of what there was, in millionths; worked out again once a step."""
        if not self._fairness.enabled:
            return {}
        if not self._answered or now - self._answered >= self._step:
            self._answer, self._answered = self._history.shares(now), now
        return self._answer

    # -- keeping -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read it when it is first needed; write it after every step."""
        while True:
            await self._due.wait()
            self._due.clear()
            if not self._fairness.enabled:
                continue
            try:
                if not self._loaded:
                    await self._load()
                elif self._leading():
                    await self._save()
            except KubeError as error:
                log.warning("usage_history_not_kept", error=error.message)
                await asyncio.sleep(LEAST_STEP_S)
                self._due.set()

    async def _load(self) -> None:
        try:
            found = await self._kube.get(CONFIG_MAP, self._name, labels.NAMESPACE)
        except NotFound:
            self._loaded = True
            return
        samples = decode((found.get("binaryData") or {}).get("samples") or "")
        own = self._history.samples
        older = tuple(sample for sample in samples if not own or sample.time < own[0].time)
        self._history = replace(self._history, samples=(*older, *own))
        self._answered, self._loaded = 0, True

    async def _save(self) -> None:
        samples = self._history.samples
        text = encode(samples)
        while len(text) > MAX_BYTES:
            samples = samples[len(samples) // 4 + 1 :]
            text = encode(samples)
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._name, "namespace": labels.NAMESPACE},
            "binaryData": {"samples": text},
        }
        await self._kube.apply(body, manager=MANAGER)


def encode(samples: tuple[Sample, ...]) -> str:
    """Base64 of compressed JSON: ``[[time, {queue: amounts}, capacity], …]``."""
    data = [[sample.time, sample.held, sample.capacity] for sample in samples]
    return base64.b64encode(gzip.compress(json.dumps(data, separators=(",", ":")).encode(), 6, mtime=0)).decode()


def decode(text: str) -> tuple[Sample, ...]:
    """The inverse; what cannot be read is no history."""
    try:
        data: list[Any] = json.loads(gzip.decompress(base64.b64decode(text))) if text else []
        return tuple(
            Sample(int(time), {str(queue): _vector(amounts) for queue, amounts in held.items()}, _vector(capacity))
            for time, held, capacity in data
        )
    except (ValueError, TypeError, AttributeError, OSError, EOFError):
        return ()


def _vector(amounts: list[int]) -> Vector:
    return int(amounts[0]), int(amounts[1]), int(amounts[2])
