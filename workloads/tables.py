"""The list of workloads: its columns, filters, short addresses and acts. ``workloads.filters`` says how it sorts."""

from typing import Any

from agent.wire.phases import Phase
from runai_cp.lib.tables import Bulk, Column, FilterOn, Short, Table
from runai_cp.lib.vocabulary import TYPES
from workloads.filters import CONSOLE
from workloads.models import Source, Workload

SAID = ("Running", "Pending", "Initializing", "Degraded", "Failed", "Completed", "Stopped")
"""Phases in reading order."""
CELLS = "workloads/cells"
YES_NO = (("true", "Yes"), ("false", "No"))


def _page(found: Any, offset: int, size: int) -> list[Workload]:
    """Without the large documents of a row: specifications and reasons."""
    rows: list[Workload] = found.window(offset, size, "spec", "reasons")
    return rows


def _use(row: Workload) -> float | None:
    """The newest percent of GPU utilisation; ``views.browse`` puts the last half hour on the rows of a page."""
    values = getattr(row, "use", None) or ()
    return next((value for value in reversed(values) if value is not None), None)


COLUMNS = (
    Column("name", "Workload", lambda row: row.name, f"{CELLS}/name.html", "name", extra="w-name", fixed=True),
    Column("phase", "Status", lambda row: row.phase, f"{CELLS}/status.html", "phase", extra="w-status now"),
    Column("project", "Project", lambda row: row.project.name, f"{CELLS}/project.html", "project", extra="w-proj"),
    Column("gpu", "GPUs", lambda row: row.requested_gpu_milli / 1000, f"{CELLS}/gpus.html", "gpu", "desc", "w-gpu"),
    Column("use", "Utilisation", _use, f"{CELLS}/use.html", extra="num w-util"),
    Column(
        "priority", "Priority", lambda row: row.priority_class or "train", f"{CELLS}/priority.html", "priority", "desc"
    ),
    Column("owner", "Owner", lambda row: row.submitted_by, f"{CELLS}/owner.html", "owner", extra="w-owner"),
    Column("age", "Age", lambda row: row.created_at, f"{CELLS}/age.html", "age", "desc", "num"),
    Column("type", "Type", lambda row: TYPES.get(row.type, ("", row.type))[1], sort="type", hidden=True),
    Column("message", "What it says", lambda row: row.message, f"{CELLS}/message.html", extra="w-text", hidden=True),
    Column("department", "Department", lambda row: row.project.department.name, sort="department", hidden=True),
    Column("cluster", "Cluster", lambda row: row.cluster.name, sort="cluster", hidden=True),
    Column(
        "pools", "Node pools", lambda row: list(row.node_pools or row.requested_node_pools), extra="w-text", hidden=True
    ),
    Column("allocated", "GPUs allocated", lambda row: row.allocated_gpu_milli / 1000, "", "allocated", "desc", "num",
           hidden=True),
    Column("cpu", "CPU asked, cores", lambda row: row.requested_cpu_milli / 1000, extra="num", hidden=True),
    Column("memory", "Memory asked", lambda row: row.requested_memory_bytes, f"{CELLS}/memory.html", extra="num",
           hidden=True),
    Column("pods", "Pods running", lambda row: row.running_pods, extra="num", hidden=True),
    Column("image", "Image", lambda row: row.image, f"{CELLS}/message.html", "image", extra="w-text mono",
           hidden=True),
    Column("framework", "Framework", lambda row: row.framework, sort="framework", hidden=True),
    Column("preemptible", "Preemptible", lambda row: row.preemptible, sort="preemptible", hidden=True),
    Column("source", "Submitted by way of", lambda row: Source(row.source).label, sort="source", hidden=True),
    Column("started", "Started", lambda row: row.started_at, sort="started", start="desc", extra="num", hidden=True),
    Column("completed", "Ended", lambda row: row.completed_at, sort="completed", start="desc", extra="num",
           hidden=True),
    Column("id", "Id", lambda row: str(row.pk), extra="mono", hidden=True),
    Column("actions", "Actions", lambda row: row.pk, f"{CELLS}/menu.html", extra="c-act", fixed=True, page_only=True),
)  # fmt: skip

WORKLOADS_TABLE = Table(
    key="workloads",
    noun="workload,workloads",
    listing=CONSOLE,
    columns=COLUMNS,
    row_name=lambda row: row.name,
    mark=lambda row: f"{row.phase} {row.message}",
    window=_page,
    filters=(
        FilterOn("finished", "State", (("false", "Not at its end"), ("true", "At its end"))),
        FilterOn("phase", "Phase", tuple((word, word) for word in SAID)),
        FilterOn("type", "Type", tuple((kind, words) for kind, (_, words) in TYPES.items())),
        FilterOn("mine", "Submitted by", (("true", "Me"), ("false", "Others"))),
        FilterOn("deleted", "Show", (("true", "Deleted ones"),)),
        FilterOn("preemptible", "Preemptible", YES_NO),
        FilterOn("owner", "Owner", operator="=@"),
        FilterOn("project", "Project", operator="=@"),
        FilterOn("department", "Department", operator="=@"),
        FilterOn("pool", "Node pool", operator="=@"),
        FilterOn("image", "Image", operator="=@"),
        FilterOn("priorityClass", "Priority", operator="=@"),
        FilterOn("cluster", "Cluster", operator="=@"),
    ),
    shorts=(
        Short("phase", "finished", values={"active": "false"}),
        Short("phase", "phase", values={str(phase): str(phase) for phase in Phase}),
        Short("type", "type", values={kind: kind for kind in TYPES}),
        Short("owner", "owner"),
        Short("pool", "pool", "=@"),
        Short("show", "deleted", values={"deleted": "true"}),
    ),
)

STOP = Bulk("suspend", "Stop", "stop", "Their pods end and their GPUs come free; they can be resumed.")
RESUME = Bulk("resume", "Resume", "play", "They wait for their place in the queue again.")
DELETE = Bulk(
    "delete",
    "Delete",
    "trash",
    "Their pods end and their logs go with them. The records stay in the list of the deleted.",
)
