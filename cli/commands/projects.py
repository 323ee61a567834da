"""``runai project``."""

import click

from cli.client import Client
from cli.commands.common import find_project, output_flags
from cli.config import Config
from cli.output import show

COLUMNS = (
    ("PROJECT", "name"),
    ("DEPARTMENT", "parentName"),
    ("STATUS", "status.phase"),
    ("NAMESPACE", "status.namespace"),
    ("GPU QUOTA", "totalResources.gpuQuota"),
    ("ALLOCATED GPUS", "status.quotaStatus.allocated.gpu"),
)


@click.group()
def project() -> None:
    """Projects: list them, choose one."""


@project.command("list")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option("--search", help="Part of the name.")
@output_flags
@click.pass_obj
def project_list(config: Config, limit: int | None, search: str | None, output: str, no_headers: bool) -> None:
    """List the projects you may see."""
    rows = Client(config).pages("/api/v1/org-unit/projects", "projects", limit, search=search)
    show(rows, COLUMNS, output, not no_headers)


@project.command("set")
@click.argument("name")
@click.pass_obj
def project_set(config: Config, name: str) -> None:
    """Make a project the default of this command."""
    row = find_project(Client(config), config, name)
    config.save(project=row["name"], cluster={"uuid": row["clusterId"]})
    click.echo(f"project {row['name']} is the default now", err=True)
