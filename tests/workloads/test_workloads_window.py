"""A page of a long list: the right rows in the right order, from two queries however long the list is."""

import pytest

from tests.fixtures_rooms import make_workload
from workloads.models import Workload

pytestmark = pytest.mark.services


def test_a_window_keeps_the_order_and_its_place(project):
    for name in ("c", "a", "d", "b"):
        make_workload(project, name)
    assert [row.name for row in Workload.objects.order_by("name").window(1, 2)] == ["b", "c"]


def test_its_rows_need_no_query_of_their_own(project, django_assert_num_queries):
    for name in ("a", "b"):
        make_workload(project, name)
    with django_assert_num_queries(2):
        rows = Workload.objects.order_by("name").window(0, 50, "spec")
        assert [(row.project.name, row.cluster.name) for row in rows] == [("team-a", "alpha")] * 2


def test_somebody_with_the_whole_tenant_sees_exactly_what_the_scopes_say(project, alice):
    make_workload(project, "a")
    asked = Workload.objects.filter(project__scope__path__startswith=alice.paths(Workload.objects.all().VIEW)[0])
    assert set(Workload.objects.visible_to(alice)) == set(asked)
    assert " JOIN " not in str(Workload.objects.visible_to(alice).query)
