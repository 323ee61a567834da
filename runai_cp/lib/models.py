"""The base of most models: a UUID that sorts by time, and two timestamps; the lookup of names without case; and acts on
rows that somebody else may remove meanwhile.
"""

import secrets
import time
import uuid
from typing import Any, TypeVar

from django.db import models
from django.db.models.lookups import Lookup

from runai_cp.lib.errors import NotFound

Row = TypeVar("Row", bound=models.Model)


@models.CharField.register_lookup
class Same(Lookup):  # type: ignore[type-arg]
    """``email__same="Ann@X.test"``: equal without regard to case, by ``LOWER``, as the unique constraints have it.

    ``iexact`` compares ``UPPER``: that finds no index of ours, and takes two names for one that the constraint keeps
    apart (``ſam`` and ``Sam``).
    """

    lookup_name = "same"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"LOWER({left}) = LOWER({right})", [*left_params, *right_params]


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562 version 7), so that new rows land at the end of the index."""
    milliseconds = time.time_ns() // 1_000_000
    value = (
        (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    )
    return uuid.UUID(int=value)


class BaseModel(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


def held(row: Row, what: str) -> Row:
    """The row as it is now, held until the transaction ends: what was read before it may be old.

    Raises ``NotFound`` with "This ``what`` no longer exists." where somebody removed it meanwhile.
    """
    rows = type(row)._default_manager.select_for_update(of=("self",))
    found: Row | None = rows.filter(pk=row.pk).first()
    if found is None:
        raise gone(what)
    return found


def remove(row: models.Model, what: str) -> None:
    """Delete a row, in the caller's transaction. Raises ``NotFound`` where somebody else did: it is audited once."""
    _, counts = row.delete()
    if not counts.get(row._meta.label):
        raise gone(what)


def gone(what: str) -> NotFound:
    return NotFound(f"This {what} no longer exists.")
