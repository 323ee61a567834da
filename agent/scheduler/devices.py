"""Which devices of a node a pod with a share of a GPU gets: existing groups to join and whole devices to open."""

import itertools

from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import NodeState


def choose_devices(
    task: TaskState, node: NodeState, *, spread: bool, home: bool
) -> tuple[tuple[str, ...], bool] | None:
    """(group names, can start now), or None when too few devices have room.

    Fuller devices first when packing, emptier first when spreading. Room that is being freed counts too. With ``home``
    the pod's own former devices come first of all, so that its eviction is taken back.
    """
    shape = task.shape
    memory = node.device_memory
    mib = shape.mib(memory)
    if mib > memory:
        return None
    candidates: list[tuple[int, int, str, bool]] = []
    for name, device in node.groups.items():
        future = memory - device.held - device.pipelined
        if not device.staying or future < mib:
            continue
        now = memory - device.held - device.releasing
        used = device.held + device.pipelined
        candidates.append((used if spread else -used, 0, name, device.held > 0 and min(now, future) >= mib))
    candidates += _whole(task, node, spread)
    if home:
        candidates = [(_home_place(task, one, memory), *one[1:]) for one in candidates]
    candidates.sort()
    chosen = candidates[: shape.devices]
    if len(chosen) < shape.devices:
        return None
    return tuple(name for _, _, name, _ in chosen), all(now for *_, now in chosen)


def _home_place(task: TaskState, candidate: tuple[int, int, str, bool], memory: int) -> int:
    return -2 * memory if candidate[2] in task.groups else candidate[0]


def _whole(task: TaskState, node: NodeState, spread: bool) -> list[tuple[int, int, str, bool]]:
    """Whole devices as candidates: the pod's own that leave, free ones, others that leave, devices coming free.

    No more than will be free in all: a free device may be promised already, and be made up for by one that leaves.
    """
    want = task.shape.devices
    place = -1 if spread else 0
    idle = max(min(node.idle_gpu, node.idle_gpu + node.coming_gpu), 0)
    waiting = max(node.free_gpus() - idle, 0)
    leaving = sorted(name for name, device in node.groups.items() if not device.staying)
    own = [name for name in leaving if task.virtual and name in task.groups]
    opened, coming = min(idle, want), max(min(waiting - len(leaving), want), 0)
    fresh = _fresh(task, node, opened + coming)
    found = [(place, 0, name, False) for name in own]
    found += [(place, 1, name, True) for name in fresh[:opened]]
    found += [(place, 2, name, False) for name in leaving if name not in own]
    found += [(place, 3, name, False) for name in fresh[opened:]]
    return found[: max(node.free_gpus(), 0)]


def _fresh(task: TaskState, node: NodeState, count: int) -> list[str]:
    """Names of groups that nobody has: the pod's uid and a number, also where it had a device that others took over."""
    numbered = (f"{task.pod.uid}-{number}" for number in itertools.count())
    unused = (name for name in numbered if name not in node.groups and name not in task.pod.gpu_groups)
    return list(itertools.islice(unused, count))
