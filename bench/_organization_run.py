"""Ask, measure and print. Loaded after Django's settings."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import (
    override_settings,
    setup_databases,
    setup_test_environment,
    teardown_databases,
)
from django_tenants.utils import tenant_context

from access.services.bootstrap import system_actor
from agent.wire.objects import PoolQuota, ResourceQuota
from bench._organization_world import HOST, POOL_NAMES, World, build
from clusters.models import Node
from projects.models import Project
from projects.services import set_quotas
from runai_cp.lib.garbage import settle
from runai_cp.platform.provision import provision_tenant
from tenants import rollout
from tenants.fingerprint import head
from tenants.models import Tenant, make_schema_name
from tenants.schemas import prepare_spares
from workloads.services.effect import preview

UNITS = "/api/v1/org-unit"
LISTS = {
    "projects": f"{UNITS}/projects?limit=50",
    "projects, all 300": f"{UNITS}/projects?limit=500",
    "projects, filtered": f"{UNITS}/projects?filterBy=totalGpuQuota>=1&sortBy=gpuAllocated",
    "departments": f"{UNITS}/departments?limit=50",
    "node pools": "/api/v1/node-pools",
    "nodes": "/api/v1/nodes?limit=50",
    "nodes, 500": "/api/v1/nodes?limit=500",
    "clusters": "/api/v1/clusters",
    "telemetry, projects": f"{UNITS}/projects/telemetry?telemetryType=GPU_QUOTA&groupBy=ParentId,NodepoolId",
    "telemetry, nodes": "/api/v1/nodes/telemetry?telemetryType=FREE_GPUS&groupBy=Nodepool",
}


def run(options: Any) -> int:
    setup_test_environment(debug=False)
    names = setup_databases(verbosity=0, interactive=False)
    try:
        with override_settings(API_RATES=dict.fromkeys(settings.API_RATES, 10**9)):
            if {"lists", "changes"} & set(options.parts):
                _large(options)
            if "tenants" in options.parts:
                _tenants(options.tenants)
    finally:
        connection.set_schema_to_public()
        teardown_databases(names, verbosity=0)
    return 0


def _large(options: Any) -> None:
    begun = time.perf_counter()
    world = build(options.workloads)
    settle()  # as the web process does
    show("world", workloads=options.workloads, built_s=round(time.perf_counter() - begun, 1))
    if "lists" in options.parts:
        _lists(world, options.repeats)
    if "changes" in options.parts:
        with tenant_context(world.tenant):
            _changes(options.repeats)


def _lists(world: World, repeats: int) -> None:
    body = {
        "grantType": "client_credentials",
        "clientID": world.application_id,
        "clientSecret": world.application_secret,
    }
    client = Client(SERVER_NAME=HOST)
    token = client.post("/api/v1/token", body, content_type="application/json").json()["accessToken"]
    client = Client(SERVER_NAME=HOST, headers={"authorization": f"Bearer {token}"})
    for name, path in LISTS.items():
        queries: list[str] = []

        def note(execute: Any, sql: str, *rest: Any, seen: list[str] = queries) -> Any:
            seen.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(note):
            answer = client.get(path)
        assert answer.status_code == 200, (path, answer.content[:300])
        figures = timed(lambda path=path: client.get(path), repeats)  # type: ignore[misc]
        show("list", what=name, **figures, target_ms=150, queries=len(queries), target_queries=15)


def _changes(repeats: int) -> None:
    project = Project.objects.select_related("scope", "department__scope", "cluster__scope").first()
    actor, amounts = system_actor(), iter(range(1, 10**6))

    def change() -> None:
        quota = PoolQuota("default", gpu=ResourceQuota(next(amounts)))
        set_quotas(actor=actor, owner=project, wanted=(quota,), merge=True)

    show("quota change, until its document is owed", **timed(change, repeats), target_ms=2000)
    _preview(project, "preview, one pool", pools=["default"], repeats=repeats)
    _preview(project, "preview, all pools", pools=POOL_NAMES, repeats=repeats)
    Node.objects.update(gpu_allocatable_milli=7_000)
    _preview(project, "preview, all pools, no free device", pools=POOL_NAMES, repeats=repeats)


def _preview(project: Project, what: str, *, pools: list[str], repeats: int) -> None:
    wanted = {project: tuple(PoolQuota(pool, gpu=ResourceQuota(400_000)) for pool in pools)}

    def ask() -> Any:
        return preview(actor=system_actor(), cluster=project.cluster, changes=wanted)

    found = ask()
    show(
        what,
        **timed(ask, max(3, repeats // 10)),
        planned=found.planned,
        shares=len(found.shares),
        reclaimed=found.reclaimed.total,
        target_ms=2000,
    )


def _tenants(count: int) -> None:
    connection.set_schema_to_public()
    prepare_spares(1)
    opened = timed(lambda: provision_tenant(name="quick", domains=("q.localhost",), admin_email="a@example.test"), 1)
    connection.set_schema_to_public()
    show("tenant create, from a spare schema", **opened, target_ms=1500)
    with psycopg.connect(rollout.conninfo(), autocommit=True) as conn:
        schemas = _fleet(conn, count)
        show("migrate, nothing to do", tenants=count, **timed(rollout.roll_out, 3), target_ms=2000)
        conn.execute(f'ALTER TABLE "{schemas[count // 2]}".toy ADD COLUMN colour int')
        script = rollout.Script(
            frozenset(), (("toy", "0002"),), ("ALTER TABLE toy ADD COLUMN colour text NOT NULL DEFAULT ''",)
        )
        summary = rollout.Summary(total=count)
        ran = timed(lambda: rollout.run_script(script, schemas, summary), 1)
        show("migrate, one column", done=summary.done, failed=len(summary.failed), **ran, target_ms=30_000)


def _fleet(conn: "psycopg.Connection[Any]", count: int) -> list[str]:
    """Tenants of one table each, all current."""
    current, found = head(), []
    for number in range(count):
        name = make_schema_name()
        found.append(name)
        Tenant.objects.create(schema_name=name, name=f"fleet-{number}", state="ready")
        conn.execute(f'CREATE SCHEMA "{name}"')
        conn.execute(f'CREATE TABLE "{name}".toy (id int)')
        conn.execute(f'CREATE TABLE "{name}".django_migrations (app text, name text, applied timestamptz)')
        conn.execute(
            "INSERT INTO public.tenants_tenantschema (schema_name, fingerprint, state, error, attempts, updated_at) "
            "VALUES (%s, %s, 'current', '', 0, now())",
            (name, current),
        )
    return found


def timed(act: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Milliseconds: median and 95th percentile of ``repeats`` runs, and the median of this process's own CPU time:
    what a busy machine does not change.
    """
    times, own = [], []
    for _ in range(repeats):
        begun, cpu = time.perf_counter(), time.process_time()
        act()
        own.append((time.process_time() - cpu) * 1000)
        times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[min(len(times) - 1, int(len(times) * 0.95))], 1),
        "cpu_ms": round(statistics.median(own), 1),
    }


def show(figure: str, **values: Any) -> None:
    print(json.dumps({"figure": figure, **values}), flush=True)
