"""Roles that the RunaiConfig switches: one that is off waits, one that is switched off ends its process.

Ending is the safe way out of any work: the supervisor starts the process again, which then waits to be switched on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from agent.loops.configured import Configured
from agent.loops.context import RoleState

SYNC_S = 2.0
"""So long a start waits for the RunaiConfig. Whoever may not read it runs with the defaults."""


class SwitchedOff(Exception):
    """The RunaiConfig says that this role shall not run."""


async def until_known(configured: Configured) -> None:
    try:
        async with asyncio.timeout(SYNC_S):
            await configured.informer.synced()
    except TimeoutError:
        return


async def until_enabled(role: str, configured: Configured, health: RoleState) -> None:
    """Returns while the role is on."""
    changed = asyncio.Event()
    configured.on_change(changed.set)
    while not configured.spec.roles.of(role).enabled:
        health.set(True, "switched off in the RunaiConfig")
        await changed.wait()
        changed.clear()


async def while_enabled(role: str, configured: Configured, work: Coroutine[object, object, None]) -> None:
    """Do the work until it ends, or until the role is switched off: then ``SwitchedOff``."""
    changed = asyncio.Event()
    configured.on_change(changed.set)
    task = asyncio.create_task(_run(work))
    try:
        while not task.done():
            waiting = asyncio.create_task(changed.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            changed.clear()
            if not task.done() and not configured.spec.roles.of(role).enabled:
                raise SwitchedOff(f"role {role} is switched off in the RunaiConfig")
        task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(work: Coroutine[object, object, None]) -> None:
    await work
