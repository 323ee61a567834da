"""How often a live page asks whether it has changed: each second while what it shows was touched lately, else at ease.

Who changes something, and who looks on, sees so what becomes of it within two seconds; a calm page costs little.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

LATELY = timedelta(minutes=1)
SOON, AT_EASE = 1, 4
"""Seconds between two questions."""


def every(touched: Iterable[datetime | None]) -> int:
    """Seconds, for ``data-every``. ``touched``: when the things on the page were changed last; None for never."""
    since = timezone.now() - LATELY
    return SOON if any(at is not None and at > since for at in touched) else AT_EASE
