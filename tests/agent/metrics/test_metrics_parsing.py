"""What exporters and kubelets say, read line by line; what cannot be read is left out and counted."""

import pytest

from agent.metrics.dcgm import Device, devices
from agent.metrics.exposition import Reading, parse
from agent.metrics.kubelet import Use, summary


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("up 1", Reading("up", {}, 1.0)),
        ('a{b="c",d="e"} 2.5', Reading("a", {"b": "c", "d": "e"}, 2.5)),
        ('a{b="c",} 3 1700000000000', Reading("a", {"b": "c"}, 3.0)),
        (r'a{b="x\"y\\z\n"} 4', Reading("a", {"b": 'x"y\\z\n'}, 4.0)),
        ('a{b="{,}="} 1e3', Reading("a", {"b": "{,}="}, 1000.0)),
        ("a{} -0.5", Reading("a", {}, -0.5)),
    ],
)
def test_a_line_is_read(line, expected):
    assert parse(line).readings == (expected,)


@pytest.mark.parametrize("line", ["a", "a{b=c} 1", 'a{b="c" 1', "1a 2", "a one", 'a{b="c"}'])
def test_a_line_that_is_none_is_counted(line):
    found = parse(f"ok 1\n{line}\n# HELP a b\n\n")
    assert (found.readings, found.unreadable) == ((Reading("ok", {}, 1.0),), 1)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_no_measurement(value):
    assert parse(f"a {value}").readings == ()


def dcgm(*lines: str, node: str = "") -> tuple[Device, ...]:
    return devices(parse("\n".join(lines)).readings, node)


def test_a_device_with_its_pod():
    found = dcgm(
        'DCGM_FI_DEV_GPU_UTIL{gpu="1",Hostname="n1",namespace="ns",pod="p"} 87',
        'DCGM_FI_DEV_FB_USED{gpu="1",Hostname="n1",namespace="ns",pod="p"} 1024',
        'DCGM_FI_DEV_FB_FREE{gpu="1",Hostname="n1",namespace="ns",pod="p"} 3072',
    )
    assert found == (Device("n1", "1", 87.0, 1024 << 20, 4096 << 20, (("ns", "p"),)),)


def test_a_shared_device_is_one_device_with_two_pods():
    line = 'DCGM_FI_DEV_GPU_UTIL{{gpu="0",Hostname="n1",namespace="ns",pod="{}"}} 50'
    found = dcgm(line.format("b"), line.format("a"))
    assert [(device.utilisation, device.pods) for device in found] == [(50.0, (("ns", "a"), ("ns", "b")))]


def test_labels_that_a_scraper_renamed():
    line = 'DCGM_FI_DEV_GPU_UTIL{gpu="0",pod="exporter",namespace="gpu",exported_pod="p",exported_namespace="ns"} 5'
    assert [(device.node, device.pods) for device in dcgm(line, node="n7")] == [("n7", (("ns", "p"),))]


def test_slices_and_other_metrics_are_left_out():
    lines = ['DCGM_FI_DEV_GPU_UTIL{gpu="0",GPU_I_ID="3"} 5', 'DCGM_FI_DEV_SM_CLOCK{gpu="0"} 1400']
    assert dcgm(*lines) == ()


def test_a_summary_by_pod_uid():
    found = summary(
        {
            "node": {"nodeName": "n1", "cpu": {"usageNanoCores": 1_500_000_000}, "memory": {"workingSetBytes": 42}},
            "pods": [
                {"podRef": {"uid": "u1"}, "cpu": {"usageNanoCores": 250_000_000}, "memory": {"workingSetBytes": 7}},
                {"podRef": {"uid": "u2"}, "containers": [{"cpu": {"usageNanoCores": 1_000_000}}, {}]},
                {"podRef": {"uid": "u3"}},
                {"podRef": {"uid": "new"}, "cpu": {"usageNanoCores": 0}, "memory": {"workingSetBytes": 0}},
            ],
        }
    )
    assert found.use == Use(1.5, 42)
    assert found.pods == {"u1": Use(0.25, 7), "u2": Use(0.001, None), "u3": Use(None, None), "new": Use(None, None)}


@pytest.mark.parametrize("data", [None, [], {}, {"node": "x"}])
def test_something_else_is_no_summary(data):
    with pytest.raises(ValueError, match="not a kubelet summary"):
        summary(data)
