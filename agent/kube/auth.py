"""Where the API server is and who we are there: kubeconfig files and the in-cluster service account.

Token files are read again when they change, so that rotated service account tokens go on working.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agent.kube.errors import BadConfig

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REREAD_S = 30.0
_EXEC_TIMEOUT_S = 30


@dataclass(slots=True)
class Credentials:
    """Server address, TLS context and the bearer token, if one is used."""

    server: str
    tls: ssl.SSLContext | bool
    token: str | None = None
    token_file: Path | None = None
    exec_command: dict[str, Any] | None = None
    namespace: str = "default"
    _read_at: float = field(default=-1e9, repr=False)

    def bearer(self, *, refresh: bool = False) -> str | None:
        """The token to send now; ``refresh`` reads file or plugin again (after a 401)."""
        if self.token_file is None and self.exec_command is None:
            return self.token
        if refresh or time.monotonic() - self._read_at > _REREAD_S:
            self._read_at = time.monotonic()
            if self.token_file is not None:
                self.token = _read(self.token_file, "token file").strip()
            elif self.exec_command is not None and (refresh or self.token is None):
                self.token = _exec_token(self.exec_command)
        return self.token


def load(kubeconfig: str | None = None, context: str | None = None) -> Credentials:
    """Credentials from ``kubeconfig`` (default: ``$KUBECONFIG``), else in-cluster, else ``~/.kube/config``.

    Raises ``BadConfig`` naming the file and field when none can be used.
    """
    path = kubeconfig or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    if path:
        return from_kubeconfig(Path(path), context)
    if os.environ.get("KUBERNETES_SERVICE_HOST") and SERVICE_ACCOUNT_FOLDER.is_dir():
        return in_cluster()
    home = Path.home() / ".kube" / "config"
    if home.is_file():
        return from_kubeconfig(home, context)
    raise BadConfig("no cluster configured: set KUBECONFIG, or run inside a cluster with a service account")


def in_cluster(folder: Path = SERVICE_ACCOUNT_FOLDER) -> Credentials:
    """Credentials of the service account that is mounted in a pod."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    namespace = _read(folder / "namespace", "namespace file").strip()
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return Credentials(f"https://{host}:{port}", tls, token_file=folder / "token", namespace=namespace)


def from_kubeconfig(path: Path, context: str | None = None) -> Credentials:
    """Credentials of a context (default: the current one) of a kubeconfig file."""
    try:
        config = yaml.safe_load(_read(path, "kubeconfig"))
    except yaml.YAMLError as error:
        raise BadConfig(f"{path}: not YAML: {error}") from error
    if not isinstance(config, dict):
        raise BadConfig(f"{path}: not a kubeconfig")
    name = context or config.get("current-context") or ""
    chosen = _named(config, "contexts", "context", name, path)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster", ""), path)
    user = _named(config, "users", "user", chosen.get("user", ""), path) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise BadConfig(f"{path}: clusters[{chosen.get('cluster')}].cluster.server is missing")
    token_file = user.get("tokenFile")
    return Credentials(
        server=str(cluster["server"]).rstrip("/"),
        tls=_tls(cluster, user, path),
        token=user.get("token"),
        token_file=_beside(path, token_file) if token_file else None,
        exec_command=user.get("exec"),
        namespace=chosen.get("namespace") or "default",
    )


def _named(config: dict[str, Any], section: str, key: str, name: str, path: Path) -> dict[str, Any]:
    for entry in config.get(section) or ():
        if entry.get("name") == name:
            return dict(entry.get(key) or {})
    known = ", ".join(sorted(str(entry.get("name")) for entry in config.get(section) or ())) or "none"
    raise BadConfig(f"{path}: no {key} {name!r} in {section} (there are: {known})")


def _tls(cluster: dict[str, Any], user: dict[str, Any], path: Path) -> ssl.SSLContext | bool:
    if str(cluster["server"]).startswith("http://"):
        return False
    ca = _material(cluster, "certificate-authority", path)
    tls = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate, key = _material(user, "client-certificate", path), _material(user, "client-key", path)
    if certificate and key:
        _load_chain(tls, certificate, key)
    return tls


def _load_chain(tls: ssl.SSLContext, certificate: str, key: str) -> None:
    """The ssl module reads key material from files only: one of mode 0600 that is gone right after."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate + "\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)


def _material(section: dict[str, Any], field_name: str, path: Path) -> str | None:
    """PEM text of ``FIELD-data`` (base64) or of the file that ``FIELD`` names."""
    encoded = section.get(f"{field_name}-data")
    if encoded:
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadConfig(f"{path}: {field_name}-data is not base64 of PEM text") from error
    named = section.get(field_name)
    return _read(_beside(path, named), field_name) if named else None


def _beside(path: Path, named: str) -> Path:
    return path.parent / named


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise BadConfig(f"{what} {path}: {error.strerror}") from error


def _exec_token(command: dict[str, Any]) -> str:
    """Run a credential plugin (client.authentication.k8s.io) and return its token."""
    env = dict(os.environ)
    env.update({item["name"]: item["value"] for item in command.get("env") or ()})
    api_version = command.get("apiVersion", "client.authentication.k8s.io/v1")
    env["KUBERNETES_EXEC_INFO"] = json.dumps({"apiVersion": api_version, "kind": "ExecCredential", "spec": {}})
    line = [str(command.get("command", "")), *(str(arg) for arg in command.get("args") or ())]
    try:
        done = subprocess.run(line, env=env, capture_output=True, timeout=_EXEC_TIMEOUT_S, check=True)
        return str(json.loads(done.stdout)["status"]["token"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise BadConfig(f"users[].user.exec {line[0]!r} gave no token: {type(error).__name__}") from error
