"""The manifest that the control plane hands out, and the definitions in it."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from agent import crds, install
from agent.kube.resources import CRD, NAMESPACE, RUNAI_CONFIG, TABLE
from agent.wire import codec, objects
from agent.wire.install import crd_text, project_roles, render_manifest, to_yaml
from tests.agent.fake_kube import FakeKube

CA = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"


def manifest(name: str = "dev") -> str:
    return render_manifest(
        cluster_id="c1",
        cluster_name=name,
        link_url="https://link.example.test:8443",
        ca_pem=CA,
        enrolment_token="secret-token",
        crd_yaml=crd_text(),
    )


def found(documents, kind, name):
    return next(doc for doc in documents if doc["kind"] == kind and doc["metadata"]["name"] == name)


def test_everything_the_agent_needs_is_there():
    documents = install.parse(manifest())
    assert found(documents, "Secret", "runai-enrolment")["stringData"] == {"token": "secret-token"}
    assert found(documents, "ConfigMap", "runai-link")["data"] == {
        "url": "https://link.example.test:8443",
        "ca.crt": CA,
        "cluster-id": "c1",
        "cluster-name": "dev",
    }
    classes = {doc["metadata"]["name"]: doc["value"] for doc in documents if doc["kind"] == "PriorityClass"}
    assert classes == objects.PRIORITIES
    assert {doc["metadata"]["name"] for doc in documents if doc["kind"] == "CustomResourceDefinition"} == {
        doc["metadata"]["name"] for doc in crds.documents()
    }


def test_namespace_and_definitions_come_first():
    kinds = [doc["kind"] for doc in install.parse(manifest())]
    spaces = kinds.count("Namespace")
    assert set(kinds[:spaces]) == {"Namespace"}
    assert set(kinds[spaces : spaces + len(crds.documents())]) == {"CustomResourceDefinition"}


@pytest.mark.parametrize("name", ['a "b"\n---\nkind: Evil', "日本", "{{x}}", "- a: b", ""])
def test_a_name_cannot_break_out(name):
    documents = install.parse(manifest(name))
    assert found(documents, "ConfigMap", "runai-link")["data"]["cluster-name"] == name
    assert len(documents) == len(install.parse(manifest()))


def test_the_token_is_in_the_secret_alone():
    assert manifest().count("secret-token") == 1


@pytest.mark.parametrize(
    "value", [{}, [], "", "x: y", "a\nb\n", "a\nb", " a\nb\n", [{"a": [1, {"b": None}]}], {"a/b": {"c": []}}, True]
)
def test_yaml_is_read_back(value):
    assert yaml.safe_load(to_yaml({"value": value})) == {"value": value}


def test_nobody_but_the_administrator_sees_secrets():
    readers = {
        role["metadata"]["name"] for role in project_roles() for rule in role["rules"] if "secrets" in rule["resources"]
    }
    assert readers == {"runai-administrator"}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Department", objects.DepartmentSpec),
        ("Project", objects.ProjectSpec),
        ("AccessRule", objects.AccessRuleSpec),
        ("NodePool", objects.NodePoolSpec),
        ("Workload", objects.WorkloadSpec),
    ],
)
def test_a_definition_has_the_fields_of_its_dataclass(kind, spec):
    schema = _schema(kind)
    assert set(schema["properties"]) == {codec.camel(field.name) for field in dataclasses.fields(spec)}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("compute", objects.Compute),
        ("environment", objects.EnvVar),
        ("tolerations", objects.Toleration),
    ],
)
def test_parts_of_a_workload_have_the_fields_of_their_dataclass(path, part):
    schema = _schema("Workload")["properties"][path]
    schema = schema.get("items", schema)
    assert set(schema["properties"]) == {codec.camel(field.name) for field in dataclasses.fields(part)}


@pytest.mark.parametrize("kind", ["Department", "Project"])
def test_quotas_have_the_fields_of_their_dataclasses(kind):
    quota = _schema(kind)["properties"]["quotas"]["items"]["properties"]
    assert set(quota) == {codec.camel(field.name) for field in dataclasses.fields(objects.PoolQuota)}
    assert set(quota["gpu"]["properties"]) == {
        codec.camel(field.name) for field in dataclasses.fields(objects.ResourceQuota)
    }


def test_every_definition_is_in_the_table_of_kinds():
    for document in crds.documents():
        spec = document["spec"]
        known = TABLE[spec["group"], spec["names"]["kind"]]
        assert known.plural == spec["names"]["plural"]
        assert known.version == spec["versions"][0]["name"]
        assert known.namespaced == (spec["scope"] == "Namespaced")


def _schema(kind):
    document = next(doc for doc in crds.documents() if doc["spec"]["names"]["kind"] == kind)
    return document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not YAML"),
        ("- a", "document 1"),
        ("kind: Pod", "document 1"),
        ("kind: X\nmetadata: {name: a}", "unknown kind 'X'"),
    ],
)
def test_what_is_no_manifest_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        install.parse(text)


class Served(FakeKube):
    """Definitions are served as soon as they are applied."""

    async def get(self, resource, name, namespace=None):
        obj = await super().get(resource, name, namespace)
        return obj | {"status": {"conditions": [{"type": "Established", "status": "True"}]}} if resource is CRD else obj


async def test_install_makes_everything_and_a_second_one_changes_nothing():
    kube = Served()
    documents = install.parse(manifest())
    assert await install.install(kube, documents) == len(documents)
    config = await kube.get(RUNAI_CONFIG, "runai", "runai")
    assert config["spec"]["clusterId"] == "c1"
    before = {key: obj["metadata"]["resourceVersion"] for key, obj in kube.objects.items()}
    await install.install(kube, install.parse(manifest()))
    assert {key: obj["metadata"]["resourceVersion"] for key, obj in kube.objects.items()} == before


async def test_uninstall_takes_it_out_again_but_not_what_others_made():
    kube = Served(
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "theirs"}, "value": 1}
    )
    await install.install(kube, install.parse(manifest()))
    await install.uninstall(kube, definitions=True)
    assert not kube.all(NAMESPACE)
    assert not kube.all(CRD)
    assert [obj["metadata"]["name"] for obj in kube.objects.values() if obj["kind"] == "PriorityClass"] == ["theirs"]
