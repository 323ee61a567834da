"""Flags that many commands share, and how a project and a workload are found by name."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.client import Client
from cli.config import Config
from cli.errors import BadUsage, Refused
from cli.output import FORMATS

F = TypeVar("F", bound=Callable[..., Any])


def output_flags(command: F) -> F:
    """``-o table|json|yaml`` with the older spellings ``--json``, ``--yaml`` and ``--table``, and ``--no-headers``."""
    for flag in FORMATS:
        command = click.option(f"--{flag}", "output", flag_value=flag, hidden=True)(command)
    command = click.option(
        "-o",
        "--output",
        "output",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="Output format.",
    )(command)
    return click.option("--no-headers", is_flag=True, help="Leave the head of the table out.")(command)


def project_flag(command: F) -> F:
    return click.option("-p", "--project", "project", help="Project; default: the one set by 'runai project set'.")(
        command
    )


def chosen_cluster(client: Client, config: Config, cluster_id: str | None = None) -> dict[str, Any]:
    """``{"uuid", "name"}`` of the given, set or only cluster. Raises ``BadUsage``."""
    rows = client.get("/api/v1/clusters")
    wanted = cluster_id or config.cluster_id
    if wanted:
        rows = [row for row in rows if wanted in (row["uuid"], row["name"])]
    if len(rows) == 1:
        return dict(rows[0])
    names = ", ".join(sorted(row["name"] for row in rows))
    if rows:
        raise BadUsage(f"there are several clusters ({names}); choose one with --cluster-id UUID")
    raise BadUsage(f"there is no cluster {wanted!r}, or you may not see it" if wanted else "you may see no cluster")


def find_project(client: Client, config: Config, name: str | None) -> dict[str, Any]:
    """The project's row. Raises ``BadUsage`` when none is named or set, ``Refused`` when there is none of the name."""
    wanted = name or config.project
    if not wanted:
        raise BadUsage("no project; give -p NAME or run: runai project set NAME")
    rows = client.get("/api/v1/org-unit/projects", filterBy=f"name=={wanted}")["projects"]
    if config.cluster_id and len(rows) > 1:
        rows = [row for row in rows if row["clusterId"] == config.cluster_id]
    if not rows:
        raise BadUsage(f"there is no project {wanted!r}, or you may not see it")
    if len(rows) > 1:
        raise BadUsage(
            f"several clusters have a project {wanted!r}; choose one with: runai config set --cluster-id UUID"
        )
    return dict(rows[0])


def find_workload(
    client: Client, config: Config, name: str, project: str | None, kind: str | None = None
) -> dict[str, Any]:
    """The row of a workload by name in a project. The newest, when deleted ones had the same name."""
    row = find_project(client, config, project)
    found = client.get(
        "/api/v1/workloads", filterBy=f"name=={name},projectId=={row['id']}", sortBy="createdAt", sortOrder="desc"
    )["workloads"]
    found = [item for item in found if kind is None or item["type"].lower() == kind]
    if not found:
        raise Refused(f"there is no {kind or 'workload'} {name!r} in project {row['name']!r}")
    return dict(found[0])
