"""Files of the command below ``~/.runai`` (``RUNAI_CLI_CONFIG_PATH``): where the control plane is, who is signed in.

``config.json`` is ``{"control_plane": {"url"}, "cluster": {"uuid", "name"}, "project"}``; ``authentication.json`` is
``{"accessToken", "refreshToken"}``, the first in base64url, the form that existing clients read. Mode 0600.
"""

import base64
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.errors import BadUsage, Refused

SOON_S = 30
"""An access token that ends within this many seconds counts as ended."""


def folder(given: str | None = None) -> Path:
    return Path(given or os.environ.get("RUNAI_CLI_CONFIG_PATH") or Path.home() / ".runai")


class Config:
    """The two files, read once; ``save`` and ``save_tokens`` write them whole (temporary file, then rename)."""

    def __init__(self, path: Path, file_name: str | None = None) -> None:
        self.path = path
        self.file = path / (file_name or os.environ.get("RUNAI_CLI_CONFIG_FILE") or "config.json")
        self.values = _read(self.file)

    @property
    def url(self) -> str:
        """Base URL of the control plane. Raises ``Refused`` when none was set."""
        url = os.environ.get("RUNAI_CONTROL_PLANE_URL") or self.values.get("control_plane", {}).get("url")
        if not url:
            raise BadUsage("no control plane is set; run: runai config set --cp-url URL")
        return str(url).rstrip("/")

    @property
    def project(self) -> str | None:
        project = self.values.get("project")
        return str(project) if project else None

    @property
    def cluster_id(self) -> str | None:
        cluster = self.values.get("cluster", {}).get("uuid")
        return str(cluster) if cluster else None

    @property
    def token(self) -> str | None:
        stored = _read(self.authentication).get("accessToken")
        if not stored:
            return None
        return base64.urlsafe_b64decode(stored + "=" * (-len(stored) % 4)).decode()

    @property
    def refresh_token(self) -> str | None:
        stored = _read(self.authentication).get("refreshToken")
        return str(stored) if stored else None

    @property
    def authentication(self) -> Path:
        return self.path / "authentication.json"

    def save(self, **changes: Any) -> None:
        self.values = {**self.values, **changes}
        _write(self.file, self.values)

    def save_tokens(self, access: str, refresh: str | None = None) -> None:
        """Both of one sign-in; tokens for kubectl of an earlier one are forgotten."""
        stored = {"accessToken": base64.urlsafe_b64encode(access.encode()).decode()}
        _write(self.authentication, stored | ({"refreshToken": refresh} if refresh else {}))

    def forget_tokens(self) -> None:
        self.authentication.unlink(missing_ok=True)
        shutil.rmtree(self.path / "kubernetes", ignore_errors=True)

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        """One process at a time: a refresh token is good once, and two that use it would end the sign-in."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def kubernetes_token(self, cluster_id: str) -> dict[str, Any] | None:
        """``{"token", "expiresAt"}`` of an earlier call that is still good; None otherwise."""
        stored = _read(self._kubernetes_file(cluster_id))
        good = stored.get("until", 0) > time.time() + SOON_S and stored.get("token")
        return stored if good else None

    def save_kubernetes_token(self, cluster_id: str, token: str, expires_at: str, until: float) -> None:
        """``until``: seconds since 1970."""
        values = {"token": token, "expiresAt": expires_at, "until": until}
        _write(self._kubernetes_file(cluster_id), values)

    def _kubernetes_file(self, cluster_id: str) -> Path:
        return self.path / "kubernetes" / f"{cluster_id}.json"


def claims(token: str) -> dict[str, Any]:
    """What a token says, unchecked: for the owner's own eyes. Empty for what is no token."""
    try:
        payload = token.split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (IndexError, ValueError):
        return {}


def has_ended(token: str) -> bool:
    return float(claims(token).get("exp", float("inf"))) < time.time() + SOON_S


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Refused(f"cannot read {path}: {error}") from error
    return values if isinstance(values, dict) else {}


def _write(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as out:
        json.dump(values, out, indent=2)
    Path(temporary).replace(path)
