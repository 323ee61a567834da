"""What the control plane does not judge itself reaches the cluster unchanged, and comes back for a clone."""

from __future__ import annotations

from agent.wire.objects import Autoscaling, EnvVar, Mount, Port, RoleSpec
from workloads.specs.compile import compile_spec, request_from_spec
from workloads.specs.request import PARTS, SubmitRequest, from_json, to_json

REQUEST = SubmitRequest(
    name="w",
    project_id="1",
    image="i",
    type="distributed",
    workers=3,
    environment=(EnvVar("TOKEN", secret="login", key="token"),),
    master=RoleSpec(command=("lead",)),
    min_replicas=2,
    slots_per_worker=4,
    clean_pod_policy="All",
    ports=(Port(80, name="http"),),
    storage=(Mount("pvc", "/data", "claim"),),
    autoscaling=Autoscaling(0, 3, "concurrency", 2),
    time_limit_seconds=60,
    idle_gpu_limit_seconds=30,
    image_pull_secrets=("registry",),
    shared_memory_mib=64,
    readiness_path="/ready",
)


def test_every_part_reaches_the_cluster():
    spec = compile_spec(REQUEST)
    assert {name: getattr(spec, name) for name in PARTS} == {name: getattr(REQUEST, name) for name in PARTS}
    assert spec.environment == REQUEST.environment


def test_and_comes_back():
    back = request_from_spec(compile_spec(REQUEST), name="w", project_id="1", cluster_id=None)
    assert {name: getattr(back, name) for name in PARTS} == {name: getattr(REQUEST, name) for name in PARTS}


def test_it_is_stored_whole():
    assert from_json(to_json(REQUEST)) == REQUEST
