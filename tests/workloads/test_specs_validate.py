"""What a request may ask: one table of bad values with the field each is refused at, and requests that pass."""

from dataclasses import replace

import pytest

from agent.wire.objects import EnvVar, Toleration
from workloads.specs.compile import compile_spec, is_preemptible, totals
from workloads.specs.problems import SpecError
from workloads.specs.request import SubmitRequest, from_json, split_gpus, to_json
from workloads.specs.validate import problems

GOOD = SubmitRequest(name="train-1", project_id="7", image="example.local/busybox:1")

BAD = [
    ("name", "", "name"),
    ("name", "Train", "name"),
    ("name", "train_1", "name"),
    ("name", "-train", "name"),
    ("name", "train-", "name"),
    ("name", "1train", "name"),
    ("name", "a" * 64, "name"),
    ("name", "träin", "name"),
    ("name", "train\n", "name"),
    ("project_id", "vision", "project_id"),
    ("project_id", "-1", "project_id"),
    ("type", "service", "type"),
    ("type", "job", "type"),
    ("image", "", "image"),
    ("image", "my image:1", "image"),
    ("image", "image:1 ", "image"),
    ("image", "UPPER/x:bad tag", "image"),
    ("image_pull_policy", "Sometimes", "image_pull_policy"),
    ("working_dir", "relative/path", "working_dir"),
    ("image_pull_secrets", ("Registry",), "image_pull_secrets[0]"),
    ("image_pull_secrets", ("a", "b..c"), "image_pull_secrets[1]"),
    ("image_pull_secrets", ("a", "a"), "image_pull_secrets[1]"),
    ("image_pull_secrets", ("a" * 254,), "image_pull_secrets[0]"),
    ("image_pull_secrets", ("",), "image_pull_secrets[0]"),
    ("image_pull_secrets", tuple(f"s{i}" for i in range(17)), "image_pull_secrets"),
    ("gpu_devices", "-1", "gpu_devices"),
    ("gpu_devices", "NaN", "gpu_devices"),
    ("gpu_devices", "Infinity", "gpu_devices"),
    ("gpu_devices", "1.5", "gpu_devices"),
    ("gpu_devices", "two", "gpu_devices"),
    ("gpu_devices", "1e9", "gpu_devices"),
    ("gpu_portion", "0", "gpu_portion"),
    ("gpu_portion", "-0.5", "gpu_portion"),
    ("gpu_portion", "nan", "gpu_portion"),
    ("gpu_portion", "1.5", "gpu_portion"),
    ("gpu_portion", "0.12345", "gpu_portion"),
    ("gpu_memory", "4 G", "gpu_memory"),
    ("gpu_memory", "0", "gpu_memory"),
    ("cpu", "0", "cpu"),
    ("cpu", "-1", "cpu"),
    ("cpu", "NaN", "cpu"),
    ("cpu", "0.0001", "cpu"),
    ("memory", "-1Gi", "memory"),
    ("memory", "1GB", "memory"),
    ("memory", "lots", "memory"),
    ("memory_limit", "inf", "memory_limit"),
    ("environment", (EnvVar("1X", "a"),), "environment[0]"),
    ("environment", (EnvVar("A B", "a"),), "environment[0]"),
    ("environment", (EnvVar("A", "a"), EnvVar("A", "b")), "environment[1]"),
    ("environment", (EnvVar("A", "a\x00b"),), "environment[0]"),
    ("args", ("a\x00b",), "args"),
    ("args", ("x" * 40_000,), "args"),
    ("workers", 0, "workers"),
    ("workers", 1001, "workers"),
    ("framework", "PyTorch", "framework"),
    ("completions", 0, "completions"),
    ("parallelism", -3, "parallelism"),
    ("priority_class", "urgent", "priority_class"),
    ("preemptibility", "maybe", "preemptibility"),
    ("node_pools", ("a", "a"), "node_pools"),
    ("node_type", "has space", "node_type"),
    ("node_selector", {"bad key": "x"}, "node_selector"),
    ("tolerations", (Toleration(key="a", operator="Equals"),), "tolerations[0]"),
    ("tolerations", (Toleration(operator="Equal"),), "tolerations[0]"),
    ("restart_policy", "Sometimes", "restart_policy"),
    ("backoff_limit", -1, "backoff_limit"),
    ("backoff_limit", 101, "backoff_limit"),
    ("ttl_seconds_after_finished", -1, "ttl_seconds_after_finished"),
    ("labels", {"run.ai/workload-id": "x"}, "labels"),
    ("labels", {"a": "b c"}, "labels"),
    ("annotations", {"kai.scheduler/queue": "x"}, "annotations"),
]


@pytest.mark.parametrize(("attribute", "value", "field"), BAD)
def test_a_bad_value_is_refused_at_its_field(attribute: str, value: object, field: str) -> None:
    found = problems(replace(GOOD, **{attribute: value}))
    assert field in {problem.field for problem in found}


@pytest.mark.parametrize(("attribute", "value", "field"), BAD)
def test_every_refusal_says_what_is_allowed(attribute: str, value: object, field: str) -> None:
    for problem in problems(replace(GOOD, **{attribute: value})):
        assert problem.allowed and "Allowed: " in problem.message


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"gpu_devices": "8"},
        {"annotations": {"local.run.ai/run-seconds": "2"}},
        {"gpu_devices": "2", "gpu_portion": "0.5"},
        {"gpu_portion": "0.125"},
        {"gpu_memory": "4G"},
        {"cpu": "500m", "cpu_limit": "1", "memory": "1.5Gi", "memory_limit": "2Gi"},
        {"type": "distributed", "workers": 4, "framework": "PyTorch"},
        {"type": "workspace"},
        {"image": "localhost:5000/a/b@sha256:" + "0" * 64},
        {"image": "nvcr.io/nvidia/pytorch:24.01-py3"},
        {"environment": (EnvVar("_A.b-C", "a b=c"), EnvVar("B"))},
        {"tolerations": (Toleration(key="kwok.x-k8s.io/node"),)},
        {"name": "a" * 63},
        {"image_pull_secrets": ("registry", "team.registry-2", "a" * 253)},
    ],
)
def test_a_sound_request_passes(change: dict[str, object]) -> None:
    assert problems(replace(GOOD, **change)) == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"gpu_devices": "2", "gpu_portion": "1.5"}, "gpu_portion"),
        ({"gpu_devices": "0", "gpu_portion": "0.5"}, "gpu_portion"),
        ({"gpu_portion": "0.5", "gpu_memory": "4G"}, "gpu_memory"),
        ({"cpu": "2", "cpu_limit": "1"}, "cpu_limit"),
        ({"memory": "2Gi", "memory_limit": "1Gi"}, "memory_limit"),
        ({"type": "distributed"}, "workers"),
        ({"type": "workspace", "workers": 2}, "workers"),
        ({"name": "a" * 60, "name_is_prefix": True}, "name"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(change: dict[str, object], field: str) -> None:
    assert field in {problem.field for problem in problems(replace(GOOD, **change))}


def test_all_problems_come_at_once() -> None:
    bad = replace(GOOD, name="X", image="a b", gpu_devices="-1")
    assert [problem.field for problem in problems(bad)] == ["name", "image", "gpu_devices"]


def test_the_message_repeats_what_was_given() -> None:
    (problem,) = problems(replace(GOOD, gpu_devices="-1"))
    assert problem.message == "'-1' is not allowed here. Allowed: a whole number of devices, 0 to 1024."


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", (None, None)), ("2", ("2", None)), ("0", ("0", None)), ("0.5", ("1", "0.5")), (" 1.0 ", ("1", None))],
)
def test_one_number_of_gpus_is_devices_or_a_portion(text: str, expected: tuple[str | None, str | None]) -> None:
    assert split_gpus(text) == expected


@pytest.mark.parametrize("text", ["1.5", "-0.5", "NaN", "inf", "many"])
def test_no_other_number_of_gpus_is_taken(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        split_gpus(text)
    assert caught.value.problems[0].field == "gpu_devices"


def test_compile_reads_amounts_into_integers() -> None:
    spec = compile_spec(replace(GOOD, gpu_devices="2", gpu_portion="0.25", cpu="0.5", memory="1Gi"))
    each = spec.compute
    assert (each.gpu_devices, each.gpu_portion_milli, each.cpu_milli, each.memory_bytes) == (2, 250, 500, 1 << 30)


def test_a_portion_of_one_is_a_whole_device() -> None:
    assert compile_spec(replace(GOOD, gpu_portion="1")).compute.gpu_portion_milli is None


def test_compile_refuses_a_bad_request() -> None:
    with pytest.raises(SpecError):
        compile_spec(replace(GOOD, image="a b"))


def test_node_pools_of_the_project_are_the_default() -> None:
    assert compile_spec(GOOD, node_pools=("a", "b")).node_pools == ("a", "b")
    assert compile_spec(replace(GOOD, node_pools=("c",)), node_pools=("a",)).node_pools == ("c",)


@pytest.mark.parametrize(
    ("change", "preemptible"),
    [
        ({}, True),
        ({"priority_class": "build"}, False),
        ({"priority_class": "build", "preemptibility": "preemptible"}, True),
        ({"preemptibility": "non-preemptible"}, False),
        ({"type": "workspace"}, False),
    ],
)
def test_preemptible_follows_the_priority_unless_said(change: dict[str, object], preemptible: bool) -> None:
    assert is_preemptible(compile_spec(replace(GOOD, **change))) is preemptible


def test_totals_count_every_pod_of_a_gang() -> None:
    spec = compile_spec(replace(GOOD, type="distributed", workers=4, gpu_devices="2", cpu="1"))
    assert (totals(spec).pods, totals(spec).gpu_milli, totals(spec).cpu_milli) == (4, 8000, 4000)


def test_a_request_survives_storage() -> None:
    request = replace(GOOD, environment=(EnvVar("A", "b"),), tolerations=(Toleration(key="x"),), gpu_portion="0.5")
    assert from_json(to_json(request)) == request
