"""A tenant as large as the figures ask for, written in bulk."""

import random
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django_tenants.utils import tenant_context

from access.models import AccessKey, AccessRule, Group, GroupMember, Scope, User
from access.roles import PREDEFINED
from access.services.audit import record
from access.services.bootstrap import system_actor
from access.services.rules import create_rule
from access.services.scopes import root_scope
from access.services.users import create_user
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.services import CreateCluster, create_cluster
from projects.services import CreateDepartment, CreateProject, create_department, create_project
from runai_cp.platform.provision import provision_tenant
from tenants.models import Tenant

HOST = "bench.localhost"
PASSWORD = "correct horse battery"
CLUSTERS = 3
DEPARTMENTS = 10


@dataclass(frozen=True)
class World:
    tenant: Tenant
    application_id: str
    application_secret: str
    delegate: str
    """A person with fifty rules on single projects: the hardest case of ``visible_to``."""


def build(options: Any) -> World:
    made = provision_tenant(name="bench", domains=(HOST,), admin_email="admin@example.test")
    with tenant_context(made.tenant):
        _projects(options.projects)
        people = _people(options.users)
        _rules(people, options.rules)
        for number in range(2_000):
            record(actor=system_actor(), action="update", entity_type="project", entity_id=number, entity_name="p")
        delegate = create_user(actor=system_actor(), email="delegate@example.test", password=PASSWORD)
        for scope in Scope.objects.filter(kind="project").order_by("pk")[:50]:
            create_rule(
                actor=system_actor(),
                subject_kind="user",
                subject_id=delegate.pk,
                role="project-administrator",
                scope=scope,
            )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # as autovacuum does within a minute of such a change
    return World(made.tenant, made.application_id, made.application_secret, delegate.email)


def _projects(count: int) -> None:
    actor = system_actor()
    quota = (PoolQuota("default", ResourceQuota(8000)),)
    units = []
    for number in range(CLUSTERS):
        cluster = create_cluster(actor=actor, request=CreateCluster(f"cluster-{number}"))
        for index in range(DEPARTMENTS):
            request = CreateDepartment(name=f"dept-{number}-{index}", cluster=cluster, quotas=quota)
            units.append((cluster, create_department(actor=actor, request=request)))
    for number in range(count):
        cluster, department = units[number % len(units)]
        create_project(
            actor=actor, request=CreateProject(f"project-{number:03d}", cluster, department=department, quotas=quota)
        )


def _people(count: int) -> list[User]:
    rows = [User(email=f"person-{n:05d}@example.test", name=f"Person {n}", created_by="bench") for n in range(count)]
    User.objects.bulk_create(rows, batch_size=1000)
    groups = Group.objects.bulk_create([Group(name=f"group-{n:03d}", created_by="bench") for n in range(200)])
    pick = random.Random(7)
    GroupMember.objects.bulk_create(
        [GroupMember(user=row, group=group) for row in rows for group in pick.sample(groups, 2)], batch_size=2000
    )
    AccessKey.objects.bulk_create(
        [AccessKey(owner=row, name="key", client_id=f"key-{n:016d}", secret_hash="x") for n, row in enumerate(rows)],
        batch_size=1000,
    )
    return rows


def _rules(people: list[User], count: int) -> None:
    """Each person's rules differ in role and scope, as a live tenant's do."""
    pick, scopes = random.Random(11), [*Scope.objects.filter(kind="project"), root_scope()]
    roles = [key for key in PREDEFINED if key != "administrator"]
    seen, rows = set(), []
    while len(rows) < count:
        person, role, scope = pick.choice(people), pick.choice(roles), pick.choice(scopes)
        if (person.pk, role, scope.pk) not in seen:
            seen.add((person.pk, role, scope.pk))
            rows.append(
                AccessRule(
                    subject_kind="user",
                    subject_id=person.pk,
                    subject_name=person.email,
                    role=role,
                    scope=scope,
                    created_by="bench",
                )
            )
    AccessRule.objects.bulk_create(rows, batch_size=2000)
