"""Lists and details over REST: filter, sort, search, paging, and a constant number of queries for any size."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects.models import Project
from tests.conftest import Home
from tests.fixtures_rooms import (
    connect,
    event_report,
    make_project,
    make_workload,
    pod_report,
    take,
    tell,
    workload_report,
)
from workloads.models import Workload

WORKLOADS = "/api/v1/workloads"


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["workloads"]]


@pytest.fixture
def three(project: Project) -> list[Workload]:
    other = make_project(project.cluster, "team-b")
    return [
        make_workload(project, "alpha"),
        make_workload(project, "beta", gpu_devices="2", priority_class="build"),
        make_workload(other, "gamma", type="workspace"),
    ]


def test_list_count_and_detail_follow_the_contract(acme: Home, three: list[Workload], contract: Any) -> None:
    api = acme.api()
    contract("GET", WORKLOADS, api.get(WORKLOADS))
    contract("GET", WORKLOADS + "/count", api.get(f"{WORKLOADS}/count"))
    contract("GET", WORKLOADS + "/{workloadId}", api.get(f"{WORKLOADS}/{three[0].pk}"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sortBy=name", ["alpha", "beta", "gamma"]),
        ("sortBy=name&sortOrder=desc", ["gamma", "beta", "alpha"]),
        ("filterBy=name==beta", ["beta"]),
        ("filterBy=name=@a&filterBy=name!=beta&sortBy=name", ["alpha", "gamma"]),
        ("filterBy=projectName==team-b", ["gamma"]),
        ("filterBy=type==Workspace", ["gamma"]),
        ("filterBy=phase==Running", []),
        ("filterBy=phase==Creating,priority>=100&sortBy=name", ["beta", "gamma"]),
        ("filterBy=departmentName==default&sortBy=name", ["alpha", "beta", "gamma"]),
        ("search=team-b", ["gamma"]),
        ("search=nothing", []),
        ("sortBy=name&limit=2", ["alpha", "beta"]),
        ("sortBy=name&limit=2&offset=2", ["gamma"]),
        ("deleted=true", []),
    ],
)
def test_the_list_is_filtered_sorted_searched_and_paged(
    acme: Home, three: list[Workload], query: str, expected: list[str]
) -> None:
    assert names(acme.api().get(f"{WORKLOADS}?{query}")) == expected


def test_next_is_there_until_the_last_page(acme: Home, three: list[Workload]) -> None:
    api = acme.api()
    assert api.get(f"{WORKLOADS}?limit=2").json()["next"] == 2
    assert "next" not in api.get(f"{WORKLOADS}?limit=2&offset=2").json()


@pytest.mark.parametrize(
    "query",
    [
        "filterBy=colour==red",
        "sortBy=colour",
        "limit=0",
        "limit=501",
        "offset=-1",
        "filterBy=priority==high",
        "deleted=maybe",
    ],
)
def test_a_bad_query_is_a_400(acme: Home, project: Project, query: str) -> None:
    assert acme.api().get(f"{WORKLOADS}?{query}").status_code == 400


def test_count_agrees_with_the_list(acme: Home, three: list[Workload]) -> None:
    query = "filterBy=name=@a&search=team-a"
    api = acme.api()
    assert api.get(f"{WORKLOADS}/count?{query}").json()["count"] == len(names(api.get(f"{WORKLOADS}?{query}"))) == 2


def test_a_list_of_any_size_takes_few_queries(acme: Home, project: Project) -> None:
    api = acme.api()
    spent = []
    for number in (2, 12):
        for index in range(number):
            make_workload(project, f"w-{number}-{index}")
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert len(names(api.get(f"{WORKLOADS}?limit=100"))) >= number
        spent.append(len(seen))
    assert spent[0] == spent[1] <= 15


def test_pods_events_and_history_follow_the_contract(acme: Home, workload: Workload, contract: Any) -> None:
    connect(workload.cluster)
    pod = pod_report(workload.pk)
    tell(workload.cluster, "Workload", workload_report(workload, "Running", running_pods=1))
    tell(workload.cluster, "Pod", pod)
    tell(workload.cluster, "Event", event_report(pod.uid))
    take("workloads")
    take("events")
    api, one = acme.api(), f"{WORKLOADS}/{workload.pk}"
    for part, key in (("pods", "pods"), ("events", "events"), ("history", "records")):
        answer = api.get(f"{one}/{part}")
        contract("GET", f"{WORKLOADS}/{{workloadId}}/{part}", answer)
        assert answer.json()[key], part
    kinds = [record["meta"]["type"] for record in api.get(f"{one}/history").json()["records"]]
    assert sorted(kinds) == ["Event", "PhaseUpdate", "PhaseUpdate"]
    contract("GET", f"{WORKLOADS}/pods", api.get(f"{WORKLOADS}/pods"))
    contract("GET", f"{WORKLOADS}/pods/count", api.get(f"{WORKLOADS}/pods/count"))


def test_why_it_waits_is_told_with_numbers(acme: Home, workload: Workload, contract: Any) -> None:
    reason = {"code": "OverLimit", "message": "team-a may hold 4 GPUs", "nodePool": "default", "details": {"limit": 4}}
    from_cluster = workload_report(workload, "Pending", message="queue team-a may hold 4 GPUs and holds 4")
    tell(workload.cluster, "Workload", from_cluster)
    take("workloads")
    Workload.objects.filter(pk=workload.pk).update(reasons=[reason])
    answer = acme.api().get(f"{WORKLOADS}/{workload.pk}")
    contract("GET", WORKLOADS + "/{workloadId}", answer)
    assert answer.json()["phaseMessage"] == "queue team-a may hold 4 GPUs and holds 4"
    assert answer.json()["pendingSchedulingMessages"][0]["reason"] == "team-a may hold 4 GPUs"


def test_a_log_of_a_workload_without_pods_says_so(acme: Home, workload: Workload) -> None:
    answer = acme.api().get(f"{WORKLOADS}/{workload.pk}/logs?wait=0").json()
    assert (answer["stream"], answer["ended"], answer["error"]) == (None, False, "No pod has been made yet.")


def test_a_log_is_asked_of_the_cluster(acme: Home, workload: Workload) -> None:
    tell(workload.cluster, "Pod", pod_report(workload.pk))
    take("workloads")
    api, path = acme.api(), f"{WORKLOADS}/{workload.pk}/logs"
    first = api.get(f"{path}?wait=0&follow=true").json()
    assert first["pod"] == "train-0" and first["stream"]
    again = api.get(f"{path}?wait=0&stream={first['stream']}&offset=0").json()
    assert (again["text"], again["ended"]) == ("", False)


@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "wait=99", "stream=x", "follow=maybe", "tail=many"])
def test_a_bad_log_query_is_a_400(acme: Home, workload: Workload, query: str) -> None:
    assert acme.api().get(f"{WORKLOADS}/{workload.pk}/logs?{query}").status_code == 400


def test_another_workloads_pod_has_no_log_here(acme: Home, three: list[Workload]) -> None:
    tell(three[1].cluster, "Pod", pod_report(three[1].pk, name="beta-0"))
    take("workloads")
    assert acme.api().get(f"{WORKLOADS}/{three[0].pk}/logs?pod=beta-0").status_code == 404


def test_a_stream_opens_the_log_of_its_own_workload_only(acme: Home, three: list[Workload]) -> None:
    tell(three[0].cluster, "Pod", pod_report(three[0].pk))
    take("workloads")
    api = acme.api()
    stream = api.get(f"{WORKLOADS}/{three[0].pk}/logs?wait=0").json()["stream"]
    assert api.get(f"{WORKLOADS}/{three[0].pk}/logs?wait=0&stream={stream}").status_code == 200
    assert api.get(f"{WORKLOADS}/{three[1].pk}/logs?wait=0&stream={stream}").status_code == 404
