"""Kubeconfig entries, and tokens for kubectl: kept until they end, so that not every kubectl asks the control plane."""

import base64
import os
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from cli.client import Client
from cli.config import Config
from cli.errors import BadUsage, Refused

EXEC_VERSION = "client.authentication.k8s.io/v1"


def kubernetes_token(client: Client, cluster_id: str) -> dict[str, Any]:
    """``{"token", "expiresAt"}`` for one cluster. Raises ``Refused``."""
    config = client.config
    known = config.kubernetes_token(cluster_id)
    if known is not None:
        return known
    made: dict[str, Any] = client.post("/api/v1/kubernetes/token", {"clusterId": cluster_id})
    until = datetime.fromisoformat(made["expiresAt"]).timestamp()
    config.save_kubernetes_token(cluster_id, made["token"], made["expiresAt"], until)
    return made


def exec_credential(made: dict[str, Any]) -> dict[str, Any]:
    """What kubectl reads from a credential plugin."""
    status = {"token": made["token"], "expirationTimestamp": made["expiresAt"]}
    return {"apiVersion": EXEC_VERSION, "kind": "ExecCredential", "status": status}


def exec_entry(config: Config, cluster_id: str) -> dict[str, Any]:
    """The ``exec`` of a kubeconfig's user: this very command, with the same configuration."""
    program = shutil.which("runai")
    words = ["auth", "get-token", "-o", "kubeconfig", "--cluster-id", cluster_id]
    entry: dict[str, Any] = {
        "apiVersion": EXEC_VERSION,
        "command": program or sys.executable,
        "args": words if program else ["-m", "cli", *words],
        "interactiveMode": "Never",
        "installHint": "Install the runai command, then: runai login",
    }
    env = [{"name": "RUNAI_CLI_CONFIG_PATH", "value": str(config.path.resolve())}]
    if not program:
        env.append({"name": "PYTHONPATH", "value": str(Path(__file__).resolve().parents[1])})
    return {**entry, "env": env}


def kubeconfig_path(given: Path | None) -> Path:
    """The given file, else the first of ``KUBECONFIG``, else ``~/.kube/config``: as kubectl writes."""
    first = next((part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part), "")
    return given or Path(first or Path.home() / ".kube" / "config")


def with_person(
    document: dict[str, Any],
    *,
    name: str,
    user: str,
    entry: dict[str, Any],
    server: str | None,
    authority: bytes | None,
    namespace: str | None,
) -> dict[str, Any]:
    """The kubeconfig with a user who signs in by ``entry`` and a context ``name`` for it, made the current one.

    Everything else stays. The cluster is ``server``, or the one of the current context. Raises ``BadUsage``.
    """
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        **document,
        **{part: list(document.get(part) or []) for part in ("clusters", "users", "contexts")},
    }
    if server:
        cluster = name
        values = {"server": server}
        if authority:
            values["certificate-authority-data"] = base64.b64encode(authority).decode()
        _put(found["clusters"], name, "cluster", values)
    else:
        current = next((c for c in found["contexts"] if c.get("name") == document.get("current-context")), None)
        cluster = (current or {}).get("context", {}).get("cluster", "")
        if not cluster:
            raise BadUsage("the kubeconfig has no current context to take the cluster from; give --server URL")
    context = {"cluster": cluster, "user": user} | ({"namespace": namespace} if namespace else {})
    _put(found["users"], user, "user", {"exec": entry})
    _put(found["contexts"], name, "context", context)
    return {**found, "current-context": name}


def read_kubeconfig(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text()) if path.exists() else {}
    except (OSError, yaml.YAMLError) as error:
        raise Refused(f"cannot read {path}: {error}") from error
    if not isinstance(document or {}, dict):
        raise Refused(f"{path} is no kubeconfig")
    return document or {}


def write_kubeconfig(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all, readable for the owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as out:
        yaml.safe_dump(document, out, sort_keys=False)
    Path(temporary).replace(path)


def _put(items: list[dict[str, Any]], name: str, key: str, value: dict[str, Any]) -> None:
    items[:] = [item for item in items if item.get("name") != name]
    items.append({"name": name, key: value})
