"""How long nobody schedules when the holder of the lease dies on another machine; whether anything is bound twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench._cluster_loads import World, queue
from bench._cluster_machine import OURS, usage

LEARN_S = 6.0
"""A standby starts and reads along."""
EVERY_S = 0.05
WITHIN_S = 30.0


@asynccontextmanager
async def _stream(world: World, number: int, sent: dict[str, float]) -> AsyncIterator[None]:
    """A pod each ``EVERY_S``, as long as the context lasts."""

    async def feed() -> None:
        for index in range(100_000):
            name = f"pod-{number}-{index:05d}"
            await world.groups([name])
            sent[name] = time.monotonic()
            await world.kube.create(world.pod(name, name, gpus=0))
            await asyncio.sleep(EVERY_S)
            if enough.is_set():
                return

    enough, task = asyncio.Event(), asyncio.create_task(feed())
    try:
        yield
    finally:
        enough.set()
        await task


async def _first_after(world: World, sent: dict[str, float], moment: float) -> float:
    """When the first pod that was sent after the moment was bound. Raises RuntimeError if none is for long."""
    while time.monotonic() - moment < WITHIN_S:
        seen = world.bindings.bound
        bound = [seen[name] for name, at in sent.items() if at > moment and name in seen]
        if bound:
            return min(bound)
        await asyncio.sleep(0.05)
    raise RuntimeError(f"nobody took over within {WITHIN_S:.0f} s:\n{world.ground.last_words()}")


async def takeover(world: World, rounds: int) -> dict[str, Any]:
    """Kill -9 the holder ``rounds`` times, each at another moment of its lease; the one that stood by goes on."""
    await world.furnish([queue("bench", "root")])
    holder = await world.begin(host="machine-0")
    before = await asyncio.to_thread(usage, world.ground)
    gaps: list[float] = []
    sent: dict[str, float] = {}
    for number in range(rounds):
        standby = world.ground.start(OURS, host=f"machine-{number + 1}")
        await asyncio.sleep(LEARN_S + number / rounds)
        async with _stream(world, number, sent):
            await asyncio.sleep(1.0)
            holder.kill()
            holder.wait()
            killed = time.monotonic()
            gaps.append(await _first_after(world, sent, killed) - killed)
        holder = standby
    if not await world.bindings.all_bound(sent, WITHIN_S):
        raise RuntimeError(f"some of {len(sent)} pods are not bound")
    after = await asyncio.to_thread(usage, world.ground)
    asked = {key: int(count - before.requests[key]) for key, count in after.requests.items()}
    return {
        "pods": len(sent),
        "takeovers": rounds,
        "takeover_max_s": round(max(gaps), 2),
        "takeover_mean_s": round(sum(gaps) / rounds, 2),
        "bound_twice": asked["POST pods/binding"] - len(sent),
        "binds_refused": sum(count for key, count in asked.items() if key.startswith("POST pods/binding (")),
    }
