"""What services promise beyond REST: uniqueness in the database, clone, YAML, delivery, log text, and bulk rows."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from access.services.bootstrap import system_actor
from agent.wire.objects import Port
from clusters.models import Cluster
from link.models import Desired
from projects.models import Project
from runai_cp.lib.errors import Invalid, NotAllowed
from tests.conftest import Home, grant, person
from tests.fixtures_rooms import connect, kubectl_report, make_project, make_workload, take, tell
from workloads.bulk import fill
from workloads.models import Workload
from workloads.services import clone_request, delete_workload, delivery, request_of_yaml, submit_workload, workload_yaml
from workloads.services.clone import free_name
from workloads.services.logs import whole_characters
from workloads.services.submit import compiled
from workloads.specs.request import SubmitRequest


def test_the_database_keeps_names_unique_while_alive(workload: Workload) -> None:
    twin = Workload.objects.get(pk=workload.pk)
    twin.pk, twin.object_uid = None, None
    with pytest.raises(IntegrityError), transaction.atomic():
        Workload.objects.bulk_create([twin])


def test_a_row_of_the_same_name_may_follow_a_deleted_one(workload: Workload) -> None:
    delete_workload(actor=system_actor(), workload=workload)
    assert make_workload(workload.project).name == workload.name


def test_the_same_name_as_something_kubectl_made_is_taken(project: Project) -> None:
    tell(project.cluster, "Workload", kubectl_report("train"))
    take("workloads")
    with pytest.raises(Exception, match="exists already"):
        make_workload(project, "train")


def test_a_viewer_of_the_project_may_not_submit(acme: Home, project: Project) -> None:
    grant("bob@example.test", "viewer")
    request = SubmitRequest(name="w", project_id=str(project.pk), image="a")
    with pytest.raises(NotAllowed):
        submit_workload(actor=person("bob@example.test"), request=request)


@pytest.mark.parametrize(
    ("asked", "of_type", "refused"),
    [("dgx", "training", False), ("cpu", "training", True), ("cpu", "workspace", False), (None, "training", False)],
)
def test_a_node_type_that_the_project_forbids_is_refused(project: Project, asked, of_type, refused) -> None:
    Project.objects.update(node_types={"training": ["dgx"]})
    request = SubmitRequest(name="w", project_id=str(project.pk), image="a", type=of_type, node_type=asked)
    if not refused:
        assert submit_workload(actor=system_actor(), request=request).name == "w"
        return
    with pytest.raises(Invalid) as caught:
        submit_workload(actor=system_actor(), request=request)
    assert [(error.field, "dgx" in error.message) for error in caught.value.fields] == [("node_type", True)]


def test_what_could_not_be_read_back_is_not_compiled() -> None:
    wrong: Any = 5
    with pytest.raises(Invalid, match="expected str"):
        compiled(SubmitRequest(name="a", project_id="1", image="i", ports=(Port(80, name=wrong),)))


def test_a_clone_asks_the_same_under_a_free_name(workload: Workload) -> None:
    first = clone_request(workload)
    assert (first.name, first.image, first.project_id) == ("train-copy", workload.image, str(workload.project_id))
    copy = submit_workload(actor=system_actor(), request=first)
    assert clone_request(copy).name == clone_request(workload).name == "train-copy-2"


def test_what_kubectl_made_can_be_cloned(project: Project) -> None:
    tell(project.cluster, "Workload", kubectl_report("by-hand"))
    take("workloads")
    request = clone_request(Workload.objects.get())
    assert submit_workload(actor=system_actor(), request=request).requested_gpu_milli == 2000


@given(st.text("abc-", min_size=1, max_size=63), st.integers(0, 12))
def test_a_free_name_is_free_and_fits(stem: str, number: int) -> None:
    taken: set[str] = set()
    name = stem
    for _ in range(number + 1):
        name = free_name(stem, taken)
        assert name not in taken and len(name) <= 63
        taken.add(name)


def test_yaml_of_a_workload_can_be_submitted_again(workload: Workload) -> None:
    text = workload_yaml(workload).replace("name: train", "name: again")
    request = request_of_yaml(actor=system_actor(), text=text)
    assert submit_workload(actor=system_actor(), request=request).spec["image"] == workload.image


def test_yaml_of_a_namespace_one_cannot_see_is_refused(acme: Home, workload: Workload) -> None:
    grant("bob@example.test", "researcher", make_project(workload.cluster, "other").scope)
    with pytest.raises(Invalid) as caught:
        request_of_yaml(actor=person("bob@example.test"), text=workload_yaml(workload))
    assert caught.value.fields[0].field == "project_id"


def test_yaml_that_is_no_workload_is_refused_at_the_manifest(acme: Home) -> None:
    with pytest.raises(Invalid) as caught:
        request_of_yaml(actor=system_actor(), text="kind: Pod", project_id="1")
    assert caught.value.fields[0].field == "manifest"


def test_a_workload_for_an_absent_agent_waits_and_says_so(workload: Workload) -> None:
    waits = delivery(workload)
    assert (waits.taken, waits.connected) == (False, False)
    assert "waits for it and is not lost" in waits.message
    connect(workload.cluster)
    assert delivery(workload).message == ""


def test_what_the_cluster_refuses_is_told(workload: Workload, set_error: Any) -> None:
    connect(workload.cluster)
    set_error(workload.cluster, f"workload/{workload.pk}", "namespace runai-team-a is not there")
    assert delivery(workload).message == "The cluster alpha refused it: namespace runai-team-a is not there"


@pytest.fixture
def set_error() -> Any:
    def write(cluster: Cluster, key: str, message: str) -> None:
        row = Desired.objects.get(cluster_id=cluster.pk, key=key)
        Desired.objects.filter(pk=row.pk).update(error_rev=row.rev, error_code="apply", error_message=message)

    return write


@given(st.text(max_size=40), st.integers(0, 200))
def test_text_never_ends_inside_a_character(text: str, cut: int) -> None:
    data = text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode("utf-8", "ignore")
    first, length = whole_characters(data[:cut], last=False)
    rest, _ = whole_characters(data[length:], last=True)
    assert first + rest == data.decode()
    assert min(cut, len(data)) - length < 4


def test_broken_bytes_do_not_stop_a_log() -> None:
    text, length = whole_characters(b"a\xff\xfe\x80b", last=False)
    assert length == 5 and text.startswith("a") and text.endswith("b")


def test_bulk_rows_look_like_any_other(acme: Home, project: Project) -> None:
    assert fill([project], 30) == 30
    answer = acme.api().get("/api/v1/workloads?limit=30")
    assert answer.status_code == 200 and len(answer.json()["workloads"]) == 30
