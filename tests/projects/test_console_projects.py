"""Projects, departments and clusters in the console: made once, changed, deleted with a typed name."""

import pytest

from clusters.models import Cluster
from projects.models import Department, Project, Quota
from tests.factories.scene import build_scene

pytestmark = pytest.mark.services


@pytest.fixture
def scene(acme):
    return build_scene()


def unit(scene, **changes):
    pools = scene.cluster.node_pools.all()
    amounts = {f"quota-{pool.pk}": "2" for pool in pools} | {f"weight-{pool.pk}": "1" for pool in pools}
    return (
        {"name": "fresh", "department": str(scene.departments["product"].pk), "idempotency_key": "k"}
        | amounts
        | changes
    )


def test_a_project_is_made_once_with_its_quota(acme, scene):
    client = acme.browser()
    address = f"/projects/new/?cluster={scene.cluster.pk}"
    first, second = client.post(address, unit(scene)), client.post(address, unit(scene))
    assert first.status_code == second.status_code == 302
    made = Project.objects.get(scope__name="fresh")
    assert {quota.gpu_deserved_milli for quota in made.quotas.all()} == {2000}
    assert made.namespace == "runai-fresh"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Not Good"}, "lower-case"),
        ({"name": ""}, "required"),
        ({"namespace": "kube-system"}, "namespace of Kubernetes"),
        ({"description": "x" * 300}, "250"),
    ],
)
def test_wrong_fields_are_said_and_nothing_is_made(acme, scene, change, says):
    before = Project.objects.count()
    answer = acme.browser().post(f"/projects/new/?cluster={scene.cluster.pk}", unit(scene, **change))
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert Project.objects.count() == before


@pytest.mark.parametrize("amount", ["-1", "NaN", "many", "0.0001"])
def test_a_wrong_quota_is_said_in_its_cell(acme, scene, amount):
    project, pool = scene.projects["vision"], scene.cluster.node_pools.get(name="a100")
    values = {f"quota-{p.pk}": "1" for p in scene.cluster.node_pools.all()} | {f"quota-{pool.pk}": amount}
    answer = acme.browser().post(f"/projects/{project.pk}/edit/", values | {"description": ""})
    assert answer.status_code == 422
    assert f'id="f-quota-{pool.pk}-e"' in answer.content.decode()


def test_editing_changes_gpus_and_keeps_the_rest(acme, scene):
    project, pool = scene.projects["vision"], scene.cluster.node_pools.get(name="a100")
    Quota.objects.filter(project=project, node_pool=pool).update(cpu_deserved_milli=64000)
    values = {f"quota-{p.pk}": "1" for p in scene.cluster.node_pools.all()}
    values |= {f"quota-{pool.pk}": "12", f"limit-{pool.pk}": "16", f"weight-{pool.pk}": "2", "description": "new words"}
    assert acme.browser().post(f"/projects/{project.pk}/edit/", values).status_code == 302
    quota = Quota.objects.get(project=project, node_pool=pool)
    assert (quota.gpu_deserved_milli, quota.gpu_limit_milli, quota.gpu_weight) == (12000, 16000, 2000)
    assert quota.cpu_deserved_milli == 64000


def test_deleting_a_project_shows_what_goes_and_needs_its_name(acme, scene):
    project = scene.projects["vision"]
    client = acme.browser()
    assert "<b>2</b>running workloads" in client.get(f"/projects/{project.pk}/delete/").content.decode()
    client.post(f"/projects/{project.pk}/remove", {"typed": "wrong"})
    assert Project.objects.get(pk=project.pk).delete_requested_at is None
    client.post(f"/projects/{project.pk}/remove", {"typed": "vision"})
    assert Project.objects.get(pk=project.pk).delete_requested_at is not None


def test_a_department_with_projects_stays_and_says_why(acme, scene):
    department = scene.departments["research"]
    client = acme.browser()
    client.post(f"/departments/{department.pk}/delete", {"typed": "research"})
    assert Department.objects.filter(pk=department.pk).exists()
    assert "has 3 projects" in client.get(f"/departments/{department.pk}/").content.decode()


def test_a_cluster_is_made_once_and_waits(acme, scene):
    client = acme.browser()
    body = {"name": "edge", "idempotency_key": "c-1"}
    first, second = client.post("/clusters/new/", body), client.post("/clusters/new/", body)
    assert first["Location"] == second["Location"]
    assert "Waiting for the first contact" in client.get(first["Location"]).content.decode()
    assert Cluster.objects.filter(scope__name="edge").count() == 1


def test_the_manifest_is_a_post_and_no_address_holds_its_token(acme, scene):
    client = acme.browser()
    address = f"/clusters/{scene.waiting.pk}/manifest"
    assert client.get(address).status_code == 405
    answer = client.post(address)
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    assert "no-store" in answer["Cache-Control"]
    assert f'cluster-id: "{scene.waiting.pk}"' in answer.content.decode()


def test_the_page_of_a_cluster_says_that_roles_run_as_processes(acme, scene):
    body = acme.browser().get(f"/clusters/{scene.cluster.pk}/").content.decode()
    assert "roles run as processes on the local machine" in body
    assert "GPUs are simulated here." in body


def test_simulated_nodes_say_so(acme, scene):
    client = acme.browser()
    assert client.get("/nodes/").content.decode().count(">simulated<") == 5
    node = scene.cluster.nodes.filter(simulated=True).first()
    assert "This node is simulated" in client.get(f"/nodes/{node.pk}/").content.decode()


def test_a_department_holds_what_its_projects_hold(acme, scene):
    body = acme.browser().get(f"/departments/{scene.departments['research'].pk}/").content.decode()
    assert '33 <span class="muted">/ 24</span>' in body
    assert "+9 over" in body


def test_deleting_a_department_says_what_it_holds(acme, scene):
    body = acme.browser().get(f"/departments/{scene.departments['research'].pk}/").content.decode()
    assert "<b>3</b>projects" in body
    assert "<b>33</b>GPUs allocated" in body


def test_the_form_of_a_department_says_what_its_projects_hold(acme, scene):
    body = acme.browser().get(f"/departments/{scene.departments['research'].pk}/edit/").content.decode()
    assert '<td class="num">33</td>' in body
