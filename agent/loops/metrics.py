"""The metrics role: every tick measure, turn into samples, ship outbound with a credential that can do only this."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial

import aiohttp
import structlog

from agent.kube.cache import Change
from agent.kube.resources import POD
from agent.loops.configured import Configured, pool_label
from agent.loops.context import Context
from agent.loops.marking import Marker
from agent.loops.measuring import Measurer
from agent.loops.shipping import Shipper
from agent.metrics.aggregate import samples
from agent.wire import labels

log = structlog.get_logger(__name__)

EVERY_S = 15.0
LEAST_S = 2.0
"""Ticks are at least this far apart."""
SETTLE_S = 1.0
"""A pod that has just started is measured this much later."""
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
        label = partial(pool_label, context.settings, Configured(context.informers))
        measurer = Measurer(context.kube, context.informers, http, pool_label=label)
        shipper = Shipper(context.kube, http)
        marker = Marker(context.kube, context.informers)
        started = asyncio.Event()
        context.informers.store(POD).on_change(lambda change: started.set() if _starts(change) else None, replay=False)
        await context.informers.synced()
        said: set[str] = set()
        while True:
            due = time.monotonic() + interval_s(measurer.nodes)
            started.clear()
            if context.leading:
                await _once(context, measurer, shipper, marker, said)
            await _pause(started, due)


async def _pause(started: asyncio.Event, due: float) -> None:
    """Until the next tick is due; earlier when a workload's pod started, so that a short one has points too."""
    await asyncio.sleep(LEAST_S)
    try:
        async with asyncio.timeout(max(0.0, due - time.monotonic())):
            await started.wait()
            await asyncio.sleep(SETTLE_S)
    except TimeoutError:
        return


def _starts(change: Change) -> bool:
    """A pod of a workload has begun to run."""
    if change.new is None or labels.WORKLOAD_ID not in (change.new["metadata"].get("labels") or {}):
        return False
    before = ((change.old or {}).get("status") or {}).get("phase")
    return bool((change.new.get("status") or {}).get("phase") == "Running" != before)


async def _once(context: Context, measurer: Measurer, shipper: Shipper, marker: Marker, said: set[str]) -> None:
    """Measure, mark and send. All samples of a tick carry one time."""
    tick = await measurer.tick(int(time.time() * 1000))
    await marker.mark(tick)
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
