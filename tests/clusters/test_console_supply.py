"""Node pools, network topologies and the life of a cluster in the console."""

import pytest

from clusters.models import Cluster, NetworkTopology, Node, NodePool
from clusters.views.topologies import tree
from tests.conftest import grant
from tests.fixtures_rooms import connect, documents, make_cluster, node_report, take, tell

pytestmark = pytest.mark.services
PLACEMENT = {"placement_gpu": "binpack", "placement_cpu": "spread", "topology": ""}


@pytest.fixture
def cluster(acme):
    return make_cluster()


def pool_form(**changes):
    return {"name": "fast", "label_key": "zone", "label_value": "a", "idempotency_key": "k", **PLACEMENT} | changes


def test_a_node_pool_is_made_once_and_reaches_the_cluster(acme, cluster):
    client = acme.browser()
    first, second = (client.post("/node-pools/new/", pool_form()) for _ in range(2))
    assert first.status_code == second.status_code == 302
    assert documents(cluster)["nodepool/fast"]["spec"]["placementCpu"] == "spread"
    assert "fast" in client.get("/node-pools/").content.decode()


def test_a_pool_whose_nodes_another_has_is_refused_with_their_names(acme, cluster):
    client = acme.browser()
    client.post("/node-pools/new/", pool_form())
    tell(cluster, "Node", node_report("n1", labels={"zone": "a", "rack": "r1"}))
    take("inventory")
    answer = client.post(
        "/node-pools/new/", pool_form(name="other", label_key="rack", label_value="r1", idempotency_key="k2")
    )
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "1 node would belong to this node pool and to &#x27;fast&#x27;: n1" in body
    assert 'id="f-label_value-e"' in body
    assert not NodePool.objects.filter(name="other").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Fast"}, "lower-case"),
        ({"name": "x" * 64}, "63"),
        ({"name": "fаst"}, "lower-case"),  # a Cyrillic a
        ({"label_key": "not a key"}, "label key"),
        ({"label_value": "-"}, "label value"),
        ({"placement_gpu": "tetris"}, "valid choice"),
    ],
)
def test_wrong_fields_of_a_pool_are_said_and_nothing_is_made(acme, cluster, change, says):
    answer = acme.browser().post("/node-pools/new/", pool_form(**change))
    assert (answer.status_code, says in answer.content.decode()) == (422, True)
    assert NodePool.objects.count() == 1


def test_the_pool_default_keeps_its_label_and_cannot_go(acme, cluster):
    pool, client = NodePool.objects.get(name="default"), acme.browser()
    client.post(f"/node-pools/{pool.pk}/edit/", PLACEMENT | {"placement_gpu": "spread", "label_key": "x"})
    pool.refresh_from_db()
    assert (pool.placement_gpu, pool.label_value) == ("spread", "default")
    client.post(f"/node-pools/{pool.pk}/delete", {"typed": "default"})
    assert "cannot be deleted" in client.get("/node-pools/").content.decode()


def test_deleting_a_pool_needs_its_name(acme, cluster):
    client = acme.browser()
    client.post("/node-pools/new/", pool_form())
    pool = NodePool.objects.get(name="fast")
    client.post(f"/node-pools/{pool.pk}/delete", {"typed": "wrong"})
    assert NodePool.objects.get(name="fast").delete_requested_at is None
    client.post(f"/node-pools/{pool.pk}/delete", {"typed": "fast"})
    assert NodePool.objects.get(name="fast").delete_requested_at is not None


def test_a_viewer_sees_pools_and_no_way_to_change_them(acme, cluster):
    grant("bob@example.test", "viewer", cluster.scope)
    client = acme.browser("bob@example.test")
    body = client.get("/node-pools/").content.decode()
    assert "default" in body
    assert "New node pool" not in body
    assert client.get("/node-pools/new/").status_code == 403


def test_a_topology_is_drawn_as_the_places_of_its_nodes(acme, cluster):
    client = acme.browser()
    made = client.post("/topologies/new/", {"name": "net", "levels_text": "block\nrack\n", "idempotency_key": "k"})
    assert made.status_code == 302
    for name, labels in (("n1", {"block": "b1", "rack": "r1"}), ("n2", {"block": "b1"})):
        tell(cluster, "Node", node_report(name, labels=labels))
    take("inventory")
    body = client.get(made["Location"]).content.decode()
    assert "1 node stands in 1 place" in body
    assert "1 node lacks a label of it" in body


def test_a_topology_with_a_wrong_level_says_which(acme, cluster):
    body = {"name": "net", "levels_text": "block\nnot a label", "idempotency_key": "k"}
    answer = acme.browser().post("/topologies/new/", body)
    assert (answer.status_code, "label key" in answer.content.decode()) == (422, True)
    assert not NetworkTopology.objects.exists()


def test_the_tree_counts_what_stands_in_every_place():
    def node(name, block, rack, used):
        labels = {"block": block, "rack": rack}
        return Node(name=name, status="Ready", gpu_allocatable_milli=8000, gpu_allocated_milli=used, labels=labels)

    nodes = [node("a", "b1", "r1", 8000), node("b", "b1", "r2", 0), node("c", "b2", "r1", 500)]
    root, outside = tree(["block", "rack"], nodes)
    assert ([(p.name, p.count, p.used) for p in root.below], outside) == ([("b1", 2, 8000), ("b2", 1, 500)], [])
    assert [place.name for place in root.below[0].below] == ["r1", "r2"]


@pytest.mark.parametrize(
    ("enrolled", "reported", "node", "says"),
    [
        (False, False, False, "Waiting for the first contact"),
        (True, False, False, "The agent has enrolled"),
        (True, True, False, "It has told of no node yet"),
        (True, True, True, "The cluster is connected"),
    ],
)
def test_the_wizard_follows_a_cluster_from_enrolment_to_its_first_node(acme, cluster, enrolled, reported, node, says):
    if enrolled:
        connect(cluster)
    if reported:
        Cluster.objects.filter(pk=cluster.pk).update(reported_at=cluster.created_at)
    if node:
        tell(cluster, "Node", node_report())
        take("inventory")
    assert says in acme.browser().get(f"/clusters/{cluster.pk}/").content.decode()


def test_a_cluster_is_renamed_placed_and_put_into_safe_mode(acme, cluster):
    client = acme.browser()
    body = {"name": "beta", "location": "Hall 3", "safe_mode": "on"}
    assert client.post(f"/clusters/{cluster.pk}/edit/", body).status_code == 302
    page = client.get(f"/clusters/{cluster.pk}/").content.decode()
    assert all(words in page for words in ("beta", "Hall 3", "Safe mode is on"))


def test_rotation_answers_a_manifest_as_a_file_and_is_a_post(acme, cluster):
    client = acme.browser()
    address = f"/clusters/{cluster.pk}/rotate"
    assert client.get(address).status_code == 405
    answer = client.post(address)
    assert (answer.status_code, "attachment" in answer["Content-Disposition"]) == (200, True)


def test_an_administrator_of_less_than_the_tenant_is_offered_no_cluster(acme, cluster):
    grant("bob@example.test", "administrator", cluster.scope)
    client = acme.browser("bob@example.test")
    assert client.get("/clusters/new/").status_code == 403
    assert "New cluster" not in client.get("/clusters/").content.decode().split("</main>")[0]
