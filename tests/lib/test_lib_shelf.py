"""A shelf answers lists as the database does: every question is asked of both, over the same rows."""

from datetime import UTC, datetime

import pytest
from django.db.models import Q
from django.http import QueryDict

from access.filters import USERS
from access.models import User
from runai_cp.lib.shelf import Shelf

pytestmark = pytest.mark.services
SOME = [
    ("ada@people.test", "ada", datetime(2026, 1, 1, tzinfo=UTC), True),
    ("bea@people.test", "ada b", None, False),
    ("cleo@people.test", "", datetime(2026, 1, 2, tzinfo=UTC), False),
    ("dan@people.test", "50% off_by\\one", None, True),
    ("eve@people.test", "zoe", datetime(2026, 1, 1, tzinfo=UTC), True),
]
QUESTIONS = [
    "",
    "filterBy=name=@ADA",
    "filterBy=name!@ada",
    "filterBy=name==ada",
    "filterBy=name!=ada",
    "filterBy=name=^ada",
    "filterBy=name=$b",
    "filterBy=name=@%25",
    "filterBy=name=@_",
    "filterBy=isLocal==false",
    "filterBy=isLocal!=true,name=@a",
    "filterBy=lastLogin>=2026-01-02T00:00:00Z",
    "filterBy=lastLogin!=2026-01-02T00:00:00Z",
    "filterBy=lastLogin<=2026-01-01T12:00:00Z&search=E",
    "search=people",
    "search=%5C",
    "sortBy=lastLogin",
    "sortBy=lastLogin&sortOrder=desc",
    "sortBy=isLocal&sortOrder=desc",
    "sortBy=username&limit=2&offset=1",
]


@pytest.fixture
def rows(acme):
    """(the table, the shelf) of the same people."""
    for email, name, last_login, is_local in SOME:
        User.objects.create(email=email, name=name, last_login=last_login, is_local=is_local)
    people = User.objects.filter(email__icontains="people.test")
    return people, Shelf(User, lambda: list(people.order_by("pk")))


def emails(page):
    return [row.email for row in page.rows]


@pytest.mark.parametrize("question", QUESTIONS)
def test_it_answers_as_the_table_does(rows, question):
    query = USERS.parse(QueryDict(question))
    table, shelf = rows
    assert emails(USERS.page(shelf, query)) == emails(USERS.page(table, query))
    assert USERS.count(shelf, query) == USERS.count(table, query)


@pytest.mark.parametrize("order", ["sortBy=lastLogin", "sortBy=lastLogin&sortOrder=desc", "sortBy=name", ""])
def test_cursors_walk_over_all_rows_once(rows, order):
    _, shelf = rows
    seen, cursor = [], ""
    while cursor is not None:
        page = USERS.page(shelf, USERS.parse(QueryDict(f"{order}&limit=2&cursor={cursor}")))
        seen, cursor = seen + emails(page), page.cursor
    assert seen == emails(USERS.page(shelf, USERS.parse(QueryDict(order))))
    assert len(seen) == len(SOME)


@pytest.mark.parametrize(
    "condition",
    [
        Q(pk__in=()),
        Q(),
        ~Q(name="ada"),
        Q(name="ada") | Q(last_login__isnull=True),
        Q(last_login__isnull=False) & ~Q(is_local=True),
        ~(Q(name="ada") | Q(name="zoe")),
        Q(last_login__gt=datetime(2026, 1, 1, tzinfo=UTC)),
        ~Q(last_login__gt=datetime(2026, 1, 1, tzinfo=UTC)),
        Q(last_login=None),
    ],
    ids=str,
)
def test_conditions_mean_what_they_mean_to_the_table(rows, condition):
    table, shelf = rows
    assert [row.pk for row in shelf.filter(condition)] == [row.pk for row in table.order_by("pk").filter(condition)]


def test_it_is_read_anew_by_every_question(acme):
    shelf = Shelf(User, lambda: list(User.objects.filter(email__icontains="people.test")))
    late = shelf.filter(is_local=True)
    User.objects.create(email="late@people.test")
    assert (late.exists(), late.count(), shelf.none().exists()) == (True, 1, False)
