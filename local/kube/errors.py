"""The family of everything that can go wrong with a local cluster; the message is for the person at the terminal."""

from __future__ import annotations


class KubeError(RuntimeError):
    """Base: catch this to tell a person why there is no cluster."""
