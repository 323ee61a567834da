"""Read and change the tenant's settings."""

from typing import Any

from django.db import transaction

from access.grants import Actor
from access.models import Setting
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.scopes import root_scope
from access.setting_keys import KEYS
from runai_cp.lib.errors import FieldError, Invalid


def read_settings(keys: list[str] | None = None) -> dict[str, Any]:
    """Value by key, the default where nobody decided."""
    wanted = list(KEYS) if keys is None else keys
    stored = dict(Setting.objects.filter(key__in=wanted).values_list("key", "value"))
    return {key: stored.get(key, KEYS[key].default) for key in wanted}


def setting(key: str) -> Any:
    return read_settings([key])[key]


@transaction.atomic
def write_setting(*, actor: Actor, key: str, value: object) -> Any:
    """The value as stored. Raises ``Invalid`` for an unknown key or a value that the key does not allow."""
    require(actor, Action.SETTINGS_UPDATE, root_scope())
    if key not in KEYS:
        raise Invalid(FieldError("key", f"unknown; allowed are {sorted(KEYS)}", key[:100], sorted(KEYS)))
    new, old = KEYS[key].read(value), setting(key)
    Setting.objects.update_or_create(key=key, defaults={"value": new, "updated_by": actor.name[:200]})
    record(
        actor=actor,
        action="update",
        entity_type="setting",
        entity_id=key,
        entity_name=KEYS[key].label,
        before={key: old},
        after={key: new},
    )
    return new
