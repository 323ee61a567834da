"""Small rules of the domain: pod states, preemptibility, comparisons with UNLIMITED, selectors."""

import pytest

from agent.domain.constraints import NodeTerm, Requirement, Taint, Toleration, holds, term_holds, tolerates, untolerated
from agent.domain.groups import Preemptibility, preemptibility_of
from agent.domain.pods import ACTIVE_ALLOCATED, ACTIVE_USED, ALIVE, ALLOCATED, STUCK_AFTER, PodStatus, status_of
from agent.domain.quantities import UNLIMITED, at_most, smaller

STATES = [
    (("Running",), {}, PodStatus.RUNNING),
    (("Running",), {"deleted_at": 5, "now": 6}, PodStatus.RELEASING),
    (("Running",), {"deleted_at": 5, "now": 6 + STUCK_AFTER}, PodStatus.STUCK_IN_RELEASING),
    (("Pending",), {}, PodStatus.PENDING),
    (("Pending",), {"gated": True}, PodStatus.GATED),
    (("Pending",), {"binding": True, "gated": True}, PodStatus.BINDING),
    (("Pending",), {"node": "n1", "binding": True}, PodStatus.BOUND),
    (("Pending",), {"node": "n1", "deleted_at": 1}, PodStatus.RELEASING),
    (("Succeeded",), {}, PodStatus.SUCCEEDED),
    (("Failed",), {"deleted_at": 1}, PodStatus.FAILED),
    (("Weird",), {}, PodStatus.UNKNOWN),
]


@pytest.mark.parametrize(("phase", "facts", "status"), STATES)
def test_pod_states(phase, facts, status):
    assert status_of(*phase, **facts) is status


def test_sets_of_states_nest():
    assert ALLOCATED < ACTIVE_ALLOCATED < ACTIVE_USED
    assert ACTIVE_ALLOCATED < ALIVE
    assert not PodStatus.RELEASING in ALIVE  # noqa: E713 - reads as the rule


def test_labels_of_states():
    assert PodStatus.STUCK_IN_RELEASING.label == "StuckInReleasing"


PREEMPTIBILITY = [
    ("", 99, Preemptibility.PREEMPTIBLE),
    ("", 100, Preemptibility.NON_PREEMPTIBLE),
    ("preemptible", 125, Preemptibility.PREEMPTIBLE),
    ("non-preemptible", 50, Preemptibility.NON_PREEMPTIBLE),
    ("semi-preemptible", 50, Preemptibility.SEMI_PREEMPTIBLE),
    ("nonsense", 50, Preemptibility.PREEMPTIBLE),
]


@pytest.mark.parametrize(("label", "priority", "kind"), PREEMPTIBILITY)
def test_preemptibility(label, priority, kind):
    assert preemptibility_of(label, priority) is kind


COMPARE = [(1, 2, True), (2, 2, True), (3, 2, False), (5, UNLIMITED, True), (UNLIMITED, 5, False), (-1, -1, True)]


@pytest.mark.parametrize(("left", "right", "result"), COMPARE)
def test_unlimited_is_larger_than_everything(left, right, result):
    assert at_most(left, right) is result


@pytest.mark.parametrize(("left", "right", "result"), [(1, 2, 1), (UNLIMITED, 3, 3), (4, UNLIMITED, 4)])
def test_smaller(left, right, result):
    assert smaller(left, right) == result


LABELS = {"zone": "a", "cores": "8", "word": "x"}
EXPRESSIONS = [
    ("zone", "In", ("a", "b"), True),
    ("zone", "In", ("b",), False),
    ("none", "In", ("a",), False),
    ("zone", "NotIn", ("b",), True),
    ("zone", "NotIn", ("a",), False),
    ("none", "NotIn", ("a",), True),
    ("zone", "Exists", (), True),
    ("none", "Exists", (), False),
    ("none", "DoesNotExist", (), True),
    ("zone", "DoesNotExist", (), False),
    ("cores", "Gt", ("7",), True),
    ("cores", "Gt", ("8",), False),
    ("cores", "Lt", ("9",), True),
    ("cores", "Lt", ("8",), False),
    ("word", "Gt", ("1",), False),
    ("cores", "Gt", (), False),
    ("none", "Lt", ("9",), False),
    ("zone", "Like", ("a",), False),
]


@pytest.mark.parametrize(("key", "operator", "values", "result"), EXPRESSIONS)
def test_expressions(key, operator, values, result):
    assert holds(Requirement(key, operator, values), LABELS) is result


TERMS = [
    (NodeTerm(), False),
    (NodeTerm(names=("n1",)), True),
    (NodeTerm(names=("n2",)), False),
    (NodeTerm((Requirement("zone", "Exists"),), ("n1",)), True),
    (NodeTerm((Requirement("zone", "Exists"), Requirement("none", "Exists"))), False),
]


@pytest.mark.parametrize(("term", "result"), TERMS)
def test_terms(term, result):
    assert term_holds(term, "n1", LABELS) is result


TOLERATIONS = [
    (Toleration("k", "Equal", "v"), True),
    (Toleration("k", "Equal", "w"), False),
    (Toleration("k", "Exists"), True),
    (Toleration("", "Exists"), True),
    (Toleration("", "Equal", "v"), False),
    (Toleration("k", "Exists", effect="NoExecute"), False),
    (Toleration("k", "Exists", effect="NoSchedule"), True),
    (Toleration("other", "Exists"), False),
]


@pytest.mark.parametrize(("toleration", "result"), TOLERATIONS)
def test_tolerations(toleration, result):
    assert tolerates(toleration, Taint("k", "v")) is result


def test_the_first_taint_that_bars_is_named():
    taints = (Taint("soft", "", "PreferNoSchedule"), Taint("a"), Taint("b"))
    assert untolerated(taints, (Toleration("a", "Exists"),)) == Taint("b")
