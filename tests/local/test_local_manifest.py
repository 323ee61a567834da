"""Manifests become REST requests; what is no workload is refused by name."""

from pathlib import Path

import pytest
import yaml

from local.files import ROOT
from local.manifest import BadManifest, read, request

HEADER = "apiVersion: run.ai/v1\nkind: Workload\n"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_workload_of_the_seeded_project(path: Path) -> None:
    found = read(path)
    assert found.name == path.stem
    assert found.project == "vision"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_whole_manifest_is_submitted_under_another_name(path: Path) -> None:
    url, body = request(read(path), name="x", project_id="1", cluster_id="c")
    assert url == "/api/v2/workloads"
    assert body["metadata"] == {"name": "x", "projectId": "1", "clusterId": "c"}
    assert body["manifest"]["spec"] == yaml.safe_load(path.read_text())["spec"]


@pytest.mark.parametrize(("name", "endless"), [("workspace", True), ("inference", True), ("hello", False)])
def test_what_has_no_end_is_known(name: str, endless: bool) -> None:
    assert read(ROOT / "examples" / f"{name}.yaml").endless is endless


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
