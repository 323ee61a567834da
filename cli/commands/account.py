"""Sign in and out, and where the control plane is."""

import base64
import json
from pathlib import Path

import click

from cli.client import Client
from cli.config import Config
from cli.errors import BadUsage, Refused


@click.group(invoke_without_command=True)
@click.option("--url", "--cp-url", "url", help="Address of the control plane; kept for the next commands.")
@click.pass_context
def login(context: click.Context, url: str | None) -> None:
    """Sign in. Without a sub-command: with e-mail and password."""
    if url:
        context.obj.save(control_plane={"url": url.rstrip("/")})
    if context.invoked_subcommand is None:
        context.invoke(user)


@login.command()
@click.option("-u", "--user", "email", help="E-mail address.")
@click.option("-p", "--password", help="Password; better left out: it is asked for.")
@click.pass_obj
def user(config: Config, email: str | None = None, password: str | None = None) -> None:
    """Sign in with e-mail and password."""
    email = email or click.prompt("E-mail", err=True)
    password = password or click.prompt("Password", hide_input=True, err=True)
    _sign_in(config, {"grantType": "password", "username": email, "password": password}, email)


@login.command("access-key")
@click.option("--client-id", required=True)
@click.option("--secret", help="Better: --secret-file.")
@click.option("--secret-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def access_key(config: Config, client_id: str, secret: str | None, secret_file: Path | None) -> None:
    """Sign in with an access key or a service account."""
    _program(config, client_id, secret, secret_file)


@login.command("application")
@click.option("--name", "client_id", required=True, help="Client id of the application.")
@click.option("--secret")
@click.option("--secret-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def application(config: Config, client_id: str, secret: str | None, secret_file: Path | None) -> None:
    """Sign in with an application, the older name of a service account."""
    _program(config, client_id, secret, secret_file)


@click.command()
@click.pass_obj
def logout(config: Config) -> None:
    """Forget the token."""
    config.forget_token()
    click.echo("signed out", err=True)


@click.command()
@click.pass_obj
def whoami(config: Config) -> None:
    """Who is signed in, and where."""
    if not config.token:
        raise Refused("not signed in; run: runai login")
    claims = _claims(config.token)
    name = config.values.get("signed_in_as", claims.get("sub"))
    click.echo(f"{name} ({claims.get('kind')}) at {config.url}")


@click.group()
def config() -> None:
    """Settings of this command."""


@config.command("set")
@click.option("--cp-url", help="Address of the control plane.")
@click.option("--auth-url", hidden=True)
@click.option("--cluster-id", help="Cluster to use where a name is ambiguous.")
@click.pass_obj
def config_set(config: Config, cp_url: str | None, auth_url: str | None, cluster_id: str | None) -> None:
    """Change settings."""
    changes: dict[str, object] = {}
    if cp_url:
        changes["control_plane"] = {"url": cp_url.rstrip("/")}
    if cluster_id:
        changes["cluster"] = {"uuid": cluster_id}
    if not changes:
        raise BadUsage("nothing to set; see: runai config set --help")
    config.save(**changes)


@config.command("describe")
@click.pass_obj
def config_describe(config: Config) -> None:
    """Print the settings."""
    click.echo(json.dumps(config.values, indent=2))


@config.command("project")
@click.argument("name")
@click.pass_obj
def config_project(config: Config, name: str) -> None:
    """Set the default project."""
    config.save(project=name)


def _program(config: Config, client_id: str, secret: str | None, secret_file: Path | None) -> None:
    if (secret is None) == (secret_file is None):
        raise BadUsage("give either --secret or --secret-file")
    value = secret if secret_file is None else secret_file.read_text().strip()
    _sign_in(config, {"grantType": "client_credentials", "clientID": client_id, "clientSecret": value}, client_id)


def _sign_in(config: Config, body: dict[str, str | None], name: str) -> None:
    answer = Client(config).post("/api/v1/token", body)
    config.save_token(answer["accessToken"])
    config.save(signed_in_as=name)
    click.echo(f"signed in as {name} at {config.url}", err=True)


def _claims(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
