"""Groups of people and who is in them."""

from collections.abc import Iterable

from django.db import IntegrityError, transaction

from access.grants import Actor
from access.models import Group, GroupMember, GroupOrigin, SubjectKind, User
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.bootstrap import system_actor
from access.services.holdings import refuse_stronger_group
from access.services.rules import drop_rules_of
from access.services.scopes import root_scope
from access.services.subjects import group_name
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.models import held, remove
from runai_cp.lib.names import display_name

MOST = 1000
"""Members or groups that one call may name."""


@transaction.atomic
def create_group(*, actor: Actor, name: object, description: object = "", members: Iterable[str] = ()) -> Group:
    """Raises ``Invalid``, ``Conflict``, and ``NotAllowed``."""
    require(actor, Action.GROUP_CREATE, root_scope())
    text = group_name(name)
    try:
        with transaction.atomic():
            group = Group.objects.create(name=text, description=_description(description), created_by=actor.name)
    except IntegrityError as error:
        raise Conflict(f"A group named {text!r} exists already.") from error
    _set_members(group, people(members))
    _remember(actor, "create", group)
    return group


@transaction.atomic
def update_group(
    *, actor: Actor, group: Group, description: object = None, members: Iterable[str] | None = None
) -> Group:
    """The name stays: bindings in the clusters carry it. Members of a provider's group are the provider's matter."""
    require(actor, Action.GROUP_UPDATE, root_scope())
    group = held(group, "group")
    if description is not None:
        group.description = _description(description)
        group.save(update_fields=["description", "updated_at"])
    before = sorted(group.members.values_list("email", flat=True))
    if members is not None:
        if group.origin == GroupOrigin.PROVIDER:
            raise Conflict("The identity provider says who is in this group.")
        refuse_stronger_group(actor, group)
        _set_members(group, people(members))
    after = sorted(group.members.values_list("email", flat=True))
    _remember(actor, "update", group, before={"members": before}, after={"members": after})
    return group


@transaction.atomic
def delete_group(*, actor: Actor, group: Group) -> None:
    """Its access rules go with it."""
    require(actor, Action.GROUP_DELETE, root_scope())
    drop_rules_of(SubjectKind.GROUP, group.pk)
    _remember(actor, "delete", group)
    remove(group, "group")


@transaction.atomic
def set_groups_of(*, user: User, names: Iterable[str]) -> None:
    """At a sign-in: the person is in exactly these of the provider's groups; local groups are left alone.

    Safe to repeat. Names that cannot be names of ours are left out rather than the person.
    """
    wanted = {}
    for name in list(names)[:MOST]:
        try:
            wanted[group_name(name).lower()] = group_name(name)
        except Invalid:
            continue
    known = {group.name.lower(): group for group in Group.objects.filter(name__in=list(wanted.values()))}
    for lower, name in wanted.items():
        if lower not in known:
            known[lower], _ = Group.objects.get_or_create(
                name__same=name, defaults={"name": name, "origin": GroupOrigin.PROVIDER, "created_by": "sign-in"}
            )
    keep = [group.pk for lower, group in known.items() if group.origin == GroupOrigin.PROVIDER]
    have = GroupMember.objects.filter(user=user, group__origin=GroupOrigin.PROVIDER)
    gone, _ = have.exclude(group_id__in=keep).delete()
    present = set(have.values_list("group_id", flat=True))
    new = [GroupMember(user=user, group_id=pk) for pk in keep if pk not in present]
    GroupMember.objects.bulk_create(new, ignore_conflicts=True)
    if gone or new:
        record(
            actor=system_actor("sign-in"),
            action="update",
            entity_type="user",
            entity_id=user.pk,
            entity_name=user.email,
            after={"groups": sorted(group.name for group in known.values())},
        )


def people(identifiers: Iterable[object]) -> list[User]:
    """Users by address or id. Raises ``Invalid`` naming the first that is nobody."""
    asked = list(identifiers)
    if len(asked) > MOST:
        raise Invalid(FieldError("members", f"at most {MOST} at once", len(asked)))
    texts = [str(item).lower()[:254] for item in asked]
    found = {row.email.lower(): row for row in User.objects.filter(email__in=[text for text in texts if "@" in text])}
    for text in texts:
        if text not in found:
            raise Invalid(FieldError("members", "no user has this address", text))
    return [found[text] for text in texts]


def _set_members(group: Group, users: list[User]) -> None:
    GroupMember.objects.filter(group=group).exclude(user__in=users).delete()
    GroupMember.objects.bulk_create([GroupMember(group=group, user=user) for user in users], ignore_conflicts=True)


def _description(given: object) -> str:
    return display_name(given, "description", longest=500) if given not in (None, "") else ""


def _remember(actor: Actor, verb: str, group: Group, *, before: object = None, after: object = None) -> None:
    record(
        actor=actor,
        action=verb,
        entity_type="group",
        entity_id=group.pk,
        entity_name=group.name,
        before=before,
        after=after,
    )
