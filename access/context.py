"""What every console page knows: who looks, in which tenant, with which theme."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from access.roles import Action
from access.services.brand import brand_of


def console(request: HttpRequest) -> dict[str, Any]:
    """``actor``, ``tenant``, ``brand``, ``can`` (action name with underscores → bool), ``theme`` and ``local``."""
    actor = getattr(request, "actor", None)
    user = getattr(request, "user", None) if actor is not None else None
    held = {action for grant in actor.grants for action in grant.actions} if actor else set()
    return {
        "actor": actor,
        "tenant": getattr(request, "tenant", None),
        "brand": brand_of(getattr(request, "tenant", None)),
        "can": {action.name.lower(): action in held for action in Action},
        "theme": getattr(user, "theme", "system") if user is not None else "system",
        "local": settings.LOCAL,
    }
