"""The chart: linted, made from the same source as the manifest, installed on a real node, upgraded and taken out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.kube.client import KubeClient
from agent.kube.errors import Invalid
from agent.kube.resources import CRD, DEPLOYMENT, NAMESPACE, POD, RUNAI_CONFIG, WORKLOAD
from agent.loops.configured import read_config
from local.kube import agent_image, node
from local.kube.binaries import ensure
from tests.agent.live import log_of, make_project, pods_of, reach, until, workload
from tests.fixtures_kube import say

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy" / "charts" / "runai-cluster"
ROLES = ("operator", "scheduler", "webhook", "activator", "metrics")
VALUES = ("--set", f"image.repository={agent_image.REPOSITORY}", "--set", "image.pullPolicy=Never")


@pytest.fixture(scope="module")
def helm() -> str:
    return str(ensure(say, ("helm",))["helm"])


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_chart_is_what_the_manifest_is():
    generate = ROOT / "deploy" / "charts" / "generate.py"
    code = f"import runpy; files = runpy.run_path({str(generate)!r})['files'](); "
    code += f"import pathlib; root = pathlib.Path({str(CHART)!r}); "
    code += "print([str(path) for path, text in files.items() if (root / path).read_text() != text])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", f"run deploy/charts/generate.py: {done.stdout}{done.stderr}"


@pytest.mark.node
def test_helm_lints_it(helm):
    assert "0 chart(s) failed" in run(helm, "lint", "--strict", str(CHART))


@pytest.mark.node
def test_values_are_the_spec_of_the_configuration(helm):
    values = ("roles.metrics.enabled=false", "placement.gpu=spread", "scheduler.shards=node-pool")
    values += ("config.createNamespaces=false", "logLevel=debug")
    sets = [word for value in values for word in ("--set", value)]
    text = run(helm, "template", "r", str(CHART), "--kube-version", "1.34.0", *sets)
    documents = [doc for doc in yaml.safe_load_all(text) if doc]
    made = [doc["metadata"]["name"] for doc in documents if doc["kind"] == "Deployment"]
    assert made == ["runai-operator"]
    chosen = next(doc for doc in documents if doc["metadata"]["name"] == "runai-config")
    spec, wrong = read_config({"spec": json.loads(chosen["data"]["spec"])})
    assert wrong == []
    assert (spec.roles.metrics.enabled, spec.roles.link.enabled) == (False, True)
    assert (spec.scheduler.placement.gpu, spec.scheduler.placement.cpu) == ("spread", "binpack")
    assert (spec.scheduler.shards, spec.create_namespaces, spec.log_level) == ("node-pool", False, "debug")


@pytest.mark.node
def test_a_wrong_value_is_refused_by_name(helm):
    argv = [helm, "template", "r", str(CHART), "--kube-version", "1.34.0", "--set", "placement.gpu=random"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode != 0
    assert "gpu" in done.stderr


@pytest.fixture(scope="module")
def scheduled(node_cluster, tmp_path_factory) -> Iterator[Any]:
    """The cluster with the agent's image, and the scheduler of Kubernetes, which places the agent's own pods."""
    node.import_images(node_cluster._node().containerd_socket, (agent_image.ensure(say),))
    config, program = str(node_cluster.kubeconfig), str(ensure(say, ("kube-scheduler",))["kube-scheduler"])
    log = (tmp_path_factory.mktemp("kube") / "scheduler.log").open("wb")
    flags = [f"--{name}kubeconfig={config}" for name in ("", "authentication-", "authorization-")]
    argv = [program, *flags, "--leader-elect=false", "--secure-port=0"]
    process = subprocess.Popen(argv, stdout=log, stderr=log)
    yield node_cluster
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def old_chart(helm, tmp_path_factory) -> str:
    """A packaged chart 0.0.1, as an earlier release would have been."""
    folder = tmp_path_factory.mktemp("chart")
    shutil.copytree(CHART, folder / "runai-cluster")
    about = folder / "runai-cluster" / "Chart.yaml"
    text = about.read_text().replace("\nversion: 0.1.0", "\nversion: 0.0.1")
    about.write_text(text)
    values = folder / "runai-cluster" / "values.yaml"
    values.write_text(values.read_text().replace("activator: {enabled: true}", "activator: {enabled: false}"))
    run(helm, "package", str(folder / "runai-cluster"), "-d", str(folder))
    return str(folder / "runai-cluster-0.0.1.tgz")


def old_definition() -> dict[str, Any]:
    """The RunaiConfig's, as a release before had it."""
    old: dict[str, Any] = yaml.safe_load((CHART / "crds" / "run.ai_runaiconfigs.yaml").read_text())
    del old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["scheduler"]
    return old


async def knows_the_scheduler(kube: KubeClient) -> bool:
    """Whether the definition is this release's: Helm leaves the old one, the operator brings it up."""
    found = await kube.get(CRD, "runaiconfigs.run.ai")
    spec = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return "scheduler" in spec


async def split_by_pool(kube: KubeClient, space: str) -> None:
    """A scheduler for each node pool instead of one for all, as Deployments of the operator; and back again."""
    spec = {"id": "sim", "labelKey": "type", "labelValue": "kwok"}
    await kube.apply(
        {"apiVersion": "run.ai/v1", "kind": "NodePool", "metadata": {"name": "simulated"}, "spec": spec}, manager="test"
    )

    async def schedulers(shards: str, *wanted: str) -> None:
        await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": {"scheduler": {"shards": shards}}})

        async def there() -> bool:
            found = (await kube.list(DEPLOYMENT, "runai", labels="app.kubernetes.io/component=scheduler")).items
            up = {one["metadata"]["name"] for one in found if (one.get("status") or {}).get("availableReplicas") == 1}
            return len(found) == len(wanted) and up == set(wanted)

        await until(there, within=120)

    await schedulers("node-pool", "runai-scheduler-default", "runai-scheduler-simulated")
    for pool in ("default", "simulated"):
        await kube.create(workload(f"in-{pool}", space, nodePools=[pool], command=["sleep", "600"]))
        await reach(kube, f"in-{pool}", space, "Running")
        await kube.delete(WORKLOAD, f"in-{pool}", space)
    await schedulers("one", "runai-scheduler")


@pytest.mark.node
async def test_installed_upgraded_and_uninstalled(live_node, scheduled, helm, old_chart):
    base = [helm, "--kubeconfig", str(scheduled.kubeconfig), "-n", "runai"]
    own = ("--take-ownership", *VALUES)
    async with live_node.connect() as kube:
        await kube.apply(old_definition(), manager="runai-install")
        assert not await knows_the_scheduler(kube)
    run(*base, "upgrade", "--install", "runai", old_chart, "--create-namespace", *own)
    run(*base, "upgrade", "runai", str(CHART), *own)
    async with live_node.connect() as kube:
        await until(lambda: knows_the_scheduler(kube), within=120)

        async def available() -> bool:
            found = (await kube.list(DEPLOYMENT, "runai")).items
            up = [obj for obj in found if (obj.get("status") or {}).get("availableReplicas") == 1]
            return len(up) == len(ROLES)

        await until(available, within=180)
        space = await make_project(kube, "chart")
        await kube.create(workload("hello", space, command=["echo", "MARKER from the chart"]))
        await reach(kube, "hello", space, "Completed")
        pod = (await pods_of(kube, space, "hello"))[0]["metadata"]["name"]
        assert "MARKER" in await log_of(kube, pod, space)

        async def refused() -> bool:
            try:
                await kube.create(workload("wrong", space, framework="caffe"))
            except Invalid:
                return True
            await kube.delete(WORKLOAD, "wrong", space)
            return False

        await until(refused)
        await split_by_pool(kube, space)
        await kube.create(workload("stays", space, command=["sleep", "600"]))
        await reach(kube, "stays", space, "Running")
        run(*base, "uninstall", "runai", "--wait")
        assert (await kube.get(POD, "stays-0", space))["status"]["phase"] == "Running"
        assert await kube.get(NAMESPACE, space)

        async def gone() -> bool:
            return not (await kube.list(DEPLOYMENT, "runai")).items

        await until(gone)
        await kube.delete(WORKLOAD, "stays", space)
        await kube.delete(POD, "stays-0", space, grace_s=0)
