"""Clusters of the scheduler benchmark, exactly as its table describes them."""

from agent.domain.constraints import Constraints, PodTerm, Requirement
from agent.domain.groups import DEFAULT_SUBGROUP, PodGroup, SubGroup, TopologyConstraint
from agent.domain.nodes import Node, Topology
from agent.domain.pods import Pod, PodStatus, Request
from agent.domain.quantities import MILLI, NANOSECONDS
from agent.domain.queues import Queue, Share
from agent.scheduler import Snapshot

NOW = 1_800_000_000 * NANOSECONDS
MINUTE = 60 * NANOSECONDS
GB = 1_000_000_000
GPUS = 8


def nodes(count: int, racks: int = 0) -> tuple[Node, ...]:
    """Nodes of 8 GPUs with plenty of everything else; node i is in rack i mod ``racks``."""
    return tuple(
        Node(
            f"node-{index:05d}",
            cpu=1_000_000,
            memory=1000 * GB,
            gpus=GPUS,
            gpu_memory=81_920,
            max_pods=110,
            labels={"rack": f"rack-{index % racks:02d}"} if racks else {},
        )
        for index in range(count)
    )


class Builder:
    """Collects groups and pods. All jobs have priority 50, are preemptible, and are one gang each."""

    def __init__(self) -> None:
        self.groups: list[PodGroup] = []
        self.pods: list[Pod] = []
        self._requests: dict[int, Request] = {}

    def job(
        self,
        name: str,
        queue: str,
        *,
        pods: int = 1,
        gpus: int = 1,
        on: str = "",
        topology: TopologyConstraint | None = None,
        constraints: Constraints | None = None,
        labels: dict[str, str] | None = None,
    ) -> None:
        """One gang; ``on`` names the node where it runs already."""
        request = self._requests.setdefault(gpus, Request(cpu=MILLI, memory=GB, gpus=gpus))
        root = SubGroup(DEFAULT_SUBGROUP, pods, topology=topology)
        created = NOW - 100 * MINUTE + len(self.groups)
        started = NOW - MINUTE if on else None
        self.groups.append(PodGroup("bench", name, queue, uid=name, created=created, root=root, last_start=started))
        for index in range(pods):
            uid = f"{name}-{index}"
            self.pods.append(
                Pod(
                    uid,
                    "bench",
                    uid,
                    f"bench/{name}",
                    status=PodStatus.RUNNING if on else PodStatus.PENDING,
                    node=on,
                    request=request,
                    constraints=constraints or Constraints(),
                    labels=labels or {},
                )
            )

    def snapshot(
        self, cluster: tuple[Node, ...], queues: list[Queue], topologies: tuple[Topology, ...] = ()
    ) -> Snapshot:
        return Snapshot(
            nodes=cluster,
            queues=tuple(queues),
            groups=tuple(self.groups),
            pods=tuple(self.pods),
            topologies=topologies,
        )


def department(name: str, gpus: int) -> Queue:
    return Queue(name, gpu=Share(gpus * MILLI, weight=max(gpus, 1)))


def leaf(name: str, parent: str, gpus: int, weight: int = 1, created: int = 0) -> Queue:
    return Queue(name, parent, gpu=Share(gpus * MILLI, weight=weight), created=created)


def four_queues(count: int) -> list[Queue]:
    found = [department("dept-a", 4 * count), department("dept-b", 4 * count)]
    return found + [leaf(f"queue-{i}", "dept-a" if i < 2 else "dept-b", 2 * count, created=i) for i in range(4)]


def allocate(count: int, jobs: int, *, half_running: bool = False) -> Snapshot:
    cluster, build = nodes(count), Builder()
    for index in range(jobs):
        runs = half_running and index % 2 == 0
        build.job(f"job-{index:06d}", f"queue-{index % 4}", on=cluster[index % count].name if runs else "")
    return build.snapshot(cluster, four_queues(count))


def running(build: Builder, cluster: tuple[Node, ...], queue: str) -> None:
    """8N running one-GPU jobs, job i on node i mod N."""
    for index in range(GPUS * len(cluster)):
        build.job(f"run-{index:06d}", queue, on=cluster[index % len(cluster)].name)


def reclaim_large(count: int) -> Snapshot:
    cluster, build = nodes(count), Builder()
    running(build, cluster, "queue-0")
    build.job("gang", "queue-1", pods=count // 2, gpus=GPUS)
    return build.snapshot(cluster, [leaf("queue-0", "", 0, 0), leaf("queue-1", "", GPUS * count, 0)])


def reclaim_many(count: int, min_runtime: int | None = None) -> Snapshot:
    cluster, build = nodes(count), Builder()
    running(build, cluster, "running")
    for index in range(GPUS * count):
        build.job(f"wait-{index:06d}", "pending")
    taken = Queue("running", gpu=Share(0, weight=0), reclaim_min_runtime=min_runtime)
    return build.snapshot(cluster, [taken, leaf("pending", "", GPUS * count, 0)])


def unschedulable(count: int, kind: str = "plain") -> Snapshot:
    """Ten pods of 8 GPUs that cannot be had: one GPU short, or by a rule about racks."""
    racks = {"plain": 0, "anti-affinity": 9, "topology": 12}[kind]
    cluster, build = nodes(count, racks), Builder()
    running(build, cluster, "queue-0")
    own = {"app": "gang"}
    apart = Constraints(pod_anti_affinity=(PodTerm("rack", (Requirement("app", "In", ("gang",)),)),))
    build.job(
        "gang",
        "queue-1",
        pods=10,
        gpus=GPUS,
        constraints=apart if kind == "anti-affinity" else None,
        labels=own,
        topology=TopologyConstraint("racks", required="rack") if kind == "topology" else None,
    )
    kept = GPUS * count - (79 if kind == "plain" else 80)
    queues = [leaf("queue-0", "", kept, 0), leaf("queue-1", "", 80, 0)]
    return build.snapshot(cluster, queues, (Topology("racks", ("rack",)),))


def many_queues(count: int, jobs: int, queues: int) -> Snapshot:
    cluster, build = nodes(count), Builder()
    departments = -(-queues // 4)
    tree = [department(f"dept-{i}", GPUS * count // departments) for i in range(departments)]
    tree += [leaf(f"queue-{i}", f"dept-{i // 4}", GPUS * count // queues, created=i) for i in range(queues)]
    for index in range(jobs):
        build.job(f"job-{index:06d}", f"queue-{index % queues}")
    return build.snapshot(cluster, tree)


def gangs(count: int, jobs: int, pods: int) -> Snapshot:
    cluster, build = nodes(count), Builder()
    for index in range(jobs):
        build.job(f"job-{index:06d}", f"queue-{index % 4}", pods=pods)
    return build.snapshot(cluster, four_queues(count))


def full(count: int) -> Snapshot:
    """Every GPU taken by a one-GPU job."""
    cluster, build = nodes(count), Builder()
    for index in range(GPUS * count):
        build.job(f"run-{index:06d}", f"queue-{index % 4}", on=cluster[index % count].name)
    return build.snapshot(cluster, four_queues(count))


def large(count: int, pods: int) -> Snapshot:
    """200 queues under 20 departments; a tenth of the pods in gangs of 8."""
    cluster, build = nodes(count), Builder()
    tree = [department(f"dept-{i:02d}", GPUS * count // 20) for i in range(20)]
    tree += [leaf(f"queue-{i:03d}", f"dept-{i // 10:02d}", GPUS * count // 200, created=i) for i in range(200)]
    whole = pods // 10 // 8
    for index in range(whole):
        build.job(f"gang-{index:05d}", f"queue-{index % 200:03d}", pods=8)
    for index in range(pods - whole * 8):
        build.job(f"job-{index:06d}", f"queue-{index % 200:03d}")
    return build.snapshot(cluster, tree)
