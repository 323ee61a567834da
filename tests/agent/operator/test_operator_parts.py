"""Ports, mounts, masters, limits: what they become, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.operator import pods as make
from agent.operator.lifecycle import decide
from agent.operator.services import host_file, port_service
from agent.operator.workload import WorkloadStatus, problems
from agent.wire.objects import Autoscaling, Compute, EnvVar, Mount, Port, RoleSpec, WorkloadSpec
from agent.wire.phases import Phase
from tests.agent.operator.builders import NOW, ago, pod, view


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"ports": (Port(80), Port(80))}, "ports[1].container: 80 is given twice"),
        ({"ports": (Port(80, external=9), Port(81, external=9))}, "ports[1].external: 9 is given twice"),
        ({"ports": (Port(70_000),)}, "ports[0].container"),
        ({"ports": (Port(80, "NodePort", 80),)}, "30000 to 32767"),
        ({"storage": (Mount("tape", "/a"),)}, "storage[0].kind"),
        ({"storage": (Mount("pvc", "/a"),)}, "storage[0].name: needed for pvc"),
        ({"storage": (Mount("emptyDir", "a"),)}, "storage[0].path"),
        ({"storage": (Mount("emptyDir", "/a"), Mount("emptyDir", "/a"))}, "is given twice"),
        ({"storage": (Mount("hostPath", "/a", source="/x/../etc"),)}, "storage[0].source"),
        ({"storage": (Mount("git", "/a", source="--upload-pack=x"),)}, "storage[0].source"),
        (
            {"type": "distributed", "workers": 2, "min_replicas": 3},
            "minReplicas: 3 given, must be from 1 to workers, 2",
        ),
        ({"type": "inference", "autoscaling": Autoscaling(3, 2, "concurrency")}, "maxReplicas: 2 given"),
        ({"autoscaling": Autoscaling(1, 2, "concurrency")}, "spec.autoscaling: training"),
        ({"type": "inference", "autoscaling": Autoscaling(1, 2, "luck"), "ports": (Port(80),)}, "metric: 'luck'"),
        ({"master": RoleSpec()}, "spec.master"),
        ({"environment": (EnvVar("A", secret="s"),)}, "environment[0].key"),
        ({"time_limit_seconds": 0}, "timeLimitSeconds: 0"),
        ({"image_pull_secrets": ("a", "Bad_Name")}, "spec.imagePullSecrets[1]: 'Bad_Name' given"),
        ({"image_pull_secrets": ("a", "a")}, "spec.imagePullSecrets[1]: 'a' given"),
    ],
)
def test_mistakes_name_field_and_rule(spec, field):
    found = problems(WorkloadSpec(**{"type": "training", "image": "i", **spec}))
    assert any(field in text for text in found), found


def test_a_service_reaches_the_exposed_ports_of_the_first_member():
    gang = view(type="distributed", workers=2, ports=(Port(80, external=8080, name="http"),))
    service = port_service(gang, {}, {})
    assert service is not None
    assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": 80}]
    assert service["spec"]["selector"]["run.ai/replica-index"] == "0"


def test_requests_that_are_counted_come_through_the_activator():
    scaled = view(type="inference", ports=(Port(80),), autoscaling=Autoscaling(1, 2, "concurrency"))
    service = port_service(scaled, {}, {})
    assert service is not None
    assert "selector" not in service["spec"]


@pytest.mark.parametrize(
    ("mount", "volume"),
    [
        (
            Mount("pvc", "/d", "claim", read_only=True),
            {"persistentVolumeClaim": {"claimName": "claim", "readOnly": True}},
        ),
        (Mount("nfs", "/d", server="h", source="/x"), {"nfs": {"server": "h", "path": "/x", "readOnly": False}}),
        (Mount("hostPath", "/d", source="/x"), {"hostPath": {"path": "/x"}}),
        (Mount("configMap", "/d", "c"), {"configMap": {"name": "c"}}),
        (Mount("secret", "/d", "s"), {"secret": {"secretName": "s"}}),
        (Mount("emptyDir", "/d", size_mib=5), {"emptyDir": {"sizeLimit": "5Mi"}}),
        (Mount("git", "/d", source="https://h/r"), {"emptyDir": {}}),
    ],
)
def test_what_a_mount_becomes(mount, volume):
    spec = make.pod(view(storage=(mount,)), 0, 0)["spec"]
    assert spec["volumes"] == [{"name": "storage-0", **volume}]
    assert spec["containers"][0]["volumeMounts"][0]["mountPath"] == "/d"


def test_credentials_of_git_are_in_no_command_line():
    mount = Mount("git", "/code", source="https://h/r", revision="main", secret="login")
    container = make.pod(view(storage=(mount,)), 0, 0)["spec"]["initContainers"][0]
    by_name = {item["name"]: item for item in container["env"]}
    assert by_name["GIT_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "login", "key": "password"}
    assert by_name["REPOSITORY"]["value"] == "https://h/r"
    assert "https://h/r" not in " ".join(container["command"])


def test_the_master_has_its_own_command_and_request():
    master = RoleSpec(command=("lead",), compute=Compute(cpu_milli=1))
    gang = view(type="distributed", workers=2, command=("work",), compute=Compute(gpu_devices=1), master=master)
    first, second = (make.pod(gang, index, 0)["spec"]["containers"][0] for index in (0, 1))
    assert (first["command"], second["command"]) == (["lead"], ["work"])
    assert "limits" not in first["resources"]
    assert second["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_the_host_file_of_mpi_has_a_line_for_each_worker():
    job = view(type="distributed", framework="MPI", workers=3, slots_per_worker=2, master=RoleSpec())
    made = host_file(job, {}, {})
    assert made is not None
    assert made["data"]["hostfile"] == "w-1.w.runai-vision.svc slots=2\nw-2.w.runai-vision.svc slots=2\n"


def test_an_elastic_gang_starts_with_its_minimum():
    gang = view(type="distributed", workers=4, min_replicas=2)
    assert make.pod_group(gang, 0)["spec"]["minMember"] == 2
    env = {item["name"]: item["value"] for item in make.pod(gang, 0, 0)["spec"]["containers"][0]["env"]}
    assert env["PET_NNODES"] == "2:4"


@pytest.mark.parametrize(("seconds", "end"), [(100, None), (60, Phase.FAILED), (59, Phase.FAILED)])
def test_the_time_limit_ends_it(seconds, end):
    started = WorkloadStatus(phase=Phase.RUNNING, started_at=ago(60).isoformat())
    decision = decide(view(started, time_limit_seconds=seconds), [pod(phase="Running", node="n")], NOW)
    assert decision.end is end
    assert bool(decision.end_text) is (end is not None)


@pytest.mark.parametrize(("idle", "end"), [((100, 100), Phase.FAILED), ((100, 10), None), ((100, None), None)])
def test_idle_gpus_end_it_when_all_have_idled_for_long(idle, end):
    status = WorkloadStatus(phase=Phase.RUNNING, started_at=ago(500).isoformat())
    pods = [
        pod(index, phase="Running", node="n", gpu_milli=1000, idle_since=None if since is None else ago(since))
        for index, since in enumerate(idle)
    ]
    gang = view(status, type="distributed", workers=2, idle_gpu_limit_seconds=60)
    assert decide(gang, pods, NOW).end is end


@pytest.mark.parametrize(("policy", "deleted"), [("None", 0), ("Running", 1), (None, 1), ("All", 2)])
def test_the_clean_pod_policy(policy, deleted):
    ended = WorkloadStatus(phase=Phase.COMPLETED, completed_at=ago(5).isoformat())
    gang = view(ended, type="distributed", workers=2, clean_pod_policy=policy)
    pods = [pod(0, phase="Succeeded", node="n"), pod(1, phase="Running", node="n")]
    assert len(decide(gang, pods, NOW).delete) == deleted


def test_a_new_template_replaces_one_pod_after_the_other():
    serving = view(type="inference", autoscaling=Autoscaling(2, 2))
    old = [replace(pod(index, phase="Running", node="n"), ready=True, revision="old") for index in (0, 1)]
    assert [gone.index for gone in decide(serving, old, NOW).delete] == [1]
    half = [old[0], replace(old[1], revision=serving.template, ready=False)]
    assert not decide(serving, half, NOW).delete
