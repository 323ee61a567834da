"""A tenant as large as the figures ask for: 3 clusters, 40 departments, 300 projects, 12 node pools, 1,000 nodes."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection
from django_tenants.utils import tenant_context

from access.services.bootstrap import system_actor
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.models import Cluster, Node, NodePool
from clusters.services import CreateCluster, create_cluster
from projects.models import Project
from projects.services import CreateDepartment, CreateProject, create_department, create_project
from runai_cp.platform.provision import provision_tenant
from tenants.models import Tenant
from workloads.models import Pod, Workload

HOST = "organization.localhost"
POOLS, NODES, DEPARTMENTS, PROJECTS = 12, 1000, 40, 300
POOL_NAMES = ["default", *(f"pool-{number:02d}" for number in range(1, POOLS))]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    tenant: Tenant
    application_id: str
    application_secret: str


def build(workloads: int) -> World:
    """Everything in the first cluster, so that its preview is the largest; two more clusters stand beside it."""
    made = provision_tenant(name="organization", domains=(HOST,), admin_email="admin@example.test")
    with tenant_context(made.tenant):
        actor = system_actor()
        cluster, *_ = [create_cluster(actor=actor, request=CreateCluster(f"cluster-{number}")) for number in range(3)]
        names = POOL_NAMES[1:]
        NodePool.objects.bulk_create(
            [NodePool(cluster=cluster, name=name, label_value=name, created_by="bench") for name in names]
        )
        projects = _units(cluster, POOL_NAMES)
        _nodes(cluster, POOL_NAMES)
        _workloads(cluster, projects, POOL_NAMES, workloads)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # as autovacuum does within a minute of such a change
    return World(made.tenant, made.application_id, made.application_secret)


def _units(cluster: Cluster, pools: list[str]) -> list[Project]:
    actor = system_actor()
    own = tuple(PoolQuota(pool, gpu=ResourceQuota(16_000)) for pool in pools)
    each = tuple(PoolQuota(pool, gpu=ResourceQuota(2_000)) for pool in pools)
    departments = [
        create_department(actor=actor, request=CreateDepartment(f"dept-{number:02d}", cluster, quotas=own))
        for number in range(DEPARTMENTS)
    ]
    return [
        create_project(
            actor=actor,
            request=CreateProject(f"project-{number:03d}", cluster, departments[number % DEPARTMENTS], quotas=each),
        )
        for number in range(PROJECTS)
    ]


def _nodes(cluster: Cluster, pools: list[str]) -> None:
    Node.objects.bulk_create(
        [
            Node(
                cluster=cluster,
                uid=uuid.uuid4(),
                name=f"node-{number:04d}",
                node_pool=pools[number % len(pools)],
                status="Ready",
                gpu_type="bench",
                gpu_memory_mib=81920,
                gpu_count=8,
                gpu_allocatable_milli=8000,
                gpu_allocated_milli=7000,
                cpu_allocatable_milli=64_000,
                cpu_allocated_milli=7_000,
                memory_allocatable_bytes=1 << 40,
                memory_allocated_bytes=7 << 30,
                node_created_at=NOW,
                updated_at=NOW,
            )
            for number in range(NODES)
        ],
        batch_size=500,
    )


def _workloads(cluster: Cluster, projects: list[Project], pools: list[str], count: int) -> None:
    """Seven of eight run, seven to a node; the rest wait."""
    running = min(count * 7 // 8, NODES * 7)
    rows, pods = [], []
    for number in range(count):
        node = number % NODES
        pool = pools[node % len(pools)]
        row = Workload(
            name=f"w-{number}",
            object_name=f"w-{number}",
            type="training",
            project=projects[number % len(projects)] if number < running else projects[number % 30],
            cluster=cluster,
            spec={"type": "training", "image": "bench", "compute": {"gpuDevices": 1, "cpuMilli": 1000}},
            requested_gpu_milli=1000,
            requested_node_pools=[pool],
            phase="Running" if number < running else "Pending",
            phase_since=NOW,
            created_at=NOW,
            updated_at=NOW,
        )
        rows.append(row)
        if number < running:
            pods.append(
                Pod(
                    cluster=cluster,
                    uid=uuid.uuid4(),
                    workload=row,
                    project=row.project,
                    name=f"w-{number}-0",
                    namespace="bench",
                    phase="Running",
                    node=f"node-{node:04d}",
                    node_pool=pool,
                    gpu_milli=1000,
                    gpu_devices=[number // NODES],
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
    Workload.objects.bulk_create(rows, batch_size=1000)
    Pod.objects.bulk_create(pods, batch_size=1000)
