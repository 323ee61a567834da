"""The lists of clusters, nodes, node pools and topologies: filters, orders, files, and acts on many."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.services.bootstrap import system_actor
from clusters.models import Cluster, NetworkTopology, NodePool
from clusters.services.topologies import create_topology
from tests.conftest import grant
from tests.factories.scene import build_scene, disconnect
from tests.fixtures_rooms import make_cluster
from tests.pages import names, text

pytestmark = pytest.mark.services
LISTS = ("/clusters/", "/nodes/", "/node-pools/", "/topologies/")


@pytest.fixture
def scene(acme):
    return build_scene()


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        ("/clusters/", "", ["hall-a", "new-site"]),
        ("/clusters/", "f=kubernetes%3D%5Ev1.36", ["hall-a"]),
        ("/clusters/", "sort=nodes&order=desc&f=safeMode%3D%3Dfalse", ["hall-a", "new-site"]),
        ("/nodes/", "pool=default", ["a100-01"]),
        ("/nodes/", "f=status%3D%3DNotReady", ["a100-04"]),
        ("/nodes/", "f=cordoned%3D%3Dtrue", ["a100-05"]),
        ("/nodes/", "f=simulated%3D%3Dtrue&sort=allocated&order=desc",
         ["a100-03", "a100-06", "a100-02", "a100-05", "a100-04"]),
        ("/nodes/", "f=gpuType%3D%40h100", []),
        ("/node-pools/", "f=phase%3D%3DEmpty", ["default"]),
        ("/node-pools/", "f=cluster%3D%3Dhall-a&sort=phase", ["default", "a100"]),
    ],
)  # fmt: skip
def test_filters_and_orders(acme, scene, path, query, found):
    assert names(acme, path, query) == found


def test_a_pool_of_the_cards_is_a_chip_of_the_list(acme, scene):
    body = text(acme.browser().get("/nodes/?pool=a100"))
    assert "Remove filter: Pool" in body
    assert 'href="?pool=a100" aria-current="true"' in body


@pytest.mark.parametrize("path", LISTS)
def test_every_list_keeps_its_budget_and_is_a_file(acme, scene, path):
    create_topology(actor=system_actor(), cluster=scene.cluster, name="net", levels=["block", "rack"])
    client = acme.browser()
    client.get(path)
    with CaptureQueriesContext(connection) as seen:
        client.get(path)
    assert len(seen) <= 15
    rows = json.loads(text(client.get(f"{path}?export=json")))
    assert rows
    assert not {"edit", "actions"} & set(rows[0])


def test_what_a_file_says_of_a_cluster_is_its_state(acme, scene):
    disconnect(scene.cluster)
    rows = json.loads(text(acme.browser().get("/clusters/?export=json")))
    assert {row["name"]: row["state"] for row in rows} == {"hall-a": "Disconnected", "new-site": "Waiting to connect"}
    assert "0 of 2 clusters are connected." in text(acme.browser().get("/clusters/"))


def test_clusters_enter_and_leave_safe_mode_together(acme, scene):
    client, form = acme.browser(), {"ids": f"{scene.cluster.pk},{scene.waiting.pk}"}
    assert client.post("/clusters/bulk", {**form, "verb": "safe-mode"}).status_code == 200
    assert set(Cluster.objects.values_list("safe_mode", flat=True)) == {True}
    assert client.post("/clusters/bulk", {**form, "verb": "end-safe-mode"}).status_code == 200
    assert set(Cluster.objects.values_list("safe_mode", flat=True)) == {False}


def test_deleting_clusters_says_what_goes_and_wants_the_phrase(acme, scene):
    client, form = acme.browser(), {"verb": "delete", "ids": str(scene.waiting.pk)}
    body = text(client.post("/clusters/bulk", form))
    assert "Type <code>delete 1 cluster</code>" in body
    assert Cluster.objects.filter(pk=scene.waiting.pk, delete_requested_at=None).exists()
    assert client.post("/clusters/bulk", {**form, "typed": "delete 1 cluster"}).status_code == 200
    assert not Cluster.objects.filter(pk=scene.waiting.pk, delete_requested_at=None).exists()


def test_the_pool_default_stays_and_the_other_goes(acme):
    cluster = make_cluster()
    other = NodePool.objects.create(cluster=cluster, name="fast", label_key="zone", label_value="a", created_by="test")
    ids = f"{other.pk},{NodePool.objects.get(name='default').pk}"
    form = {"verb": "delete", "ids": ids, "typed": "delete 2 node pools"}
    answer = acme.browser().post("/node-pools/bulk", form)
    assert answer.status_code == 207
    assert "cannot be deleted" in text(answer)
    other.refresh_from_db()
    assert other.delete_requested_at is not None


def test_a_topology_of_a_pool_stays(acme, scene):
    made = [
        create_topology(actor=system_actor(), cluster=scene.cluster, name=name, levels=["rack"]) for name in ("a", "b")
    ]
    NodePool.objects.filter(name="a100").update(network_topology=made[0])
    answer = acme.browser().post("/topologies/bulk", {"verb": "delete", "ids": ",".join(str(row.pk) for row in made)})
    assert answer.status_code == 207
    assert list(NetworkTopology.objects.values_list("name", flat=True)) == ["a"]


@pytest.mark.parametrize("path", ["/clusters/", "/node-pools/", "/topologies/"])
def test_a_viewer_is_offered_no_act_and_changes_nothing(acme, scene, path):
    grant("bob@example.test", "viewer", scene.cluster.scope)
    client = acme.browser("bob@example.test")
    assert "c-check" not in text(client.get(path))
    answer = client.post(f"{path}bulk", {"verb": "safe-mode", "ids": str(scene.cluster.pk)})
    assert answer.status_code in (207, 403)
    assert not Cluster.objects.filter(safe_mode=True).exists()


def test_what_goes_with_a_cluster_is_told_to_nobody_who_may_not_delete_it(acme, scene):
    grant("bob@example.test", "viewer", scene.projects["vision"].scope)
    form = {"verb": "delete", "ids": str(scene.cluster.pk)}
    body = text(acme.browser("bob@example.test").post("/clusters/bulk", form))
    assert ("Nothing was selected" in body, "departments" in body.partition("<main")[2]) == (True, False)


def test_an_act_that_is_none_is_refused(acme, scene):
    assert acme.browser().post("/clusters/bulk", {"verb": "explode", "ids": ""}).status_code == 400
