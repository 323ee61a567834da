"""Copy & edit: the request of a workload, whoever made it, ready to fill the form again."""

import re
from dataclasses import replace

from workloads.models import Workload
from workloads.services.rows import spec_of
from workloads.specs.compile import request_from_spec
from workloads.specs.request import SubmitRequest, from_json

COPY = re.compile(r"(?P<stem>.*?)-copy(-(?P<number>\d{1,3}))?")


def clone_request(workload: Workload) -> SubmitRequest:
    """As asked, under the next free name. Variables of what kubectl made have no values: those were not reported."""
    if workload.request:
        request = from_json(workload.request)
    else:
        request = request_from_spec(
            spec_of(workload),
            name=workload.name,
            project_id=str(workload.project_id),
            cluster_id=str(workload.cluster_id),
        )
    taken = Workload.objects.present().filter(project_id=workload.project_id, name__startswith=_stem(workload.name))
    return replace(request, name=free_name(workload.name, set(taken.values_list("name", flat=True))))


def free_name(name: str, taken: set[str]) -> str:
    """``train`` → ``train-copy``, then ``train-copy-2``; never longer than 63 characters."""
    stem = _stem(name)
    for number in range(1, len(taken) + 2):
        tail = "-copy" if number == 1 else f"-copy-{number}"
        candidate = stem[: 63 - len(tail)].rstrip("-") + tail
        if candidate not in taken:
            return candidate
    return name


def _stem(name: str) -> str:
    match = COPY.fullmatch(name)
    return (match["stem"] if match else name)[:52]
