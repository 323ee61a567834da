"""``security`` and ``probes`` of the public API's bodies: read, judged, written back, and what they become in a pod."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.operator import pods
from agent.operator.desired import read_project
from agent.operator.workload import problems, read_workload
from agent.wire.objects import Probe, Security
from tests.agent.operator.operating import project
from workloads.specs.api_shapes import json_path, read_creation, spec_json
from workloads.specs.compile import compile_spec
from workloads.specs.manifest import plain_manifest, read_manifest, to_yaml
from workloads.specs.problems import SpecError

SECURITY: dict[str, Any] = {
    "uidGidSource": "custom",
    "runAsUid": 1000,
    "runAsGid": 100,
    "supplementalGroups": "200,300",
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": ["NET_ADMIN"],
    "seccompProfileType": "RuntimeDefault",
}
READY = {"handler": {"httpGet": {"path": "/ok", "port": 8000, "scheme": "HTTPS"}}, "periodSeconds": 5}


def body(**spec: Any) -> dict[str, Any]:
    return {"name": "w", "projectId": "1", "spec": {"image": "a/b:1", **spec}}


def test_all_of_it_is_read_and_written_back():
    request = read_creation(body(security=SECURITY, probes={"readiness": READY}), "training")
    assert spec_json(request) | {"image": "a/b:1"} == spec_json(request)
    assert spec_json(request)["security"] == SECURITY
    assert spec_json(request)["probes"] == {"readiness": READY}


def test_it_survives_the_manifest():
    request = read_creation(body(security=SECURITY, probes={"readiness": READY}), "training")
    text = to_yaml(plain_manifest(compile_spec(request), object_name="w", namespace="n"))
    again = read_manifest(text, project_id="1", cluster_id=None)
    assert (again.security, again.readiness) == (request.security, request.readiness)


def test_what_becomes_of_it_in_a_pod():
    request = read_creation(body(security=SECURITY, probes={"readiness": READY}), "training")
    obj = plain_manifest(compile_spec(request), object_name="w", namespace="runai-vision")
    obj["metadata"]["uid"] = "u"
    spec = pods.pod(read_workload(obj, read_project(project())), 0, 0)["spec"]
    assert spec["securityContext"] == {
        "runAsUser": 1000,
        "runAsGroup": 100,
        "fsGroup": 100,
        "supplementalGroups": [200, 300],
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = spec["containers"][0]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_ADMIN"]},
    }
    get = {"path": "/ok", "port": 8000, "scheme": "HTTPS"}
    assert container["readinessProbe"] == {"httpGet": get, "periodSeconds": 5}


def test_a_group_without_a_user_is_the_container_s():
    """No runtime makes a sandbox with a group and without a user."""
    request = read_creation(body(security={"runAsGid": 100}), "training")
    obj = plain_manifest(compile_spec(request), object_name="w", namespace="runai-vision")
    obj["metadata"]["uid"] = "u"
    spec = pods.pod(read_workload(obj, read_project(project())), 0, 0)["spec"]
    assert spec["securityContext"] == {"fsGroup": 100}
    assert spec["containers"][0]["securityContext"] == {"runAsGroup": 100}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"security": {"hostNetwork": True}}, "spec.security.hostNetwork"),
        ({"security": {"hostIpc": True}}, "spec.security.hostIpc"),
        ({"security": {"uidGidSource": "fromIdpToken"}}, "spec.security.uidGidSource"),
        ({"security": {"uidGidSource": "custom"}}, "spec.security.runAsUid"),
        ({"security": {"runAsUid": "root"}}, "spec.security.runAsUid"),
        ({"security": {"supplementalGroups": "wheel"}}, "spec.security.supplementalGroups"),
        ({"security": {"capabilities": "ALL"}}, "spec.security.capabilities"),
        ({"probes": {"liveness": READY}}, "spec.probes.liveness"),
        ({"probes": {"readiness": {"handler": {}, "periodSeconds": 1}}}, "spec.probes.readiness.handler.httpGet.port"),
        ({"probes": {"readiness": {"handler": {"httpGet": {"port": 80}}, "exec": "x"}}}, "spec.probes.readiness.exec"),
    ],
)
def test_what_has_the_wrong_shape_is_named(spec, path):
    with pytest.raises(SpecError) as caught:
        read_creation(body(**spec), "training")
    assert [problem.field for problem in caught.value.problems] == [path]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"security": Security(run_as_uid=-1)}, "spec.security.runAsUid"),
        ({"security": Security(run_as_uid=0, run_as_non_root=True)}, "spec.security.runAsUid"),
        ({"security": Security(seccomp_profile_type="Localhost")}, "spec.security.seccompProfileType"),
        ({"security": Security(capabilities=("FLY",))}, "spec.security.capabilities[0]"),
        ({"readiness": Probe(port=0)}, "spec.readiness.port"),
        ({"readiness": Probe(port=80, path="ok")}, "spec.readiness.path"),
        ({"readiness": Probe(port=80, period_seconds=0)}, "spec.readiness.periodSeconds"),
        ({"readiness": Probe(port=80), "readiness_path": "/ok"}, "spec.readiness"),
    ],
)
def test_what_makes_no_sense_is_named_by_the_clusters_rules(change, field):
    spec = compile_spec(read_creation(body(ports=[{"container": 80}]), "training"))
    (problem,) = problems(replace(spec, **change))
    assert problem.startswith(f"{field}: ")


def test_errors_of_both_are_in_the_callers_words():
    assert json_path("security") == "spec.security"
    assert json_path("readiness") == "spec.probes.readiness"


@pytest.mark.parametrize("nothing", [None, {}, {"uidGidSource": "fromTheImage"}])
def test_saying_nothing_is_the_images_way(nothing):
    assert read_creation(body(security=nothing), "training").security is None
