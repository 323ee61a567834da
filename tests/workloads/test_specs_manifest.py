"""A Workload as YAML: what is refused by name, and that reading undoes writing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.objects import EnvVar
from workloads.specs.compile import compile_spec, request_from_spec
from workloads.specs.manifest import namespace_of, plain_manifest, read_manifest, to_yaml, workload_manifest
from workloads.specs.problems import SpecError
from workloads.specs.request import SubmitRequest

HELLO = """
apiVersion: run.ai/v1
kind: Workload
metadata: {name: hello, namespace: runai-team-a}
spec:
  image: example.local/busybox:1
  command: [sh, -c, "echo hello"]
  compute: {gpuDevices: 1, gpuPortionMilli: 500, cpuMilli: 100, memoryBytes: 1048576}
"""

REFUSED = [
    ("", "0 YAML documents"),
    ("just words", "a YAML str"),
    ("- a\n- b", "a YAML list"),
    ("a: [", "not YAML"),
    ("a: b\n---\nc: d", "2 YAML documents"),
    ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}", "kind 'Pod' of apiVersion 'v1'"),
    ("apiVersion: run.ai/v1\nkind: Workload\nspec: {image: a}", "without metadata.name"),
    ("apiVersion: run.ai/v1\nkind: Workload\nmetadata: {name: a}", "without spec"),
    ("apiVersion: run.ai/v1\nkind: Workload\nmetadata: {name: a}\nspec: {}", "'image' is missing"),
    ("apiVersion: run.ai/v1\nkind: Workload\nmetadata: {name: a}\nspec: {image: a, workers: two}", "expected int"),
    ("x" * 70_000, "70000 characters"),
    ("!!python/object/apply:os.system [ls]", "not YAML"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_yaml_that_is_not_a_workload_is_refused_with_the_cause(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_manifest(text, project_id="1", cluster_id=None)
    (problem,) = caught.value.problems
    assert problem.field == "manifest"
    assert said in problem.given


def test_a_manifest_becomes_a_request() -> None:
    request = read_manifest(HELLO, project_id="7", cluster_id=None)
    assert (request.name, request.project_id, request.image) == ("hello", "7", "example.local/busybox:1")
    assert (request.command, request.gpu_devices, request.gpu_portion) == (("sh", "-c", "echo hello"), "1", "0.5")
    assert (request.cpu, request.memory) == ("0.1", "1Mi")


def test_the_namespace_is_told() -> None:
    assert namespace_of(HELLO) == "runai-team-a"


REQUESTS = st.builds(
    SubmitRequest,
    name=st.just("w"),
    project_id=st.just("7"),
    image=st.just("busybox:1"),
    command=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8), max_size=3).map(
        tuple
    ),
    environment=st.lists(st.builds(EnvVar, st.just("A"), st.text("abc =\n", max_size=6)), max_size=1).map(tuple),
    gpu_devices=st.one_of(st.none(), st.integers(1, 8).map(str)),
    gpu_portion=st.one_of(st.none(), st.integers(1, 999).map(lambda milli: f"0.{milli:03d}")),
    cpu=st.one_of(st.none(), st.integers(1, 64_000).map(lambda milli: f"{milli}m")),
    memory=st.one_of(st.none(), st.integers(1, 10**12).map(str)),
    backoff_limit=st.one_of(st.none(), st.integers(0, 9)),
    ttl_seconds_after_finished=st.one_of(st.none(), st.integers(0, 9)),
    termination_grace_period_seconds=st.one_of(st.none(), st.integers(0, 9)),
)


@given(REQUESTS)
def test_reading_undoes_writing(request: SubmitRequest) -> None:
    spec = compile_spec(request)
    text = to_yaml(plain_manifest(spec, object_name="w", namespace="runai-a"))
    assert compile_spec(read_manifest(text, project_id="7", cluster_id=None)) == spec


@given(REQUESTS)
def test_a_clone_compiles_to_the_same_spec(request: SubmitRequest) -> None:
    spec = compile_spec(request)
    assert compile_spec(request_from_spec(spec, name="w", project_id="7", cluster_id=None)) == spec


def test_the_document_carries_the_ids() -> None:
    spec = compile_spec(SubmitRequest(name="w", project_id="7", image="a"))
    document = workload_manifest(
        spec, workload_id="id", object_name="w", namespace="runai-a", project="a", cluster_id="c", submitted_by="ann"
    )
    assert document["metadata"]["labels"]["run.ai/workload-id"] == "id"
    assert document["metadata"]["annotations"] == {"run.ai/submitted-by": "ann"}
