"""The lists of departments and projects: columns, filters and acts. Amounts are milli-GPU on rows, GPUs in files."""

from projects.models import ProjectPhase
from runai_cp.lib.listing import Field, Listing
from runai_cp.lib.tables import Bulk, Column, FilterOn, Table

WORDS = {"Ready": "Ready", "Creating": "Creating", "NotReady": "Not ready", "Deleting": "Deleting"}
"""Phase of a project → the word of the status vocabulary."""
CELLS = "projects/cells"
_SHARED = {
    "name": Field("scope__name"),
    "cluster": Field("cluster__scope__name"),
    "description": Field("description"),
    "quota": Field("gpu_quota_milli", int, filterable=False),
    "allocated": Field("gpu_allocated_milli", int, filterable=False),
    "createdBy": Field("created_by"),
    "created": Field("created_at", filterable=False),
}
_TEXTS = (
    FilterOn("name", "Name", operator="=@"),
    FilterOn("cluster", "Cluster", operator="=@"),
    FilterOn("description", "Description", operator="=@"),
    FilterOn("createdBy", "Made by", operator="=@"),
)
_LAST = (
    Column("description", "Description", lambda row: row.description, extra="w-text", hidden=True),
    Column("cluster", "Cluster", lambda row: row.cluster.name, sort="cluster", hidden=True),
    Column("created", "Since", lambda row: row.created_at, sort="created", start="desc", extra="num", hidden=True),
    Column("id", "Id", lambda row: row.pk, extra="num", hidden=True),
)

PROJECTS_TABLE = Table(
    key="projects",
    noun="project,projects",
    listing=Listing(
        fields={
            **_SHARED,
            "department": Field("department__scope__name"),
            "phase": Field("phase"),
            "namespace": Field("namespace"),
        },
        search_paths=("scope__name",),
        default_sort=("department__scope__name", "scope__name"),
    ),
    row_name=lambda row: row.name,
    mark=lambda row: f"{row.phase} {row.gpu_allocated_milli}",
    columns=(
        Column("name", "Project", lambda row: row.name, f"{CELLS}/project.html", "name", extra="w-name", fixed=True),
        Column("phase", "Status", lambda row: WORDS[row.phase], f"{CELLS}/phase.html", "phase", extra="w-status now"),
        Column("department", "Department", lambda row: row.department.name, f"{CELLS}/department_of.html",
               "department"),
        Column("allocated", "GPUs allocated", lambda row: row.gpu_allocated_milli / 1000, f"{CELLS}/allocated.html",
               "allocated", "desc", "w-meter now"),
        Column("quota", "Quota", lambda row: row.gpu_quota_milli / 1000, f"{CELLS}/quota.html", "quota", "desc", "num"),
        Column("namespace", "Namespace", lambda row: row.namespace, sort="namespace", extra="mono"),
        Column("createdBy", "Made by", lambda row: row.created_by, sort="createdBy", hidden=True),
        *_LAST,
        Column("workloads", "Workloads", lambda row: row.pk, f"{CELLS}/workloads.html", fixed=True, page_only=True),
    ),
    filters=(
        FilterOn("phase", "Status", tuple((str(phase), WORDS[phase]) for phase in ProjectPhase)),
        FilterOn("department", "Department", operator="=@"),
        FilterOn("namespace", "Namespace", operator="=@"),
        *_TEXTS,
    ),
)  # fmt: skip
PROJECTS_DELETE = Bulk(
    "delete",
    "Delete",
    "trash",
    "Their workloads end first, then their namespaces go with everything in them.",
    asks=True,
)

DEPARTMENTS_TABLE = Table(
    key="departments",
    noun="department,departments",
    listing=Listing(fields=_SHARED, search_paths=("scope__name",), default_sort=("scope__name",)),
    row_name=lambda row: row.name,
    mark=lambda row: row.gpu_allocated_milli,
    columns=(
        Column("name", "Department", lambda row: row.name, f"{CELLS}/department.html", "name", extra="w-name",
               fixed=True),
        Column("projects", "Projects", lambda row: row.project_count, f"{CELLS}/projects.html", extra="num"),
        Column("allocated", "GPUs allocated", lambda row: row.gpu_allocated_milli / 1000, f"{CELLS}/allocated.html",
               "allocated", "desc", "w-meter now"),
        Column("quota", "Quota", lambda row: row.gpu_quota_milli / 1000, f"{CELLS}/quota.html", "quota", "desc", "num"),
        Column("promised", "Given to projects", lambda row: row.gpu_projects_milli / 1000, f"{CELLS}/promised.html",
               extra="num"),
        Column("pools", "By node pool", lambda row: _by_pool(row), f"{CELLS}/pools.html", extra="w-text"),
        Column("createdBy", "Made by", lambda row: row.created_by, sort="createdBy"),
        *_LAST,
    ),
    filters=_TEXTS,
)  # fmt: skip
DEPARTMENTS_DELETE = Bulk("delete", "Delete", "trash", "Only those without projects can go.", asks=True)


def _by_pool(row: object) -> str:
    quotas = row.listed_quotas  # type: ignore[attr-defined]
    return ", ".join(f"{quota.node_pool.name} {quota.gpu_deserved_milli / 1000:g}" for quota in quotas)
