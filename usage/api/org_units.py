"""Metrics of departments and projects over time, in the contract's shape. A department is the sum of its projects.

Quotas are not measured: what holds now stands at the end of the window.
"""

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.roles import Action
from agent.wire import samples
from projects.api.views import department_of, project_of
from projects.models import Department, Project
from runai_cp.lib.errors import FieldError, Invalid
from series.services import Line, Subject, query_lines
from usage.api.metrics import MetricsView, window_of
from usage.services import Measurement, Window

MEASURED = ("GPU_ALLOCATION", "CPU_ALLOCATION_MILLICORES", "CPU_MEMORY_ALLOCATION_MB")
QUOTAS: dict[str, tuple[str, float]] = {
    "GPU_QUOTA": ("gpu_deserved_milli", 1000),
    "CPU_QUOTA_MILLICORES": ("cpu_deserved_milli", 1),
    "CPU_MEMORY_QUOTA_MB": ("memory_deserved_bytes", 10**6),
}
NOT_MEASURED = ("GPU_MEMORY_UTILIZATION",)
TYPES = (*MEASURED, *QUOTAS, *NOT_MEASURED)


class ProjectMetricsView(MetricsView):
    allow = {"GET": Action.PROJECT_VIEW}

    def get(self, request: Request, unit_id: str) -> Response:
        types, window = _types(request), window_of(request)
        project = project_of(self.actor, unit_id)
        return self.answer(_lines(project, [project], types, window, request.query_params.get("nodepoolName", "")))


class DepartmentMetricsView(MetricsView):
    allow = {"GET": Action.DEPARTMENT_VIEW}

    def get(self, request: Request, unit_id: str) -> Response:
        types, window = _types(request), window_of(request)
        department = department_of(self.actor, unit_id)
        projects = list(department.projects.select_related("scope"))
        return self.answer(_lines(department, projects, types, window, request.query_params.get("nodepoolName", "")))


def _types(request: Request) -> list[str]:
    names = [name for text in request.query_params.getlist("metricType") for name in text.split(",") if name]
    wrong = [name for name in names if name not in TYPES]
    if wrong or not names:
        raise Invalid(FieldError("metricType", f"must be some of {', '.join(TYPES)}", wrong or None, list(TYPES)))
    return list(dict.fromkeys(names))


def _lines(
    unit: Department | Project, projects: Sequence[Project], types: Sequence[str], window: Window, pool: str
) -> list[Measurement]:
    found = [
        _measured(name, projects, window) if not pool else Measurement(name, []) for name in types if name in MEASURED
    ]
    found += [_quota(name, unit, window, pool) for name in types if name in QUOTAS]
    return found + [Measurement(name, []) for name in types if name in NOT_MEASURED]


def _measured(name: str, projects: Sequence[Project], window: Window) -> Measurement:
    """The projects' lines added up; a moment at which nothing was measured has no value. One query."""
    lines: list[Line] = [(name, Subject(project.cluster_id, samples.PROJECT, project.name)) for project in projects]
    if not lines or not window.points:
        return Measurement(name, [])
    series = query_lines(lines=lines, start=window.start, end=window.end, points=window.points)
    sums: dict[Any, float | None] = {}
    for points in series.values():
        for at, value in points:
            if value is not None:
                sums[at] = (sums.get(at) or 0.0) + value
            else:
                sums.setdefault(at, None)
    return Measurement(name, sorted(sums.items()))


def _quota(name: str, unit: Department | Project, window: Window, pool: str) -> Measurement:
    column, scale = QUOTAS[name]
    rows = [row for row in unit.quotas.all() if not pool or row.node_pool.name == pool]
    amounts = [getattr(row, column) for row in rows]
    if not amounts or -1 in amounts:
        return Measurement(name, [])  # unlimited is no number
    return Measurement(name, [(window.end, sum(amounts) / scale)])
