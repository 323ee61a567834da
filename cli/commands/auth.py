"""``runai auth``: tokens for other programs."""

import json

import click

from cli.client import Client
from cli.commands.common import chosen_cluster
from cli.config import Config
from cli.errors import Refused
from cli.kubernetes import exec_credential, kubernetes_token


@click.group()
def auth() -> None:
    """Tokens for other programs."""


@auth.command("get-token")
@click.option(
    "-o", "--output", type=click.Choice(["plaintext", "kubeconfig"]), default="plaintext", show_default=True,
    help="plaintext: the access token of the REST API. kubeconfig: a token for kubectl, as its plugins print it.",
)  # fmt: skip
@click.option("--cluster-id", help="UUID of the cluster, for kubeconfig.")
@click.pass_obj
def get_token(config: Config, output: str, cluster_id: str | None) -> None:
    """Print a token that is valid now."""
    client = Client(config)
    if output == "kubeconfig":
        wanted = cluster_id or chosen_cluster(client, config)["uuid"]
        click.echo(json.dumps(exec_credential(kubernetes_token(client, wanted))))
        return
    token = client.token()
    if not token:
        raise Refused("not signed in; run: runai login")
    click.echo(token)
