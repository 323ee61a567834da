"""Refusing what cannot be planned: each bad object gets a reason and the rest is planned without it."""

from collections.abc import Iterable

from agent.domain.groups import PodGroup, SubGroup
from agent.domain.nodes import Node
from agent.domain.pods import Request
from agent.domain.quantities import LARGEST, UNLIMITED
from agent.domain.queues import Queue
from agent.domain.reasons import Reason, reason

WHOLE_NUMBER = f"a whole number from 0 to {LARGEST}"
DEEPEST = 64
"""Deepest tree of sub-groups or queues."""


def bad_amount(field: str, value: object, *, least: int = 0) -> Reason | None:
    """A reason when the value is not a sane whole number (negative, NaN, fractional, absurd)."""
    if type(value) is int and least <= value <= LARGEST:
        return None
    return reason("Invalid", field=field, given=str(value), allowed=WHOLE_NUMBER)


def _first(checks: Iterable[Reason | None]) -> Reason | None:
    return next((found for found in checks if found is not None), None)


def _pairs(field: str, pairs: object) -> Reason | None:
    if not isinstance(pairs, tuple):
        return reason("Invalid", field=field, given=str(pairs), allowed="pairs of name and count")
    return _first(bad_amount(f"{field} {name}", count) for name, count in pairs)


def check_node(node: Node) -> Reason | None:
    foreign = node.foreign
    fields = ("cpu", "memory", "gpus", "gpu_memory", "max_pods")
    return (
        _first(bad_amount(name, getattr(node, name)) for name in fields)
        or _pairs("mig", node.mig)
        or _pairs("extended", node.extended)
        or _first(bad_amount(f"foreign {name}", getattr(foreign, name)) for name in ("cpu", "memory", "gpus", "pods"))
        or _pairs("foreign", foreign.extended)
    )


def check_queue(queue: Queue) -> Reason | None:
    for resource, share in zip(("gpu", "cpu", "memory"), queue.shares(), strict=True):
        found = (
            bad_amount(f"{resource} quota", share.deserved, least=UNLIMITED)
            or bad_amount(f"{resource} limit", share.limit, least=UNLIMITED)
            or bad_amount(f"{resource} over-quota weight", share.weight, least=UNLIMITED)
        )
        if found:
            return found
    return None


def check_request(request: Request) -> Reason | None:
    fields = ("cpu", "memory", "gpus", "gpu_fraction", "gpu_memory")
    found = (
        _first(bad_amount(name, getattr(request, name)) for name in fields)
        or bad_amount("gpu_devices", request.gpu_devices)
        or _pairs("mig", request.mig)
        or _pairs("extended", request.extended)
    )
    if found:
        return found
    if request.gpu_fraction > 1000:
        return reason("Invalid", field="GPU fraction", given=str(request.gpu_fraction), allowed="1 to 1000 milli-GPU")
    if request.shared and request.gpu_devices < 1:
        return reason("Invalid", field="devices", given=str(request.gpu_devices), allowed="1 or more")
    ways = (request.gpus > 0) + (request.gpu_fraction > 0 or request.gpu_memory > 0) + bool(request.mig)
    if ways > 1:
        return reason(
            "Invalid", field="GPU request", given="several kinds", allowed="whole, shared or MIG, one of them"
        )
    return None


def check_group(group: PodGroup) -> Reason | None:
    found = bad_amount("preemption delay", group.preemption_delay) or _check_tree(group.root, 0, set())
    if found:
        return found
    if type(group.priority) is not int or type(group.created) is not int:
        return reason("Invalid", field="priority", given=str(group.priority), allowed="a whole number")
    return None


def _check_tree(node: SubGroup, depth: int, names: set[str]) -> Reason | None:
    if depth > DEEPEST:
        return reason("Invalid", field="sub-group depth", given=str(depth), allowed=f"at most {DEEPEST}")
    found = bad_amount(f"minimum of sub-group {node.name}", node.min_available)
    if found is None and node.min_subgroup is not None:
        found = bad_amount(f"minimum sub-groups of {node.name}", node.min_subgroup)
        if found is None and node.min_subgroup > len(node.children):
            found = reason(
                "Invalid",
                field=f"minimum sub-groups of {node.name}",
                given=str(node.min_subgroup),
                allowed=f"at most its {len(node.children)} sub-groups",
            )
    if found:
        return found
    if not node.children:
        if node.name in names:
            return reason("Duplicate", kind="sub-group", name=node.name, field="name")
        names.add(node.name)
    return _first(_check_tree(child, depth + 1, names) for child in node.children)
