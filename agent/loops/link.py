"""The link role: find the configuration, enrol once, then one term after another. Thin: all deciding is elsewhere.

A term that ends because nothing worked begins anew in this process, unless the role is alone in it: then the process
ends and its supervisor starts a fresh one. A revoked or removed cluster waits for a new enrolment; workloads stay.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial

import structlog

from agent.kube.errors import KubeError
from agent.link.client import LinkClient, LinkError
from agent.link.clock import chance
from agent.link.ends import Decommissioned, Hopeless, Revoked
from agent.link.identity import Identity
from agent.link.memory import LinkConfig, Memory
from agent.link.outbox import Outbox
from agent.link.pace import react
from agent.link.reporter import VERSION, Reporter
from agent.link.term import Term
from agent.loops.configured import Configured, pool_label
from agent.loops.context import Context
from agent.loops.snapshot_shipping import ship_snapshots

log = structlog.get_logger(__name__)

LOOK_S = 2.0


async def run(context: Context) -> None:
    """Never returns. Raises when another instance has taken over, or when a fresh process is the better try."""
    memory = Memory(context.kube)
    reporter: Reporter | None = None
    configured = Configured(context.informers)
    outbox = Outbox()
    while True:
        config = await _configuration(context, memory)
        async with LinkClient(config.url, config.ca_pem, user_agent=f"runai-agent/{VERSION}") as link:
            identity = await _identity(context, memory, link)
            link.identity = identity
            if reporter is None:
                label = partial(pool_label, context.settings, configured)
                reporter = Reporter(context.informers, identity.cluster_id, label)
                await reporter.start(await _kubernetes(context))
            term = Term(
                context.kube,
                context.informers,
                link,
                memory,
                identity,
                reporter,
                outbox,
                leading=lambda: context.leading,
                say=context.health.set,
            )
            shipping = asyncio.create_task(ship_snapshots(link, context.board.read, lambda: context.leading))
            try:
                await _serve(context, memory, term)
            finally:
                shipping.cancel()


async def _serve(context: Context, memory: Memory, term: Term) -> None:
    """Run a term and wait as its end demands."""
    try:
        await term.run()
    except (Revoked, Decommissioned) as error:
        context.health.set(False, str(error))
        log.error("link_stopped", error=str(error))
        await _new_enrolment(memory)
    except Hopeless as error:
        context.health.set(False, str(error))
        if context.settings.roles == ("link",):
            raise
        log.error("link_begins_anew", error=str(error))
    except KubeError as error:
        context.health.set(False, error.message)
        log.warning("link_term_ended", error=error.message)
        await asyncio.sleep(LOOK_S)


async def _configuration(context: Context, memory: Memory) -> LinkConfig:
    while True:
        try:
            config = await memory.config()
            if config is not None and config.url:
                return config
            context.health.set(False, "ConfigMap runai/runai-link is missing: apply the manifest of the console")
        except KubeError as error:
            context.health.set(False, error.message)
        await asyncio.sleep(LOOK_S)


async def _identity(context: Context, memory: Memory, link: LinkClient) -> Identity:
    """The stored identity; a new one when there is an enrolment token. A token that is used up is deleted."""
    failures = 0
    while True:
        try:
            identity, token = await memory.identity(), await memory.enrolment_token()
            if token:
                made = await _enrol(memory, link, token)
                log.info("enrolled", cluster=made.cluster_id, key=made.key_id)
                return made
            if identity is not None and identity.cluster_id:
                return identity
            context.health.set(False, "not enrolled: Secret runai/runai-enrolment is missing")
        except LinkError as error:
            failures += 1
            context.health.set(False, str(error))
            log.warning("enrolment_failed", error=str(error), failures=failures)
            identity = await memory.identity()
            if error.problem is not None and error.problem.permanent and identity is not None and identity.cluster_id:
                await memory.forget_enrolment()  # an old token beside a working identity
                return identity
            await asyncio.sleep(react(error.status, error.problem, failures, chance()).wait_ms / 1000)
        except (KubeError, ValueError) as error:
            context.health.set(False, str(error))
        await asyncio.sleep(LOOK_S)


async def _enrol(memory: Memory, link: LinkClient, token: str) -> Identity:
    """Trade the token for an identity. The key is stored before it is sent, so that a lost answer can be asked for
    again; the identity in use is replaced only when the new one is good."""
    pending = await memory.pending_identity()
    if pending is None:
        pending = Identity.new()
        await memory.store_pending(pending)
    answer = await link.enrol(token, pending.enrol_request(await memory.cluster_uid(), VERSION))
    made = pending.enrolled(answer.cluster_id, answer.server_generation)
    await memory.store_identity(made)
    await memory.forget_enrolment()
    return made


async def _new_enrolment(memory: Memory) -> None:
    """Wait until somebody applies a manifest with a new token; look at the old credential again every five minutes."""
    for _ in range(60):
        try:
            if await memory.enrolment_token():
                return
        except KubeError as error:
            log.warning("cluster_trouble", error=error.message)
        await asyncio.sleep(5.0)


async def _kubernetes(context: Context) -> str:
    try:
        return str(json.loads(await context.kube.raw_get("/version")).get("gitVersion", ""))
    except (KubeError, ValueError):
        return ""
