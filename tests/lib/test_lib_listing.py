"""The words of lists: filterBy, sortBy, offset, limit."""

import pytest
from django.http import QueryDict

from access.models import User
from runai_cp.lib.errors import Invalid
from runai_cp.lib.listing import Field, Filter, Listing
from runai_cp.lib.paging import pages

LISTING = Listing(
    fields={
        "name": Field("email"),
        "clusterId": Field("id"),
        "phase": Field("name", sortable=False),
        "made": Field("created_at", filterable=False),
    }
)


def parse(text):
    return LISTING.parse(QueryDict(text))


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", ()),
        ("filterBy=name==a", (Filter("name", "==", "a"),)),
        (
            "filterBy=name%3D%3Da%20b%2CclusterId%21%3Dx_y",
            (Filter("name", "==", "a b"), Filter("clusterId", "!=", "x_y")),
        ),
        ("filterBy=name==a,b", (Filter("name", "==", "a,b"),)),
        ("filterBy=name=@x&filterBy=phase=^Run", (Filter("name", "=@", "x"), Filter("phase", "=^", "Run"))),
        ("filterBy=name=$=", (Filter("name", "=$", "="),)),
    ],
)
def test_filters_are_read_as_the_public_clients_write_them(text, filters):
    assert parse(text).filters == filters


@pytest.mark.parametrize(
    "text", ["filterBy=shoe==1", "filterBy=name", "filterBy=name~x", "filterBy=made==x", "filterBy=name==a,made==x"]
)
def test_an_unknown_field_or_operator_names_what_is_allowed(text):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.fields[0].allowed == ["name", "clusterId", "phase"]


@pytest.mark.parametrize("sort", ["name", "ProjectFilterSortFields.NAME", "CLUSTER_ID"])
def test_sort_fields_are_found_as_enum_names_too(sort):
    assert parse(f"sortBy={sort}").sort_by in ("name", "clusterId")


def test_a_field_that_cannot_sort_says_so():
    with pytest.raises(Invalid, match="sortBy"):
        parse("sortBy=phase")


@pytest.mark.parametrize("text", ["filterBy=name=@%00", "filterBy=name=@%00&filterBy=phase==a", "limit=--5", "limit=²"])
def test_what_no_database_takes_is_refused(text):
    with pytest.raises(Invalid):
        parse(text)


@pytest.mark.parametrize(("raw", "number"), [("2", 2), ("²", 1), ("9", 3), ("-1", 1), (None, 1)])
def test_a_page_is_one_of_those_there_are(raw, number):
    assert pages(140, raw).number == number


@pytest.mark.services
def test_a_page_knows_whether_another_follows_without_counting(acme, django_assert_num_queries):
    query = parse("limit=2&sortBy=name")
    assert User.objects.count() > 2
    with django_assert_num_queries(1):
        page = LISTING.page(User.objects.all(), query)
    assert (len(page.rows), page.next) == (2, 2)


@pytest.mark.services
@pytest.mark.parametrize(
    ("text", "count"), [("filterBy=name=@alice", 1), ("filterBy=name!@alice", 3), ("filterBy=name==x", 0)]
)
def test_filters_reach_the_database(acme, text, count):
    assert LISTING.count(User.objects.all(), parse(text)) == count
