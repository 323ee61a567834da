"""``runai workload``: every kind in one list, and what the groups of single kinds share."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from cli.client import Client
from cli.commands.common import find_project, find_workload, output_flags, project_flag
from cli.config import Config
from cli.errors import Refused
from cli.output import age, cell, dump, lookup, show

COLUMNS = (
    ("WORKLOAD", "name"),
    ("TYPE", "type"),
    ("STATUS", "phase"),
    ("PROJECT", "projectName"),
    ("PODS", "pods"),
    ("GPUS", "gpus"),
    ("AGE", "age"),
    ("MESSAGE", "phaseMessage"),
)


@click.group()
def workload() -> None:
    """Workloads of every type."""


@workload.command("list")
@click.option("-A", "--all", "everywhere", is_flag=True, help="Of all projects you may see.")
@click.option("--status", help="Only this phase, such as Running.")
@click.option("--type", "kind", help="Only this type, such as Training.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@project_flag
@output_flags
@click.pass_obj
def workload_list(
    config: Config,
    everywhere: bool,
    status: str | None,
    kind: str | None,
    limit: int,
    project: str | None,
    output: str,
    no_headers: bool,
) -> None:
    """List workloads, newest first."""
    print_list(config, None if everywhere else project or config.project, status, kind, limit, output, not no_headers)


@workload.command("describe")
@click.argument("name")
@project_flag
@output_flags
@click.pass_obj
def workload_describe(config: Config, name: str, project: str | None, output: str, no_headers: bool) -> None:
    """Everything about one workload: status, reasons, pods, events."""
    describe(config, name, project, None, output)


def print_list(
    config: Config, project: str | None, status: str | None, kind: str | None, limit: int, output: str, headers: bool
) -> None:
    client = Client(config)
    filters = [f"phase=={status}"] if status else []
    filters += [f"type=={kind.capitalize()}"] if kind else []
    filters += [f"projectId=={find_project(client, config, project)['id']}"] if project else []
    rows = client.pages(
        "/api/v1/workloads",
        "workloads",
        limit,
        filterBy=",".join(filters) or None,
        sortBy="createdAt",
        sortOrder="desc",
    )
    show((row if output != "table" else with_columns(row) for row in rows), COLUMNS, output, headers)


def with_columns(row: dict[str, Any]) -> dict[str, Any]:
    wanted = lookup(row, "requestedPods.number")
    return row | {
        "pods": f"{row.get('runningPods', 0)}/{wanted if wanted is not None else '?'}",
        "gpus": lookup(row, "allocatedResources.gpu"),
        "age": age(row.get("createdAt")),
    }


def describe(config: Config, name: str, project: str | None, kind: str | None, output: str) -> None:
    client = Client(config)
    row = find_workload(client, config, name, project, kind)
    detail = client.get(f"/api/v1/workloads/{row['id']}")
    pods = client.get(f"/api/v1/workloads/{row['id']}/pods")["pods"]
    events = client.get(f"/api/v1/workloads/{row['id']}/events")["events"]
    if output != "table":
        dump(detail | {"pods": pods, "events": events}, output)
        return
    for head, value in _facts(with_columns(detail)):
        click.echo(f"{head + ':':<16}{value}")
    click.echo("\nPods")
    show(pods, (("NAME", "name"), ("STATUS", "k8sPhase"), ("NODE", "nodeName")), "table")
    if events:
        click.echo("\nEvents")
        show(events, (("TYPE", "type"), ("REASON", "reason"), ("MESSAGE", "message")), "table")


def _facts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Name", row["name"]
    yield "Type", row["type"]
    yield "Project", row["projectName"]
    yield "Status", row["phase"]
    yield "Message", cell(row.get("phaseMessage"))
    yield "Submitted by", cell(row.get("submittedBy"))
    yield "Age", row["age"]
    yield "Running pods", row["pods"]
    yield "Node pools", cell(row.get("currentNodePools") or row.get("requestedNodePools"))
    yield "Images", cell(row.get("images"))
    yield "Id", row["id"]


def print_log(
    config: Config, name: str, project: str | None, kind: str | None, pod: str | None, follow: bool, tail: int
) -> None:
    """Print the log of a workload's pod, and with ``follow`` go on until it ends."""
    client = Client(config)
    row = find_workload(client, config, name, project, kind)
    path = f"/api/v1/workloads/{row['id']}/logs"
    stream, offset = None, 0
    while True:
        wanted = {"stream": stream, "offset": offset} if stream else {"tail": tail if tail >= 0 else None}
        part = client.get(path, pod=pod, follow=str(follow).lower(), **wanted)
        stream, offset = part["stream"], part["nextOffset"]
        sys.stdout.write(part["text"])
        sys.stdout.flush()
        waits = not stream and not part["ended"]
        if part["error"] and not (waits and follow):
            raise Refused(part["error"])
        if part["ended"]:
            return
        if waits:
            time.sleep(0.5)  # no pod has been made yet; with a stream, the server itself waits for text
