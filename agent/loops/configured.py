"""What the RunaiConfig says now, for running roles: read from a watch, so that a change counts at once.

A flag or environment variable of the process wins over it: whoever starts a process by hand means that process. A spec
that makes no sense is not used; the last good one stays, and the operator's status says what is wrong with the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog

from agent.config import Settings
from agent.domain.quantities import NANOSECONDS
from agent.kube.cache import Change
from agent.kube.protocol import Obj
from agent.kube.resources import RUNAI_CONFIG
from agent.kube.watch import Informer, Informers
from agent.scheduler.slices import STEPS_A_CYCLE
from agent.scheduler.snapshot import Config
from agent.wire import labels
from agent.wire.codec import from_dict
from agent.wire.config import ClusterConfig, problems
from agent.wire.install import CONFIG_NAME

log = structlog.get_logger(__name__)


class ConfigChanged(Exception):
    """Something changed that is read at the start only: the process ends, and the next start reads it."""


def read_config(obj: Obj | None) -> tuple[ClusterConfig, list[str]]:
    """The spec of a RunaiConfig and what is wrong with it. With problems the spec is the default one."""
    try:
        found = from_dict(ClusterConfig, (obj or {}).get("spec") or {})
    except (ValueError, TypeError) as error:
        return ClusterConfig(), [f"spec: {error}"]
    wrong = problems(found)
    return (ClusterConfig(), wrong) if wrong else (found, [])


class Configured:
    """``spec`` is the last good one. Everything asked here shares the process's one watch."""

    def __init__(self, informers: Informers) -> None:
        self.informer: Informer = informers.of(RUNAI_CONFIG, labels.NAMESPACE, optional=True)
        self.spec = ClusterConfig()
        self._listeners: list[Callable[[], None]] = []
        self.informer.store.on_change(self._changed)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Called after each change of the spec; must be quick."""
        self._listeners.append(listener)

    def _changed(self, change: Change) -> None:
        if change.current["metadata"]["name"] != CONFIG_NAME:
            return
        spec, wrong = read_config(change.new)
        if wrong:
            log.warning("config_not_used", problems=wrong)
        elif spec != self.spec:
            self.spec = spec
            for listener in self._listeners:
                listener()


def effective(settings: Settings, spec: ClusterConfig) -> Settings:
    """The settings of this process, with what the cluster's configuration says where the process says nothing."""
    wanted: dict[str, Any] = {
        "scheduler_names": spec.scheduler_names,
        "node_pool_label": spec.node_pool_label_key,
        "queue_label": spec.queue_label_key,
        "placement_gpu": spec.scheduler.placement.gpu,
        "placement_cpu": spec.scheduler.placement.cpu,
        "log_level": spec.log_level,
    }
    return replace(settings, **{name: value for name, value in wanted.items() if name not in settings.given})


def pool_label(settings: Settings, configured: Configured) -> str:
    """Key of the node label that names the pool, now."""
    return effective(settings, configured.spec).node_pool_label


def planning(spec: ClusterConfig, pools: tuple[str, ...] = ()) -> Config:
    """How the scheduler plans. ``pools``: only these; empty: all."""
    chosen = spec.scheduler
    return Config(
        actions=chosen.actions,
        k_value=chosen.fairness.k_value_milli,
        max_consolidation_victims=chosen.max_consolidation_victims,
        staleness_grace=chosen.staleness_grace_seconds * NANOSECONDS,
        preempt_min_runtime=chosen.min_runtime.preempt_seconds * NANOSECONDS,
        reclaim_min_runtime=chosen.min_runtime.reclaim_seconds * NANOSECONDS,
        reclaim_resolve=chosen.min_runtime.resolve,
        queue_depth=dict(chosen.queue_depth or {}),
        pools=pools,
        eviction_steps=STEPS_A_CYCLE,
    )
