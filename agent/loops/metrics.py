"""The metrics role: every tick measure, turn into samples, ship outbound with a credential that can do only this."""

from __future__ import annotations

import asyncio
import os
import time

import aiohttp
import structlog

from agent.loops.context import Context
from agent.loops.measuring import Measurer
from agent.loops.shipping import Shipper
from agent.metrics.aggregate import samples

log = structlog.get_logger(__name__)

EVERY_S = 15.0
BIG_NODES = 100
"""From so many nodes on, a tick is twice as long."""


def interval_s(nodes: int) -> float:
    """Seconds between ticks; ``RUNAI_AGENT_METRICS_S`` overrides. Raises ``ValueError`` for a value below 1."""
    given = os.environ.get("RUNAI_AGENT_METRICS_S")
    if given is None:
        return EVERY_S if nodes < BIG_NODES else 2 * EVERY_S
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 3600:
        raise ValueError(f"RUNAI_AGENT_METRICS_S is {given!r}, allowed is a number of seconds from 1 to 3600")
    return value


async def run(context: Context) -> None:
    """The role; ends only by an error."""
    async with aiohttp.ClientSession() as http:
        measurer = Measurer(context.kube, context.informers, http)
        shipper = Shipper(context.kube, http)
        await context.informers.synced()
        said: set[str] = set()
        while True:
            started = time.monotonic()
            every = interval_s(measurer.nodes)
            if context.leading:
                await _once(context, measurer, shipper, every, said)
            await asyncio.sleep(max(0.2, every - (time.monotonic() - started)))


async def _once(context: Context, measurer: Measurer, shipper: Shipper, every: float, said: set[str]) -> None:
    """All samples of a tick carry one time, a multiple of the interval: after a restart the rhythm is the same."""
    at_ms = int(time.time() // every * every * 1000)
    tick = await measurer.tick(at_ms)
    shipper.put(await asyncio.to_thread(samples, tick))
    trouble = await shipper.ship()
    for source, problem in measurer.problems.items():
        if source not in said:
            log.warning("source_failed", source=source, error=problem)
    said.intersection_update(measurer.problems)
    said.update(measurer.problems)
    if trouble:
        context.health.set(False, f"{shipper.waiting} batches wait: {trouble}")
    else:
        context.health.set(True, "; ".join(f"{source} does not answer" for source in sorted(measurer.problems)))
