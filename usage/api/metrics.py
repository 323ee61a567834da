"""Metrics of workloads, pods, nodes and clusters: JSON, or CSV when the caller accepts ``text/csv``.

Values are strings and times RFC 3339, as the contract has it. A bin without a sample has no value.
"""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from clusters.models import Cluster, Node
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.renderers import JSONRenderer, timestamp
from series.services import MAX_POINTS
from usage import metric_types, services
from usage.services import DEFAULT_POINTS, Measurement, Window
from workloads.models import Pod, Workload


def window_of(request: Request) -> Window:
    """``start``, ``end`` and ``numberOfSamples``. Raises ``Invalid`` with every field that is wrong."""
    wrong: list[FieldError] = []
    start, end = _time(request, "start", wrong), _time(request, "end", wrong)
    text = request.query_params.get("numberOfSamples", str(DEFAULT_POINTS))
    if not text.isdecimal() or int(text) > MAX_POINTS:
        allowed = f"0..{MAX_POINTS}"
        wrong.append(FieldError("numberOfSamples", f"must be a whole number, {allowed}", given=text, allowed=allowed))
    if start and end and end <= start:
        wrong.append(FieldError("end", "must be after start", given=request.query_params["end"]))
    if wrong or start is None or end is None:
        raise Invalid(*wrong)
    return Window(start, end, int(text))


def _time(request: Request, name: str, wrong: list[FieldError]) -> datetime | None:
    text = request.query_params.get(name, "")
    try:
        found = parse_datetime(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        found = None
    if found is None:
        wrong.append(FieldError(name, "must be a time such as 2026-01-31T08:00:00Z", given=text or None))
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class CsvRenderer(BaseRenderer):
    """Lines of ``type,labels,timestamp,value``. Errors stay JSON: they have no such lines."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if not isinstance(data, dict) or "measurements" not in data:
            return JSONRenderer().render(data)
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["type", "labels", "timestamp", "value"])
        for line in data["measurements"]:
            pairs = [(item["key"], item["value"]) for item in line.get("groups", [])] + [
                *line.get("labels", {}).items()
            ]
            labels = ";".join(f"{key}={value}" for key, value in pairs)
            writer.writerows([line["type"], labels, item["timestamp"], item["value"]] for item in line["values"])
        return out.getvalue().encode()


class MetricsView(ApiView):
    """What the views below share."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    def answer(self, lines: Sequence[Measurement], *, grouped: bool = False) -> Response:
        return Response({"measurements": [_measurement(line, grouped) for line in lines]})


def _measurement(line: Measurement, grouped: bool) -> dict[str, Any]:
    values = [{"value": _text(value), "timestamp": timestamp(at)} for at, value in line.points if value is not None]
    found: dict[str, Any] = {"type": line.type, "values": values}
    if line.labels and grouped:
        found["groups"] = [{"key": key, "value": value} for key, value in line.labels.items()]
    elif line.labels:
        found["labels"] = line.labels
    return found


def _text(value: float) -> str:
    """The shortest text with six significant digits after the point at most: ``85``, ``0.25``."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


class WorkloadMetricsView(MetricsView):
    allow = {"GET": Action.METRICS_VIEW}

    def get(self, request: Request, workload_id: UUID) -> Response:
        types = metric_types.chosen(request.query_params.get("metricType", ""), metric_types.WORKLOAD)
        window = window_of(request)
        workload = Workload.objects.visible_to(self.actor).filter(pk=workload_id).with_names().first()
        if workload is None:
            raise NotFound()
        lines = services.workload_metrics(actor=self.actor, workload=workload, types=types, window=window)
        return self.answer(lines)


class PodMetricsView(MetricsView):
    allow = {"GET": Action.METRICS_VIEW}

    def get(self, request: Request, workload_id: UUID, pod_id: UUID) -> Response:
        types = metric_types.chosen(request.query_params.get("metricType", ""), metric_types.POD)
        window = window_of(request)
        pod = Pod.objects.visible_to(self.actor).of(workload_id).filter(uid=pod_id).with_names().first()
        if pod is None:
            raise NotFound()
        return self.answer(services.pod_metrics(actor=self.actor, pod=pod, types=types, window=window))


class NodeMetricsView(MetricsView):
    allow = {"GET": Action.NODE_VIEW}

    def get(self, request: Request, node_id: UUID) -> Response:
        types = metric_types.chosen(request.query_params.get("metricType", ""), metric_types.NODE)
        window = window_of(request)
        node = Node.objects.visible_to(self.actor).filter(uid=node_id).with_cluster().first()
        if node is None:
            raise NotFound()
        return self.answer(services.node_metrics(actor=self.actor, node=node, types=types, window=window))


class ClusterMetricsView(MetricsView):
    """``groupBy=Nodepool`` gives a line for each node pool; ``nodepoolName`` narrows to one."""

    allow = {"GET": Action.METRICS_VIEW}

    def get(self, request: Request, cluster_uuid: UUID) -> Response:
        types = metric_types.chosen(request.query_params.get("metricType", ""), metric_types.CLUSTER)
        window = window_of(request)
        cluster = Cluster.objects.visible_to(self.actor).filter(pk=cluster_uuid).with_name().first()
        if cluster is None:
            raise NotFound()
        group, pool = request.query_params.get("groupBy", ""), request.query_params.get("nodepoolName", "")
        common: dict[str, Any] = {"actor": self.actor, "cluster": cluster, "types": types, "window": window}
        if group not in ("", "Nodepool"):
            raise Invalid(FieldError("groupBy", "these metrics are measured by node pool", group, ["Nodepool"]))
        if group:
            return self.answer(services.cluster_metrics_by_pool(**common), grouped=True)
        return self.answer(services.cluster_metrics(**common, node_pool=pool), grouped=True)
