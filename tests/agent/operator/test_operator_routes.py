"""Ways in from outside: hosts, Ingress and HTTPRoute, and that none of it keeps a workload from running."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agent.kube.errors import Forbidden, NotFound
from agent.kube.resources import HTTP_ROUTE, INGRESS, POD, RUNAI_CONFIG
from agent.kube.watch import Informer
from agent.loops.activator import workload_of_host
from agent.operator.routes import hosts, route, urls
from agent.wire.config import ClusterConfig, IngressConfig
from agent.wire.objects import Port
from tests.agent.fake_kube import FakeKube
from tests.agent.operator.builders import view
from tests.agent.operator.operating import operating, project, status, workload

DOMAIN = "apps.example.test"
PORTS = (Port(8888), Port(6006, external=80), Port(22, "NodePort", 30022))


def exposed(**ingress: Any):
    settings = IngressConfig(**{"domain": DOMAIN, **ingress})
    return replace(view(ports=PORTS), cluster=replace(ClusterConfig(), ingress=settings))


def made(workload: Any) -> dict[str, Any]:
    found = route(workload, {}, {})
    assert found is not None
    return found


def config(**ingress: Any) -> dict[str, Any]:
    meta = {"name": "runai", "namespace": "runai"}
    return {"apiVersion": "run.ai/v1", "kind": "RunaiConfig", "metadata": meta, "spec": {"ingress": ingress}}


def test_a_host_says_whose_it_is_and_the_activator_knows_it():
    found = hosts(exposed())
    assert found == [(f"w.runai-vision.{DOMAIN}", 8888), (f"w-80.runai-vision.{DOMAIN}", 80)]
    assert workload_of_host(found[0][0]) == ("w", "runai-vision")


def test_without_a_domain_or_a_port_there_is_no_way_in():
    assert route(exposed(domain=""), {}, {}) is None
    assert route(replace(exposed(), spec=replace(exposed().spec, ports=(Port(1, "NodePort"),))), {}, {}) is None


def test_an_ingress_has_a_rule_a_host():
    spec = made(exposed(class_name="nginx", tls_secret="cert"))["spec"]
    assert [rule["host"].split(".")[0] for rule in spec["rules"]] == ["w", "w-80"]
    backend = spec["rules"][1]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "w", "port": {"number": 80}}
    assert (spec["ingressClassName"], spec["tls"][0]["secretName"]) == ("nginx", "cert")


@pytest.mark.parametrize(
    ("ingress", "scheme"), [({}, "http"), ({"https": True}, "https"), ({"tls_secret": "c"}, "https")]
)
def test_addresses_are_told(ingress, scheme):
    assert urls(exposed(**ingress))[0] == f"{scheme}://w.runai-vision.{DOMAIN}"


def test_with_a_gateway_it_is_a_route():
    found = made(exposed(gateway="infra/main"))
    assert found["kind"] == "HTTPRoute"
    assert found["spec"]["parentRefs"] == [{"name": "main", "namespace": "infra"}]
    assert found["spec"]["rules"][0]["backendRefs"] == [{"name": "w", "port": 8888}]


async def test_it_comes_and_goes_with_the_configuration():
    kube = FakeKube(project(), config(domain=DOMAIN), workload(ports=[{"container": 8888}]))
    async with operating(kube) as operator:
        assert [obj["metadata"]["name"] for obj in kube.all(INGRESS)] == ["hello"]
        assert status(kube)["urls"] == [f"http://hello.runai-vision.{DOMAIN}"]
        await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": {"ingress": {"gateway": "g"}}})
        await operator.settle()
        assert kube.all(INGRESS) == []
        assert len(kube.all(HTTP_ROUTE)) == 1
        await kube.patch(RUNAI_CONFIG, "runai", "runai", body={"spec": {"ingress": None}})
        await operator.settle()
        assert kube.all(HTTP_ROUTE) == []


async def test_somebody_elses_ingress_stays():
    meta = {"name": "hello", "namespace": "runai-vision"}
    theirs = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": {}}
    kube = FakeKube(project(), workload(ports=[{"container": 8888}]), theirs)
    async with operating(kube):
        assert kube.all(INGRESS)[0]["spec"] == {}


async def test_a_refused_route_does_not_keep_the_pods_away():
    kube = FakeKube(project(), config(domain=DOMAIN, gateway="g"), workload(ports=[{"container": 8888}]))
    kube.fail("create", "HTTPRoute", NotFound("no such kind", status=404), times=50)
    async with operating(kube):
        assert len(kube.all(POD)) == 1


async def test_rights_of_an_earlier_release_do_not_stop_the_start():
    kube = FakeKube()
    kube.fail("list", "Ingress", Forbidden("may not list", status=403), times=1000)
    informer = Informer(kube, INGRESS, optional=True)
    task = asyncio.create_task(informer.run())
    async with asyncio.timeout(5):
        await informer.synced()
    task.cancel()
