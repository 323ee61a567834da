"""``runai kubeconfig``: let kubectl sign in as the person whom this command signed in."""

from pathlib import Path

import click

from cli.client import Client
from cli.commands.common import chosen_cluster, find_project
from cli.config import Config
from cli.kubernetes import (
    exec_entry,
    kubeconfig_path,
    kubernetes_token,
    read_kubeconfig,
    with_person,
    write_kubeconfig,
)

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def kubeconfig() -> None:
    """Let kubectl sign in as you."""


@kubeconfig.command("set")
@click.option("--cluster-id", help="UUID of the cluster; default: the one set, or the only one.")
@click.option("--username", default="runai-cli", show_default=True, help="Name of the user entry.")
@click.option("--server", help="URL of the cluster's API server; default: that of the current context.")
@click.option("--certificate-authority", type=FILE, help="PEM file of the CA of that server.")
@click.option("--kubeconfig", "path", type=FILE, help="File to change; default: KUBECONFIG, or ~/.kube/config.")
@click.option("-p", "--project", help="Make this project's namespace the default one.")
@click.option("--bypass-validation", is_flag=True, help="Do not ask for a token first.")
@click.pass_obj
def kubeconfig_set(
    config: Config,
    cluster_id: str | None,
    username: str,
    server: str | None,
    certificate_authority: Path | None,
    path: Path | None,
    project: str | None,
    bypass_validation: bool,
) -> None:
    """Add yourself to a kubeconfig. kubectl then asks this command for a token whenever it needs one."""
    client = Client(config)
    cluster = chosen_cluster(client, config, cluster_id)
    if not bypass_validation:
        kubernetes_token(client, cluster["uuid"])
    namespace = find_project(client, config, project)["status"]["namespace"] if project else None
    target = kubeconfig_path(path)
    document = with_person(
        read_kubeconfig(target),
        name=f"runai-{cluster['name']}",
        user=username,
        entry=exec_entry(config, cluster["uuid"]),
        server=server,
        authority=certificate_authority.read_bytes() if certificate_authority else None,
        namespace=namespace,
    )
    write_kubeconfig(target, document)
    click.echo(f"{target}: context runai-{cluster['name']} signs in as you", err=True)
