"""Home: onboarding reads what is really there, and shows each person their own work alone."""

import pytest

from clusters.models import Cluster, Node
from projects.models import Quota
from tests.conftest import grant, person
from tests.factories.scene import build_scene
from tests.fixtures_rooms import connect, make_cluster, make_project, make_workload, node_report, take, tell
from usage.views.home import onboarding
from workloads.models import Workload

pytestmark = pytest.mark.services


def done(actor):
    return [step.done for step in onboarding(actor)]


def test_every_step_is_done_by_what_happens_and_not_by_a_click(acme, alice):
    seen = [done(alice)]
    cluster = make_cluster()
    seen.append(done(alice))
    connect(cluster)
    Cluster.objects.update(reported_at=cluster.created_at)
    seen.append(done(alice))
    tell(cluster, "Node", node_report())
    take("inventory")
    seen.append(done(alice))
    project = make_project(cluster)
    Quota.objects.filter(project=project).update(gpu_deserved_milli=1000)
    seen.append(done(alice))
    grant("bob@example.test", "researcher", project.scope)
    workload = make_workload(project)
    Workload.objects.filter(pk=workload.pk).update(started_at=cluster.created_at)
    seen.append(done(alice))
    assert [sum(row) for row in seen] == [0, 0, 1, 2, 3, 5]


def test_the_open_steps_are_on_the_page_with_the_way_there(acme):
    body = acme.browser().get("/home/").content.decode()
    assert "5 steps are left" in body
    assert 'href="/clusters/new/"' in body


def test_a_researcher_sees_their_own_work_and_quota_and_no_setup(acme):
    scene = build_scene()
    grant("bob@example.test", "researcher", scene.projects["nlp"].scope)
    Workload.objects.filter(name="reward-model-dpo").update(submitted_by="bob@example.test")
    body = acme.browser("bob@example.test").get("/home/").content.decode()
    assert "0 running, 1 waiting" in body
    assert "reward-model-dpo" in body
    assert "tokenizer-ablation-9" not in body
    assert "Set up this tenant" not in body
    assert "nlp in a100" in body
    assert "vision in a100" not in body


def test_who_has_no_role_is_told_who_can_help(acme):
    assert onboarding(person("charlie@example.test")) == []
    assert "An administrator gives you a role" in acme.browser("charlie@example.test").get("/home/").content.decode()


def test_nodes_without_gpus_are_no_supply(acme, alice):
    tell(make_cluster(), "Node", node_report(gpu_count=0, gpu_allocatable_milli=0))
    take("inventory")
    assert Node.objects.exists()
    assert done(alice)[1] is False
