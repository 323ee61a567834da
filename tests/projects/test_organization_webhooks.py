"""Webhooks hear what happens to clusters, node pools, topologies, departments, projects and their quotas."""

import json
from typing import Any

import pytest
from django.utils import timezone

from access.models import WebhookDelivery
from access.services import webhooks
from tests.access.test_access_audit_chain import seal
from tests.conftest import Home

pytestmark = pytest.mark.services
JSON = "application/json"
V1 = "/api/v1"


def heard(home: Home, act: Any) -> list[str]:
    """Names of the events that a webhook for everything is owed after ``act``."""
    body = {"name": "all", "url": "https://hooks.example.com/x", "events": ["*.*"]}
    hook = home.api().post(f"{V1}/webhooks", body, content_type=JSON).json()["id"]
    seal()
    webhooks.take_in(hook, timezone.now())
    before = set(WebhookDelivery.objects.values_list("pk", flat=True))
    act()
    seal()
    webhooks.take_in(hook, timezone.now())
    rows = WebhookDelivery.objects.exclude(pk__in=before).order_by("audit_seq")
    assert all(json.dumps(row.body) for row in rows)
    return [row.event for row in rows if not row.event.startswith(("token.", "webhook."))]


def test_every_change_of_the_organization_is_an_event(acme: Home) -> None:
    api = acme.api()

    def made(path: str, body: dict[str, Any]) -> str:
        answer = api.post(f"{V1}/{path}", body, content_type=JSON)
        assert answer.status_code == 201, answer.content
        return str(answer.json().get("uuid") or answer.json()["id"])

    def live() -> None:
        cluster = made("clusters", {"name": "east"})
        api.put(f"{V1}/clusters/{cluster}", {"name": "west"}, content_type=JSON)
        where = {"clusterId": cluster}
        pool = made("node-pools", {"name": "a100", "labelKey": "gpu", "labelValue": "a100", **where})
        api.patch(f"{V1}/node-pools/{pool}", {"labelValue": "h100"}, content_type=JSON)
        topology = made("network-topologies", {"name": "racks", "levels": ["rack"], **where})
        api.delete(f"{V1}/network-topologies/{topology}")
        department = made("org-unit/departments", {"name": "research", "resources": [], **where})
        project = made("org-unit/projects", {"name": "vision", "parentId": department, "resources": [], **where})
        quota = [{"gpu": {"deserved": 1}}]
        api.put(f"{V1}/org-unit/projects/{project}/resources", quota, content_type=JSON)
        api.put(f"{V1}/org-unit/departments/{department}/resources", quota, content_type=JSON)
        api.put(f"{V1}/org-unit/projects/{project}", {"description": "d", "resources": quota}, content_type=JSON)
        api.delete(f"{V1}/org-unit/projects/{project}")
        api.delete(f"{V1}/node-pools/{pool}")
        api.delete(f"{V1}/clusters/{cluster}?force=true")

    found = heard(acme, live)
    assert [event for event in found if not event.startswith("access-rule.")] == [
        "cluster.create",
        "cluster.update",
        "node-pool.create",
        "node-pool.update",
        "network-topology.create",
        "network-topology.delete",
        "department.create",
        "project.create",
        "project.update-resources",
        "department.update-resources",
        "project.update",
        "project.delete",
        "node-pool.delete",
        "cluster.delete",
    ]
