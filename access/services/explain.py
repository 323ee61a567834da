"""What may somebody do in a scope, and by which rules? The same grants that every request is judged by, told."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from access.grants import Actor
from access.models import AccessRule, Application, Group, GroupMember, Scope, SubjectKind, User
from access.permissions import require
from access.roles import Action
from access.services.roles import role_of
from access.services.subjects import is_uuid
from runai_cp.lib.errors import FieldError, Invalid


@dataclass(frozen=True, slots=True)
class Subject:
    """``off`` says why nothing at all is allowed: the account is disabled."""

    kind: str
    id: str
    name: str
    off: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule of the subject. ``here`` is whether it counts in the scope asked about; ``why_not`` otherwise."""

    rule_id: int
    via: str
    """Name of the group through which the person has it; empty for a rule of their own."""
    role: str
    actions: frozenset[Action]
    scope: Scope
    expires_at: datetime | None
    here: bool
    why_not: str


@dataclass(frozen=True, slots=True)
class Explanation:
    subject: Subject
    scope: Scope
    reasons: tuple[Reason, ...]
    hidden: int
    """Rules elsewhere that the one who asks may not see."""

    def by(self, action: Action) -> list[Reason]:
        """The rules that allow the action here; empty when nothing does."""
        if self.subject.off:
            return []
        return [reason for reason in self.reasons if reason.here and action in reason.actions]


def explain(*, actor: Actor, subject: Subject, scope: Scope) -> Explanation:
    """Four queries. Raises ``NotAllowed`` for a scope whose rules the asker may not see.

    Rules above the scope are told too: they are why somebody can act there. Of rules elsewhere only those that the
    asker may see.
    """
    require(actor, Action.ACCESS_RULE_VIEW, scope)
    groups: dict[str, str] = {}
    if subject.kind == SubjectKind.USER:
        members = GroupMember.objects.filter(user_id=subject.id).values_list("group_id", "group__name")
        groups = {str(pk): name for pk, name in members}
    held = Q(subject_kind=subject.kind, subject_id=subject.id)
    held |= Q(subject_kind=SubjectKind.GROUP, subject_id__in=list(groups))
    found, hidden = [], 0
    rules = AccessRule.objects.filter(held).select_related("scope__parent", "custom_role")
    for rule in rules.order_by("scope__path", "pk"):
        reason = _reason(rule, scope, "" if rule.subject_kind == subject.kind else groups[str(rule.subject_id)])
        if reason.here or actor.allows(Action.ACCESS_RULE_VIEW, rule.scope.path):
            found.append(reason)
        else:
            hidden += 1
    return Explanation(subject, scope, tuple(sorted(found, key=lambda one: not one.here)), hidden)


def named_subject(text: str) -> Subject:
    """``user:UUID``, ``group:UUID``, ``application:UUID``, or an e-mail address or name. Raises ``Invalid``."""
    kind, _, identifier = text.partition(":")
    by_id = kind in SubjectKind.values and is_uuid(identifier)
    wanted = text.strip()[:254].replace("\x00", "")
    if not by_id or kind == SubjectKind.USER:
        user = User.objects.filter(**({"pk": identifier} if by_id else {"email__same": wanted})).first()
        if user is not None:
            return Subject("user", str(user.pk), user.email, "" if user.is_active else "The account is disabled.")
    if not by_id or kind == SubjectKind.GROUP:
        group = Group.objects.filter(**({"pk": identifier} if by_id else {"name__same": wanted})).first()
        if group is not None:
            return Subject("group", str(group.pk), group.name)
    if not by_id or kind == SubjectKind.APPLICATION:
        row = Application.objects.filter(**({"pk": identifier} if by_id else {"name": wanted})).first()
        if row is not None:
            return Subject("application", str(row.pk), row.name, "" if row.enabled else "The account is disabled.")
    raise Invalid(FieldError("who", "no person, group or service account is called this", wanted[:80]))


def _reason(rule: AccessRule, scope: Scope, via: str) -> Reason:
    role = role_of(rule)
    if rule.expires_at is not None and rule.expires_at <= timezone.now():
        why_not = f"ended {rule.expires_at:%Y-%m-%d %H:%M} UTC"
    elif not role.enabled:
        why_not = "the role is disabled"
    elif not scope.path.startswith(rule.scope.path):
        below = rule.scope.path.startswith(scope.path)
        why_not = f"only in {rule.scope.name}, which lies in here" if below else f"only in {rule.scope.name}"
    else:
        why_not = ""
    return Reason(rule.pk, via, role.title, role.actions, rule.scope, rule.expires_at, not why_not, why_not)
