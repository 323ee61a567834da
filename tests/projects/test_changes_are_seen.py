"""What becomes of a change is on the page with the next question that the page asks by itself, and it asks soon.

A page asks as ``static/js/live.js`` does: for its fragment, with the tag of the last one, as often as it says itself.
"""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from agent.wire.reports import ClusterReport, ProjectReport
from clusters.models import NodePool
from link.models import AgentSession, Liveness
from link.models import Cluster as Mailbox
from projects.models import Department, Project
from runai_cp.lib.polling import AT_EASE, SOON
from tests.fixtures_rooms import connect, make_project, node_report, take, tell
from tests.pages import text

pytestmark = pytest.mark.services
AT_MOST = 1.5
"""Seconds between two questions of a page on which something is on its way: with the answer less than two."""
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial", "X-Live": "1"}


class Tab:
    """A live page that somebody looks at."""

    def __init__(self, client, path):
        self.client, self.path, self.tag = client, path, ""
        self.shown = text(client.get(path))

    def ask(self):
        """The next question. Returns whether there was something new."""
        answer = self.client.get(self.path, headers=FRAGMENT | ({"If-None-Match": self.tag} if self.tag else {}))
        self.tag = answer["ETag"]
        if answer.status_code == 304:
            return False
        self.shown = text(answer)
        return True

    @property
    def every(self):
        return float(re.search(r'data-every="([0-9.]+)"', self.shown)[1])


def report(project, phase, **more):
    tell(project.cluster, "Project", ProjectReport(project.name, project.namespace, phase, **more), uid="u1")
    take("projects")


def applied(cluster):
    """Its agent has taken everything."""
    last = Mailbox.objects.get(pk=cluster.pk).last_rev
    AgentSession.objects.update_or_create(cluster_id=cluster.pk, defaults={"applied_rev": last})


def test_a_new_project_and_its_namespace(acme, cluster):
    connect(cluster)
    client = acme.browser()
    pool = NodePool.objects.get().pk
    made = client.post(f"/departments/new/?cluster={cluster.pk}", {"name": "research", f"quota-{pool}": "1"})
    assert made.status_code == 302
    form = {"name": "vision", "department": str(Department.objects.get(scope__name="research").pk)}
    made = client.post(f"/projects/new/?cluster={cluster.pk}", form | {f"quota-{pool}": "1"})
    tab = Tab(client, made["Location"])
    assert ("Creating" in tab.shown, tab.every <= AT_MOST) == (True, True)
    assert [tab.ask(), tab.ask()] == [True, False]
    report(Project.objects.get(), "Ready")
    assert (tab.ask(), "Ready" in tab.shown, "Creating" in tab.shown) == (True, True, False)


def test_a_project_that_leaves(acme, project):
    connect(project.cluster)
    report(project, "Ready")
    client = acme.browser()
    client.post(f"/projects/{project.pk}/remove", {"typed": project.name})
    tab = Tab(client, "/projects/")
    assert ("Deleting" in tab.shown, tab.every <= AT_MOST) == (True, True)
    tell(project.cluster, "Project", uid="u1")
    take("projects")
    assert (tab.ask(), f"projects-{project.pk}" in tab.shown) == (True, False)


def test_nodes_that_move_into_a_pool_whose_label_changed(acme, cluster):
    connect(cluster)
    client = acme.browser()
    pool = NodePool.objects.create(cluster=cluster, name="fast", label_key="gpu", label_value="a", created_by="test")
    NodePool.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    node = node_report(labels={"gpu": "b"})
    tell(cluster, "Node", node)
    take("inventory")
    form = {"label_key": "gpu", "label_value": "b", "placement_gpu": "binpack", "placement_cpu": "binpack"}
    assert client.post(f"/node-pools/{pool.pk}/edit/", form).status_code == 302
    pools, nodes = Tab(client, "/node-pools/"), Tab(client, "/nodes/?pool=fast")
    assert "the cluster has not taken the last change yet" in pools.shown
    assert max(pools.every, nodes.every) <= AT_MOST
    tell(cluster, "Node", node_report(uid=node.uid, node_pool="fast", labels={"gpu": "b"}))
    take("inventory")
    applied(cluster)
    assert (pools.ask(), nodes.ask()) == (True, True)
    assert '1 <span class="muted">/ 1</span>' in pools.shown
    assert "the cluster has not taken the last change yet" not in pools.shown
    assert ">node-1</a>" in nodes.shown


@pytest.mark.parametrize("kind", ["departments", "projects"])
def test_a_scheduling_rule_and_whether_the_cluster_has_taken_it(acme, project, kind):
    connect(project.cluster)
    applied(project.cluster)
    unit, client = project if kind == "projects" else project.department, acme.browser()
    changed = client.post(
        f"/{kind}/{unit.pk}/edit/",
        {f"quota-{NodePool.objects.get().pk}": "1", "trainingJobTimeLimitSeconds": "2 h"},
    )
    assert changed.status_code == 302
    tab = Tab(client, f"/{kind}/{unit.pk}/")
    assert ("<dd>2 h</dd>" in tab.shown, tab.every <= AT_MOST) == (True, True)
    assert "has not taken the last change yet" in tab.shown
    applied(project.cluster)
    assert (tab.ask(), "has not taken the last change yet" in tab.shown) == (True, False)


@pytest.mark.parametrize("path", ["/clusters/", "/clusters/{}/"])
def test_a_cluster_that_falls_silent(acme, cluster, path):
    connect(cluster)
    tell(cluster, "Cluster", ClusterReport("0.1.0", "v1.34.4"))
    take("cluster")
    tab = Tab(acme.browser(), path.format(cluster.pk))
    assert ("Connected" in tab.shown, tab.every <= AT_MOST) == (True, True)
    Liveness.objects.filter(cluster_id=cluster.pk).update(dropped_at=timezone.now() - timedelta(minutes=1))
    assert (tab.ask(), "Disconnected" in tab.shown) == (True, True)


@pytest.mark.parametrize("path", ["/projects/", "/departments/", "/node-pools/", "/nodes/"])
def test_a_page_on_which_nothing_moves_asks_at_ease(acme, cluster, path):
    make_project(cluster)
    tell(cluster, "Node", node_report())
    take("inventory")
    assert Tab(acme.browser(), path).every == SOON
    before = timezone.now() - timedelta(hours=1)
    NodePool.objects.update(updated_at=before)
    Department.objects.update(updated_at=before)
    Project.objects.update(updated_at=before, phase_since=before)
    assert Tab(acme.browser(), path).every == AT_EASE
