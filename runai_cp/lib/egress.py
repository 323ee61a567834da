"""Requests to addresses that somebody typed in: only to the public internet, and only to the address that was checked.

The name is resolved once, every answer must be public, and the connection goes to that very address: a name that
resolves to something else a moment later (DNS rebinding) reaches nothing. Redirects are not followed.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import httpx

from runai_cp.lib.errors import DomainError

TIMEOUT_S = 5.0
MOST_BYTES = 64 * 1024
"""Of an answer; more is not read."""


class EgressRefused(DomainError):
    status = 400
    title = "This address may not be reached from here."


@dataclass(frozen=True, slots=True)
class Answer:
    status_code: int
    body: bytes


def is_public(address: str) -> bool:
    """Pure. False for private, loopback, link-local, shared, multicast and reserved ranges, also inside IPv6 forms."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not ip.is_unspecified


def checked_address(host: str, port: int) -> str:
    """An IP address of the host. Raises ``EgressRefused`` when any answer is not public, or there is none."""
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise EgressRefused(f"The name {host} cannot be resolved.") from error
    inside = sorted(address for address in found if not is_public(address))
    if inside or not found:
        raise EgressRefused(f"{host} resolves to {', '.join(inside)}, which is no public address.")
    return sorted(found, key=lambda address: (":" in address, address))[0]


def reason(error: Exception) -> str:
    """What went wrong with a request, for a person."""
    if isinstance(error, httpx.TimeoutException):
        return f"it did not answer within {TIMEOUT_S:.0f} s"
    if isinstance(error, httpx.ConnectError):
        return "there is no connection to that address"
    return str(error)[:200] or type(error).__name__


def post(url: str, *, content: bytes, headers: dict[str, str]) -> Answer:
    """POST to a public address over HTTPS. Raises ``EgressRefused``, and ``httpx.HTTPError`` when it does not work."""
    return ask("POST", url, content=content, headers=headers)


def ask(
    method: str,
    url: str,
    *,
    content: bytes = b"",
    headers: dict[str, str] | None = None,
    private: bool = False,
    most: int = MOST_BYTES,
) -> Answer:
    """One request. ``private`` lifts the guard: any address, and plain HTTP, for installations that said so.

    At most ``most`` bytes of the answer are read. Raises ``EgressRefused``, and ``httpx.HTTPError``.
    """
    parts = urlsplit(url)
    if parts.scheme not in (("https", "http") if private else ("https",)) or not parts.hostname:
        raise EgressRefused("Only https:// addresses are allowed.")
    target, given, extensions = url, dict(headers or {}), {}
    if not private:
        port = parts.port or 443
        address = checked_address(parts.hostname, port)
        literal = f"[{address}]" if ":" in address else address
        target = urlunsplit(("https", f"{literal}:{port}", parts.path or "/", parts.query, ""))
        given["Host"] = parts.hostname if port == 443 else f"{parts.hostname}:{port}"
        extensions = {"sni_hostname": parts.hostname}
    with (
        httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
        client.stream(method, target, content=content, headers=given, extensions=extensions) as response,
    ):
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > most:
                break
        return Answer(response.status_code, body[:most])
