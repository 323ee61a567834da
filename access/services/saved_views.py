"""Keep a view of a console list. It is a preference: nothing about it is audited, and nobody else sees it."""

import re

from django.db import transaction

from access.grants import Actor
from access.models import SavedView, User
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.names import display_name
from runai_cp.lib.tables import LONGEST

MOST = 50
"""Views of one person on one list."""
_PAGE = re.compile(r"[a-z][a-z0-9-]{0,63}")


@transaction.atomic
def save_view(*, actor: Actor, page: str, name: str, query: str) -> SavedView:
    """A name that the person used on this list before is overwritten. Raises ``Invalid``, ``Conflict``."""
    if not _PAGE.fullmatch(page):
        raise Invalid(FieldError("page", "must be the key of a list", page[:64]))
    if len(query) > LONGEST or "\x00" in query:
        raise Invalid(FieldError("query", f"must have at most {LONGEST} characters", query[:40]))
    text = display_name(name, longest=60)
    owner = User.objects.select_for_update().get(pk=actor.id)
    mine = SavedView.objects.filter(owner=owner, page=page)
    row = mine.filter(name__same=text).first() or SavedView(owner=owner, page=page)
    if row._state.adding and mine.count() >= MOST:
        raise Conflict(f"You have {MOST} views of this list; remove one first.")
    row.name, row.query = text, query
    row.save()
    return row
