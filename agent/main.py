"""The agent's entry: settings, logs, one API client, and the chosen roles until one of them ends.

A role is a module ``agent.loops.<role>`` with ``async def run(context: Context) -> None`` that never returns. Each runs
under a Lease of its own, so that of several processes one is at work. A role that fails ends the whole process with a
non-zero status: the supervisor starts it again, and everything it needs to know is in the cluster.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog
import uvloop

from agent import diagnose, install, reserve
from agent.config import BadSetting, Settings, parse
from agent.kube.client import KubeClient
from agent.kube.errors import BadConfig, KubeError, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import NAMESPACE
from agent.kube.watch import Informers
from agent.loops import logs
from agent.loops.configured import ConfigChanged, Configured, effective
from agent.loops.context import Context, Health
from agent.loops.leases import Elector, LeadershipLost, identity
from agent.loops.serving import serve
from agent.loops.snapshots import Board
from agent.loops.switching import SwitchedOff, until_enabled, until_known, while_enabled
from agent.operator import prerequisites
from agent.wire import labels

log = structlog.get_logger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 after SIGTERM or a finished command, 1 when a role failed, 2 for wrong settings."""
    try:
        settings = parse(arguments)
        logs.configure(settings.log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_main(settings))
    except (BadSetting, BadConfig) as error:
        print(f"agent: {error}", file=sys.stderr)
        return 2
    except KubeError as error:
        print(f"agent: the cluster refused: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


async def _main(settings: Settings) -> int:
    agent = f"runai-agent ({'+'.join(settings.roles)})"
    async with KubeClient.connect(settings.kubeconfig, user_agent=agent, in_flight=settings.in_flight) as kube:
        if settings.roles == ("install",):
            return await _install(kube, settings)
        if settings.roles == ("uninstall",):
            await install.uninstall(kube, definitions=settings.definitions)
            return 0
        if settings.roles == ("diagnose",):
            found = await diagnose.diagnose(kube)
            print(prerequisites.report(found))
            return 1 if any(item.required and not item.ok for item in found) else 0
        if settings.roles == ("reserve",):
            await reserve.hold(kube, os.environ)
        return await run_roles(kube, settings)


async def _install(kube: Kube, settings: Settings) -> int:
    text = sys.stdin.read() if settings.manifest == "-" else _read_manifest(settings.manifest or "")
    try:
        count = await install.install(kube, install.parse(text))
    except ValueError as error:
        raise BadSetting(str(error)) from error
    print(f"applied {count} objects")
    return 0


def _read_manifest(name: str) -> str:
    try:
        return Path(name).read_text()
    except OSError as error:
        raise BadSetting(f"manifest {name}: {error.strerror}") from error


async def run_roles(kube: KubeClient, settings: Settings) -> int:
    """Run the roles side by side until SIGTERM (0) or until one fails (1)."""
    health, board = Health(settings.roles), Board()
    informers = Informers(kube)
    configured = Configured(informers)
    configured.on_change(lambda: logs.set_level(effective(settings, configured.spec).log_level))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks: set[asyncio.Task[Any]] = {
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(informers.run(), name="informers"),
        asyncio.create_task(serve(settings, health, kube, informers, board), name="http"),
    }
    for name in settings.roles:
        context = Context(name, kube, informers, settings, health.of(name), board=board)
        tasks.add(asyncio.create_task(_role(context, configured), name=name))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return _verdict(done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await informers.close()


def _verdict(done: set[asyncio.Task[Any]]) -> int:
    status = 0
    for task in done:
        error = task.exception()
        if error is not None:
            # A lost lease or another configuration is no defect of ours: the next start waits for its turn.
            log.error("role_ended", role=task.get_name(), error=repr(error), exc_info=_traced(error))
            status = 1
        elif task.get_name() not in ("stop", "http"):
            log.error("role_ended", role=task.get_name(), error="returned")
            status = 1
    return status


def _traced(error: BaseException) -> BaseException | None:
    return None if isinstance(error, (LeadershipLost, SwitchedOff, ConfigChanged)) else error


async def _role(context: Context, configured: Configured) -> None:
    """One role: wait until it is wanted and for its lease, prepare, run while it is wanted."""
    module = importlib.import_module(f"agent.loops.{context.role}")
    await until_known(configured)
    await until_enabled(context.role, configured, context.health)
    await while_enabled(context.role, configured, _elected(context, module))


async def _elected(context: Context, module: ModuleType) -> None:
    if not context.settings.leader_election:
        await module.run(context)
        return
    namespace = context.settings.lease_namespace or await _lease_namespace(context.kube)
    context.elector = Elector(
        context.kube, lease_name(context.role, context.settings.node_pools), namespace, identity()
    )
    context.health.set(True, "waiting for its turn")
    await context.elector.hold(module.run(context), hot=getattr(module, "HOT", False))


def lease_name(role: str, pools: tuple[str, ...]) -> str:
    """Schedulers of different node pools work side by side."""
    return "-".join((f"runai-{role}", *(pools if role == "scheduler" else ())))


async def _lease_namespace(kube: Kube) -> str:
    """``runai`` where the platform is installed; a scheduler on a bare cluster uses ``kube-system``."""
    try:
        await kube.get(NAMESPACE, labels.NAMESPACE)
        return labels.NAMESPACE
    except NotFound:
        return "kube-system"
