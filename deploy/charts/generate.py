"""Writes what the chart shares with the manifest: rights, roles, priorities and definitions, from one source.

``python deploy/charts/generate.py``; a test fails while the files differ from what this would write.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from agent.wire import install

CHART = Path(__file__).resolve().parent / "runai-cluster"


def files() -> dict[Path, str]:
    """Path below the chart → text."""
    objects = [*install.service_account(), *install.project_roles(), *install.priority_classes()]
    objects += [_kept(obj) for obj in install.reservation_objects()]
    found = {Path("templates/shared.yaml"): "---\n".join(install.to_yaml(obj) for obj in objects)}
    for file in resources.files("agent").joinpath("crds").iterdir():
        if file.name.endswith(".yaml"):
            found[Path("crds") / file.name] = file.read_text()
    return found


def _kept(obj: dict[str, Any]) -> dict[str, Any]:
    """Stays when the chart goes: pods that share a device need what holds it for them."""
    meta = obj["metadata"] | {"annotations": {"helm.sh/resource-policy": "keep"}}
    return obj | {"metadata": meta}


def main() -> None:
    for path, text in files().items():
        (CHART / path).parent.mkdir(parents=True, exist_ok=True)
        (CHART / path).write_text(text)


if __name__ == "__main__":
    main()
