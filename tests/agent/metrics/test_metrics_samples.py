"""From one tick to samples: joined to workloads, added up by pool, and nothing for what nobody measured."""

from agent.metrics.aggregate import NodeFact, PodFact, Tick, samples
from agent.metrics.dcgm import Device
from agent.metrics.kubelet import Summary, Use

NODES = (NodeFact("n1", "default", 2, 1000, 4000, 8_000_000), NodeFact("n2", "a100", 4, 1000, 4000, 8_000_000))
PODS = (
    PodFact("u1", "ns", "a-0", "n1", "w1", "vision", True, 1000, cpu_milli=500),
    PodFact("u2", "ns", "a-1", "n2", "w1", "vision", True, 2000, cpu_milli=500),
    PodFact("u3", "kube-system", "dns", "n1", running=True),
)
DEVICES = (
    Device("n1", "0", 80.0, 500, 1000, (("ns", "a-0"),)),
    Device("n1", "1", 0.0, 0, 1000),
    Device("n2", "0", 0.5, 10, 1000, (("ns", "a-1"),)),
    Device("n2", "1", 60.0, 90, 1000, (("ns", "a-1"),)),
)
SUMMARIES = (Summary("n1", Use(1.0, 2_000_000), {"u1": Use(0.75, 1_000_000), "u3": Use(0.1, 5)}),)


def value(kind: str, subject: str, metric: str, device: str = "", **tick: object) -> float | None:
    facts = {"nodes": NODES, "pods": PODS, "devices": DEVICES, "summaries": SUMMARIES, **tick}
    found = [s.value for s in samples(Tick(1000, **facts)) if (s.kind, s.subject, s.metric, s.device) == (
        kind, subject, metric, device,
    )]  # fmt: skip
    assert len(found) < 2
    return found[0] if found else None


def test_a_workload_is_the_mean_of_its_devices_and_the_sum_of_its_pods():
    assert round(value("workload", "w1", "GPU_UTILIZATION"), 2) == 46.83
    assert value("workload", "w1", "GPU_MEMORY_USAGE_BYTES") == 600
    assert value("workload", "w1", "GPU_ALLOCATION") == 3
    assert value("workload", "w1", "CPU_REQUEST_CORES") == 1


def test_a_pod_without_a_measuring_kubelet_adds_nothing():
    assert value("workload", "w1", "CPU_USAGE_CORES") == 0.75
    assert value("pod", "u2", "CPU_USAGE_CORES") is None


def test_pods_that_wait_count_as_pods():
    assert value("workload", "w1", "POD_COUNT", waiting={"w1": 2}) == 4
    assert value("workload", "w2", "POD_COUNT", waiting={"w2": 1}) == 1
    assert value("workload", "w1", "RUNNING_POD_COUNT", waiting={"w1": 2}) == 2


def test_pods_of_nobodys_workload_have_no_samples():
    assert value("pod", "u3", "CPU_USAGE_CORES") is None


def test_devices_of_a_pod_one_by_one():
    assert value("pod", "u2", "GPU_UTILIZATION_PER_GPU", "1") == 60
    assert value("node", "n1", "GPU_UTILIZATION_PER_GPU", "0") == 80


def test_a_pool_and_the_cluster():
    assert (value("nodepool", "a100", "TOTAL_GPU"), value("cluster", "", "TOTAL_GPU")) == (4, 6)
    assert (value("nodepool", "a100", "ALLOCATED_GPU"), value("cluster", "", "UNALLOCATED_GPU")) == (2, 3)
    assert value("nodepool", "a100", "IDLE_ALLOCATED_GPUS") == 1


def test_use_is_a_share_of_the_nodes_that_are_measured():
    assert value("cluster", "", "CPU_UTILIZATION") == 25
    assert value("nodepool", "a100", "CPU_UTILIZATION") is None


def test_a_project_adds_up_what_it_holds():
    assert value("project", "vision", "GPU_ALLOCATION") == 3


def test_without_exporters_there_is_no_use_of_gpus():
    assert value("cluster", "", "GPU_UTILIZATION", devices=()) is None
    assert value("cluster", "", "IDLE_ALLOCATED_GPUS", devices=()) is None
    assert value("cluster", "", "TOTAL_GPU", devices=()) == 6
