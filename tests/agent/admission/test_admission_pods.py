"""Pods at the door: what is changed, what is refused, and what is none of our business."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from agent.admission import review
from agent.admission.pods import Space, Supply, review_pod

SPACE = Space("vision", queues=frozenset({"vision", "vision.a100"}))
SUPPLY = Supply(device_mib=80_000)


def pod(scheduler: str = "", gpus: int = 0, notes: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    body: dict[str, Any] = {"containers": [{"name": "main", "resources": {"limits": limits}}], **spec}
    if scheduler:
        body["schedulerName"] = scheduler
    return {"metadata": {"name": "p", "namespace": "runai-vision", "annotations": notes or {}}, "spec": body}


def request(obj: dict[str, Any], operation: str = "CREATE") -> review.Request:
    return review.Request("u", "Pod", operation, "runai-vision", "p", "anna", frozenset(), obj, {})


def changed(answer: review.Answer) -> dict[str, Any]:
    return {op["path"]: op["value"] for op in answer.patch}


def test_a_pod_of_a_project_gets_our_scheduler():
    assert changed(review_pod(request(pod()), SPACE, SUPPLY)) == {"/spec/schedulerName": "runai-scheduler"}


@pytest.mark.parametrize(
    ("obj", "space"),
    [
        (pod(), None),
        (pod(), Space("vision", enforce_scheduler=False)),
        (pod("kai-scheduler"), SPACE),
        (pod(nodeName="n1"), SPACE),
    ],
)
def test_pods_that_stay_as_they_are(obj, space):
    assert review_pod(request(obj), space, SUPPLY) == review.ALLOWED


@pytest.mark.parametrize(
    ("notes", "gpus", "field", "rule"),
    [
        ({"gpu-fraction": "-0.5"}, 0, "gpu-fraction", "above 0"),
        ({"gpu-fraction": "1.5"}, 0, "gpu-fraction", "at most 1"),
        ({"gpu-fraction": "NaN"}, 0, "gpu-fraction", "a number"),
        ({"gpu-fraction": "0.5"}, 1, "gpu-fraction", "not both"),
        ({"gpu-memory": "90000"}, 0, "gpu-memory", "80000"),
        ({"gpu-memory": "0"}, 0, "gpu-memory", "above 0"),
        ({"gpu-memory": "10", "gpu-fraction": "0.5"}, 0, "gpu-memory", "not both"),
        ({"gpu-fraction": "0.5", "gpu-fraction-num-devices": "0"}, 0, "gpu-fraction-num-devices", "from 1"),
        ({"gpu-fraction-num-devices": "2"}, 0, "gpu-fraction-num-devices", "needs"),
        ({"gpu-fraction": "0.5", "gpu-fraction-container-name": "x"}, 0, "container-name", "main"),
    ],
)
def test_wrong_requests_are_refused_with_field_and_rule(notes, gpus, field, rule):
    answer = review_pod(request(pod("runai-scheduler", gpus, notes)), SPACE, SUPPLY)
    assert any(field in text and rule in text for text in answer.problems), answer.problems


def test_the_queue_of_another_project_is_refused():
    obj = pod("runai-scheduler")
    obj["metadata"]["labels"] = {"kai.scheduler/queue": "nlp"}
    assert "'nlp'" in review_pod(request(obj), SPACE, SUPPLY).problems[0]


def test_a_share_gets_the_environment_of_its_device():
    found = changed(review_pod(request(pod("runai-scheduler", notes={"gpu-fraction": "0.5"})), SPACE, SUPPLY))
    assert found["/metadata/annotations/runai~1shared-gpu-configmap"] == "p-shared-gpu"
    assert [item["name"] for item in found["/spec/containers/0/env"]] == ["NVIDIA_VISIBLE_DEVICES", "GPU_PORTION"]
    assert found["/spec/containers/0/resources"]["requests"] == {"cpu": "50m", "memory": "50Mi"}


def test_requests_follow_the_gpus_but_never_replace_what_is_given():
    obj = pod("runai-scheduler", gpus=2)
    obj["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "3"}
    found = changed(review_pod(request(obj), SPACE, SUPPLY))
    assert found["/spec/containers/0/resources"]["requests"] == {"cpu": "3", "memory": "200Mi"}


def test_an_answer_in_the_api_servers_words():
    answer = review_pod(request(pod()), SPACE, SUPPLY)
    written = review.write(request(pod()), answer)["response"]
    assert written["allowed"]
    assert json.loads(base64.b64decode(written["patch"]))[0]["path"] == "/spec/schedulerName"
    refused = review.write(request(pod()), review.Answer(("spec: wrong",)))["response"]
    assert refused["status"] == {"code": 422, "reason": "Invalid", "message": "spec: wrong"}
