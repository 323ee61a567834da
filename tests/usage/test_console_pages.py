"""Every console page answers, within its budgets, and shows nothing of the other tenant."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from tests.conftest import grant
from tests.factories.scene import build_scene, disconnect, measure

pytestmark = pytest.mark.services
LIST_BUDGET, PAGE_BUDGET, BYTES = 15, 25, 200_000
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def scene(acme):
    built = build_scene(workloads=120)
    measure(built)
    return built


def pages(scene) -> dict[str, int]:
    """Address → query budget."""
    one = f"/workloads/{scene.workloads['clip-train-base'].pk}/"
    pending = f"/workloads/{scene.workloads['vit-large-finetune-0412'].pk}/"
    lists = [
        "/projects/quotas/",
        "/projects/quotas/?sheet=memory.limit",
        "/workloads/",
        "/workloads/?phase=active&q=e&sort=gpu&order=desc",
        "/projects/",
        "/departments/",
    ]
    lists += [
        "/clusters/",
        "/nodes/",
        "/node-pools/",
        "/topologies/",
        "/access/rules/",
        "/access/users/",
        "/access/applications/",
        "/audit/",
    ]
    others = [
        "/",
        "/?range=24h",
        "/home/",
        one,
        pending,
        "/workloads/new/",
        f"/workloads/new/?clone={scene.workloads['ctr-sweep'].pk}",
    ]
    others += [one + tab for tab in ("pods/", "events/", "logs/", "metrics/", "yaml/", "history/", "menu/")]
    others += [f"/projects/{scene.projects['nlp'].pk}/{tab}" for tab in ("", "edit/", "delete/")]
    others += [
        f"/departments/{scene.departments['research'].pk}/",
        f"/departments/{scene.departments['research'].pk}/edit/",
    ]
    others += [f"/clusters/{scene.cluster.pk}/", f"/clusters/{scene.waiting.pk}/", "/clusters/new/", "/projects/new/"]
    others += ["/node-pools/new/", "/topologies/new/", f"/clusters/{scene.cluster.pk}/edit/"]
    others += [f"/node-pools/{scene.cluster.node_pools.get(name='a100').pk}/edit/"]
    others += ["/departments/new/", "/access/rules/new/", "/access/users/new/", "/access/roles/", "/account/"]
    others += [f"/nodes/{scene.cluster.nodes.first().pk}/", "/palette/?q=a", "/palette/", "/scope/project/?q=vis"]
    return dict.fromkeys(lists, LIST_BUDGET) | dict.fromkeys(others, PAGE_BUDGET)


def test_every_page_keeps_its_budgets(acme, scene):
    """Queries as the server itself counts them in ``Server-Timing``."""
    client = acme.browser()
    over = []
    for address, budget in pages(scene).items():
        answer = client.get(address)
        queries = int(re.search(r"(\d+) queries", answer["Server-Timing"])[1])
        if answer.status_code != 200 or queries > budget or len(answer.content) > BYTES:
            over.append((address, answer.status_code, queries, len(answer.content)))
    assert over == []


def test_the_number_of_queries_does_not_grow_with_the_rows(acme, scene):
    client = acme.browser()
    with CaptureQueriesContext(connection) as few:
        client.get("/workloads/?q=clip")
    with CaptureQueriesContext(connection) as many:
        client.get("/workloads/")
    assert len(many) <= len(few)


def test_an_unchanged_fragment_costs_a_304(acme, scene):
    client = acme.browser()
    address = "/workloads/?q=sweep-001"
    first = client.get(address, headers=FRAGMENT)
    again = client.get(address, headers=FRAGMENT | {"If-None-Match": first["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    assert b"<html" not in first.content


def test_a_page_that_is_selected_from_comes_whole(acme, scene):
    answer = acme.browser().get("/workloads/", headers={"HX-Request": "true", "HX-Request-Type": "full"})
    assert b"<html" in answer.content


def test_things_of_the_other_tenant_are_not_there(acme, globex):
    with tenant_context(globex.tenant):
        other = build_scene()
        ids = {
            "workloads": other.workloads["clip-train-base"].pk,
            "projects": other.projects["nlp"].pk + 10_000,
            "clusters": other.cluster.pk,
        }
    client = acme.browser()
    addresses = [f"/{kind}/{pk}/" for kind, pk in ids.items()]
    addresses += [f"/workloads/{ids['workloads']}/{tab}/" for tab in ("pods", "logs", "metrics", "yaml", "history")]
    assert {address: client.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 404)
    assert b"clip-train-base" not in client.get("/palette/?q=clip").content


def test_a_researcher_of_one_project_sees_that_project_alone(acme, scene):
    grant("bob@example.test", "researcher", scene.projects["vision"].scope)
    client = acme.browser("bob@example.test")
    body = client.get("/workloads/").content.decode()
    assert "clip-train-base" in body
    assert "asr-finetune-fr" not in body
    assert client.get(f"/workloads/{scene.workloads['asr-finetune-fr'].pk}/").status_code == 404
    assert client.get("/access/rules/").status_code == 403


def test_somebody_without_a_role_gets_a_page_that_says_who_can_help(acme, scene):
    answer = acme.browser("charlie@example.test").get("/workloads/")
    assert answer.status_code == 403
    assert "an administrator can grant" in answer.content.decode()
    assert acme.browser("charlie@example.test").get("/").status_code == 200


def test_a_silent_cluster_is_said_with_its_time(acme, scene):
    disconnect(scene.cluster)
    client = acme.browser()
    body = client.get("/workloads/").content.decode()
    assert "hall-a is disconnected since" in body
    assert "is queued until it returns" in body
    detail = client.get(f"/workloads/{scene.workloads['clip-train-base'].pk}/").content.decode()
    assert "not heard since" in detail


def test_a_simulated_pod_has_no_log_and_says_so(acme, scene):
    body = acme.browser().get(f"/workloads/{scene.workloads['resnet-sweep-17'].pk}/logs/").content.decode()
    assert "A simulated pod has no log" in body
    assert "data-log " not in body


def test_a_pending_workload_says_why_with_numbers(acme, scene):
    body = acme.browser().get(f"/workloads/{scene.workloads['vit-large-finetune-0412'].pk}/").content.decode()
    assert "Quota 8 / 8 in a100" in body
    assert "Make it preemptible." in body
    assert "of 1 pending in vision" in body


def test_metrics_are_drawn_with_their_gap_and_the_table_has_the_numbers(acme, scene):
    body = acme.browser().get(f"/workloads/{scene.workloads['clip-train-base'].pk}/metrics/").content.decode()
    assert 'fill="url(#nodata)"' in body
    assert 'id="t-gpu"' in body
    assert body.count("<tr data-t=") > 50
