"""Device claims (dynamic resource allocation) as counts: devices are taken once, however many pods share a claim."""

from collections.abc import Iterable, Mapping

from agent.domain.nodes import DeviceClaim, DeviceSlice
from agent.domain.reasons import Reason, reason
from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import HELD, NONE, PIPELINED, NodeState

MOST_CONSUMERS = 256
"""Pods that one claim can be reserved for (Kubernetes' limit)."""


def is_gpu_class(name: str) -> bool:
    """Whether a device class hands out GPUs, which count against quota."""
    return "gpu" in name.lower()


def gpu_devices(slices: Iterable[DeviceSlice]) -> dict[str, int]:
    """GPUs that drivers offer, by node name."""
    found: dict[str, int] = {}
    for one in slices:
        if is_gpu_class(one.device_class) and one.count > 0:
            found[one.node] = found.get(one.node, 0) + one.count
    return found


def gpu_cost(claims: Mapping[str, DeviceClaim], keys: Iterable[str]) -> int:
    """GPUs that a pod with these claims is charged for."""
    found = (claims.get(key) for key in keys)
    return sum(claim.count for claim in found if claim is not None and is_gpu_class(claim.device_class))


class _Use:
    """Holders of a claim on one node by presence."""

    __slots__ = ("held", "pipelined", "releasing")

    def __init__(self) -> None:
        self.held = self.releasing = self.pipelined = 0

    def effect(self) -> tuple[int, int]:
        taken = 1 if self.held or self.releasing else 0
        if self.held:
            return taken, 0
        return taken, (1 if self.releasing else 0) - (1 if self.pipelined else 0)


class DeviceClaims:
    """Where each claim is used, and what that takes from the nodes."""

    def __init__(
        self,
        claims: Iterable[DeviceClaim],
        slices: Iterable[DeviceSlice],
        nodes: Mapping[str, NodeState],
        known_pods: Iterable[str],
    ) -> None:
        self._claims = {claim.key: claim for claim in claims}
        self._uses: dict[tuple[str, int], _Use] = {}
        self._places: dict[str, dict[int, int]] = {}
        known = set(known_pods)
        self._strangers = {
            key: sum(1 for uid in claim.reserved_for if uid not in known) for key, claim in self._claims.items()
        }
        self._consumers = dict(self._strangers)
        for one in slices:
            node = nodes.get(one.node)
            if node is not None and not is_gpu_class(one.device_class):
                node.idle_extra[one.device_class] = node.idle_extra.get(one.device_class, 0) + one.count
        for key, claim in self._claims.items():
            node = nodes.get(claim.node)
            if node is not None and self._strangers[key]:
                self._book(claim, node, HELD, 1)

    def cost(self, keys: Iterable[str]) -> int:
        """GPUs that a pod with these claims is charged for."""
        return gpu_cost(self._claims, keys)

    def change(self, task: TaskState, node: NodeState, presence: int, sign: int) -> None:
        if presence == NONE:
            return
        for key in task.shape.request.claims:
            claim = self._claims.get(key)
            if claim is not None:
                self._consumers[key] += sign
                self._book(claim, node, presence, sign)

    def _book(self, claim: DeviceClaim, node: NodeState, presence: int, sign: int) -> None:
        use = self._uses.setdefault((claim.key, node.index), _Use())
        taken, coming = use.effect()
        if presence == HELD:
            use.held += sign
        elif presence == PIPELINED:
            use.pipelined += sign
        else:
            use.releasing += sign
        taken_now, coming_now = use.effect()
        places = self._places.setdefault(claim.key, {})
        places[node.index] = use.held + use.pipelined
        more, back = (taken_now - taken) * claim.count, (coming_now - coming) * claim.count
        if is_gpu_class(claim.device_class):
            node.idle_gpu -= more
            node.coming_gpu += back
        else:
            name = claim.device_class
            node.idle_extra[name] = node.idle_extra.get(name, 0) - more
            node.coming_extra[name] = node.coming_extra.get(name, 0) + back

    def refuse(self, task: TaskState, node: NodeState, *, now: bool) -> Reason | None:
        """Why the claims keep the pod off this node."""
        gpus = task.shape.gpus
        for key in task.shape.request.claims:
            claim = self._claims.get(key)
            if wrong := self._unusable(key, claim, task):
                return wrong
            assert claim is not None
            places = self._places.get(key, {})
            if places.get(node.index, 0) > 0:
                continue
            if any(count > 0 for count in places.values()):
                return reason("ClaimElsewhere", claim=key)
            if is_gpu_class(claim.device_class):
                if not node.claimed:  # its GPUs, if any, are the device plugin's
                    return reason("ClaimClass", device_class=claim.device_class, requested=claim.count, free=0)
                gpus += claim.count
                continue
            free = self._free_extra(node, claim.device_class, now)
            if claim.count > free:
                return reason("ClaimClass", device_class=claim.device_class, requested=claim.count, free=free)
        free = min(node.idle_gpu, node.free_gpus()) if now else node.free_gpus()
        if gpus > free:
            return reason("Lacks", resource="gpu", requested=gpus * 1000, free=max(free, 0) * 1000)
        return None

    def _unusable(self, key: str, claim: DeviceClaim | None, task: TaskState) -> Reason | None:
        if claim is None:
            return reason("ClaimMissing", claim=key)
        if self._consumers[key] >= MOST_CONSUMERS:
            return reason("ClaimFull", claim=key, most=MOST_CONSUMERS)
        if is_gpu_class(claim.device_class) and not claim.template and claim.queue != task.job.queue.name:
            return reason("ClaimQueue", claim=key)
        return None

    @staticmethod
    def _free_extra(node: NodeState, name: str, now: bool) -> int:
        idle = node.idle_extra.get(name, 0)
        later = idle + node.coming_extra.get(name, 0)
        return max(min(idle, later) if now else later, 0)
