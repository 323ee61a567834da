"""What an actor may see of rules, roles and the audit, with the columns that lists filter and sort by."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Case, CharField, Count, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Coalesce

from access.grants import Actor
from access.models import AccessRule, AuditEntry, Role, Scope, SubjectKind
from access.roles import CLUSTER_ROLES, PREDEFINED, ROLES, Action, actions_of
from runai_cp.lib.shelf import Shelf

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
"""Predefined roles are older than any tenant."""


def visible_rules(actor: Actor, *, removed: bool = False) -> QuerySet[AccessRule]:
    """Rules on scopes whose rules the actor may see, with the columns that ``RULES`` filters by."""
    rows = AccessRule.ever.all() if removed else AccessRule.objects.get_queryset().in_force()
    paths = actor.paths(Action.ACCESS_RULE_VIEW)
    if not any(path.count("/") == 2 for path in paths):  # else the root is theirs, and with it every rule
        reach = Q(pk=None)
        for path in paths:
            reach |= Q(path__startswith=path)
        # Scopes are hundreds, rules tens of thousands: the prefixes are compared with the former.
        rows = rows.filter(scope__in=Scope.objects.filter(reach))
    return with_columns(rows.select_related("scope", "custom_role"))


def with_columns(rows: QuerySet[AccessRule]) -> QuerySet[AccessRule]:
    titles = [When(role=key, then=Value(role.title)) for key, role in PREDEFINED.items()]
    numbers = [When(role=key, then=Value(role.id)) for key, role in PREDEFINED.items()]
    program = When(subject_kind=SubjectKind.APPLICATION, then=Value("service-account"))
    return rows.annotate(
        role_title=Coalesce(F("custom_role__name"), Case(*titles, default=F("role"), output_field=CharField())),
        role_id=Coalesce(F("custom_role_id"), Case(*numbers, default=Value(0), output_field=IntegerField())),
        subject_type=Case(program, default=F("subject_kind"), output_field=CharField()),
    )


def visible_entries(actor: Actor) -> QuerySet[AuditEntry]:
    """Entries of scopes the actor may audit; those without a scope are the tenant's own."""
    paths = actor.paths(Action.AUDIT_VIEW)
    reach = Q(pk=None)
    for path in paths:
        reach |= Q(scope_path__startswith=path)
    if any(path.count("/") == 2 for path in paths):
        reach |= Q(scope_path="")
    people = When(actor_kind="user", then=Value("User"))
    worked = When(result="success", then=Value("Succeeded"))
    return AuditEntry.objects.filter(reach).annotate(
        subject_type=Case(people, default=Value("App"), output_field=CharField()),
        outcome=Case(worked, default=Value("Failed"), output_field=CharField()),
        ip_text=Coalesce(Cast(F("source_ip"), CharField()), Value("")),
        cluster_name=Case(
            When(entity_type="cluster", then=F("entity_name")), default=Value(""), output_field=CharField()
        ),
    )


@dataclass(slots=True)
class RoleRow:
    """A role of either kind in a list. ``pk`` is its number in the public API, ``key`` what rules hold; ``row`` is None
    for a predefined one; ``given`` how many rules give it, where a page has counted."""

    pk: int
    key: str
    name: str
    description: str
    kind: str
    sets: tuple[str, ...]
    cluster_role: str
    enabled: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    row: Role | None = None
    given: int = 0

    @property
    def actions(self) -> frozenset[Action]:
        return ROLES[self.key] if self.row is None else actions_of(self.sets)


def all_roles() -> Shelf:
    """The platform's roles, and those of the tenant."""
    return Shelf(Role, lambda: [*_platform(), *(_own(row) for row in Role.objects.order_by("pk"))])


def rules_by_role(actor: Actor) -> dict[str, int]:
    """How many of the rules that the actor may see give each role, by its key: one query."""
    found = visible_rules(actor).order_by().values_list("role").annotate(n=Count("pk"))
    return dict(found)


def _platform() -> list[RoleRow]:
    return [
        RoleRow(role.id, key, role.title, role.description, "predefined", role.sets, CLUSTER_ROLES[key], True,
                "system", BEGAN, BEGAN)
        for key, role in PREDEFINED.items()
    ]  # fmt: skip


def _own(row: Role) -> RoleRow:
    return RoleRow(
        row.pk,
        f"custom-{row.pk}",
        row.name,
        row.description,
        "custom",
        tuple(row.permission_sets),
        row.cluster_role,
        row.enabled,
        row.created_by,
        row.created_at,
        row.updated_at,
        row,
    )
