"""How soon a live page asks again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from runai_cp.lib.polling import AT_EASE, LATELY, SOON, every

JUST, LONG = timedelta(seconds=1), LATELY + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ago", "seconds"),
    [((), AT_EASE), ((None,), AT_EASE), ((LONG, None), AT_EASE), ((JUST,), SOON), ((LONG, None, JUST), SOON)],
)
def test_what_was_touched_lately_is_asked_for_soon(ago, seconds):
    assert every(None if one is None else timezone.now() - one for one in ago) == seconds
