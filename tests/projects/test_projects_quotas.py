"""Quota arithmetic: amounts as people write them, one entitlement by itself, and sums up the tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.objects import UNLIMITED, PoolQuota, ResourceQuota
from projects.quotas import QuotaError, check_quota, check_tree, rank_name, read_amount, total


def pool(gpu: int = 0, name: str = "default", **more: object) -> PoolQuota:
    return PoolQuota(node_pool=name, gpu=ResourceQuota(deserved=gpu), **more)


@pytest.mark.parametrize("value", [-1, -0.001, "NaN", "inf", "two", "٣", "1_0", None, True, 0.0001, [1], 10**7])
def test_an_amount_that_makes_no_sense_is_refused(value: object) -> None:
    with pytest.raises(QuotaError) as caught:
        read_amount("gpu.deserved", value, scale=1000, maximum=10**9)
    assert caught.value.problem.field == "gpu.deserved"


@pytest.mark.parametrize(("value", "milli"), [(0, 0), (1, 1000), (0.5, 500), ("2.25", 2250), (0.001, 1)])
def test_gpus_become_thousandths(value: object, milli: int) -> None:
    assert read_amount("gpu.deserved", value, scale=1000, maximum=10**9) == milli


BAD = [
    (PoolQuota("a", gpu=ResourceQuota(deserved=UNLIMITED)), "resources[a].gpu.deserved"),
    (PoolQuota("a", gpu=ResourceQuota(deserved=2000, limit=1000)), "resources[a].gpu.limit"),
    (PoolQuota("a", cpu=ResourceQuota(deserved=-5)), "resources[a].cpu.deserved"),
    (PoolQuota("a", gpu=ResourceQuota(over_quota_weight=-1)), "resources[a].gpu.overQuotaWeight"),
]


@pytest.mark.parametrize(("quota", "field"), BAD)
def test_a_bad_entitlement_is_refused_at_its_field(quota: PoolQuota, field: str) -> None:
    assert field in [problem.field for problem in check_quota(quota)]


def test_a_plain_entitlement_passes() -> None:
    assert list(check_quota(pool(2000))) == []


TREE = [
    ("equal sums fit", [pool(4000)], [[pool(2000)], [pool(2000)]], False, 0),
    ("more than the department", [pool(4000)], [[pool(3000)], [pool(2000)]], False, 1),
    ("over-commit is switched on", [pool(4000)], [[pool(3000)], [pool(2000)]], True, 0),
    ("a pool the department has nothing in", [pool(4000)], [[pool(1000, "b")]], False, 1),
    ("each pool by itself", [pool(1000), pool(1000, "b")], [[pool(1000), pool(1000, "b")]], False, 0),
]


@pytest.mark.parametrize(("why", "parent", "children", "over_commit", "found"), TREE)
def test_sums_up_the_tree(why: str, parent: list, children: list, over_commit: bool, found: int) -> None:
    assert len(list(check_tree(parent, children, over_commit=over_commit))) == found, why


@given(st.lists(st.integers(0, 10**6), max_size=6), st.integers(0, 10**6))
def test_the_tree_fits_exactly_when_the_sum_does(amounts: list[int], ceiling: int) -> None:
    found = list(check_tree([pool(ceiling)], [[pool(amount)] for amount in amounts], over_commit=False))
    assert bool(found) == (sum(amounts) > ceiling)


def test_a_total_with_unlimited_is_unlimited() -> None:
    assert total([PoolQuota("a"), PoolQuota("b")], "cpu") == UNLIMITED


@pytest.mark.parametrize(("priority", "name"), [(100, "medium"), (120, "medium"), (150, "high"), (0, "very-low")])
def test_a_rank_has_a_name(priority: int, name: str) -> None:
    assert rank_name(priority) == name
