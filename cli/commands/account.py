"""Sign in and out, and where the control plane is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.browser import open_in_browser, sign_in_by_browser, sign_in_by_device
from cli.client import Client
from cli.config import Config, claims
from cli.errors import BadUsage, Refused

F = TypeVar("F", bound=Callable[..., Any])


def _listen_flags(command: F) -> F:
    port = click.option("--listen-port", type=int, default=0, help="Port for the browser's answer; default: any.")
    host = click.option("--listen-host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
    return host(port(command))


@click.group(invoke_without_command=True)
@click.option("--url", "--cp-url", "url", help="Address of the control plane; kept for the next commands.")
@click.option("--device", is_flag=True, help="Show a code to type in a browser of any machine.")
@_listen_flags
@click.pass_context
def login(context: click.Context, url: str | None, device: bool, listen_host: str, listen_port: int) -> None:
    """Sign in. Without a sub-command: in the browser of this machine."""
    if url:
        context.obj.save(control_plane={"url": url.rstrip("/")})
    if context.invoked_subcommand is None and device:
        _keep(context.obj, sign_in_by_device(Client(context.obj)))
    elif context.invoked_subcommand is None:
        _by_browser(context.obj, listen_host, listen_port, opens=True)


@login.command()
@_listen_flags
@click.pass_obj
def sso(config: Config, listen_host: str, listen_port: int) -> None:
    """Sign in in the browser, where single sign-on is."""
    _by_browser(config, listen_host, listen_port, opens=True)


@login.command("remote-browser")
@click.pass_obj
def remote_browser(config: Config) -> None:
    """Sign in with the browser of another machine; the same as --device."""
    _keep(config, sign_in_by_device(Client(config)))


@login.command()
@click.option("-u", "--user", "email", help="E-mail address.")
@click.option("-p", "--password", help="Password; better left out: it is asked for.")
@click.option("--otp", help="Code of the second factor, or a recovery code; asked for where it is needed.")
@click.pass_obj
def user(config: Config, email: str | None = None, password: str | None = None, otp: str | None = None) -> None:
    """Sign in with e-mail and password."""
    email = email or click.prompt("E-mail", err=True)
    password = password or click.prompt("Password", hide_input=True, err=True)
    fields = {"grant_type": "password", "username": email, "password": password, **({"otp": otp} if otp else {})}
    status, answer = Client(config).form("/api/v2/token", **fields)
    if answer.get("error") == "mfa_required" and not otp:
        fields["otp"] = click.prompt("Code of the second factor", err=True)
        status, answer = Client(config).form("/api/v2/token", **fields)
    if status != 200:
        said = answer.get("error_description") or answer.get("message") or f"the server answered {status}"
        raise (BadUsage if status in (400, 401) else Refused)(said)
    _keep(config, (answer["access_token"], answer.get("refresh_token", "")))


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
    """End the sign-in here and on the server."""
    refresh = config.refresh_token
    config.forget_tokens()
    if refresh:
        status, _ = Client(config).form("/api/v2/token/revoke", token=refresh)
        if status != 200:
            raise Refused(f"the tokens are forgotten here, but the server answered {status}: they may still be valid")
    click.echo("signed out", err=True)


@click.command()
@click.pass_obj
def whoami(config: Config) -> None:
    """Who is signed in, and where."""
    if not config.token:
        raise Refused("not signed in; run: runai login")
    said = claims(config.token)
    name = said.get("name") or config.values.get("signed_in_as", said.get("sub"))
    click.echo(f"{name} ({said.get('kind')}) at {config.url}")


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
    config.save(signed_in_as=name)
    _keep(config, (answer["accessToken"], ""))


def _by_browser(config: Config, host: str, port: int, *, opens: bool) -> None:
    open_page = open_in_browser if opens else None
    _keep(config, sign_in_by_browser(Client(config), host=host, port=port, open_page=open_page))


def _keep(config: Config, tokens: tuple[str, str]) -> None:
    access, refresh = tokens
    config.forget_tokens()
    config.save_tokens(access, refresh)
    name = claims(access).get("name") or config.values.get("signed_in_as", "")
    click.echo(f"signed in as {name} at {config.url}", err=True)
