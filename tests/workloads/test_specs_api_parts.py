"""The newer parts of creation bodies: read, compiled, written back in the same words, and refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from agent.wire.objects import Autoscaling, EnvVar, Mount, NewClaim, Port, RoleSpec
from workloads.specs.api_shapes import read_creation, spec_json
from workloads.specs.compile import compile_spec
from workloads.specs.problems import SpecError


def body(compute: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    wanted = {"image": "i", **spec} | ({"compute": compute} if compute else {})
    return {"name": "a", "projectId": "1", "spec": wanted}


CLAIM = {
    "existingPvc": False, "ephemeral": True, "path": "/data",
    "claimInfo": {
        "size": "1024Mi", "storageClass": "fast", "volumeMode": "Filesystem",
        "accessModes": {"readWriteOnce": True, "readWriteMany": True},
    },
}  # fmt: skip
PARTS: list[tuple[str, dict[str, Any], str, Any]] = [
    ("ports", {"ports": [{"container": 8888, "serviceType": "NodePort", "external": 30080, "toolName": "jupyter"}]},
     "ports", (Port(8888, "NodePort", 30080, tool="jupyter"),)),
    ("new claim", {"storage": {"pvc": [CLAIM]}},
     "storage", (Mount("pvc", "/data", claim=NewClaim(1024, "fast", ("ReadWriteOnce", "ReadWriteMany"), True)),)),
    ("pvc", {"storage": {"pvc": [{"existingPvc": True, "claimName": "data", "path": "/data", "readOnly": True}]}},
     "storage", (Mount("pvc", "/data", name="data", read_only=True),)),
    ("nfs", {"storage": {"nfs": [{"server": "s", "path": "/exports", "mountPath": "/data"}]}},
     "storage", (Mount("nfs", "/data", server="s", source="/exports"),)),
    ("git", {"storage": {"git": [{"repository": "https://g/r", "branch": "main", "path": "/src"}]}},
     "storage", (Mount("git", "/src", source="https://g/r", revision="main"),)),
    ("s3", {"storage": {"s3": [{"bucket": "b", "url": "https://s3", "path": "/b", "accessKeySecret": "k"}]}},
     "storage", (Mount("s3", "/b", source="b", endpoint="https://s3", secret="k"),)),
    ("configMap", {"storage": {"configMapVolume": [{"configMap": "c", "mountPath": "/c", "subPath": "x"}]}},
     "storage", (Mount("configMap", "/c", name="c", sub_path="x"),)),
    ("emptyDir", {"storage": {"emptyDirVolume": [{"path": "/tmp/x", "sizeLimit": "512Mi"}]}},
     "storage", (Mount("emptyDir", "/tmp/x", size_mib=512),)),
    ("pull secrets", {"imagePullSecrets": [{"name": "reg"}]}, "image_pull_secrets", ("reg",)),
    ("secret variable", {"environmentVariables": [{"name": "A", "secret": {"name": "s", "key": "k"}}]},
     "environment", (EnvVar("A", secret="s", key="k"),)),
    ("field variable", {"environmentVariables": [{"name": "A", "podFieldRef": {"path": "status.podIP"}}]},
     "environment", (EnvVar("A", field_path="status.podIP"),)),
]  # fmt: skip


@pytest.mark.parametrize(("given", "name", "value"), [part[1:] for part in PARTS], ids=[part[0] for part in PARTS])
def test_a_part_is_read_compiled_and_written_back(given, name, value):
    asked = read_creation(body(**given), "training")
    assert getattr(asked, name) == value
    assert getattr(compile_spec(asked), name) == value
    assert {key: spec_json(asked)[key] for key in given} == given


def test_limits_of_a_share_and_other_resources_are_of_the_pod():
    compute = {
        "gpuDevicesRequest": 1, "gpuRequestType": "portion", "gpuPortionRequest": 0.25, "gpuPortionLimit": 0.5,
        "extendedResources": [{"resource": "nvidia.com/mig-1g.10gb", "quantity": "2"}],
        "cpuMemoryRequest": "2G", "largeShmRequest": True,
    }  # fmt: skip
    asked = read_creation(body(compute), "training")
    spec = compile_spec(asked)
    assert (spec.compute.gpu_portion_milli, spec.compute.gpu_portion_limit_milli) == (250, 500)
    assert spec.compute.extended_resources == {"nvidia.com/mig-1g.10gb": 2}
    assert spec.shared_memory_mib == 1908
    assert spec_json(asked)["compute"] == compute


def test_the_master_has_its_own():
    own = {"image": "m", "command": "run --it", "compute": {"cpuCoreRequest": 2}}
    sent = body(numWorkers=2, distributedFramework="PyTorch") | {"masterSpecSameAsWorker": False, "masterSpec": own}
    found = compile_spec(read_creation(sent, "distributed")).master
    assert isinstance(found, RoleSpec)
    assert (found.image, found.command) == ("m", ("run", "--it"))
    assert found.compute is not None
    assert found.compute.cpu_milli == 2000
    assert compile_spec(read_creation(sent | {"masterSpecSameAsWorker": True}, "distributed")).master is None


def test_inference_has_its_port_and_scales():
    scaling = {"minReplicas": 0, "maxReplicas": 3, "metric": "concurrency", "metricThreshold": 5}
    asked = read_creation(body(servingPort={"container": 8000}, autoscaling=scaling), "inference")
    spec = compile_spec(asked)
    assert spec.ports == (Port(8000),)
    assert spec.autoscaling == Autoscaling(0, 3, "concurrency", 5)
    written = spec_json(asked)
    assert written["servingPort"] == {"container": 8000}
    assert written["autoscaling"].items() >= scaling.items()


VARIABLE = {"name": "A"}


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("training", body(ports=[{}]), "spec.ports[0]"),
        ("training", body(storage="x"), "spec.storage"),
        ("training", body(storage={"tape": [{}]}), "spec.storage.tape"),
        ("training", body(storage={"pvc": [{"existingPvc": False, "path": "/d"}]}), "spec.storage.pvc[0]"),
        ("training", body(storage={"nfs": [{"server": "s"}]}), "spec.storage.nfs[0]"),
        ("training", body(storage={"hostPath": [{"path": "/a", "mountPath": "/b", "mountPropagation": "None"}]}),
         "spec.storage.hostPath[0]"),
        ("training", body({"extendedResources": [{"resource": "a/b", "quantity": "x"}]}),
         "spec.compute.extendedResources[0]"),
        ("training", body(environmentVariables=[VARIABLE | {"userCredential": {"name": "c"}}]),
         "spec.environmentVariables[0]"),
        ("training", body(environmentVariables=[VARIABLE | {"secret": {"name": "c"}}]),
         "spec.environmentVariables[0]"),
        ("training", body(autoscaling={"minReplicas": 1}), "spec.autoscaling"),
        ("inference", body(autoscaling={"initialReplicas": 1}), "spec.autoscaling"),
        ("inference", body(servingPort={"container": "x"}), "spec.servingPort"),
        ("inference", body(servingPort={"container": 1, "authorizedUsers": ["u"]}), "spec.servingPort.authorizedUsers"),
        ("distributed", body(numWorkers=2) | {"masterSpec": {"tty": True}}, "masterSpec.tty"),
        ("training", body() | {"masterSpec": {"image": "x"}}, "masterSpec"),
    ],
)  # fmt: skip
def test_what_is_not_meant_is_refused_by_name(kind, given, field):
    with pytest.raises(SpecError) as caught:
        read_creation(given, kind)
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize(
    ("compute", "field"),
    [
        ({"gpuDevicesRequest": 1, "gpuPortionRequest": 0.5, "gpuPortionLimit": 0.4}, "gpu_portion_limit"),
        ({"gpuDevicesRequest": 1, "gpuMemoryRequest": "2G", "gpuPortionLimit": 0.4}, "gpu_portion_limit"),
        ({"gpuDevicesRequest": 1, "gpuMemoryRequest": "2G", "gpuMemoryLimit": "1G"}, "gpu_memory_limit"),
        ({"gpuDevicesRequest": 1, "gpuPortionRequest": 1, "gpuPortionLimit": 1}, "gpu_portion_limit"),
    ],
)
def test_a_limit_below_its_request_or_without_one_is_a_mistake(compute, field):
    with pytest.raises(SpecError) as caught:
        compile_spec(read_creation(body(compute), "training"))
    assert [problem.field for problem in caught.value.problems] == [field]
