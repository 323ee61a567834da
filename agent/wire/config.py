"""The spec of ``RunaiConfig``: how the platform runs in a cluster. All has a default, so ``{}`` is a good spec.

What can follow a change while it runs does so (scheduling, namespaces, admission, log level, roles); names that decide
which pods and nodes are ours are read at the start, and a change of them starts the process again.
Units: portions in thousandths, durations in seconds, memory as Kubernetes quantities.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.wire.labels import NODE_POOL, QUEUE, SCHEDULER_NAMES

ROLES = ("link", "operator", "scheduler", "metrics", "webhook", "activator")
ALWAYS_ON = ("operator",)
"""It switches the others; nobody could switch it on again."""
PLACEMENTS = ("binpack", "spread")
ACTIONS = ("allocate", "consolidation", "reclaim", "preempt", "stalegangeviction")
SHARDS = ("one", "node-pool")
WINDOWS = ("sliding", "tumbling")
RESOLVES = ("lca", "queue")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class RoleConfig:
    """One role. ``node_selector`` and ``resources`` count where it runs as a Deployment."""

    enabled: bool = True
    node_selector: dict[str, str] | None = None
    resources: dict[str, object] | None = None
    """As a container's ``resources``; None: those of the operator's own pod."""


@dataclass(frozen=True, slots=True)
class RolesConfig:
    link: RoleConfig = RoleConfig()
    scheduler: RoleConfig = RoleConfig()
    metrics: RoleConfig = RoleConfig()
    webhook: RoleConfig = RoleConfig()
    activator: RoleConfig = RoleConfig()

    def of(self, role: str) -> RoleConfig:
        """The role's settings; the operator's are always the default."""
        return RoleConfig() if role in ALWAYS_ON else getattr(self, role)


@dataclass(frozen=True, slots=True)
class Placement:
    """For nodes of the default pool; a NodePool object says it for its own."""

    gpu: str = "binpack"
    cpu: str = "binpack"


@dataclass(frozen=True, slots=True)
class MinRuntime:
    """For queues that say nothing themselves: so long after its start a workload is not interrupted."""

    preempt_seconds: int = 0
    reclaim_seconds: int = 0
    resolve: str = "lca"
    """Whose value protects a victim from another queue: ``lca`` or ``queue`` (kai.md section 3.11)."""


@dataclass(frozen=True, slots=True)
class Fairness:
    """Time-aware fairness: what queues held over a window lowers their share of what is left over."""

    enabled: bool = False
    k_value_milli: int = 1000
    window_seconds: int = 7 * 24 * 3600
    window_type: str = "sliding"
    half_life_seconds: int = 0
    """0: use counts the same however long ago it was."""


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    shards: str = "one"
    """``one`` scheduler for all node pools, or one for each (``node-pool``), where it runs as Deployments."""
    placement: Placement = Placement()
    actions: tuple[str, ...] = ACTIONS
    queue_depth: dict[str, int] | None = None
    """Action → workloads of one queue that are tried in one cycle; actions that are not named try all."""
    min_runtime: MinRuntime = MinRuntime()
    fairness: Fairness = Fairness()
    staleness_grace_seconds: int = 60
    """A gang below its minimum is evicted after so long; -1: never."""
    max_consolidation_victims: int = 16


@dataclass(frozen=True, slots=True)
class Defaults:
    """What pods get that name no requests of their own."""

    cpu_per_gpu_milli: int = 100
    memory_per_gpu_mib: int = 100
    request: dict[str, str] | None = None
    """A LimitRange of every project namespace: default request, limit and maximum of a container, by resource."""
    limit: dict[str, str] | None = None
    maximum: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class IngressConfig:
    """How people reach exposed ports from outside by a host name; without a domain they do not."""

    domain: str = ""
    """Hosts are ``SERVICE.NAMESPACE.DOMAIN``: a wildcard record must lead there."""
    class_name: str = ""
    """IngressClass; empty: the cluster's default one."""
    tls_secret: str = ""
    """Secret with a certificate in each project namespace."""
    https: bool = False
    """Whoever stands in front ends TLS: addresses are told as https."""
    gateway: str = ""
    """``NAMESPACE/NAME`` of a Gateway: HTTPRoutes instead of Ingresses."""


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    cluster_id: str = ""
    cluster_name: str = ""
    scheduler_names: tuple[str, ...] = SCHEDULER_NAMES
    node_pool_label_key: str = NODE_POOL
    queue_label_key: str = QUEUE
    log_level: str = "info"
    create_namespaces: bool = True
    ownership_protection: bool = False
    node_selector: dict[str, str] | None = None
    """For the Deployments of all roles; a role's own comes on top."""
    roles: RolesConfig = RolesConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    defaults: Defaults = Defaults()
    ingress: IngressConfig = IngressConfig()


def problems(config: ClusterConfig) -> list[str]:
    """Every mistake: field, what was given, what is allowed."""
    scheduler, fair, runtime = config.scheduler, config.scheduler.fairness, config.scheduler.min_runtime
    found = [
        _choice("spec.logLevel", config.log_level, LOG_LEVELS),
        _choice("spec.scheduler.shards", scheduler.shards, SHARDS),
        _choice("spec.scheduler.placement.gpu", scheduler.placement.gpu, PLACEMENTS),
        _choice("spec.scheduler.placement.cpu", scheduler.placement.cpu, PLACEMENTS),
        _choice("spec.scheduler.minRuntime.resolve", runtime.resolve, RESOLVES),
        _choice("spec.scheduler.fairness.windowType", fair.window_type, WINDOWS),
        *(_choice("spec.scheduler.actions", action, ACTIONS) for action in scheduler.actions),
        *(_choice("spec.scheduler.queueDepth", action, ACTIONS) for action in scheduler.queue_depth or ()),
        *(_least(f"spec.scheduler.queueDepth.{key}", value, 1) for key, value in (scheduler.queue_depth or {}).items()),
        _least("spec.scheduler.minRuntime.preemptSeconds", runtime.preempt_seconds, 0),
        _least("spec.scheduler.minRuntime.reclaimSeconds", runtime.reclaim_seconds, 0),
        _least("spec.scheduler.stalenessGraceSeconds", scheduler.staleness_grace_seconds, -1),
        _least("spec.scheduler.maxConsolidationVictims", scheduler.max_consolidation_victims, -1),
        _least("spec.scheduler.fairness.kValueMilli", fair.k_value_milli, 0),
        _least("spec.scheduler.fairness.windowSeconds", fair.window_seconds, 60),
        _least("spec.scheduler.fairness.halfLifeSeconds", fair.half_life_seconds, 0),
        _least("spec.defaults.cpuPerGpuMilli", config.defaults.cpu_per_gpu_milli, 0),
        _least("spec.defaults.memoryPerGpuMib", config.defaults.memory_per_gpu_mib, 0),
    ]
    if not config.scheduler_names:
        found.append("spec.schedulerNames: empty; give at least one name")
    return [problem for problem in found if problem]


def _choice(name: str, given: str, allowed: tuple[str, ...]) -> str:
    return "" if given in allowed else f"{name}: {given!r} given, allowed are {', '.join(allowed)}"


def _least(name: str, given: object, least: int) -> str:
    good = isinstance(given, int) and not isinstance(given, bool) and given >= least
    return "" if good else f"{name}: {given!r} given, must be a whole number of at least {least}"


def enabled(config: ClusterConfig) -> dict[str, bool]:
    """Which roles shall run."""
    return {role: config.roles.of(role).enabled for role in ROLES}
