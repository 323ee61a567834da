"""Manifests become REST requests; what is no workload is refused by name."""

from pathlib import Path

import pytest

from local.files import ROOT
from local.manifest import BadManifest, read, request

HEADER = "apiVersion: run.ai/v1\nkind: Workload\n"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_workload_of_the_seeded_project(path: Path) -> None:
    found = read(path)
    assert found.name == path.stem
    assert found.project == "vision"


def test_commands_survive_the_way_through_one_string(tmp_path: Path) -> None:
    path, body = request(read(ROOT / "examples" / "fails.yaml"), name="x", project_id="1", cluster_id="c")
    assert path == "/workloads/trainings"
    assert body["spec"]["command"] == "sh -c"
    assert body["spec"]["args"].startswith("'echo '")


def test_a_fraction_is_a_portion_of_each_device() -> None:
    _, body = request(read(ROOT / "examples" / "gpu-fraction.yaml"), name="x", project_id="1", cluster_id="c")
    compute = body["spec"]["compute"]
    assert compute["gpuDevicesRequest"] == 1
    assert (compute["gpuRequestType"], compute["gpuPortionRequest"]) == ("portion", 0.5)


def test_a_gang_is_submitted_as_distributed() -> None:
    path, body = request(read(ROOT / "examples" / "gang.yaml"), name="x", project_id="1", cluster_id="c")
    assert path == "/workloads/distributed"
    assert body["spec"]["numWorkers"] == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\napiVersion: v1\n", "expected kind Workload"),
        ("a: [", "not YAML"),
        ("", "expected one YAML object"),
        (HEADER + "spec: {}\n", "metadata.name is missing"),
        (HEADER + "metadata: {name: x, namespace: default}\n", "namespace is 'default'"),
        (HEADER + "metadata: {name: x, namespace: runai-p}\nspec: {type: training}\n", "field 'image' is missing"),
    ],
)
def test_what_is_no_workload_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadManifest, match=words):
        read(path)


def test_simulated_nodes_alone_need_no_real_one(tmp_path: Path) -> None:
    spec = "metadata: {name: x, namespace: runai-p}\nspec: {type: training, image: i, nodePools: [simulated]}\n"
    path = tmp_path / "x.yaml"
    path.write_text(HEADER + spec)
    assert not read(path).needs_a_real_node
    assert read(ROOT / "examples" / "hello.yaml").needs_a_real_node
