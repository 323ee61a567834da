"""Files of the command below ``~/.runai`` (``RUNAI_CLI_CONFIG_PATH``): where the control plane is, who is signed in.

``config.json`` is ``{"control_plane": {"url"}, "cluster": {"uuid", "name"}, "project"}``; ``authentication.json`` is
``{"accessToken": base64url of the token}``, mode 0600, the form that existing clients read.
"""

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from cli.errors import BadUsage, Refused


def folder(given: str | None = None) -> Path:
    return Path(given or os.environ.get("RUNAI_CLI_CONFIG_PATH") or Path.home() / ".runai")


class Config:
    """The two files, read once; ``save`` and ``save_token`` write them whole (temporary file, then rename)."""

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
        stored = _read(self.path / "authentication.json").get("accessToken")
        if not stored:
            return None
        return base64.urlsafe_b64decode(stored + "=" * (-len(stored) % 4)).decode()

    def save(self, **changes: Any) -> None:
        self.values = {**self.values, **changes}
        _write(self.file, self.values)

    def save_token(self, token: str) -> None:
        stored = base64.urlsafe_b64encode(token.encode()).decode()
        _write(self.path / "authentication.json", {"accessToken": stored})

    def forget_token(self) -> None:
        (self.path / "authentication.json").unlink(missing_ok=True)


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
