"""Sign in through a browser: by a code that comes back to loopback (RFC 8252), or by one to type (RFC 8628)."""

import base64
import hashlib
import http.server
import secrets
import socket
import time
import webbrowser
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import click

from cli.client import Client
from cli.errors import Refused

CLIENT = "runai-cli"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PATIENCE_S = 300
DONE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>runai</title>
<body><p>You can close this page and go back to the terminal.</p></body></html>"""
Tokens = tuple[str, str]


class _Listener(http.server.HTTPServer):
    """Answers one request that carries our ``state``; anything else is told nothing."""

    answer: dict[str, str] | None = None
    state = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Listener

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(asked.query).items()}
        ours = asked.path == "/callback" and secrets.compare_digest(given.get("state", ""), self.server.state)
        if ours:
            self.server.answer = given
        self.send_response(200 if ours else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(DONE if ours else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Addresses hold the code: they are not printed."""


def sign_in_by_browser(client: Client, *, host: str, port: int, open_page: Callable[[str], bool] | None) -> Tokens:
    """(access token, refresh token). ``port`` 0 takes a free one; without ``open_page`` the address is only printed.

    Raises ``Refused`` when the person says no, nothing comes within five minutes, or the code is not taken.
    """
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    try:
        server = _Listener((host, port), _Handler)
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error}") from error
    server.state = state
    with server:
        redirect = f"http://{host}:{server.server_address[1]}/callback"
        address = f"{client.config.url}/authorize/?" + urlencode(
            {
                "response_type": "code",
                "client_id": CLIENT,
                "redirect_uri": redirect,
                "code_challenge": _challenge(verifier),
                "code_challenge_method": "S256",
                "state": state,
                "label": label(),
            }
        )
        opened = open_page is not None and open_page(address)
        click.echo("Approve in the browser" + (":" if opened else "; open this address:") + f"\n  {address}", err=True)
        answer = _wait(server)
    if "code" not in answer:
        raise Refused(f"not signed in: {answer.get('error', 'no code came')}")
    return _tokens(
        *client.form(
            "/api/v2/token",
            grant_type="authorization_code",
            code=answer["code"],
            code_verifier=verifier,
            redirect_uri=redirect,
        )
    )


def sign_in_by_device(client: Client, *, sleep: Callable[[float], None] = time.sleep) -> Tokens:
    """(access token, refresh token) once somebody typed the code that is printed. Raises ``Refused``."""
    status, asked = client.form("/api/v2/device", client_id=CLIENT, label=label())
    if status != 200:
        raise Refused(f"the server answered {status}: {asked.get('error_description') or asked.get('message', '')}")
    click.echo(f"Open {asked['verification_uri']} on any machine and type\n\n  {asked['user_code']}\n", err=True)
    pause, deadline = float(asked.get("interval", 5)), time.monotonic() + float(asked["expires_in"])
    while time.monotonic() < deadline:
        sleep(pause)
        status, told = client.form("/api/v2/token", grant_type=DEVICE, device_code=asked["device_code"])
        error = told.get("error")
        if status == 200 or error not in ("authorization_pending", "slow_down"):
            return _tokens(status, told)
        pause += 5 if error == "slow_down" else 0
    raise Refused("nobody approved the code in time; run: runai login --device")


def open_in_browser(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False


def label() -> str:
    """What the page says is asking: this machine."""
    return f"runai on {socket.gethostname()}"[:100]


def _wait(server: _Listener) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE_S
    while server.answer is None:
        server.timeout = deadline - time.monotonic()
        if server.timeout <= 0:
            raise Refused("nobody approved in time; run: runai login")
        server.handle_request()
    return server.answer


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _tokens(status: int, answer: dict[str, str]) -> Tokens:
    if status != 200:
        raise Refused(f"not signed in: {answer.get('error_description') or answer.get('error') or status}")
    return answer["access_token"], answer.get("refresh_token", "")
