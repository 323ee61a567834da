"""The custom resource definitions that the agent installs: one YAML file a kind, read from the package."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml


def texts() -> list[str]:
    """The YAML of every definition, in the order of their file names."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".yaml"))
    return [file.read_text() for file in sorted(files, key=lambda file: file.name)]


def documents() -> list[dict[str, Any]]:
    """Every definition as a manifest to apply."""
    return [yaml.safe_load(text) for text in texts()]
