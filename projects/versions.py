"""No lost update: a save names the version it was made from; a second one hears who was first and what differs.

Services call ``take_turn`` first (it locks the row) and ``raise_version`` last, inside their transaction.
"""

from collections.abc import Callable, Iterable, Mapping

from agent.wire.objects import UNLIMITED, PoolQuota
from projects.models import Department, Project
from runai_cp.lib.errors import Conflict, DomainError, NotFound

_SCALE = {"gpu": 1000, "cpu": 1, "memory": 1 << 20}
_PARTS = {"deserved": "deserved", "limit": "limit", "over_quota_weight": "overQuotaWeight"}


class Changed(DomainError):
    """Somebody else saved first. ``details`` says, by field, what is stored now and what was given."""

    status = 412
    title = "Precondition failed"


def take_turn(
    unit: Department | Project, expected: int | None, difference: Callable[[], Mapping[str, str]] = dict
) -> None:
    """Lock the row and bring ``unit`` up to what is stored: what nobody asks for stays as it is now, not as it was.

    With ``expected`` raises ``Changed`` where somebody saved in between; ``difference`` then says what the caller's
    values would change against those stored now. Raises ``Conflict`` for one that is being deleted: its document is
    taken back, and must not come again. Raises ``NotFound`` for one that is gone.
    """
    row = type(unit).objects.select_for_update(of=("self",)).filter(pk=unit.pk).first()
    if row is None:
        raise NotFound(f"{unit.name} is not there any more.")
    catch_up(unit, row)
    if expected is not None and row.version != expected:
        message = (
            f"{row.updated_by} has changed {unit.name} since you read it (version {row.version} now, {expected} "
            "yours); read it again. What you wanted differs from what it is now."
        )
        raise Changed(message, **difference())


def catch_up(unit: Department | Project, row: Department | Project) -> None:
    """Give ``unit`` the values of ``row``, which is the same one, read under its lock. Raises ``Conflict``."""
    if row.delete_requested_at is not None:
        raise Conflict(f"{unit.name} is being deleted.")
    for field in type(unit)._meta.concrete_fields:
        setattr(unit, field.attname, getattr(row, field.attname))


def raise_version(unit: Department | Project, actor_name: str) -> None:
    unit.version = type(unit).objects.values_list("version", flat=True).get(pk=unit.pk) + 1
    unit.updated_by = actor_name
    unit.save(update_fields=["version", "updated_by", "updated_at"])


def quota_difference(now: Iterable[PoolQuota], wanted: Iterable[PoolQuota]) -> dict[str, str]:
    """``default.gpu.deserved`` → ``4 now, 6 given``, in devices, milli-cores and MiB; pools that are not named count
    as they are."""
    stored = {quota.node_pool: quota for quota in now}
    found: dict[str, str] = {}
    for quota in wanted:
        before = stored.get(quota.node_pool, PoolQuota(quota.node_pool))
        for resource, scale in _SCALE.items():
            for part, name in _PARTS.items():
                old, new = getattr(getattr(before, resource), part), getattr(getattr(quota, resource), part)
                if old != new:
                    unit = 1000 if name == "overQuotaWeight" else scale
                    where = f"{quota.node_pool}.{resource}.{name}"
                    found[where] = f"{_amount(old, unit)} now, {_amount(new, unit)} given"
        if before.priority != quota.priority:
            found[f"{quota.node_pool}.priority"] = f"{before.priority} now, {quota.priority} given"
    return found


def plain_difference(now: Mapping[str, object], wanted: Mapping[str, object]) -> dict[str, str]:
    """Members of ``wanted`` that are not as they are now."""
    return {
        name: f"{now.get(name)!r} now, {value!r} given"[:300]
        for name, value in wanted.items()
        if name in now and now[name] != value
    }


def _amount(value: int, scale: int) -> str:
    if value == UNLIMITED:
        return "unlimited"
    return f"{value / scale:.3f}".rstrip("0").rstrip(".")
