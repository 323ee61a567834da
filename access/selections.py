"""What an actor may see of rules and of the audit, with the columns that lists filter and sort by."""

from django.db.models import Case, CharField, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Coalesce

from access.grants import Actor
from access.models import AccessRule, AuditEntry, Scope, SubjectKind
from access.roles import PREDEFINED, Action


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
