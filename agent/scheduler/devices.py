"""Which devices of a node a pod with a share of a GPU gets: existing groups to join and whole devices to open."""

from agent.scheduler.gangs import TaskState
from agent.scheduler.ledger import NodeState


def choose_devices(
    task: TaskState, node: NodeState, *, spread: bool, wait: bool
) -> tuple[tuple[str, ...], bool] | None:
    """(group names, can start now), or None when too few devices have room.

    Fuller devices first when packing, emptier first when spreading. With ``wait`` room that is being freed counts,
    and the pod's own former devices come first, so that an eviction can be taken back.
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
    if task.virtual:
        own = [name for name in task.groups if name in node.groups]
        candidates = [(-2 * memory, 0, name, False) if name in own else (a, b, name, c) for a, b, name, c in candidates]
        candidates += [(-2 * memory, 0, name, False) for name in own if not node.groups[name].staying]
    candidates += _whole(task, node, spread)
    candidates.sort()
    chosen = candidates[: shape.devices]
    if len(chosen) < shape.devices or (not wait and not all(now for *_, now in chosen)):
        return None
    return tuple(name for _, _, name, _ in chosen), all(now for *_, now in chosen)


def _whole(task: TaskState, node: NodeState, spread: bool) -> list[tuple[int, int, str, bool]]:
    """Whole devices as candidates: free ones, then groups that leave entirely, then devices coming free."""
    want = task.shape.devices
    own = set(task.groups) if task.virtual else set()
    place = -1 if spread else 0
    idle = max(min(node.idle_gpu, node.idle_gpu + node.coming_gpu), 0)
    found = [(place, 1, _fresh(task, index), True) for index in range(min(idle, want))]
    waiting = max(node.free_gpus() - idle, 0)
    leaving = [name for name, device in sorted(node.groups.items()) if not device.staying and name not in own]
    found += [(place, 2, name, False) for name in leaving[: min(waiting, want)]]
    fresh = min(waiting - len(leaving[:waiting]), want)
    found += [(place, 3, _fresh(task, want + index), False) for index in range(max(fresh, 0))]
    return found


def _fresh(task: TaskState, index: int) -> str:
    """A group name nobody else can have: the pod's uid and a number."""
    return f"{task.pod.uid}-{index}"
