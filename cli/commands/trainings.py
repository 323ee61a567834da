"""``runai training``: submit, list, describe, logs, suspend, resume, delete."""

from typing import Any

import click

from cli.client import Client
from cli.commands.common import find_project, find_workload, output_flags, project_flag
from cli.commands.workloads import describe, print_list, print_log
from cli.config import Config
from cli.output import dump
from cli.submit import seconds, training_body

KIND = "training"


class Duration(click.ParamType[int]):
    name = "DUR"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        return seconds(str(value))


SUBMIT_OPTIONS = (
    click.option("-i", "--image", required=True, help="Container image."),
    click.option("--name-prefix", help="Instead of NAME: the server adds random characters."),
    click.option("-c", "--command", is_flag=True, help="What follows -- is the command, not arguments of the image's."),
    click.option("-e", "--environment", multiple=True, metavar="NAME=VALUE", help="May be repeated."),
    click.option("--image-pull-policy", type=click.Choice(["Always", "IfNotPresent", "Never"])),
    click.option("--image-pull-secret", multiple=True, metavar="NAME", help="May be repeated."),
    click.option("--working-dir"),
    click.option("--label", multiple=True, metavar="NAME=VALUE"),
    click.option("--annotation", multiple=True, metavar="NAME=VALUE"),
    click.option("-g", "--gpu-devices-request", type=int, help="Whole GPUs, or devices to take a portion of."),
    click.option("--gpu-request-type", type=click.Choice(["portion", "memory"])),
    click.option("--gpu-portion-request", type=float, help="Portion of each device, such as 0.5."),
    click.option("--gpu-portion-limit", type=float),
    click.option("--gpu-memory-request", help="Memory of each device, such as 8G."),
    click.option("--gpu-memory-limit"),
    click.option("--cpu-core-request", type=float),
    click.option("--cpu-core-limit", type=float),
    click.option("--cpu-memory-request"),
    click.option("--cpu-memory-limit"),
    click.option("--node-pools", multiple=True, help="In order of preference; may be repeated or separated by commas."),
    click.option("--node-type"),
    click.option("--preemptible/--non-preemptible", default=None, help="Default: by the priority class."),
    click.option("--priority", help="Priority class, such as train or build."),
    click.option("--backoff-limit", type=int, help="Attempts before the workload is Failed; default 6."),
    click.option("--parallelism", type=int, help="Pods that run at once."),
    click.option("--runs", type=int, help="Pods that must complete."),
    click.option("--auto-deletion-time-after-completion", type=Duration()),
    click.option("--termination-grace-period", type=Duration()),
)


def submit_options(command: Any) -> Any:
    for option in reversed(SUBMIT_OPTIONS):
        command = option(command)
    return command


@click.group()
def training() -> None:
    """Training workloads."""


@training.command("submit", context_settings={"ignore_unknown_options": False})
@click.argument("name", required=False)
@click.argument("words", nargs=-1, metavar="[-- COMMAND|ARGS...]")
@submit_options
@project_flag
@output_flags
@click.pass_obj
def training_submit(
    config: Config,
    /,
    name: str | None,
    words: tuple[str, ...],
    project: str | None,
    output: str,
    no_headers: bool,
    **flags: Any,
) -> None:
    """Submit a training.

    \b
    runai training submit hello -p vision -i example.local/busybox:1 -g 1 -c -- sh -c 'echo hello'
    """
    client = Client(config)
    row = find_project(client, config, project)
    made = client.post("/api/v1/workloads/trainings", training_body(name, flags, words, row["id"], row["clusterId"]))
    if output != "table":
        dump(made, output)
        return
    click.echo(f"training {made['name']} is submitted to project {row['name']}; id {made['workloadId']}")
    click.echo(f"follow it with: runai training logs {made['name']} -p {row['name']} -f", err=True)


@training.command("list")
@click.option("-A", "--all", "everywhere", is_flag=True, help="Of all projects you may see.")
@click.option("--status", help="Only this phase.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@project_flag
@output_flags
@click.pass_obj
def training_list(
    config: Config, everywhere: bool, status: str | None, limit: int, project: str | None, output: str, no_headers: bool
) -> None:
    """List trainings, newest first."""
    print_list(config, None if everywhere else project or config.project, status, KIND, limit, output, not no_headers)


@training.command("describe")
@click.argument("name")
@project_flag
@output_flags
@click.pass_obj
def training_describe(config: Config, name: str, project: str | None, output: str, no_headers: bool) -> None:
    """Everything about one training: status, reasons, pods, events."""
    describe(config, name, project, KIND, output)


@training.command("logs")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until the log ends.")
@click.option("--pod", help="Pod, where the workload has several.")
@click.option("-t", "--tail", type=int, default=-1, help="Only the last lines; -1 for all.")
@project_flag
@click.pass_obj
def training_logs(config: Config, name: str, follow: bool, pod: str | None, tail: int, project: str | None) -> None:
    """Print the log."""
    print_log(config, name, project, KIND, pod, follow, tail)


def _act(config: Config, name: str, project: str | None, verb: str) -> None:
    client = Client(config)
    row = find_workload(client, config, name, project, KIND)
    path = f"/api/v1/workloads/trainings/{row['id']}"
    if verb == "delete":
        client.delete(path)
    else:
        client.post(f"{path}/{verb}")
    click.echo(f"training {name}: {verb} is accepted")


@training.command("delete")
@click.argument("names", nargs=-1, required=True)
@project_flag
@click.pass_obj
def training_delete(config: Config, names: tuple[str, ...], project: str | None) -> None:
    """Delete trainings with their pods."""
    for name in names:
        _act(config, name, project, "delete")


@training.command("suspend")
@click.argument("name")
@project_flag
@click.pass_obj
def training_suspend(config: Config, name: str, project: str | None) -> None:
    """Stop a training and keep its specification."""
    _act(config, name, project, "suspend")


@training.command("resume")
@click.argument("name")
@project_flag
@click.pass_obj
def training_resume(config: Config, name: str, project: str | None) -> None:
    """Run a stopped training again."""
    _act(config, name, project, "resume")
